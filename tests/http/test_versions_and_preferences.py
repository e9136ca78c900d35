"""Versions as HTTP states them, and how a caller wishes its answers."""

import re
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from fhir_server.fhir.json import decode, encode
from tests.minimal import minimal
from tests.world import Party, World


@pytest.fixture
def place(hosp: Party) -> str:
    """A Patient of the hospital."""
    return f"Patient/{hosp.post(minimal('Patient', gender='female')).body['id']}"


def test_a_create_says_where_and_which_version(world: World, hosp: Party) -> None:
    reply = hosp.post(minimal("Patient"))

    base = world.parts.services.base_url
    assert reply.status == 201
    assert re.fullmatch(rf"{re.escape(base)}/Patient/{reply.body['id']}/_history/1", reply.headers["Location"])
    assert reply.headers["ETag"] == 'W/"1"'
    assert reply.headers["Content-Type"] == "application/fhir+json; charset=utf-8"
    stated = reply.body["meta"]["lastUpdated"]
    assert f"{parsedate_to_datetime(reply.headers['Last-Modified']):%Y-%m-%dT%H:%M:%S}" == stated[:19]


def test_the_id_and_meta_of_a_new_resource_are_the_servers(hosp: Party) -> None:
    meta = {"versionId": "77", "lastUpdated": "1999-01-01T00:00:00Z", "tag": [{"system": "urn:x", "code": "y"}]}

    reply = hosp.post(minimal("Patient", id="mine", meta=meta))

    assert reply.body["id"] != "mine"
    assert reply.body["meta"]["versionId"] == "1"
    assert reply.body["meta"]["lastUpdated"] > "2020"
    assert reply.body["meta"]["tag"] == meta["tag"]


@pytest.mark.parametrize("asked", ['W/"1"', '"1"', 'W/"9", W/"1"', "*"])
def test_what_the_caller_has_already_is_not_sent_again(hosp: Party, place: str, asked: str) -> None:
    reply = hosp.get(place, If_None_Match=asked)

    assert (reply.status, reply.raw, reply.headers["ETag"]) == (304, b"", 'W/"1"')


def test_a_version_that_is_another_is_sent(hosp: Party, place: str) -> None:
    assert hosp.get(place, If_None_Match='W/"2"').status == 200


def test_an_update_on_a_stale_version_is_refused_and_names_the_current_one(hosp: Party, place: str) -> None:
    resource = hosp.read(place)
    assert hosp.put({**resource, "active": True}, If_Match='W/"1"').status == 200

    refused = hosp.put({**resource, "active": False}, If_Match='W/"1"')

    assert (refused.status, refused.rules) == (412, {"version-stale"})
    assert "the current version is 2" in refused.issues[0]["diagnostics"]
    assert hosp.read(place)["active"] is True


@pytest.mark.parametrize("stated", ["yesterday", "W/1", "", 'W/"1'])
def test_an_if_match_that_is_no_etag_is_refused(hosp: Party, place: str, stated: str) -> None:
    refused = hosp.put({**hosp.read(place), "active": True}, If_Match=stated)

    assert refused.status == 400
    assert "If-Match" in refused.issues[0]["diagnostics"]
    assert "active" not in hosp.read(place)


def test_a_delete_on_a_stale_version_is_refused(world: World) -> None:
    made = world.operator.post(minimal("Patient")).body

    refused = world.operator.ask("DELETE", f"Patient/{made['id']}", If_Match='W/"9"')

    assert refused.status == 412
    assert world.operator.get(f"Patient/{made['id']}").status == 200


def test_an_update_that_changes_nothing_makes_no_version(hosp: Party, place: str) -> None:
    reply = hosp.put(hosp.read(place))

    assert (reply.status, reply.headers["ETag"]) == (200, 'W/"1"')
    assert len(hosp.get(f"{place}/_history").body["entry"]) == 1


def test_an_update_to_an_id_that_is_not_there_is_refused_to_clients(hosp: Party) -> None:
    refused = hosp.put(minimal("Patient", id="chosen-by-a-client"))

    assert refused.status == 404
    assert hosp.get("Patient/chosen-by-a-client").status == 404


