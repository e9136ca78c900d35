"""Bad input: each a refusal that names the place and the rule, and nothing is stored."""

import uuid
from typing import Any

import pytest

from fhir_server.fhir.json import Resource, encode
from tests.minimal import minimal
from tests.world import Party, World

JSON = "application/fhir+json"


def stored(hosp: Party) -> int:
    """How many Patients the party sees."""
    return int(hosp.get("Patient?_summary=count").body["total"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   \n",
        b"\xef\xbb\xbf" + encode(minimal("Patient")),
        b'{"resourceType": "Patient"',
        b'{"resourceType": "Patient"}}',
        b'{"resourceType": "Patient",}',
        b"{'resourceType': 'Patient'}",
        b"<Patient xmlns='http://hl7.org/fhir'/>",
        b'{"resourceType": "Patient", "name": [{"family": "\xff\xfe"}]}',
        b'{"resourceType": "Patient", "name": [{"family": "\\ud800"}]}',
        b'{"resourceType": "Patient", "multipleBirthInteger": 1e99999999999999999999}',
        b'{"resourceType": "Patient", "multipleBirthInteger": NaN}',
        b'{"resourceType": "Patient", "multipleBirthInteger": ' + b"9" * 5000 + b"}",
        b'{"resourceType": "Patient", "active": True}',
        encode(minimal("Patient")).decode().encode("utf-16"),
        b"[" * 100_000,
        b'{"extension":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_what_is_not_json_is_malformed(hosp: Party, body: bytes) -> None:
    reply = hosp.ask("POST", "Patient", body)

    assert (reply.status, reply.rules) == (400, {"json"})
    assert reply.issues[0]["diagnostics"]
    assert stored(hosp) == 0


TWICE = [
    (b'{"resourceType": "Patient", "active": true, "active": false}', "Patient.active"),
    (b'{"resourceType": "Patient", "name": [{}, {"family": "a", "family" : "b"}]}', "Patient.name[1].family"),
    (b'{"resourceType": "Patient", "gender": "male", "g\\u0065nder": "male"}', "Patient.gender"),
    (b'{"resourceType": "Patient", "resourceType": "Group"}', "Patient.resourceType"),
]


@pytest.mark.parametrize(("body", "path"), TWICE)
def test_a_name_that_stands_twice_is_malformed(hosp: Party, patient: str, body: bytes, path: str) -> None:
    before = stored(hosp)

    replies = [hosp.ask("POST", "Patient", body), hosp.ask("PUT", patient, body)]
    replies.append(hosp.ask("POST", "Patient/$validate", body))

    for reply in replies:
        assert (reply.status, reply.rules, reply.paths) == (400, {"json"}, {path})
    assert stored(hosp) == before


def test_a_name_that_stands_twice_in_a_bundle_or_a_patch_is_malformed(hosp: Party, patient: str) -> None:
    entry = b'{"resource": {"resourceType": "Patient", "active": true, "active": true}, "request": {}}'
    bundle = b'{"resourceType": "Bundle", "type": "transaction", "entry": [%s]}' % entry
    operations = b'[{"op": "add", "path": "/active", "value": true, "value": false}]'

    bundled = hosp.ask("POST", "", bundle)
    patched = hosp.ask("PATCH", patient, operations, Content_Type="application/json-patch+json")

    assert (bundled.status, bundled.paths) == (400, {"Bundle.entry[0].resource.active"})
    assert (patched.status, patched.rules) == (400, {"json"})


@pytest.mark.parametrize("body", [b"null", b"1", b'"Patient"', b"[]", b"{}", b'{"resourceType": 7}', b"true"])
def test_what_is_no_resource_is_refused(hosp: Party, body: bytes) -> None:
    assert hosp.ask("POST", "Patient", body).status == 422
    assert stored(hosp) == 0


STRUCTURE: list[tuple[Resource, str]] = [
    ({"resourceType": "Practitioner"}, "resourceType"),
    ({"colour": "red"}, "Patient.colour"),
    ({"active": "true"}, "Patient.active"),
    ({"active": None}, "Patient.active"),
    ({"name": {"family": "x"}}, "Patient.name"),
    ({"name": []}, "Patient.name"),
    ({"name": [{}]}, "Patient.name[0]"),
    ({"name": ["x"]}, "Patient.name[0]"),
    ({"birthDate": "2026-02-30"}, "Patient.birthDate"),
    ({"birthDate": "1-1-2026"}, "Patient.birthDate"),
    ({"birthDate": ["2026-01-01"]}, "Patient.birthDate"),
    ({"gender": "robot"}, "Patient.gender"),
    ({"gender": " female"}, "Patient.gender"),
    ({"multipleBirthInteger": 1.5}, "Patient.multipleBirthInteger"),
    ({"multipleBirthInteger": 2**31}, "Patient.multipleBirthInteger"),
    ({"contact": [{"gender": "male"}]}, "Patient.contact[0]"),
    ({"link": [{"type": "refer"}]}, "Patient.link[0].other"),
    ({"name": [{"family": ""}]}, "Patient.name[0].family"),
    ({"name": [{"family": "a\u0000b"}]}, "Patient.name[0].family"),
    ({"name": [{"family": "a\u0007b"}]}, "Patient.name[0].family"),
    ({"name": [{"family": "x" * (1024 * 1024 + 1)}]}, "Patient.name[0].family"),
    ({"deceasedBoolean": True, "deceasedDateTime": "2026-01-01"}, "Patient"),
    ({"generalPractitioner": [{"reference": "Patient/x"}]}, "Patient.generalPractitioner[0]"),
    ({"managingOrganization": {"reference": "Organization/no-such"}}, "Patient.managingOrganization.reference"),
    ({"managingOrganization": {"reference": "../Organization/1"}}, "Patient.managingOrganization.reference"),
    ({"managingOrganization": {"reference": "Organization?name=x"}}, "Patient.managingOrganization.reference"),
    ({"managingOrganization": {"reference": "https://other.example/Organization/1"}}, "Patient.managingOrganization"),
    ({"extension": [{"valueCode": "x"}]}, "Patient.extension[0].url"),
    ({"text": {"status": "generated", "div": "<div><script>x</script></div>"}}, "Patient.text.div"),
    ({"meta": {"versionId": 1}}, "Patient.meta.versionId"),
    ({"id": "x" * 65}, "Patient.id"),
    ({"implicitRules": "https://rules.example/not-given"}, "Patient.implicitRules"),
    ({"_implicitRules": {"extension": [{"url": "urn:x", "valueCode": "y"}]}}, "Patient.implicitRules"),
]  # fmt: skip


@pytest.mark.parametrize(("elements", "path"), STRUCTURE)
def test_broken_structure_is_told_with_its_path(hosp: Party, elements: Resource, path: str) -> None:
    reply = hosp.ask("POST", "Patient", {**minimal("Patient"), **elements})

    assert reply.status == 422, reply.body
    assert any(found == path or found.startswith(f"{path}.") for found in reply.paths), reply.paths
    assert all(issue["diagnostics"] and issue["severity"] == "error" for issue in reply.issues)
    assert stored(hosp) == 0


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_what_is_sent_around_resources_states_no_implicit_rules_either(hosp: Party, kind: str) -> None:
    rules = {"implicitRules": "https://rules.example/not-given"}
    entry = {"resource": minimal("Patient"), "request": {"method": "POST", "url": "Patient"}}
    person = hosp.post(minimal("Patient")).body["id"]
    patch = {"name": "type", "valueCode": "add"}, {"name": "path", "valueString": "Patient"}
    value = {"name": "name", "valueString": "active"}, {"name": "value", "valueBoolean": True}
    added = {"resourceType": "Parameters", **rules, "parameter": [{"name": "operation", "part": [*patch, *value]}]}

    bundle = hosp.transact({"resourceType": "Bundle", "type": kind, **rules, "entry": [entry]})
    patched = hosp.ask("PATCH", f"Patient/{person}", added)

    assert (bundle.status, bundle.paths, bundle.rules) == (400, {"Bundle.implicitRules"}, {"implicit-rules"})
    assert (patched.status, patched.paths) == (400, {"Parameters.implicitRules"})
    assert "active" not in hosp.read(f"Patient/{person}")


def test_all_faults_are_told_at_once(hosp: Party) -> None:
    wrong = {"gender": "robot", "birthDate": "x", "colour": 1, "link": [{"type": "x"}], "contact": [{"gender": "male"}]}

    reply = hosp.post(minimal("Patient", **wrong))

    assert reply.status == 422
    assert {"Patient.gender", "Patient.birthDate", "Patient.colour", "Patient.link[0].other"} <= reply.paths
    assert {"Patient.link[0].type", "Patient.contact[0]"} <= reply.paths


PERSON = {"reference": "Patient/x"}
PERIOD = {"start": "2026-03-01", "end": "2026-02-01"}
CORE: list[tuple[str, Resource, set[str]]] = [
    ("Task", {"lastModified": "2026-01-01", "authoredOn": "2026-02-01"}, {"inv-1"}),
    ("Task", {"restriction": {"period": PERIOD}}, {"per-1"}),
    ("CareTeam", {"participant": [{"member": PERSON, "onBehalfOf": {"reference": "Organization/1"}}]}, {"ctm-1"}),
    ("CareTeam", {"period": PERIOD}, {"per-1"}),
    (
        "CarePlan",
        {"activity": [{"reference": {"reference": "Task/1"}, "detail": {"status": "unknown"}}]},
        {"cpl-3"},
    ),
    ("ServiceRequest", {"orderDetail": [{"text": "x"}]}, {"prr-1"}),
    ("ServiceRequest", {"contained": [minimal("Patient", id="alone")]}, {"dom-3"}),
]


@pytest.mark.parametrize(("type_name", "elements", "rules"), CORE)
def test_the_invariants_of_the_core_types_are_kept(
    world: World, type_name: str, elements: Resource, rules: set[str]
) -> None:
    several = {"language": 7}

    alone = world.operator.post(minimal(type_name, **elements))
    together = world.operator.post(minimal(type_name, **elements, **several))

    assert (alone.status, alone.rules) == (422, rules), alone.body
    assert together.status == 422
    assert f"{type_name}.language" in together.paths


CORE_FAULTS: list[tuple[str, Resource, set[str]]] = [
    ("Task", {"status": "x", "intent": None, "priority": "now", "owner": PERSON | {"type": 1}, "input": [{}]},
     {"Task.status", "Task.intent", "Task.priority", "Task.owner.type", "Task.input[0]"}),
    ("CarePlan", {"status": "x", "intent": None, "subject": None, "period": {"start": "x"}},
     {"CarePlan.status", "CarePlan.intent", "CarePlan.subject", "CarePlan.period.start"}),
    ("CareTeam", {"status": "x", "participant": [{"member": {"reference": "Task/1"}}]},
     {"CareTeam.status", "CareTeam.participant[0].member"}),
    ("ServiceRequest", {"status": "x", "intent": None, "subject": None, "occurrenceDateTime": "x"},
     {"ServiceRequest.status", "ServiceRequest.intent", "ServiceRequest.subject", "ServiceRequest.occurrenceDateTime"}),
]  # fmt: skip


@pytest.mark.parametrize(("type_name", "elements", "paths"), CORE_FAULTS)
def test_all_faults_of_a_core_type_are_told_at_once(
    world: World, type_name: str, elements: Resource, paths: set[str]
) -> None:
    reply = world.operator.post(minimal(type_name, **elements))

    assert reply.status == 422
    for path in paths:
        assert any(found == path or found.startswith(path) for found in reply.paths), (path, reply.paths)


def test_nesting_beyond_reason_is_refused(hosp: Party) -> None:
    deep: dict[str, Any] = {"url": "urn:x", "valueCode": "x"}
    for _ in range(150):
        deep = {"url": "urn:x", "extension": [deep]}

    reply = hosp.post(minimal("Patient", extension=[deep]))

    assert (reply.status, stored(hosp)) == (422, 0)


IN_XML = b'<Patient xmlns="http://hl7.org/fhir">%s<valueCode value="x"/>%s</Patient>'
NESTED: dict[str, tuple[str, str, bytes, str]] = {
    "lists": ("POST", "Patient", b'{"resourceType": "Patient", "name": %s}' % (b"[" * 500 + b"]" * 500), JSON),
    "objects": ("POST", "Patient", b'{"resourceType":"Patient","a":%s}' % (b'{"a":' * 500 + b"1" + b"}" * 500), JSON),
    "to validate": ("POST", "Patient/$validate", b'{"extension":[' * 250 + b"1" + b"]}" * 250, JSON),
    "in a Bundle": ("POST", "", b'{"resourceType":"Bundle","type":"transaction","entry":%s}' % (
        b"[" * 500 + b"]" * 500), JSON),
    "XML": ("POST", "Patient", IN_XML % (b'<extension url="u">' * 500, b"</extension>" * 500), "application/fhir+xml"),
    "a patch": ("PATCH", "{patient}", b'[{"op":"add","path":"/a","value":%s}]' % (b"[" * 500 + b"]" * 500),
                "application/json-patch+json"),
    "a FHIRPath patch": ("PATCH", "{patient}", b'{"resourceType":"Parameters","parameter":%s}' % (
        b'[{"part":' * 250 + b"1" + b"}]" * 250), JSON),
}  # fmt: skip


@pytest.mark.parametrize("how", NESTED)
def test_five_hundred_levels_are_refused_however_they_come(hosp: Party, patient: str, how: str) -> None:
    method, place, body, content_type = NESTED[how]
    before = stored(hosp)

    reply = hosp.ask(method, place.format(patient=patient), body, Content_Type=content_type)

    assert reply.status in {400, 422} or (reply.status == 200 and how == "to validate"), reply.body
    assert any(issue["severity"] == "error" and issue["diagnostics"] for issue in reply.issues)
    assert (stored(hosp), hosp.read(patient)["meta"]["versionId"]) == (before, "1")


@pytest.mark.parametrize(
    ("method", "place", "allowed"),
    [
        ("POST", "Patient/1", "DELETE, GET, HEAD, PATCH, PUT"),
        ("DELETE", "", "GET, HEAD, POST"),
        ("POST", "metadata", "GET, HEAD"),
        ("DELETE", "Patient/1/_history/1", "GET, HEAD"),
        ("GET", "Patient/_search", "POST"),
        ("OPTIONS", "Patient", "DELETE, GET, HEAD, PATCH, POST, PUT"),
    ],
)
def test_a_method_that_an_address_does_not_have(hosp: Party, method: str, place: str, allowed: str) -> None:
    reply = hosp.ask(method, place)

    assert (reply.status, reply.headers["Allow"]) == (405, allowed)
    assert reply.issues[0]["code"] == "not-supported"


@pytest.mark.parametrize("place", ["Spaceship", "Spaceship/1", "Spaceship/1/_history", "Coverage/1", "Parameters"])
def test_an_unknown_type_is_not_found(hosp: Party, place: str) -> None:
    reply = hosp.get(place)

    assert (reply.status, reply.issues[0]["code"]) == (404, "not-supported")


@pytest.mark.parametrize(
    "place",
    [
        "Patient/" + "x" * 65,
        "Patient/a%00b",
        "Patient/a%20b",
        "Patient/a%FFb",
        "Patient/a%0Ab",
        "Patient/a_b",
        "patient/1",
        "Patient/1/2",
        "Patient/1/_history/x",
        "Patient/1/_history/0",
        "Patient/1/_history/99999999999999999999",
        "Patient/1/$no-such-operation",
        "$no-such-operation",
        "Patient//1",
        "../fhir/Patient",
        "Patient/%2e%2e",
        "_histories",
    ],
)
def test_an_address_that_is_not_there_is_not_found(hosp: Party, place: str) -> None:
    reply = hosp.get(place)

    assert (reply.status, reply.issues[0]["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("patient/1", "written Patient"),
        ("careplan", "written CarePlan"),
        ("Patient/a_b", "1 to 64 letters, digits, - and dots"),
        ("Patient/" + "x" * 65, "1 to 64 letters, digits, - and dots"),
        ("Patient/1/$no-such-operation", "$everything, $explain"),
        ("Task/1/$everything", "$everything, $explain"),
        ("_histories", "/metadata"),
        ("Patient/1/_history/2/3", "/metadata"),
    ],
)
def test_an_address_that_nobody_has_says_so(world: World, hosp: Party, place: str, told: str) -> None:
    for party in (hosp, world.operator):
        reply = party.get(place)

        assert (reply.status, reply.rules) == (404, {"address"})
        assert told in reply.issues[0]["diagnostics"]


@pytest.mark.parametrize("place", ["/Patient", "//Patient/", "/Patient//", "/"])
def test_a_slash_too_many_around_an_address_is_overlooked(hosp: Party, place: str) -> None:
    assert hosp.get(f"{place}?_count=1").body["type"] == "searchset"


def test_a_slash_too_many_around_an_address_sends_nobody_elsewhere(hosp: Party) -> None:
    made = hosp.ask("POST", "/Patient/", {"resourceType": "Patient"})

    assert made.status == 201
    assert hosp.ask("PUT", f"//Patient/{made.body['id']}", {**made.body, "active": True}).status == 200
    assert hosp.get("/Spaceship").issues[0]["code"] == "not-supported"
    assert hosp.ask("TRACE", "//Patient").status == 405


def test_there_are_no_versions_before_the_first_or_after_the_last(hosp: Party, patient: str) -> None:
    for version in ("0", "2", "-1", "1.0", "01x", "9" * 30, "٣"):
        assert hosp.get(f"{patient}/_history/{version}").status == 404, version


@pytest.mark.parametrize(
    "content_type",
    ["text/turtle", "text/plain", "", "multipart/form-data", "application/x-www-form-urlencoded",
     "application/fhir+json; charset=latin1", "application/json-patch+json"],
)  # fmt: skip
def test_another_content_type_is_not_read(hosp: Party, content_type: str) -> None:
    reply = hosp.ask("POST", "Patient", encode(minimal("Patient")), Content_Type=content_type)

    assert (reply.status, reply.rules) == (415, {"content-type"})
    assert stored(hosp) == 0


@pytest.mark.parametrize(
    "content_type", [JSON, "application/json", "application/fhir+json; charset=UTF-8", "text/json"]
)
def test_json_is_read_under_its_names(hosp: Party, content_type: str) -> None:
    assert hosp.ask("POST", "Patient", encode(minimal("Patient")), Content_Type=content_type).status == 201


def test_a_search_is_posted_as_a_form(hosp: Party) -> None:
    assert hosp.ask("POST", "Patient/_search", b"{}", Content_Type=JSON).status == 415
    form = "application/x-www-form-urlencoded"
    assert hosp.ask("POST", "Patient/_search", b"name=%FF", Content_Type=form).status == 400
    for charset in ("iso-8859-1", "utf-16"):
        refused = hosp.ask(
            "POST", "Patient/_search", "name=René".encode(charset), Content_Type=f"{form}; charset={charset}"
        )
        assert (refused.status, refused.rules) == (415, {"content-type"})
        assert "sent in UTF-8" in refused.issues[0]["diagnostics"]
    assert hosp.ask("POST", "Patient/_search", b"name=x", Content_Type=f'{form}; charset="UTF-8"').status == 200


def test_a_body_over_the_limit_is_refused_before_it_is_read(world: World, hosp: Party) -> None:
    limit = world.parts.settings.max_body

    reply = hosp.ask("POST", "Patient", b" " * (limit + 1))

    assert (reply.status, reply.rules) == (413, {"body-size"})


def test_a_resource_over_twelve_megabytes_is_not_stored(hosp: Party) -> None:
    letters = "QUJD" * 3_000_100

    reply = hosp.post({"resourceType": "Binary", "contentType": "text/plain", "data": letters})

    assert reply.status == 413
    assert hosp.get("Binary?_summary=count").body["total"] == 0


def test_a_resource_of_more_values_than_an_index_takes_is_too_large(hosp: Party) -> None:
    group = hosp.post(minimal("Group")).body
    many = [{"system": "urn:example:many", "value": uuid.uuid4().hex} for _ in range(52_000)]

    made = hosp.post(minimal("Group", identifier=many))
    changed = hosp.put({**group, "identifier": many})

    assert [(reply.status, reply.issues[0]["code"]) for reply in (made, changed)] == [(413, "too-long")] * 2


def test_a_resource_of_more_than_the_database_bears_at_once_is_too_large(hosp: Party) -> None:
    group = hosp.post(minimal("Group")).body
    many = [{"system": "urn:example:many", "value": uuid.uuid4().hex * 4} for _ in range(20_000)]

    made = hosp.post(minimal("Group", identifier=many))
    changed = hosp.put({**group, "identifier": many})
    together = hosp.transact(
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {"resource": minimal("Group", identifier=many), "request": {"method": "POST", "url": "Group"}},
                {"resource": minimal("List", title="beside"), "request": {"method": "POST", "url": "List"}},
            ],
        }
    )

    assert [(reply.status, reply.issues[0]["code"]) for reply in (made, changed, together)] == [(413, "too-long")] * 3
    assert hosp.read(f"Group/{group['id']}")["meta"]["versionId"] == "1"


