"""PATCH: parts of a resource change, under the rules of an update, and digits stay."""

import base64
import uuid
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.fhir.json import Resource, encode
from fhir_server.rest.xml.encode import encode as in_xml
from tests.minimal import minimal
from tests.world import Case, Party, Reply, World

JSON_PATCH = "application/json-patch+json"


def json_patch(party: Party, place: str, *operations: Resource, **headers: str) -> Reply:
    """A JSON Patch."""
    return party.ask("PATCH", place, list(operations), Content_Type=JSON_PATCH, **headers)


def op(name: str, path: str, value: Any = None, **more: Any) -> Resource:
    """An operation of a JSON Patch."""
    return {"op": name, "path": path, **({} if value is None else {"value": value}), **more}


def parameters(*operations: Resource) -> Resource:
    """A FHIRPath Patch."""
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "operation", "part": [{"name": name, **value} for name, value in each.items()]}
            for each in operations
        ],
    }


def step(kind: str, path: str, **parts: Any) -> Resource:
    """An operation of a FHIRPath Patch; a part that is no dict is a whole number or a name."""
    told: Resource = {"type": {"valueCode": kind}, "path": {"valueString": path}}
    for name, part in parts.items():
        told[name] = part if isinstance(part, dict) else {f"value{'Integer' if name != 'name' else 'String'}": part}
    return told


def patient(party: Party, **elements: Any) -> Resource:
    """A new Patient."""
    made = party.post(minimal("Patient", **elements))
    assert made.status == 201, made.body
    resource: Resource = made.body
    return resource


def test_a_json_patch_changes_what_it_names(hosp: Party) -> None:
    made = patient(hosp, gender="female", name=[{"family": "Peeters", "given": ["Mia"]}])
    place = f"Patient/{made['id']}"

    reply = json_patch(
        hosp,
        place,
        op("test", "/gender", "female"),
        op("add", "/name/0/given/-", "Rosa"),
        op("replace", "/name/0/family", "Maes"),
        op("copy", "/birthDate", **{"from": "/gender"}),
        op("replace", "/birthDate", "1960-02-01"),
        op("move", "/text", **{"from": "/gender"}),
        op("remove", "/text"),
        If_Match='W/"1"',
    )

    assert (reply.status, reply.headers["ETag"]) == (200, 'W/"2"')
    after = hosp.read(place)
    assert after["name"] == [{"family": "Maes", "given": ["Mia", "Rosa"]}]
    assert (after["birthDate"], "gender" in after) == ("1960-02-01", False)
    assert hosp.get(f"{place}/_history").body["entry"][0]["request"] == {"method": "PATCH", "url": place}


def test_digits_stay_whether_patched_or_not(hosp: Party) -> None:
    subject = {"reference": f"Patient/{patient(hosp)['id']}"}
    observation = minimal("Observation", subject=subject, valueQuantity={"value": Decimal("1.50"), "unit": "kg"})
    place = f"Observation/{hosp.post(observation).body['id']}"

    assert json_patch(hosp, place, op("add", "/note", [{"text": "fasting"}])).status == 200
    assert b'"value":1.50' in hosp.get(place).raw
    assert hosp.ask("PATCH", place, b'[{"op":"replace","path":"/valueQuantity/value","value":2.00}]',
                    Content_Type=JSON_PATCH).status == 200  # fmt: skip
    assert b'"value":2.00' in hosp.get(place).raw
    fewer = hosp.ask(
        "PATCH",
        place,
        b'[{"op":"replace","path":"/valueQuantity/value","value":2.0}]',
        Content_Type=JSON_PATCH,
    )
    assert (fewer.headers["ETag"], b'"value":2.0,' in fewer.raw) == ('W/"4"', True)
    quantity = b'{"name": "value", "valueQuantity": {"value": 3.000, "unit": "kg"}}'
    body = encode(parameters(step("replace", "Observation.value", value={}))).replace(b'{"name":"value"}', quantity)
    assert hosp.ask("PATCH", place, body).status == 200
    assert b'"value":3.000' in hosp.get(place).raw


