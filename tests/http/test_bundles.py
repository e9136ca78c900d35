"""Batches and transactions: references between entries, all or none, each for itself."""

import uuid
from typing import Any

import pytest

from fhir_server.fhir.json import Resource
from tests.minimal import minimal
from tests.world import Party, Reply, World


def bundle(*entries: Resource, kind: str = "transaction") -> Resource:
    """A Bundle of entries."""
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def post(resource: Resource, full_url: str | None = None, **request: str) -> Resource:
    """A create entry."""
    named = {"fullUrl": full_url} if full_url else {}
    return {**named, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **request}}


def put(resource: Resource, **request: str) -> Resource:
    """An update entry."""
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url, **request}}


def get(url: str, **request: str) -> Resource:
    """A read or search entry."""
    return {"request": {"method": "GET", "url": url, **request}}


def urn() -> str:
    """A name for an entry."""
    return f"urn:uuid:{uuid.uuid4()}"


def statuses(reply: Reply) -> list[str]:
    """The status numbers of a response Bundle."""
    return [entry["response"]["status"][:3] for entry in reply.body["entry"]]


def flag(patient: str, value: str = "x") -> Resource:
    """A small chart resource."""
    return minimal("Flag", references={"Patient": patient}, identifier=[{"system": "urn:b", "value": value}])


def test_entries_refer_to_each_other_forwards_and_backwards(world: World, hosp: Party) -> None:
    patient, encounter = urn(), urn()
    observation = minimal("Observation", subject={"reference": patient}, encounter={"reference": encounter})
    visit = minimal("Encounter", subject={"reference": patient})

    reply = hosp.transact(bundle(post(observation), post(minimal("Patient"), patient), post(visit, encounter)))

    assert reply.body["type"] == "transaction-response"
    assert statuses(reply) == ["201", "201", "201"]
    base = world.parts.services.base_url
    places = [e["response"]["location"].removeprefix(f"{base}/").split("/_history")[0] for e in reply.body["entry"]]
    assert [place.split("/")[0] for place in places] == ["Observation", "Patient", "Encounter"]
    stored = hosp.read(places[0])
    assert (stored["subject"], stored["encounter"]) == ({"reference": places[1]}, {"reference": places[2]})
    assert [entry["response"]["etag"] for entry in reply.body["entry"]] == ['W/"1"'] * 3


def test_references_are_relative_to_the_address_of_their_entry(hosp: Party) -> None:
    elsewhere = "https://elsewhere.example/fhir"
    mine = hosp.post(minimal("Patient")).body["id"]

    reply = hosp.transact(
        bundle(
            post(minimal("Patient"), f"{elsewhere}/Patient/{mine}"),
            post(flag(f"Patient/{mine}"), f"{elsewhere}/Flag/1"),
            post(flag(f"{elsewhere}/Patient/{mine}")),
            post(flag(f"Patient/{mine}"), urn()),
        )
    )

    ids = [entry["response"]["location"].split("/")[-3] for entry in reply.body["entry"]]
    subjects = [hosp.read(f"Flag/{id}")["subject"]["reference"] for id in ids[1:]]
    assert subjects == [f"Patient/{ids[0]}", f"Patient/{ids[0]}", f"Patient/{mine}"]


def test_an_absolute_reference_to_this_server_is_stored_relative(world: World, hosp: Party) -> None:
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"

    made = hosp.post(flag(f"{world.parts.services.base_url}/{patient}"))

    assert made.status == 201, made.body
    assert made.body["subject"]["reference"] == patient


def test_all_or_nothing(hosp: Party) -> None:
    patient = urn()
    wrong = {**flag(patient, "all-or-nothing"), "status": "no-such-status"}

    reply = hosp.transact(bundle(post(minimal("Patient"), patient), post(flag(patient, "all-or-nothing")), post(wrong)))

    assert (reply.status, reply.paths) == (422, {"Bundle.entry[2].resource.status"})
    assert hosp.get("Flag?identifier=urn:b|all-or-nothing").entries == []


def test_all_faults_of_all_entries_are_told_at_once(hosp: Party) -> None:
    wrong = {"resourceType": "Flag", "status": "x", "code": {"text": "t"}, "subject": {"reference": "Patient/x"}}

    reply = hosp.transact(bundle(post(wrong), post(minimal("Patient", gender="robot", birthDate="2026-02-30"))))

    assert reply.status == 422
    assert reply.paths == {
        "Bundle.entry[0].resource.status",
        "Bundle.entry[1].resource.gender",
        "Bundle.entry[1].resource.birthDate",
    }


