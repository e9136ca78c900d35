"""Scenarios I: every interaction and every refusal leaves one AuditEvent, or does not happen."""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fhir_server.app import build, web
from fhir_server.audit.events import ACTIONS, DONE, REFUSED
from fhir_server.demo.receiver import subscription
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.json import Resource, decode
from fhir_server.interactions.addressing import ADDRESSES
from tests.access.actors import acting
from tests.access.asking import batch, marked
from tests.access.circle import made
from tests.world import Case, Party, Reply, World

DISK_FULL = 14031
# How the record of a reading is kept, and that of a write with the rest of its commit.
READING, COMMIT = ("insert", "AuditEvent"), ("update", "ledger")
Failing = Callable[..., AbstractContextManager[None]]

GROUP: Resource = {"resourceType": "Group", "type": "person", "actual": False}


@dataclass(frozen=True)
class Cast:
    """A case, the party that asks, and a Group and a Subscription of its own."""

    party: Party
    case: Case
    group: str
    subscription: str
    world: World

    def told(self) -> list[Resource]:
        """The AuditEvents about the party, by their ids."""
        about = {"t": f"agent={self.party.reference}"}
        found = [decode(event["body"]) for event in self.world.audit().find(about, {"body": 1}).sort("_id")]
        return [event for event in found if event["agent"][0].get("who", {}).get("reference") == self.party.reference]


@pytest.fixture
def cast(world: World) -> Cast:
    hosp = world.hospital()
    case = world.case(hosp, world.party())
    listening = made(hosp, subscription("http://127.0.0.1:9/never"))
    return Cast(hosp, case, made(hosp, GROUP), listening, world)