def test_a_fhirpath_patch_changes_what_it_names(hosp: Party) -> None:
    made = patient(
        hosp,
        gender="female",
        name=[{"use": "official", "given": ["A", "B", "C"]}, {"use": "usual", "family": "Maes"}],
        address=[{"city": "Genk"}],
        contact=[{"name": {"family": "Jans"}}],
        deceasedBoolean=False,
    )
    place = f"Patient/{made['id']}"

    reply = hosp.ask(
        "PATCH",
        place,
        parameters(
            step("replace", "Patient.gender", value={"valueCode": "other"}),
            step("add", "Patient", name="birthDate", value={"valueDate": "1950-01-01"}),
            step("add", "Patient.name.where(use = 'usual')", name="given", value={"valueString": "Mia"}),
            step("insert", "Patient.name.where(use='official').given", index=1, value={"valueString": "I"}),
            step("move", "Patient.name[0].given", source=0, destination=3),
            step("delete", "Patient.address.where(city = 'Genk')"),
            step("delete", "Patient.maritalStatus"),
            step("replace", "Patient.deceased", value={"valueDateTime": "2026-01-01"}),
            step(
                "add",
                "Patient",
                name="contact",
                value={
                    "part": [
                        {"name": "name", "valueHumanName": {"family": "Claes"}},
                        {"name": "relationship", "valueCodeableConcept": {"text": "neighbour"}},
                        {"name": "gender", "valueCode": "male"},
                    ]
                },
            ),
            step("replace", "Patient.contact[0].name.family", value={"valueString": "Janssen"}),
        ),
    )

    assert reply.status == 200, reply.body
    after = reply.body
    assert (after["gender"], after["birthDate"]) == ("other", "1950-01-01")
    assert after["name"] == [
        {"use": "official", "given": ["I", "B", "C", "A"]},
        {"use": "usual", "family": "Maes", "given": ["Mia"]},
    ]
    assert "address" not in after
    assert (after["deceasedDateTime"], "deceasedBoolean" in after) == ("2026-01-01", False)
    assert after["contact"] == [
        {"name": {"family": "Janssen"}},
        {"name": {"family": "Claes"}, "relationship": [{"text": "neighbour"}], "gender": "male"},
    ]


UNKNOWN = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}


def test_an_insert_may_begin_a_list(hosp: Party) -> None:
    place = f"Patient/{patient(hosp, name=[{'family': 'Maes', '_given': [UNKNOWN]}])['id']}"

    reply = hosp.ask(
        "PATCH",
        place,
        parameters(
            step("insert", "Patient.address", index=0, value={"valueAddress": {"city": "Genk"}}),
            step("insert", "Patient.address[0].line", index=0, value={"valueString": "Markt 2"}),
            step("insert", "Patient.address[0].line", index=0, value={"valueString": "Het Huis"}),
            step("insert", "name.given", index=1, value={"valueString": "Mia"}),
        ),
    )

    assert reply.status == 200, reply.body
    assert reply.body["address"] == [{"city": "Genk", "line": ["Het Huis", "Markt 2"]}]
    assert reply.body["name"] == [{"family": "Maes", "_given": [UNKNOWN, None], "given": [None, "Mia"]}]