def test_reads_and_searches_see_the_writes_whatever_their_order(hosp: Party) -> None:
    made = hosp.post(minimal("Patient", active=True)).body
    value = uuid.uuid4().hex

    reply = hosp.transact(
        bundle(
            get(f"Patient/{made['id']}"),
            get(f"Flag?identifier=urn:b|{value}"),
            post(flag(f"Patient/{made['id']}", value)),
            put({**made, "active": False}),
            get(f"Patient/{made['id']}/_history/2"),
            get(f"Patient/{made['id']}", ifNoneMatch='W/"2"'),
        )
    )

    entries = reply.body["entry"]
    assert statuses(reply) == ["200", "200", "201", "200", "200", "304"]
    assert entries[0]["resource"]["active"] is False
    assert [e["resource"]["identifier"][0]["value"] for e in entries[1]["resource"]["entry"]] == [value]
    assert entries[4]["resource"] == entries[0]["resource"]
    assert "resource" not in entries[5]


def test_every_kind_of_entry_is_answered_in_its_place_whatever_is_done_first(hosp: Party) -> None:
    """Given in the order opposite to that in which they are done."""
    value, name = uuid.uuid4().hex, urn()

    def group(told: str) -> Resource:
        return minimal("Group", identifier=[{"system": "urn:b", "value": f"{told}-{value}"}])

    gone, put_there, patched, by_condition = (hosp.post(group(each)).body for each in ("old", "put", "patch", "by"))
    steps = [{"name": "type", "valueCode": "add"}, {"name": "path", "valueString": "Group"}]
    steps += [{"name": "name", "valueString": "quantity"}, {"name": "value", "valueUnsignedInt": 3}]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": steps}]}
    entries: list[Resource] = [
        {"request": {"method": "HEAD", "url": f"Group/{put_there['id']}"}},
        get(f"Group?identifier=urn:b|new-{value}"),
        get(f"Group/{patched['id']}"),
        {"resource": patch, "request": {"method": "PATCH", "url": f"Group/{patched['id']}"}},
        put({**put_there, "member": [{"entity": {"reference": name}}]}),
        {
            "resource": {**group("by"), "quantity": 5},
            "request": {"method": "PUT", "url": f"Group?identifier=urn:b|by-{value}"},
        },
        {"resource": group("new"), "fullUrl": name, "request": {"method": "POST", "url": "Group"}},
        {
            "resource": group("old"),
            "request": {"method": "POST", "url": "Group", "ifNoneExist": f"identifier=urn:b|old-{value}"},
        },
        {"request": {"method": "DELETE", "url": f"Group/{gone['id']}"}},
    ]

    reply = hosp.transact(bundle(*entries))

    assert reply.status == 200, reply.body
    assert statuses(reply) == ["200", "200", "200", "200", "200", "200", "201", "201", "204"]
    told = reply.body["entry"]
    assert told[0]["response"]["etag"] == 'W/"2"'
    [found] = told[1]["resource"]["entry"]
    assert (told[2]["resource"]["id"], told[2]["resource"]["quantity"]) == (patched["id"], 3)
    written = ["/".join(entry["response"]["location"].split("/")[-4:-2]) for entry in told[3:8]]
    assert written[:3] == [f"Group/{each['id']}" for each in (patched, put_there, by_condition)]
    assert hosp.read(written[1])["member"][0]["entity"]["reference"] == written[3]
    assert found["resource"]["id"] == written[3].partition("/")[2]
    assert (hosp.read(written[2])["quantity"], hosp.get(f"Group/{gone['id']}").status) == (5, 410)
    assert [each["id"] for each in hosp.get(f"Group?identifier=urn:b|old-{value}").entries] == [written[4][6:]]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_an_entry_may_ask_for_headers_alone_or_for_what_is_new(hosp: Party, kind: str) -> None:
    made = hosp.post(minimal("Patient")).body
    place = f"Patient/{made['id']}"

    reply = hosp.transact(
        bundle(
            {"request": {"method": "HEAD", "url": place}},
            get(place, ifModifiedSince=made["meta"]["lastUpdated"]),
            get(place, ifModifiedSince="2020-01-01T00:00:00+01:00"),
            {"request": {"method": "HEAD", "url": f"Patient?_id={made['id']}&_format=json"}},
            kind=kind,
        )
    )

    assert statuses(reply) == ["200", "304", "200", "200"]
    assert ["resource" in entry for entry in reply.body["entry"]] == [False, False, True, False]
    assert reply.body["entry"][0]["response"]["etag"] == 'W/"1"'