Asked = Callable[[Cast], Reply]
INTERACTIONS: Mapping[str, tuple[str, Asked]] = {
    "capabilities": ("capabilities", lambda c: c.party.get("metadata")),
    "read": ("read", lambda c: c.party.get(c.case.task)),
    "HEAD": ("read", lambda c: c.party.ask("HEAD", c.case.task)),
    "a read that needs no body": ("read", lambda c: c.party.get(c.group, If_None_Match='W/"1"')),
    "vread": ("vread", lambda c: c.party.get(f"{c.case.task}/_history/1")),
    "history": ("history-instance", lambda c: c.party.get(f"{c.case.task}/_history")),
    "history of a type": ("history-type", lambda c: c.party.get("Task/_history?_count=5")),
    "history of all": ("history-system", lambda c: c.party.get("_history?_count=1")),
    "search": ("search-type", lambda c: c.party.get(f"Task?patient={c.case.patient}")),
    "search by POST": ("search-type", lambda c: _posted(c.party, "Task", f"patient={c.case.patient}")),
    "count": ("search-type", lambda c: c.party.get(f"Task?patient={c.case.patient}&_summary=count")),
    "search of types": ("search-system", lambda c: c.party.get(f"?_type=Task,Goal&patient={c.case.patient}")),
    "search of a person": ("search-system", lambda c: c.party.get(f"{c.case.patient}/*?_type=Task,CarePlan")),
    "create": ("create", lambda c: c.party.post(GROUP)),
    "a create of what exists": ("create", lambda c: c.party.post(GROUP, If_None_Exist=f"_id={c.group.split('/')[1]}")),
    "update": ("update", lambda c: c.party.put(marked(c.party.read(c.case.condition)))),
    "an update that changes nothing": ("update", lambda c: c.party.put({**GROUP, "id": c.group.split("/")[1]})),
    "delete": ("delete", lambda c: c.party.ask("DELETE", c.group)),
    "patch": (
        "patch",
        lambda c: c.party.ask(
            "PATCH",
            c.group,
            [{"op": "add", "path": "/name", "value": "Patched"}],
            Content_Type="application/json-patch+json",
        ),
    ),
    "$meta": ("operation", lambda c: c.party.get(f"{c.group}/$meta")),
    "$meta-add": ("update", lambda c: c.party.ask("POST", f"{c.group}/$meta-add", _tag())),
    "$meta-delete": ("update", lambda c: c.party.ask("POST", f"{c.group}/$meta-delete", _tag())),
    "$validate": ("operation", lambda c: c.party.ask("POST", "Group/$validate", GROUP)),
    "$versions": ("operation", lambda c: c.party.get("$versions")),
    "$everything of a person": ("operation", lambda c: c.party.get(f"{c.case.patient}/$everything")),
    "$everything of a plan": ("operation", lambda c: c.party.get(f"{c.case.plan}/$everything")),
    "$status": ("operation", lambda c: c.party.get(f"{c.subscription}/$status")),
    "$events": ("operation", lambda c: c.party.get(f"{c.subscription}/$events")),
    "a transaction with nothing in it": ("transaction", lambda c: c.party.transact(batch([], "transaction"))),
    "a batch with nothing in it": ("transaction", lambda c: c.party.transact(batch([]))),
}
OPERATIONS = {
    "$meta": "Resource-meta",
    "$meta-add": "Resource-meta-add",
    "$meta-delete": "Resource-meta-delete",
    "$validate": "Resource-validate",
    "$versions": "CapabilityStatement-versions",
    "$everything of a person": "Patient-everything",
    "$everything of a plan": "CarePlan-everything",
    "$status": "Subscription-status",
    "$events": "Subscription-events",
    "of an explanation": "explain",
}
READS_FIRST = {"update"}
REFUSALS: Mapping[str, tuple[int, str, Asked]] = {
    "of what is hidden": (404, "read", lambda c: c.party.get("Patient/hidden")),
    "of a hidden version": (404, "vread", lambda c: c.party.get("Patient/hidden/_history/1")),
    "of a hidden history": (404, "history-instance", lambda c: c.party.get("Patient/hidden/_history")),
    "of an unknown parameter": (400, "search-type", lambda c: c.party.get("Task?colour=red")),
    "of what types do not share": (400, "search-system", lambda c: c.party.get(f"{c.case.patient}/*?due=2026")),
    "of an unknown type": (404, "unknown", lambda c: c.party.get("Spaceship/1")),
    "of a method": (405, "unknown", lambda c: c.party.ask("DELETE", "metadata")),
    "of a format": (406, "read", lambda c: c.party.get(c.group, Accept="application/pdf")),
    "of a body's type": (415, "create", lambda c: c.party.ask("POST", "Group", b"x", Content_Type="text/plain")),
    "of what is no JSON": (400, "create", lambda c: c.party.ask("POST", "Group", b"{")),
    "of what is invalid": (422, "create", lambda c: c.party.post({**GROUP, "type": "planet"})),
    "of a stale version": (412, "update", lambda c: c.party.put({**GROUP, "id": c.group[6:]}, If_Match='W/"9"')),
    "of what only the operator may": (403, "create", lambda c: c.party.post({"resourceType": "Location"})),
    "of an explanation": (403, "operation", lambda c: c.party.get("$explain?_type=Task")),
    "of a deletion": (403, "delete", lambda c: c.party.ask("DELETE", c.case.task)),
    "of a transaction": (
        404,
        "transaction",
        lambda c: c.party.transact(batch([("GET", c.group), ("GET", "Patient/hidden")], "transaction")),
    ),
    "of what is no Bundle": (400, "transaction", lambda c: c.party.transact(GROUP)),
}


def _tag() -> Resource:
    meta = {"tag": [{"system": "urn:test:tag", "code": "seen"}]}
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}


def _posted(party: Party, type_name: str, form: str) -> Reply:
    return party.ask("POST", f"{type_name}/_search", form.encode(), Content_Type="application/x-www-form-urlencoded")


def test_i1_the_interactions_below_are_all_that_there_are() -> None:
    asked = {code for code, _ in INTERACTIONS.values()} | set(OPERATIONS.values())
    assert {address.interaction for address in ADDRESSES} <= asked
    assert set(OPERATIONS) <= INTERACTIONS.keys() | REFUSALS.keys()


@pytest.mark.parametrize("name", INTERACTIONS)
def test_i1_an_interaction_leaves_one_event_that_says_who_did_what_and_why_they_may(
    world: World, cast: Cast, name: str
) -> None:
    code, ask = INTERACTIONS[name]
    before = cast.told()

    reply = ask(cast)

    assert reply.status < 400, reply.body
    [*reads, event] = _new(before, cast.told(), code)
    assert [read["subtype"][0]["code"] for read in reads] == (["read"] if name in READS_FIRST else [])
    assert event["subtype"][0]["code"] == code
    assert event["action"] == ACTIONS.get(code, "E")
    assert event["outcome"] == DONE
    assert event["agent"][0]["altId"], "the client"
    assert _reason(event), "the policy's reason"
    assert world.parts.services.validator.check(event) == []
    if code not in {"capabilities", "transaction"} and name not in {"count", "$validate", "$versions"}:
        assert any("reference" in entity.get("what", {}) for entity in event["entity"])
    if code == "search-type":
        assert f"patient={cast.case.patient}" in _query(event)