def test_what_a_patch_leaves_is_validated_and_all_or_nothing(hosp: Party) -> None:
    place = f"Patient/{patient(hosp, gender='female')['id']}"

    reply = json_patch(hosp, place, op("add", "/active", True), op("replace", "/gender", "robot"))

    assert (reply.status, reply.paths) == (422, {"Patient.gender"})
    assert hosp.read(place)["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    ("operation", "status", "rule"),
    [
        (op("test", "/gender", "male"), 422, "patch-test"),
        (op("test", "/active", 1), 422, "patch-path"),
        (op("remove", "/name/7"), 422, "patch-path"),
        (op("add", "/name/01", {}), 422, "patch-path"),
        (op("replace", "/no/such", 1), 422, "patch-path"),
        (op("replace", "/id", "other"), 400, "patch"),
        (op("replace", "/resourceType", "Group"), 400, "patch"),
        (op("replace", "", "text"), 400, "patch"),
        (op("remove", "name"), 400, "patch"),
        (op("remove", "/a~2"), 400, "patch"),
        (op("explode", "/name"), 400, "patch"),
        ({"op": "add", "path": "/gender"}, 400, "patch"),
        (op("move", "/name/0/x", **{"from": "/name"}), 400, "patch"),
    ],
)
def test_a_patch_that_is_not_possible_is_refused(hosp: Party, operation: Resource, status: int, rule: str) -> None:
    place = f"Patient/{patient(hosp, gender='female', name=[{'family': 'Maes'}])['id']}"

    reply = json_patch(hosp, place, operation)

    assert (reply.status, reply.rules) == (status, {rule}), reply.body
    assert hosp.read(place)["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        (step("replace", "Patient.name", value={"valueHumanName": {"text": "two names"}}), 422),
        (step("replace", "Patient.gender.where(matches('(a+)+$'))", value={"valueCode": "male"}), 422),
        (step("replace", "Patient.gender.where(unclosed(", value={"valueCode": "male"}), 400),
        (step("replace", "Patient.repeat(name)", value={"valueCode": "male"}), 400),
        (step("add", "Patient", name="gender", value={"valueCode": "male"}), 422),
        (step("add", "Patient", name="nonsense", value={"valueCode": "male"}), 422),
        (step("insert", "Patient.name", index=9, value={"valueHumanName": {"text": "x"}}), 422),
        (step("insert", "Patient.photo", index=1, value={"valueAttachment": {"title": "x"}}), 422),
        (step("insert", "Patient.birthDate", index=0, value={"valueDate": "1950-01-01"}), 422),
        (step("insert", "Patient.nonsense", index=0, value={"valueString": "x"}), 422),
        (step("insert", "Patient.photo[0]", index=0, value={"valueAttachment": {"title": "x"}}), 422),
        (step("insert", "Patient.name.given", index=0, value={"valueString": "x"}), 422),
        (step("insert", "Patient.contact.telecom", index=0, value={"valueContactPoint": {"value": "1"}}), 422),
        (step("move", "Patient.name", source=0, destination=9), 422),
        (step("delete", "Patient"), 422),
        (step("add", "Patient", name="deceased", value={"valueCode": "x"}), 422),
        (step("explode", "Patient.name"), 400),
        ({"type": {"valueCode": "delete"}}, 400),
    ],
)
def test_a_fhirpath_patch_that_is_not_possible_is_refused(hosp: Party, operation: Resource, status: int) -> None:
    place = f"Patient/{patient(hosp, gender='female', name=[{'family': 'Maes'}, {'family': 'Jans'}])['id']}"

    reply = hosp.ask("PATCH", place, parameters(operation))

    assert reply.status == status, reply.body
    assert reply.issues[0]["diagnostics"]
    assert hosp.read(place)["meta"]["versionId"] == "1"


SELECTED = "(1|2|3|4)"
for _ in range(12):
    SELECTED = f"(1|2|3|4).select({SELECTED})"


@pytest.mark.parametrize(
    "criterion",
    [
        f"{SELECTED}.exists()",
        "(1|2|3)" + ".select((1|2|3))" * 40 + ".exists()",
        "'x'" + ".replace('x', 'xxxxxxxxxx')" * 30 + ".length() > 0",
        "'x'" + ".encode('hex')" * 60 + ".length() > 0",
        "repeat(extension).exists()",
        "descendants().exists()",
        "name.where(given.where($this.where(true).exists()).exists()).exists()",
        "name.exists(given.exists($this.exists(true)))",
        "name /* ' */ .select(1) /* ' */ = 1",
        "name.`select`(1) = 1",
        "name.select (1) = 1",
    ],
)
def test_a_criterion_that_may_go_on_for_ever_is_not_asked(hosp: Party, criterion: str) -> None:
    place = f"Patient/{patient(hosp, gender='female', name=[{'family': 'Maes'}])['id']}"

    reply = hosp.ask("PATCH", place, parameters(step("delete", f"Patient.where({criterion}).gender")))

    assert (reply.status, hosp.read(place)["meta"]["versionId"]) == (422, "1"), reply.body


@pytest.mark.parametrize(
    "criterion",
    [
        "gender = 'female'",
        "name.where(family = 'Ma(e)s' or given.exists($this = 'Mia')).exists()",
        "name.exists(family.startsWith('Ma') and (given.count() in (1 | 2)))",
        "birthDate > today() or name.all(family.length() > 2)",
        "name.family.first() = 'Ma\\'es' or iif(active.exists(), 'a', 'b') = 'b'",
    ],
)
def test_a_criterion_may_say_what_comes_to_an_end(hosp: Party, criterion: str) -> None:
    name = [{"family": "Maes", "given": ["Mia"]}]
    place = f"Patient/{patient(hosp, gender='female', name=name)['id']}"

    reply = hosp.ask("PATCH", place, parameters(step("delete", f"Patient.where({criterion}).gender")))

    assert (reply.status, "gender" in reply.body) == (200, False), reply.body


def test_the_criteria_of_a_patch_are_bounded(hosp: Party) -> None:
    place = f"Patient/{patient(hosp)['id']}"
    long = f"Patient.name.where(family = '{'x' * 900}')"

    reply = hosp.ask("PATCH", place, parameters(*[step("delete", long)] * 22))

    assert (reply.status, reply.rules) == (400, {"patch-path"})