def test_a_reference_to_a_version_of_what_is_created_gets_the_version_that_it_has_here(hosp: Party) -> None:
    elsewhere, value, patient = "https://elsewhere.example/fhir", uuid.uuid4().hex, urn()
    known = minimal("Patient", identifier=[{"system": "urn:b", "value": value}])
    first = hosp.post(known).body
    hosp.put({**first, "active": True})

    reply = hosp.transact(
        bundle(
            post(minimal("Patient"), f"{elsewhere}/Patient/7"),
            post(flag("Patient/7/_history/3"), f"{elsewhere}/Flag/1"),
            post(flag(f"{elsewhere}/Patient/7/_history/3")),
            post(known, patient, ifNoneExist=f"identifier=urn:b|{value}"),
            post(flag(f"{patient}/_history/9")),
        )
    )

    assert reply.status == 200, reply.body
    places = [entry["response"]["location"].split("/")[-3] for entry in reply.body["entry"]]
    subjects = [hosp.read(f"Flag/{places[position]}")["subject"]["reference"] for position in (1, 2, 4)]
    assert subjects == [f"Patient/{places[0]}/_history/1"] * 2 + [f"Patient/{first['id']}/_history/2"]


def test_what_no_bundle_has_is_refused_and_what_searches_have_asks_nothing(hosp: Party) -> None:
    asked = bundle(get("Patient?_count=1"))
    half_a_link = {
        "id": "b1",
        "meta": {"lastUpdated": "2026-03-01T10:00:00Z"},
        "total": 1,
        "link": [{"relation": "self"}],
    }

    assert hosp.transact({**asked, **half_a_link}).status == 200
    for name in ("colour", "entries", "_colour"):
        refused = hosp.transact({**asked, name: []})
        assert (refused.status, refused.paths) == (400, {f"Bundle.{name}"})


def test_a_read_that_fails_undoes_the_writes(hosp: Party) -> None:
    value = uuid.uuid4().hex
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"

    reply = hosp.transact(bundle(post(flag(patient, value)), get("Patient/never-there")))

    assert (reply.status, reply.paths) == (404, {"Bundle.entry[1]"})
    assert hosp.get(f"Flag?identifier=urn:b|{value}").entries == []


def test_deletes_come_before_creates(world: World) -> None:
    value = uuid.uuid4().hex
    patient = f"Patient/{world.operator.post(minimal('Patient')).body['id']}"
    old = world.operator.post(flag(patient, value)).body["id"]

    reply = world.operator.transact(
        bundle(post(flag(patient, value)), {"request": {"method": "DELETE", "url": f"Flag/{old}"}})
    )

    assert statuses(reply) == ["201", "204"]
    assert [each["id"] for each in world.operator.get(f"Flag?identifier=urn:b|{value}").entries] != [old]


@pytest.mark.parametrize("by", ["id", "the same condition", "another condition"])
def test_what_is_deleted_is_no_match_of_what_is_created_beside_it(hosp: Party, by: str) -> None:
    value, name = uuid.uuid4().hex, urn()
    group = minimal("Group", identifier=[{"system": "urn:b", "value": value}])
    condition = f"identifier=urn:b|{value}"
    old = hosp.post(group).body["id"]
    place = {"id": f"Group/{old}", "the same condition": f"Group?{condition}", "another condition": f"Group?_id={old}"}

    reply = hosp.transact(
        bundle(
            post(minimal("List", entry=[{"item": {"reference": name}}])),
            post(group, name, ifNoneExist=condition),
            {"request": {"method": "DELETE", "url": place[by]}},
        )
    )

    assert statuses(reply) == ["201", "201", "204"], reply.body
    [new] = hosp.get(f"Group?{condition}").entries
    assert new["id"] != old
    listed = reply.body["entry"][0]["response"]["location"].split("/")[-3]
    assert hosp.read(f"List/{listed}")["entry"][0]["item"]["reference"] == f"Group/{new['id']}"