@pytest.mark.parametrize("name", REFUSALS)
def test_i1_a_refusal_leaves_one_event_that_says_what_was_refused_by_which_rule(
    world: World, cast: Cast, name: str
) -> None:
    status, code, ask = REFUSALS[name]
    before = cast.told()

    reply = ask(cast)

    assert reply.status == status, reply.body
    [event] = _new(before, cast.told(), code)
    assert (event["subtype"][0]["code"], event["outcome"]) == (code, REFUSED)
    assert event["outcomeDesc"].startswith("refused: ")
    assert world.parts.services.validator.check(event) == []


def test_i1_each_entry_of_a_bundle_leaves_its_own_event(cast: Cast) -> None:
    entries = [{"resource": GROUP, "request": {"method": "POST", "url": "Group"}}]
    entries += batch([("GET", cast.case.task), ("GET", f"Task?patient={cast.case.patient}")])["entry"]
    for kind in ("batch", "transaction"):
        before = cast.told()

        reply = cast.party.transact({"resourceType": "Bundle", "type": kind, "entry": entries})

        assert reply.status == 200, reply.body
        codes = [event["subtype"][0]["code"] for event in _new(before, cast.told(), "")]
        assert sorted(codes) == ["create", "read", "search-type"], kind


def test_i1_entries_of_a_batch_that_are_refused_or_cannot_be_read_are_told(cast: Cast) -> None:
    before = cast.told()

    cast.party.transact(batch([("GET", "Patient/hidden"), ("GET", "nonsense/at all")]))

    told = _new(before, cast.told(), "")
    assert sorted(event["subtype"][0]["code"] for event in told) == ["read", "transaction"]


def test_i1_a_stranger_without_a_token_leaves_an_event_without_a_name(world: World, cast: Cast) -> None:
    def unnamed() -> list[Resource]:
        found = [decode(event["body"]) for event in world.audit().find({}, {"body": 1})]
        return [event for event in found if event["agent"][0].get("name") == "unauthenticated"]

    before = unnamed()
    assert world.nobody().get(cast.case.patient).status == 401

    [event] = [each for each in unnamed() if each not in before]
    assert (event["outcome"], event.get("entity")) == (REFUSED, None)
    assert world.parts.services.validator.check(event) == []


def test_i1_an_event_names_the_person_and_the_organisation(world: World, cast: Cast) -> None:
    nurse = made(cast.party, {"resourceType": "Practitioner", "active": True})
    actor = Actor(cast.party.reference, nurse, frozenset({"nurse"}), frozenset({"system/*.cruds"}))

    assert acting(world, actor).get(cast.case.condition).status == 200

    found = [decode(event["body"]) for event in world.audit().find({}, {"body": 1})]
    [event] = [each for each in found if each["agent"][0].get("who", {}).get("reference") == nurse]
    assert event["agent"][0]["altId"] == cast.party.reference
    assert event["agent"][0]["role"] == [{"text": "nurse"}]
    assert cast.case.condition in str(event["entity"])
    assert cast.case.patient in str(event["entity"])


def test_i1_what_the_server_makes_follow_is_told_with_the_write(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)

    accepted = home.move(case.task, "accepted")

    events = [event.resource() for event in world.parts.store.in_plan(case.plan.partition("/")[2], "AuditEvent")]
    version = f"{case.task}/_history/{accepted.body['meta']['versionId']}"
    [event] = [each for each in events if version in str(each["entity"])]
    assert case.team in str(event["entity"]), "the team gained a member"


@pytest.fixture
def unrecorded(world: World, cast: Cast, tmp_path: Path) -> Iterator[Party]:
    """The party of the cast at a server that cannot write its audit journal."""
    (tmp_path / "file").touch()
    parts = build(replace(world.parts.settings, audit_folder=tmp_path / "file" / "audit"))
    yield Party(web(parts).test_client(), world.base_path, cast.party.reference, cast.party.token)
    parts.store.close()
    parts.registry.close()