def test_copies_without_end_and_depths_without_bottom_are_refused(hosp: Party) -> None:
    place = f"Patient/{patient(hosp, name=[{'family': 'Maes'}])['id']}"
    double = op("copy", "/name/-", **{"from": "/name"})
    deep: Any = "x"
    for _ in range(450):
        deep = {"extension": [deep]}

    assert json_patch(hosp, place, *[double] * 60).status == 422
    assert json_patch(hosp, place, op("add", "/contact", deep)).status in {400, 422}


def test_a_patch_is_sent_as_a_patch(hosp: Party) -> None:
    place = f"Patient/{patient(hosp)['id']}"

    assert hosp.ask("PATCH", place, {"resourceType": "Patient"}).status == 400
    assert hosp.ask("PATCH", place, {}, Content_Type=JSON_PATCH).status == 400
    assert hosp.ask("PATCH", place, b"[", Content_Type=JSON_PATCH).status == 400
    assert hosp.ask("PATCH", place, b"x", Content_Type="text/plain").status == 415
    assert hosp.ask("PATCH", place, b"[]", Content_Type=f"{JSON_PATCH}; charset=latin1").status == 415
    assert hosp.ask("PATCH", place, b"[]", Content_Type=f"{JSON_PATCH}; charset=UTF-8").status == 200
    assert json_patch(hosp, f"Patient/{uuid.uuid4()}", op("remove", "/name")).status == 404
    assert json_patch(hosp, place, op("add", "/active", True), If_Match='W/"7"').status == 412


@pytest.mark.parametrize("kind", ["JSON Patch", "FHIRPath Patch", "FHIRPath Patch in XML"])
def test_each_kind_of_patch_finds_its_one_by_a_condition_and_heeds_its_version(hosp: Party, kind: str) -> None:
    value = uuid.uuid4().hex
    condition = f"Patient?identifier=urn:patch|{value}"
    made = patient(hosp, identifier=[{"system": "urn:patch", "value": value}])
    steps = parameters(step("add", "Patient", name="active", value={"valueBoolean": True}))
    body, sent_as = {
        "JSON Patch": (encode([op("add", "/active", True)]), JSON_PATCH),
        "FHIRPath Patch": (encode(steps), "application/fhir+json"),
        "FHIRPath Patch in XML": (in_xml(steps), "application/fhir+xml"),
    }[kind]

    def patched(place: str, **headers: str) -> Reply:
        return hosp.ask("PATCH", place, body, Content_Type=sent_as, **headers)

    by_id = patched(f"Patient/{made['id']}", If_Match='W/"7"')
    stale = patched(condition, If_Match='W/"7"')
    none = patched(f"{condition}-none")
    assert (by_id.rules, stale.rules, none.status) == ({"version-stale"}, {"version-stale"}, 404)
    assert hosp.read(f"Patient/{made['id']}") == made

    done = patched(condition, If_Match='W/"1"')
    assert (done.status, done.body["id"], done.body["active"]) == (200, made["id"], True)
    patient(hosp, identifier=[{"system": "urn:patch", "value": value}])
    assert patched(condition).status == 412


def test_a_patch_that_changes_nothing_makes_no_version(hosp: Party) -> None:
    place = f"Patient/{patient(hosp, gender='female')['id']}"

    reply = json_patch(hosp, place, op("replace", "/gender", "female"))

    assert (reply.status, reply.headers["ETag"]) == (200, 'W/"1"')


def test_patches_in_bundles(hosp: Party) -> None:
    one, two = (f"Patient/{patient(hosp)['id']}" for _ in range(2))
    other = f"urn:uuid:{uuid.uuid4()}"
    patch = [op("add", "/link", [{"other": {"reference": other}, "type": "seealso"}])]
    binary = {
        "resourceType": "Binary",
        "contentType": JSON_PATCH,
        "data": base64.b64encode(encode(patch)).decode(),
    }
    entries = [
        {"resource": binary, "request": {"method": "PATCH", "url": one, "ifMatch": 'W/"1"'}},
        {"fullUrl": other, "resource": minimal("Patient"), "request": {"method": "POST", "url": "Patient"}},
        {
            "resource": parameters(step("add", "Patient", name="active", value={"valueBoolean": True})),
            "request": {"method": "PATCH", "url": two},
        },
        {"request": {"method": "GET", "url": two}},
    ]

    reply = hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    assert reply.status == 200, reply.body
    assert [entry["response"]["status"][:3] for entry in reply.body["entry"]] == ["200", "201", "200", "200"]
    made = reply.body["entry"][1]["response"]["location"].split("/")[-3]
    assert hosp.read(one)["link"][0]["other"] == {"reference": f"Patient/{made}"}
    assert reply.body["entry"][3]["resource"]["active"] is True
    for wrong in ({**binary, "contentType": "text/plain"}, {**binary, "data": "?"}, minimal("Patient"), None):
        entry = {"request": {"method": "PATCH", "url": one}, **({"resource": wrong} if wrong else {})}
        refused = hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
        assert refused.status == 400, refused.body
        assert all(path.startswith("Bundle.entry[0]") for path in refused.paths)


