"""$meta, $meta-add, $meta-delete: labels by whoever may update, each change a version; and $versions."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fhir_server.fhir.json import Resource
from fhir_server.validation.validator import Validator
from tests.world import Case, Party, Reply, World

TAGS = "https://samen.example/fhir/CodeSystem/tags"


def tag(code: str) -> Resource:
    return {"system": TAGS, "code": code}


def sent(**meta: Any) -> Resource:
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}


META = sent(tag=[tag("a")])["parameter"][0]


def told(reply: Reply) -> Resource:
    """The Meta of an answer, which must be a valid Parameters."""
    assert reply.status == 200, reply.body
    assert Validator().check(reply.body) == []
    [parameter] = reply.body["parameter"]
    assert parameter["name"] == "return"
    return dict(parameter["valueMeta"])


@pytest.fixture(scope="module")
def case_of(world: World) -> Callable[[], tuple[Party, Party, Case]]:
    def make() -> tuple[Party, Party, Case]:
        hosp, home = world.hospital(), world.party()
        return hosp, home, world.case(hosp, home)

    return make


def test_meta_is_that_of_the_current_version(hosp: Party, patient: str) -> None:
    for ask in ("GET", "POST"):
        reply = hosp.ask(ask, f"{patient}/$meta")

        assert told(reply) == hosp.read(patient)["meta"]
        assert reply.headers["ETag"] == 'W/"1"'


def test_adding_keeps_what_was_there_and_makes_a_version(hosp: Party, patient: str) -> None:
    first = hosp.ask("POST", f"{patient}/$meta-add", sent(tag=[tag("a")], profile=["https://samen.example/p"]))
    second = hosp.ask("POST", f"{patient}/$meta-add", sent(tag=[tag("b"), tag("a")], security=[tag("s")]))

    assert (first.headers["ETag"], second.headers["ETag"]) == ('W/"2"', 'W/"3"')
    meta = told(second)
    assert (meta["tag"], meta["security"], meta["profile"]) == (
        [tag("a"), tag("b")],
        [tag("s")],
        ["https://samen.example/p"],
    )
    assert hosp.read(patient)["meta"] == meta
    assert "tag" not in hosp.read(f"{patient}/_history/1")["meta"]


def test_deleting_takes_away_by_system_and_code_and_spares_the_rest(hosp: Party, patient: str) -> None:
    hosp.ask("POST", f"{patient}/$meta-add", sent(tag=[tag("a"), tag("b"), {"code": "a"}]))

    left = told(hosp.ask("POST", f"{patient}/$meta-delete", sent(tag=[{**tag("a"), "display": "whatever"}])))

    assert left["tag"] == [tag("b"), {"code": "a"}]
    assert left["versionId"] == "3"
    gone = told(hosp.ask("POST", f"{patient}/$meta-delete", sent(tag=[tag("b"), {"code": "a"}])))
    assert "tag" not in gone


def test_what_changes_nothing_makes_no_version(hosp: Party, patient: str) -> None:
    hosp.ask("POST", f"{patient}/$meta-add", sent(tag=[tag("a")]))

    assert told(hosp.ask("POST", f"{patient}/$meta-add", sent(tag=[tag("a")])))["versionId"] == "2"
    assert told(hosp.ask("POST", f"{patient}/$meta-delete", sent(tag=[tag("never")])))["versionId"] == "2"


def test_labels_that_are_added_at_once_are_all_there(hosp: Party, patient: str) -> None:
    def add(code: str) -> int:
        return hosp.ask("POST", f"{patient}/$meta-add", sent(tag=[tag(code)])).status

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(add, "abcd")) == {200}

    assert {each["code"] for each in hosp.read(patient)["meta"]["tag"]} == set("abcd")


def test_a_condition_on_the_version_is_heeded(hosp: Party, patient: str) -> None:
    reply = hosp.ask("POST", f"{patient}/$meta-add", sent(tag=[tag("a")]), If_Match='W/"7"')

    assert (reply.status, reply.rules) == (412, {"version-stale"})


def test_a_task_is_labelled_by_its_parties_alone(case_of: Callable[[], tuple[Party, Party, Case]]) -> None:
    hosp, home, case = case_of()

    assert told(home.ask("POST", f"{case.task}/$meta-add", sent(tag=[tag("ours")])))["tag"] == [tag("ours")]
    refused = home.ask("POST", f"{case.order}/$meta-add", sent(tag=[tag("ours")]))
    assert refused.status == 403
    assert "tag" not in hosp.read(case.order)["meta"]
    assert home.ask("POST", f"{case.condition}/$meta-add", sent(tag=[tag("ours")])).status == 404


def test_a_write_of_labels_is_audited_in_its_commit(world: World, hosp: Party, patient: str) -> None:
    reply = hosp.ask("POST", f"{patient}/$meta-add", sent(tag=[tag("a")]))
    assert reply.status == 200

    events = world.audit().find({"patient": patient})
    assert any(f"{patient}/_history/2".encode() in bytes(event["body"]) for event in events)


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Parameters"},
        {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueString": "a"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {}}] * 2},
        {"resourceType": "Parameters", "parameter": [META, META]},
        {"resourceType": "Parameters", "parameter": [META, {"name": "meta", "valueString": "a"}]},
        {"resourceType": "Parameters", "parameter": [META, {"name": "mete", "valueString": "a"}]},
    ],
)
def test_anything_but_one_meta_is_refused(hosp: Party, patient: str, body: Resource) -> None:
    assert hosp.ask("POST", f"{patient}/$meta-add", body).status in {400, 422}
    assert hosp.read(patient)["meta"]["versionId"] == "1"


@pytest.mark.parametrize("operation", ["$meta-add", "$meta-delete"])
@pytest.mark.parametrize("asked", ["nonsense=1", "meta=a", "_summary=true"])
def test_a_parameter_that_there_is_not_changes_no_labels(hosp: Party, patient: str, operation: str, asked: str) -> None:
    reply = hosp.ask("POST", f"{patient}/{operation}?{asked}", sent(tag=[tag("a")]))

    assert reply.status == 400
    assert hosp.read(patient)["meta"]["versionId"] == "1"
    assert hosp.ask("POST", f"{patient}/{operation}?_pretty=true", sent(tag=[tag("a")])).status == 200


def test_what_is_said_beside_a_profile_stays_with_it(hosp: Party) -> None:
    names, beside = [f"https://samen.example/{each}" for each in "abc"], [None, {"id": "of-b"}, {"id": "of-c"}]
    made = hosp.post({"resourceType": "Patient", "meta": {"profile": names, "_profile": beside}})
    place = f"Patient/{made.body['id']}/$meta-delete"

    left = told(hosp.ask("POST", place, sent(profile=names[1:2])))
    assert (left["profile"], left["_profile"]) == ([names[0], names[2]], [None, {"id": "of-c"}])

    left = told(hosp.ask("POST", place, sent(profile=names[2:])))
    assert left["profile"] == names[:1]
    assert "_profile" not in left


def test_a_meta_that_is_not_valid_is_refused_with_its_path(hosp: Party, patient: str) -> None:
    reply = hosp.ask("POST", f"{patient}/$meta-add", sent(tag=[{"systm": TAGS}]))

    assert reply.status == 422
    assert reply.paths == {"Parameters.parameter[0].valueMeta.tag[0].systm"}


def test_an_operation_that_is_not_there_is_no_address(hosp: Party, patient: str) -> None:
    assert hosp.get(f"{patient}/$no-such").status == 404
    assert hosp.get(f"{patient}/$meta-add").status == 405
    assert hosp.get(f"{patient}/$meta-add").headers["Allow"] == "POST"
    unknown = hosp.get(f"{patient}/$meta?no-such=1")
    assert (unknown.status, unknown.rules) == (400, {"unknown-parameter"})


def test_a_bundle_holds_operations_that_are_asked_by_get(hosp: Party, patient: str) -> None:
    def bundle(kind: str, *asked: tuple[str, str]) -> Resource:
        entries = [{"request": {"method": method, "url": f"{patient}/{url}"}} for method, url in asked]
        return {"resourceType": "Bundle", "type": kind, "entry": entries}

    for kind in ("batch", "transaction"):
        reply = hosp.transact(bundle(kind, ("GET", "$meta")))
        assert reply.body["entry"][0]["resource"]["parameter"][0]["valueMeta"] == hosp.read(patient)["meta"]
    refused = hosp.transact(bundle("transaction", ("POST", "$meta-add")))
    assert (refused.status, refused.paths) == (400, {"Bundle.entry[0].request.url"})


@pytest.mark.parametrize("place", ["$versions", "CapabilityStatement/$versions"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_versions_are_those_that_the_statement_names(hosp: Party, place: str, method: str) -> None:
    reply = hosp.ask(method, place)

    assert (reply.status, Validator().check(reply.body)) == (200, [])
    assert {p["name"]: p["valueCode"] for p in reply.body["parameter"]} == {"version": "4.0", "default": "4.0"}
    assert hosp.read("metadata")["fhirVersion"].startswith("4.0")