def test_the_operator_chooses_ids(world: World) -> None:
    id = f"chosen.{world.organization()[-10:]}"

    reply = world.operator.put(minimal("Location", id=id))

    assert (reply.status, reply.headers["ETag"]) == (201, 'W/"1"')
    assert reply.headers["Location"].endswith(f"/Location/{id}/_history/1")


def test_if_match_on_what_is_not_there_is_a_conflict(world: World) -> None:
    absent = minimal("Location", id=f"absent-{world.organization()[-10:]}")

    refused = world.operator.put(absent, If_Match='W/"1"')

    assert (refused.status, refused.rules) == (412, {"version-stale"})
    assert world.operator.get(f"Location/{absent['id']}").status == 404


def test_the_import_scope_alone_does_not_tell_hidden_from_absent(world: World, place: str) -> None:
    importing = world.party("system/*.cruds", "samen/import")
    hidden, absent = place.partition("/")[2], f"absent-{world.organization()[-10:]}"

    for more in ({}, {"If_Match": 'W/"1"'}):
        one = importing.put(minimal("Patient", id=hidden), **more)
        other = importing.put(minimal("Patient", id=absent), **more)
        assert (one.status, one.raw) == (other.status, other.raw)
        assert one.status == 404
    bundled = {"resource": minimal("Patient", id=absent), "request": {"method": "PUT", "url": f"Patient/{absent}"}}
    assert importing.transact({"resourceType": "Bundle", "type": "transaction", "entry": [bundled]}).status == 404
    assert world.operator.get(f"Patient/{absent}").status == 404


def test_a_put_brings_back_what_was_deleted(hosp: Party) -> None:
    group = hosp.post(minimal("Group")).body
    reference = f"Group/{group['id']}"
    assert hosp.ask("DELETE", reference).status == 204

    assert [hosp.get(f"{reference}/_history/{version}").status for version in (1, 2, 3)] == [200, 410, 404]

    back = hosp.put({**group, "name": "again"}, If_Match='W/"2"')

    assert (back.status, back.headers["ETag"]) == (201, 'W/"3"')
    assert back.headers["Location"].endswith(f"/{reference}/_history/3")
    assert hosp.read(reference)["name"] == "again"
    assert [hosp.get(f"{reference}/_history/{version}").status for version in (1, 2, 3)] == [200, 410, 200]
    methods = [entry["request"]["method"] for entry in hosp.get(f"{reference}/_history").body["entry"]]
    statuses = [entry["response"]["status"] for entry in hosp.get(f"{reference}/_history").body["entry"]]
    assert methods == ["PUT", "DELETE", "POST"]
    assert [status[:3] for status in statuses] == ["201", "204", "201"]
    assert hosp.put({**group, "name": "changed"}).status == 200
    assert hosp.ask("DELETE", reference).status == 204
    statuses = [entry["response"]["status"] for entry in hosp.get("Group/_history?_count=5").body["entry"]]
    assert [status[:3] for status in statuses] == ["204", "200", "201", "204", "201"]


def test_nobody_else_brings_back_what_was_deleted(world: World, hosp: Party) -> None:
    group = hosp.post(minimal("Group")).body
    assert hosp.ask("DELETE", f"Group/{group['id']}").status == 204

    assert world.hospital().put(group).status == 404
    assert world.operator.put(group).status == 404
    assert hosp.get(f"Group/{group['id']}").status == 410


def test_what_is_brought_back_is_about_the_same_person(hosp: Party, place: str) -> None:
    listed = hosp.post(minimal("List", subject={"reference": place})).body
    other = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    assert hosp.ask("DELETE", f"List/{listed['id']}").status == 204

    refused = hosp.put({**listed, "subject": {"reference": other}})

    assert (refused.status, refused.rules) == (422, {"subject"})
    assert hosp.put(listed).status == 201