def test_what_is_deleted_beside_it_leaves_one_match_of_several(hosp: Party) -> None:
    value = uuid.uuid4().hex
    group = minimal("Group", identifier=[{"system": "urn:b", "value": value}])
    gone, stays = (hosp.post(group).body["id"] for _ in range(2))

    reply = hosp.transact(
        bundle(
            post(group, ifNoneExist=f"identifier=urn:b|{value}"),
            {"request": {"method": "DELETE", "url": f"Group/{gone}"}},
        )
    )

    assert statuses(reply) == ["200", "204"]
    assert f"Group/{stays}/" in reply.body["entry"][0]["response"]["location"]


def test_a_conditional_entry_that_exists_is_referred_to(hosp: Party) -> None:
    value = uuid.uuid4().hex
    person = minimal("Patient", identifier=[{"system": "urn:b", "value": value}])
    known = hosp.post(person).body["id"]
    patient = urn()

    reply = hosp.transact(bundle(post(person, patient, ifNoneExist=f"identifier=urn:b|{value}"), post(flag(patient))))

    assert statuses(reply) == ["200", "201"]
    id = reply.body["entry"][1]["response"]["location"].split("/")[-3]
    assert hosp.read(f"Flag/{id}")["subject"]["reference"] == f"Patient/{known}"


def test_a_stale_version_in_one_entry_refuses_all(hosp: Party) -> None:
    made = hosp.post(minimal("Patient")).body
    value = uuid.uuid4().hex

    reply = hosp.transact(
        bundle(post(flag(f"Patient/{made['id']}", value)), put({**made, "active": True}, ifMatch='W/"7"'))
    )

    assert reply.status == 412
    assert reply.paths == {"Bundle.entry[1].resource"}
    assert hosp.get(f"Flag?identifier=urn:b|{value}").entries == []


def test_a_batch_answers_each_entry_for_itself(hosp: Party) -> None:
    made = hosp.post(minimal("Patient")).body

    reply = hosp.transact(
        bundle(
            post(minimal("Patient", gender="robot")),
            get("Patient/never-there"),
            post(minimal("Patient")),
            get(f"Patient/{made['id']}"),
            {"request": {"method": "GET"}},
            get("Patient?nonsense=1"),
            {"request": {"method": "POST", "url": f"Patient/{made['id']}"}},
            kind="batch",
        )
    )

    assert reply.body["type"] == "batch-response"
    assert statuses(reply) == ["422", "404", "201", "200", "400", "400", "405"]
    outcomes = [entry["response"].get("outcome", {}).get("resourceType") for entry in reply.body["entry"]]
    assert outcomes == ["OperationOutcome", "OperationOutcome", None, None, *["OperationOutcome"] * 3]


def test_what_comes_back_has_its_address_once_in_a_version(world: World, hosp: Party) -> None:
    made = hosp.post(minimal("Patient")).body
    place = f"Patient/{made['id']}"
    asked = bundle(
        put({**made, "active": True}), get(place), get(f"{place}/_history/1"), get(f"{place}/$meta"), post(made)
    )

    for kind, preferred in (("transaction", "representation"), ("batch", "representation"), ("batch", "minimal")):
        entries = hosp.ask("POST", "", {**asked, "type": kind}, Prefer=f"return={preferred}").body["entry"]

        here, first = f"{world.parts.services.base_url}/{place}", preferred == "representation"
        assert [entry.get("fullUrl") for entry in entries[:4]] == [
            here if first else None,
            None if first else here,
            here,
            None,
        ]
        assert all("resource" in entry for entry in entries[1:4])
        created = entries[4]["response"]["location"].partition("/_history/")[0]
        assert entries[4].get("fullUrl") == (created if first else None)


def test_a_batch_takes_operations_of_every_kind(hosp: Party) -> None:
    made = hosp.post(minimal("Patient")).body
    place, tag = f"Patient/{made['id']}", {"system": "urn:b", "code": "marked"}
    labels = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [tag]}}]}
    small = {"resourceType": "Parameters", "parameter": [{"name": "_count", "valueInteger": 1}]}

    def sent(resource: Resource | None, url: str) -> Resource:
        return {**({"resource": resource} if resource else {}), "request": {"method": "POST", "url": url}}

    reply = hosp.transact(
        bundle(
            sent({"resourceType": "Patient", "gender": "robot"}, "Patient/$validate"),
            sent(labels, f"{place}/$meta-add"),
            sent(small, f"{place}/$everything"),
            sent(None, f"{place}/$meta-add"),
            get("metadata?_summary=true"),
            kind="batch",
        )
    )

    assert statuses(reply) == ["200", "200", "200", "400", "200"], reply.body
    told = [entry.get("resource", {}) for entry in reply.body["entry"]]
    assert told[0]["issue"][0]["expression"] == ["Patient.gender"]
    assert hosp.read(place)["meta"]["tag"] == [tag]
    assert (told[2]["type"], told[4]["resourceType"]) == ("searchset", "CapabilityStatement")