def test_a_group_of_ten_thousand_is_stored_and_found_by_each_member(world: World, hosp: Party) -> None:
    members = [{"entity": {"reference": f"Device/{uuid.uuid4()}"}} for _ in range(10_000)]

    made = world.operator.post(minimal("Group", member=members))

    assert made.status == 201, made.body
    asked = f"Group?member={members[7_777]['entity']['reference']}"
    assert [each["id"] for each in world.operator.get(asked).entries] == [made.body["id"]]


def test_a_large_resource_below_the_limit_is_kept_to_the_byte(hosp: Party) -> None:
    letters = "QUJD" * 2_500_000

    made = hosp.post({"resourceType": "Binary", "contentType": "text/plain", "data": letters})

    assert made.status == 201, made.body
    assert hosp.read(f"Binary/{made.body['id']}")["data"] == letters


def test_many_long_names_below_the_limit_are_stored_or_refused(hosp: Party) -> None:
    names = [{"family": "n" * 1_000_000, "given": [uuid.uuid4().hex]} for _ in range(11)]

    assert hosp.post(minimal("Patient", name=names)).status in {201, 413}


def test_a_refusal_does_not_repeat_texts_and_dates(hosp: Party) -> None:
    secret = "Vandersteen-1961"

    reply = hosp.post(minimal("Patient", name=[{"family": secret + "\x00"}], birthDate=secret, active=secret))

    assert reply.status == 422
    assert secret.encode() not in reply.raw


def test_who_proves_nothing_learns_nothing(world: World) -> None:
    nobody = world.nobody()
    for method, place in [("GET", "Patient/1"), ("GET", "Spaceship"), ("PATCH", "Patient"), ("GET", "metadata"),
                          ("POST", ""), ("GET", "no/such/address")]:  # fmt: skip
        reply = nobody.ask(method, place)
        assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, 'Bearer realm="samen"')
        assert "Allow" not in reply.headers