@pytest.mark.parametrize("body_id", [None, "another"])
def test_an_update_states_its_own_id(hosp: Party, place: str, body_id: str | None) -> None:
    refused = hosp.ask("PUT", place, minimal("Patient", id=body_id))

    assert (refused.status, refused.rules, refused.paths) == (400, {"id-differs"}, {"Patient.id"})


def test_return_minimal_sends_no_body(hosp: Party) -> None:
    reply = hosp.post(minimal("Patient"), Prefer="return=minimal")

    assert (reply.status, reply.raw) == (201, b"")
    assert "Content-Type" not in reply.headers
    assert {"ETag", "Last-Modified", "Location"} <= set(reply.headers)


def test_return_operation_outcome_says_what_was_done(hosp: Party) -> None:
    reply = hosp.post(minimal("Patient"), Prefer="return=OperationOutcome")

    assert reply.status == 201
    assert reply.issues[0]["severity"] == "information"
    assert "was created" in reply.issues[0]["diagnostics"]


@pytest.mark.parametrize("preference", ["return=representation", "", "respond-async", "return=nonsense"])
def test_the_resource_is_returned_unless_something_else_is_preferred(hosp: Party, preference: str) -> None:
    assert hosp.post(minimal("Patient"), Prefer=preference).body["resourceType"] == "Patient"


def test_head_answers_like_get_without_a_body(hosp: Party, place: str) -> None:
    got, head = hosp.get(place), hosp.ask("HEAD", place)

    assert (head.status, head.raw) == (200, b"")
    for name in ("ETag", "Last-Modified", "Content-Type", "Content-Length"):
        assert head.headers[name] == got.headers[name]
    assert hosp.ask("HEAD", "Patient/never-there").status == 404


def test_pretty_is_the_same_in_lines(hosp: Party, place: str) -> None:
    plain, pretty = hosp.get(place), hosp.get(f"{place}?_pretty=true")

    assert pretty.body == plain.body
    assert pretty.raw.count(b"\n") > 3
    assert plain.raw.count(b"\n") == 0


@pytest.mark.parametrize("accepted", ["application/fhir+json", "*/*", "application/json;q=0.5, text/html", ""])
def test_json_is_sent_to_whom_accepts_it(hosp: Party, place: str, accepted: str) -> None:
    assert hosp.get(place, Accept=accepted).status == 200


@pytest.mark.parametrize(
    ("asked", "accepted"),
    [("", "text/turtle"), ("?_format=ttl", "*/*"), ("?_format=text/csv", "application/fhir+json")],
)
def test_what_is_not_spoken_is_refused(hosp: Party, place: str, asked: str, accepted: str) -> None:
    refused = hosp.get(place + asked, Accept=accepted)

    assert (refused.status, refused.rules) == (406, {"format"})


@pytest.mark.parametrize("asked", ["json", "application/fhir%2Bjson", "application/json", "application/fhir+json"])
def test_format_counts_before_accept(hosp: Party, place: str, asked: str) -> None:
    assert hosp.get(f"{place}?_format={asked}", Accept="text/turtle").status == 200


def test_decimals_order_and_text_are_kept_to_the_byte(hosp: Party, place: str) -> None:
    components = (
        b'{"code":{"text":"a"},"valueQuantity":{"value":1.00}},'
        b'{"code":{"text":"b"},"valueQuantity":{"value":0.000001000}},'
        b'{"code":{"text":"c"},"valueQuantity":{"value":-0.0}},'
        b'{"code":{"text":"d"},"valueQuantity":{"value":123456789012345678901234567890.10}},'
        b'{"code":{"text":"e"},"valueQuantity":{"value":100}},'
        b'{"code":{"text":"f"},"valueQuantity":{"value":98765432109876543210}},'
        b'{"code":{"text":"na\xc3\xafve \xf0\x9f\x8c\xb7 \\"q\\" \\\\ \\n line"},"valueQuantity":{"value":1.50}}'
    )
    body = (
        b'{"resourceType":"Observation","component":[%s],"code":{"text":"z"},"status":"final",'
        b'"subject":{"reference":"%s"}}' % (components, place.encode())
    )

    made = hosp.ask("POST", "Observation", body)
    assert made.status == 201, made.body
    stored = hosp.get(f"Observation/{made.body['id']}").raw

    assert b'"component":[%s]' % components in stored
    names = ["resourceType", "id", "meta", "component", "code", "status", "subject"]
    assert list(decode(stored)) == names
    assert stored in hosp.get(f"Observation?_id={made.body['id']}").raw