def test_a_transaction_takes_no_operation_that_may_write(hosp: Party) -> None:
    made = hosp.post(minimal("Patient")).body
    labels = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]}
    asked = {"resource": labels, "request": {"method": "POST", "url": f"Patient/{made['id']}/$meta-add"}}

    reply = hosp.transact(bundle(get("metadata"), asked))

    assert (reply.status, reply.paths) == (400, {"Bundle.entry[1].request.url"})
    assert hosp.read(f"Patient/{made['id']}")["meta"]["versionId"] == "1"
    assert statuses(hosp.transact(bundle(get("metadata")))) == ["200"]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_a_bundle_of_more_entries_than_anybody_needs_is_refused(hosp: Party, kind: str) -> None:
    reply = hosp.transact(bundle(*[get("metadata")] * 10_001, kind=kind))

    assert (reply.status, reply.paths) == (413, {"Bundle.entry"})


def test_an_empty_bundle_is_answered_by_an_empty_one(hosp: Party) -> None:
    for kind in ("batch", "transaction"):
        reply = hosp.ask("POST", "", {"resourceType": "Bundle", "type": kind})
        assert (reply.status, reply.body) == (200, {"resourceType": "Bundle", "type": f"{kind}-response"})


def _of(type_name: Any) -> Resource:
    """An entry whose resource says another type than its address."""
    return {"resource": {"resourceType": type_name}, "request": {"method": "POST", "url": "Patient"}}


ABSENT = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}
MISTAKES: list[tuple[Any, int, str]] = [
    ("no object", 400, "Bundle.entry[0]"),
    ({}, 400, "Bundle.entry[0]"),
    ({"fullUrl": "urn:uuid:7b4b8a0c-6f6c-4b8f-9d5d-0d6a0a9f4a11"}, 400, "Bundle.entry[0]"),
    (post(minimal("Patient"), ifNoneExists="identifier=a"), 400, "Bundle.entry[0].request.ifNoneExists"),
    ({**post(minimal("Patient")), "colour": "red"}, 400, "Bundle.entry[0].colour"),
    (
        {**post(minimal("Patient")), "request": {"method": "post", "url": "Patient"}},
        400,
        "Bundle.entry[0].request.method",
    ),
    ({"response": {"status": "200"}}, 400, "Bundle.entry[0]"),
    ({"request": []}, 400, "Bundle.entry[0].request"),
    ({"request": {"url": "Patient"}}, 400, "Bundle.entry[0].request.method"),
    ({"request": {"method": "POST"}}, 400, "Bundle.entry[0].request.url"),
    ({"request": {"_method": ABSENT, "url": "Patient"}}, 400, "Bundle.entry[0].request.method"),
    ({"request": {"method": "GET", "_url": ABSENT}}, 400, "Bundle.entry[0].request.url"),
    ({"request": {"method": 7, "url": "Patient"}}, 400, "Bundle.entry[0].request.method"),
    ({"request": {"method": "POST", "url": ["Patient"]}}, 400, "Bundle.entry[0].request.url"),
    (post(minimal("Patient"), ifNoneExist={"a": 1}), 400, "Bundle.entry[0].request.ifNoneExist"),  # type: ignore[arg-type]
    (put(minimal("Patient", id="a"), ifMatch=7), 400, "Bundle.entry[0].request.ifMatch"),  # type: ignore[arg-type]
    ({**post(minimal("Patient")), "fullUrl": 7}, 400, "Bundle.entry[0].fullUrl"),
    ({"request": {"method": "POST", "url": "Patient"}}, 400, "Bundle.entry[0].resource"),
    ({"resource": [], "request": {"method": "POST", "url": "Patient"}}, 400, "Bundle.entry[0].resource"),
    ({"resource": {}, "request": {"method": "POST", "url": "Patient"}}, 422, "Bundle.entry[0].resource"),
    (_of(["Patient"]), 422, "Bundle.entry[0].resource"),
    (_of("Practitioner"), 422, "Bundle.entry[0].resource"),
    (_of(None), 422, "Bundle.entry[0].resource"),
    (get("http://[broken"), 400, "Bundle.entry[0].request.url"),
    (get("https://elsewhere.example/fhir/Patient/1"), 400, "Bundle.entry[0].request.url"),
    (get("//elsewhere.example/Patient/1"), 400, "Bundle.entry[0].request.url"),
    (get("Patient?name=%ZZ"), 400, "Bundle.entry[0]"),
    (get("Spaceship/1"), 404, "Bundle.entry[0]"),
    ({"request": {"method": "POST", "url": "/"}}, 400, "Bundle.entry[0].request.url"),
    ({"request": {"method": "POST", "url": "Patient/$validate"}}, 400, "Bundle.entry[0].request.url"),
    (post({"resourceType": "Bundle", "type": "batch"}), 404, "Bundle.entry[0]"),
    ({"resource": {}, "request": {"method": "POST", "url": "/"}}, 400, "Bundle.entry[0].request.url"),
    (get("Patient/" + "x" * 65), 404, "Bundle.entry[0]"),
    ({"resource": minimal("Patient"), "request": {"method": "POST", "url": "Patient/1"}}, 400, "Bundle.entry[0]"),
    (get("Patient/../metadata"), 404, "Bundle.entry[0]"),
]