@pytest.mark.parametrize(
    ("ask", "recorded"),
    [
        pytest.param(lambda c: c.party.get(c.case.task), READING, id="read"),
        pytest.param(lambda c: c.party.get(f"{c.case.task}/_history"), READING, id="history"),
        pytest.param(lambda c: c.party.get(f"Task?patient={c.case.patient}"), READING, id="search"),
        pytest.param(lambda c: c.party.get("metadata"), READING, id="metadata"),
        pytest.param(lambda c: c.party.get("Patient/hidden"), READING, id="hidden"),
        pytest.param(lambda c: c.party.get("Spaceship/1"), READING, id="unknown"),
        pytest.param(lambda c: c.party.post({**GROUP, "type": "planet"}), READING, id="invalid"),
        pytest.param(lambda c: c.party.put({**GROUP, "id": c.group[6:], "active": True}), COMMIT, id="update"),
        pytest.param(lambda c: c.party.ask("DELETE", c.group), COMMIT, id="delete"),
        pytest.param(lambda c: c.party.transact(batch([("GET", c.case.task)], "transaction")), COMMIT, id="bundle"),
    ],
)
def test_i2_what_cannot_be_recorded_is_not_answered_and_not_done(
    world: World, cast: Cast, unrecorded: Party, failing_command: Failing, ask: Asked, recorded: tuple[str, str]
) -> None:
    before = cast.party.get(f"Group?_id={cast.group[6:]}").entries
    count = cast.party.get("Group?_total=accurate").body["total"]
    command, collection = recorded

    with failing_command(command, None, namespace=f"{world.parts.settings.database}.{collection}", errorCode=DISK_FULL):
        reply = ask(replace(cast, party=unrecorded))

    assert (reply.status, reply.issues[0]["code"]) == (503, "transient")
    assert reply.headers["Retry-After"]
    assert cast.case.task.encode() not in reply.raw
    assert cast.party.get(f"Group?_id={cast.group[6:]}").entries == before
    assert cast.party.get("Group?_total=accurate").body["total"] == count


def test_i2_a_create_is_kept_with_its_record_or_not_at_all(world: World, cast: Cast, failing_command: Failing) -> None:
    """The record of one new resource waits in its own document, wherever it goes from there."""
    count = cast.party.get("Group?_total=accurate").body["total"]
    database = world.parts.settings.database
    with failing_command("insert", None, namespace=f"{database}.Group", errorCode=DISK_FULL):
        refused = cast.party.post(GROUP)
    assert (refused.status, refused.issues[0]["code"]) == (503, "transient")
    assert cast.party.get("Group?_total=accurate").body["total"] == count

    with failing_command("insert", None, namespace=f"{database}.AuditEvent", errorCode=DISK_FULL):
        created = cast.party.post(GROUP)
    assert created.status == 201
    [event] = [each for each in world.audit().find({}) if f"Group/{created.body['id']}".encode() in bytes(each["body"])]
    assert decode(event["body"])["action"] == "C"


def test_i2_a_read_is_told_afterwards_when_the_database_did_not_take_its_record(
    world: World, cast: Cast, failing_command: Failing
) -> None:
    before = cast.told()

    with failing_command("insert", None, namespace=f"{world.parts.settings.database}.AuditEvent", errorCode=DISK_FULL):
        reply = cast.party.get(cast.case.task)
        asked = world.custodian.get(f"AuditEvent?entity={cast.case.task}")

    assert (reply.status, asked.status) == (200, 503)
    [event] = _new(before, cast.told(), "read")
    assert cast.case.task in str(event["entity"])


def _new(before: list[Resource], after: list[Resource], code: str) -> list[Resource]:
    """What came after, what was asked for last."""
    known = {event["id"] for event in before}
    found = [event for event in after if event["id"] not in known]
    return sorted(found, key=lambda event: event["subtype"][0]["code"] == code)


def _reason(event: Resource) -> str:
    details = [detail for entity in event["entity"] for detail in entity.get("detail", [])]
    return next((detail["valueString"] for detail in details if detail["type"] == "reason"), "")


def _query(event: Resource) -> str:
    return next(base64.b64decode(entity["query"]).decode() for entity in event["entity"] if "query" in entity)