@pytest.mark.parametrize("stated", ["Application/JSON-Patch+json", "application/json-patch+json; charset=UTF-8"])
def test_a_patch_in_a_bundle_is_known_by_its_media_type_however_that_is_written(hosp: Party, stated: str) -> None:
    place = f"Patient/{patient(hosp)['id']}"
    data = base64.b64encode(encode([op("add", "/active", False)])).decode()
    entry = {
        "resource": {"resourceType": "Binary", "contentType": stated, "data": data},
        "request": {"method": "PATCH", "url": place},
    }

    assert hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).status == 200
    assert hosp.read(place)["active"] is False


@pytest.fixture
def case(world: World, hosp: Party) -> tuple[Case, Party]:
    """A plan of the hospital, and the party that its Task asks."""
    home = world.party()
    return world.case(hosp, home), home


def test_a_tasks_status_obeys_by_patch_what_it_obeys_by_put(
    world: World, hosp: Party, case: tuple[Case, Party]
) -> None:
    made, home = case
    accept, complete = op("replace", "/status", "accepted"), op("replace", "/status", "completed")

    assert json_patch(world.party(), made.task, accept, If_Match='W/"1"').status == 404
    unversioned = json_patch(home, made.task, accept)
    version = home.get(made.task).headers["ETag"]
    for party, operation in (
        (home, complete),
        (hosp, accept),
        (home, op("replace", "/owner/reference", hosp.reference)),
        (home, op("replace", "/intent", "plan")),
        (hosp, op("replace", "/focus/reference", made.patient)),
    ):
        by_patch = json_patch(party, made.task, operation, If_Match=version)
        whole = party.read(made.task)
        *holders, name = operation["path"][1:].split("/")
        target = whole[holders[0]] if holders else whole
        target[name] = operation["value"]
        by_put = party.put(whole)
        assert by_patch.status in {403, 422}, by_patch.body
        assert (by_patch.status, by_patch.body) == (by_put.status, by_put.body)
    accepted = json_patch(home, made.task, accept, If_Match=version)

    assert (unversioned.status, unversioned.rules) == (412, {"version-required"})
    assert accepted.status == 200
    assert home.reference in [each["member"]["reference"] for each in home.read(made.team)["participant"]]
    tested = [
        op("test", "/meta/versionId", accepted.body["meta"]["versionId"]),
        op("replace", "/status", "in-progress"),
    ]
    assert json_patch(home, made.task, *tested).status == 200
    steps = parameters(step("replace", "Task.status", value={"valueCode": "requested"}))
    [blind] = home.ask("PATCH", made.task, steps).issues
    assert "or begin a JSON Patch with a test of /meta/versionId" in blind["diagnostics"]
    assert home.ask("PATCH", made.task, steps, If_Match=home.get(made.task).headers["ETag"]).status == 422


def test_a_patch_does_not_itself_put_there_the_version_that_it_tests(hosp: Party, case: tuple[Case, Party]) -> None:
    order = hosp.read(case[0].order)
    place, note = case[0].order, op("add", "/note", [{"text": "blind"}])
    put, tested = op("add", "/meta/versionId", "zzz"), op("test", "/meta/versionId", "zzz")
    current = op("test", "/meta/versionId", order["meta"]["versionId"])

    for patch in ([put, tested, note], [note, current], [op("test", "/id", order["id"]), put, tested, note]):
        blind = json_patch(hosp, place, *patch)
        assert (blind.status, blind.rules) == (412, {"version-required"}), patch
    assert hosp.read(place) == order
    assert json_patch(hosp, place, op("test", "/id", order["id"]), current, note).status == 200


def test_an_absolute_reference_in_a_patch_is_kept_relative(world: World, hosp: Party) -> None:
    place, other = (f"Patient/{patient(hosp)['id']}" for _ in range(2))
    absolute = f"{world.parts.services.base_url}/{other}"

    reply = json_patch(hosp, place, op("add", "/link", [{"other": {"reference": absolute}, "type": "seealso"}]))

    assert reply.body["link"][0]["other"]["reference"] == other