@pytest.mark.parametrize(("sent", "kept"), [(b"1e2", "1E+2"), (b"1.20E-3", "0.00120"), (b"5e-10", "5E-10")])
def test_exponents_keep_their_value_and_their_digits(hosp: Party, place: str, sent: bytes, kept: str) -> None:
    body = (
        b'{"resourceType":"Observation","status":"final","code":{"text":"z"},"subject":{"reference":"%s"},'
        b'"valueQuantity":{"value":%s}}' % (place.encode(), sent)
    )

    made = hosp.ask("POST", "Observation", body)

    assert made.status == 201, made.body
    assert f'"value":{kept}'.encode() in made.raw
    assert decode(encode(made.body)) == made.body


def test_a_conditional_create_makes_one_then_finds_it(hosp: Party, place: str) -> None:
    flag = _flag(place, "one")

    first = hosp.post(flag, If_None_Exist="identifier=urn:x|one")
    second = hosp.post(flag, If_None_Exist="identifier=urn:x|one")

    assert (first.status, second.status) == (201, 200)
    assert second.body["id"] == first.body["id"]
    assert second.headers["Location"] == first.headers["Location"]


def test_a_conditional_create_with_many_matches_is_refused(hosp: Party, place: str) -> None:
    for _ in range(2):
        assert hosp.post(_flag(place, "many")).status == 201

    refused = hosp.post(_flag(place, "many"), If_None_Exist="identifier=urn:x|many")

    assert refused.status == 412
    assert len(hosp.get("Flag?identifier=urn:x|many").entries) == 2


def test_a_conditional_create_does_not_find_what_the_caller_may_not_read(world: World, hosp: Party, place: str) -> None:
    assert hosp.post(_flag(place, "hidden")).status == 201
    other = world.hospital()
    patient = f"Patient/{other.post(minimal('Patient')).body['id']}"

    reply = other.post(_flag(patient, "hidden"), If_None_Exist="identifier=urn:x|hidden")

    assert reply.status == 201


@pytest.mark.parametrize(
    "condition", ["", "?", "_count=1&identifier=urn:x|c", "_summary=count", "_cursor=x", "nonsense=1", "identifier=%ZZ"]
)
def test_a_condition_says_what_a_resource_has(hosp: Party, place: str, condition: str) -> None:
    refused = hosp.post(_flag(place, "c"), If_None_Exist=condition)

    assert refused.status == 400
    assert hosp.get("Flag?identifier=urn:x|c").entries == []


def _flag(patient: str, value: str) -> dict[str, Any]:
    return minimal("Flag", references={"Patient": patient}, identifier=[{"system": "urn:x", "value": value}])


@pytest.mark.parametrize("type_name", ["Patient", "Flag"])  # by itself, and beside others about one person
def test_several_at_once_with_one_condition_make_one(world: World, hosp: Party, place: str, type_name: str) -> None:
    value, condition = f"at-once-{type_name}", f"identifier=urn:x|at-once-{type_name}"
    person = minimal("Patient", identifier=[{"system": "urn:x", "value": value}])
    made = person if type_name == "Patient" else _flag(place, value)
    parties = [Party(world.app.test_client(), world.base_path, hosp.reference, hosp.token) for _ in range(50)]

    with ThreadPoolExecutor(len(parties)) as threads:
        replies = list(threads.map(lambda party: party.post(made, If_None_Exist=condition), parties))

    assert sorted(reply.status for reply in replies) == [200] * 49 + [201]
    assert len({reply.body["id"] for reply in replies}) == 1
