"""What /metadata declares of versions and conditions holds, for each type."""

import uuid
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from fhir_server.access.types import TYPES
from fhir_server.fhir.json import Resource
from tests.conformance.test_capabilities import OF_A_CASE, declared
from tests.http.resources import imported, own
from tests.world import Case, Party, World

STORED = sorted(TYPES.keys() - {"AuditEvent"})


def of(world: World, hospital: Party, case: Case, type_name: str) -> tuple[Party, Resource]:
    """A resource of the type, and who may change it."""
    if type_name == "CareTeam":
        return world.custodian, world.custodian.read(case.team)
    if type_name in OF_A_CASE:
        return hospital, hospital.read(getattr(case, OF_A_CASE[type_name]))
    made = hospital.post(own(hospital, type_name))
    writer = hospital if made.status == 201 else world.operator
    return writer, made.body if made.status == 201 else writer.post(imported(type_name)).body


@pytest.mark.parametrize("type_name", STORED)
def test_a_read_under_both_conditions_is_not_repeated(
    world: World, hospital: Party, case: Case, statement: Resource, type_name: str
) -> None:
    asker, resource = of(world, hospital, case, type_name)
    place = f"{type_name}/{resource['id']}"
    seen = asker.get(place).headers
    # A second later: the tests of a module share a case, whose versions may lie within one second.
    since = format_datetime(parsedate_to_datetime(seen["Last-Modified"]) + timedelta(seconds=1), usegmt=True)

    assert declared(statement, type_name)["conditionalRead"] == "full-support"
    assert asker.get(place, If_None_Match=seen["ETag"]).status == 304
    assert asker.get(place, If_None_Match='W/"99"').status == 200
    assert asker.get(place, If_Modified_Since=since).status == 304
    assert asker.get(place, If_Modified_Since="Thu, 01 Jan 2026 00:00:00 GMT").status == 200


@pytest.mark.parametrize("type_name", STORED)
def test_versions_are_kept_as_declared(
    world: World, hospital: Party, case: Case, statement: Resource, type_name: str
) -> None:
    told = declared(statement, type_name)
    writer, resource = of(world, hospital, case, type_name)
    place, version = f"{type_name}/{resource['id']}", int(resource["meta"]["versionId"])
    unversioned = {name: value for name, value in resource.items() if name != "meta"}

    blind = writer.put({**unversioned, "language": "nl"})
    unknown = hospital.put({**unversioned, "id": uuid.uuid4().hex})
    stale = writer.put(unversioned, If_Match=f'W/"{version + 7}"')

    by_operator = writer is world.operator  # whose import is not asked for a version
    assert (blind.status == 412) is (told["versioning"] == "versioned-update" and not by_operator), blind.body
    assert told["updateCreate"] is False
    assert unknown.status in {403, 404, 405, 412}
    assert stale.status == 412
    assert told["readHistory"] is True
    assert writer.get(f"{place}/_history/{version}").body["meta"]["versionId"] == str(version)


@pytest.mark.parametrize("type_name", STORED)
def test_creates_and_deletes_under_conditions_work_where_they_are_declared(
    world: World, hospital: Party, statement: Resource, type_name: str
) -> None:
    told = declared(statement, type_name)
    tag = {"system": "urn:tags", "code": uuid.uuid4().hex}
    condition = f"_tag=urn:tags|{tag['code']}"
    writer = hospital if told["conditionalCreate"] and type_name not in OF_A_CASE else world.operator
    resource = own(hospital, type_name) if writer is hospital else imported(type_name)
    tagged = {**resource, "meta": {"tag": [tag]}}

    statuses = [writer.post(tagged, If_None_Exist=condition).status for _ in range(2)]
    deleted = hospital.ask("DELETE", f"{type_name}?{condition}").status

    assert statuses == [201, 200]
    if told["conditionalDelete"] == "not-supported":
        assert deleted in ({403} if writer is hospital else {403, 204})  # 204: nothing that the hospital could see
        assert len(writer.get(f"{type_name}?{condition}").entries) == 1
    elif writer is hospital:
        assert deleted in {200, 204}
        assert writer.get(f"{type_name}?{condition}").entries == []