@pytest.mark.parametrize("place", ["", "/", "?_type=Patient", "/?_type=Patient", "/Patient", "/Patient?_count=1"])
def test_an_entry_may_name_the_whole_address(world: World, hosp: Party, place: str) -> None:
    base = world.parts.services.base_url

    assert statuses(hosp.transact(bundle(get(f"{base}{place}"), kind="batch"))) == ["200"]
    assert statuses(hosp.transact(bundle(get(f"{base}x{place}"), kind="batch"))) == ["400"]


@pytest.mark.parametrize(("entry", "status", "path"), MISTAKES)
def test_a_mistaken_entry_is_told_with_its_place(hosp: Party, entry: Any, status: int, path: str) -> None:
    reply = hosp.transact(bundle(entry))

    assert (reply.status, reply.paths) == (status, {path}), reply.body


@pytest.mark.parametrize(
    "body",
    [
        [],
        "Bundle",
        7,
        None,
        {},
        {"resourceType": "Patient"},
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "type": "collection"},
        {"resourceType": "Bundle", "type": ["batch"]},
        {"resourceType": "Bundle", "type": "batch", "entry": {}},
        {"resourceType": ["Bundle"], "type": "batch"},
    ],
)
def test_the_base_takes_bundles_only(hosp: Party, body: Any) -> None:
    reply = hosp.ask("POST", "", body if body is not None else b"null")

    assert reply.status == 400
    assert next(iter(reply.paths)).startswith("Bundle")


def test_one_resource_is_written_once(hosp: Party) -> None:
    made = hosp.post(minimal("Patient")).body

    reply = hosp.transact(bundle(put({**made, "active": True}), put({**made, "active": False})))

    assert (reply.status, reply.rules) == (400, {"duplicate-entry"})
    assert hosp.read(f"Patient/{made['id']}").get("active") is None


def test_a_full_url_names_one_entry(hosp: Party) -> None:
    name = urn()

    reply = hosp.transact(bundle(post(minimal("Patient"), name), post(minimal("Patient"), name)))

    assert (reply.status, reply.rules) == (400, {"duplicate-entry"})
    assert reply.paths == {"Bundle.entry[1].resource"}
    assert "Bundle.entry[0]" in reply.issues[0]["diagnostics"]


def test_one_condition_creates_once(hosp: Party) -> None:
    value = uuid.uuid4().hex
    person = minimal("Patient", identifier=[{"system": "urn:b", "value": value}])
    condition = f"identifier=urn:b|{value}"

    reply = hosp.transact(bundle(post(person, ifNoneExist=condition), post(person, ifNoneExist=condition)))

    assert (reply.status, reply.rules) == (400, {"duplicate-entry"})
    assert hosp.get(f"Patient?{condition}").entries == []


def test_a_reference_to_no_entry_is_refused(hosp: Party) -> None:
    reply = hosp.transact(bundle(post(flag(urn()))))

    assert (reply.status, reply.paths) == (422, {"Bundle.entry[0].resource.subject.reference"})


def test_what_the_token_does_not_allow_refuses_the_whole(world: World) -> None:
    reader = world.party("system/*.rs")

    reply = reader.transact(bundle(get("Practitioner?_count=1"), post(minimal("Patient"))))

    assert (reply.status, reply.rules) == (403, {"scope"})
