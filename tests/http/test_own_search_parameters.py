"""SearchParameters of the operator: what is refused, what is told while indexing, what is found then."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.json import Resource
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.indexing.own_parameters import AGE
from fhir_server.store.mongo.indexing.reindexing import Reindexing
from tests.access.test_searches import following
from tests.curl_lines import asked_by, commands_of
from tests.databases import LentDatabases
from tests.http.test_searching import ids
from tests.minimal import minimal
from tests.world import Party, Reply, World, world_apart


@pytest.fixture(scope="module")
def apart(mongo_url: str, databases: LentDatabases) -> Iterator[World]:
    """A server with a database of its own, because what is searched by is of a whole database."""
    with world_apart(mongo_url, databases) as made:
        yield made


@pytest.fixture
def hosp(apart: World) -> Party:
    """A hospital."""
    return apart.hospital()


def definition(expression: str, *, base: str = "Group", kind: str = "string", **more: Any) -> Resource:
    """A SearchParameter with a code of its own."""
    code = f"own-{uuid.uuid4().hex[:10]}"
    return {
        "resourceType": "SearchParameter",
        "url": f"https://care.example/SearchParameter/{code}",
        "name": "Own",
        "status": "active",
        "description": "A parameter of this test.",
        "code": code,
        "base": base.split(),
        "type": kind,
        "expression": expression,
        **more,
    }


def defined(world: World, resource: Resource) -> Resource:
    reply = world.operator.post(resource)
    assert reply.status == 201, reply.body
    stored: Resource = reply.body
    return stored


def index(world: World) -> None:
    """What the worker does, without the wait for other servers."""
    connection = Connection(world.parts.settings.mongodb_url, world.parts.settings.database)
    for _ in Reindexing(connection, settled=0.0).run():
        pass
    connection.close()
    world.parts.store.own.forget()


def found(party: Party, place: str) -> list[str]:
    return ids(party.get(place))


def listed(world: World, type_name: str) -> dict[str, Any]:
    resources = world.operator.read("metadata")["rest"][0]["resource"]
    [declared] = [each for each in resources if each["type"] == type_name]
    return {each["name"]: each for each in declared["searchParam"]}


KINDS = [
    ("string", "Group.name", {"name": "Élan vital"}, "elan"),
    ("token", "Group.characteristic.code", None, "urn:codes|a"),
    ("number", "Group.quantity", {"quantity": 17}, "gt16"),
    ("reference", "Group.managingEntity", None, None),
    ("token", "Group.extension('https://care.example/ward').value.as(Coding)", None, "urn:wards|3b"),
    ("date", "Group.extension.where(url='https://care.example/since').value.ofType(dateTime)", None, "2026-03"),
    ("uri", "Group.extension('https://care.example/page').value.as(uri)", None, "https://a.example/b"),
    ("quantity", "Group.characteristic.value.as(Quantity)", None, "gt3"),
]
FULL: Resource = {
    "characteristic": [
        {"code": {"coding": [{"system": "urn:codes", "code": "a"}]}, "exclude": False, "valueQuantity": {"value": 4}}
    ],
    "extension": [
        {"url": "https://care.example/ward", "valueCoding": {"system": "urn:wards", "code": "3b"}},
        {"url": "https://care.example/since", "valueDateTime": "2026-03-04"},
        {"url": "https://care.example/page", "valueUri": "https://a.example/b"},
    ],
}


@pytest.mark.parametrize(("kind", "expression", "content", "value"), KINDS)
def test_each_kind_finds_what_was_stored_before_and_after(
    apart: World, hosp: Party, kind: str, expression: str, content: Resource | None, value: str | None
) -> None:
    elements = {**FULL, **(content or {}), "managingEntity": {"reference": hosp.reference}}
    before = hosp.post(minimal("Group", **elements)).body["id"]
    without = hosp.post(minimal("Group")).body["id"]

    code = defined(apart, definition(expression, base="Group", kind=kind, target=["Organization"]))["code"]
    during = hosp.post(minimal("Group", **elements)).body["id"]
    index(apart)
    after = hosp.post(minimal("Group", **elements)).body["id"]

    asked = value or hosp.reference
    assert sorted(found(hosp, f"Group?{code}={asked}")) == sorted([before, during, after])
    assert without in found(hosp, f"Group?{code}:missing=true")
    assert len(found(hosp, f"Group?_sort=-{code}")) == 4
    assert listed(apart, "Group")[code]["type"] == kind


@pytest.mark.parametrize(
    ("expression", "value", "is_found"),
    [
        ("Group.managingEntity.where(resolve() is Organization).display", "care", True),
        ("Group.managingEntity.where(resolve() is Practitioner).display", "care", False),
        ("Group.managingEntity.where(resolve() is Practitioner).identifier.value", "77", False),
        ("Group.managingEntity.where(display='Care at home').identifier.value", "77", True),
    ],
)
def test_what_stands_in_references_to_one_type_is_found_in_these_alone(
    apart: World, hosp: Party, expression: str, value: str, is_found: bool
) -> None:
    entity = {"reference": hosp.reference, "display": "Care at home", "identifier": {"value": "77"}}
    group = hosp.post(minimal("Group", managingEntity=entity)).body["id"]
    code = defined(apart, definition(expression))["code"]
    index(apart)

    assert found(hosp, f"Group?{code}={value}") == ([group] if is_found else [])


def test_a_string_may_be_found_by_how_it_sounds(apart: World, hosp: Party) -> None:
    group = hosp.post(minimal("Group", name="Praatgroep Vandenberghe")).body["id"]
    code = defined(apart, definition("Group.name", base="Group", xpath="f:Group/f:name", xpathUsage="phonetic"))["code"]
    index(apart)

    assert found(hosp, f"Group?{code}=praadgroup van den berg") == [group]
    assert found(hosp, f"Group?{code}=praat") == []
    assert listed(apart, "Group")[code]["type"] == "string"


def test_until_it_is_indexed_a_search_says_so_and_how_far(apart: World, hosp: Party) -> None:
    for _ in range(3):
        assert hosp.post(minimal("Group", name="indexed")).status == 201
    code = defined(apart, definition("Group.name", base="Group"))["code"]

    for asked in (
        f"Group?{code}=x",
        f"Group?_sort={code}",
        f"?_type=Group&{code}=x",
        f"Patient?_has:Group:member:{code}=x",
    ):
        for headers in ({}, {"Prefer": "handling=lenient"}):
            told = hosp.get(asked, **headers)
            assert (told.status, told.rules) == (503, {"not-yet-indexed"}), asked
            assert f"{code!r} of Group" in told.issues[0]["diagnostics"]
            assert "0 %" in told.issues[0]["diagnostics"]
            assert told.headers["Retry-After"]
    assert code not in listed(apart, "Group")
    assert hosp.ask("DELETE", f"Group?{code}=x").status == 503

    index(apart)
    assert len(found(hosp, f"Group?{code}=indexed")) == 3
    assert listed(apart, "Group")[code]["definition"].endswith(code)


def test_one_definition_may_be_of_several_types(apart: World, hosp: Party) -> None:
    patient = hosp.post(minimal("Patient", language="fr")).body["id"]
    group = hosp.post(minimal("Group", language="fr")).body["id"]
    both = "Patient.language | Group.language"

    code = defined(apart, definition(both, base="Patient Group", kind="token"))["code"]
    index(apart)

    assert found(hosp, f"Patient?{code}=fr") == [patient]
    assert found(hosp, f"?_type=Group,Patient&{code}=fr") == [group, patient]
    assert hosp.get(f"Task?{code}=fr").status == 400


def test_a_reference_leads_on_in_chains_and_includes(apart: World, hosp: Party) -> None:
    group = hosp.post(minimal("Group", managingEntity={"reference": hosp.reference})).body["id"]
    code = defined(apart, definition("Group.managingEntity", base="Group", kind="reference", target=["Organization"]))[
        "code"
    ]
    assert hosp.get(f"Group?_include=Group:{code}").status == 503
    assert hosp.get("Group?_include=*").status == 200
    index(apart)

    id = hosp.reference.partition("/")[2]
    assert found(hosp, f"Group?{code}:Organization._id={id}") == [group]
    assert ids(hosp.get(f"Group?_include=Group:{code}"), "include") == [id]
    assert found(hosp, f"Organization?_has:Group:{code}:_id={group}") == [id]


def composite(expression: str, *components: tuple[str, str], base: str = "Group") -> Resource:
    """A composite with components, each of them the url of a definition and an expression."""
    parts = [{"definition": url, "expression": path} for url, path in components]
    return definition(expression, base=base, kind="composite", component=parts)


def with_traits(*pairs: tuple[str, int]) -> Resource:
    """A Group with characteristics: a code and an amount each."""
    return minimal(
        "Group",
        name="Of traits",
        characteristic=[
            {
                "code": {"coding": [{"code": code}]},
                "exclude": False,
                "valueQuantity": {"value": amount},
                "period": {"start": f"20{amount}", "end": f"20{amount}"},
            }
            for code, amount in pairs
        ],
    )


def test_a_composite_finds_what_stands_together(apart: World, hosp: Party) -> None:
    before = hosp.post(with_traits(("a", 10), ("b", 20))).body["id"]
    traits = composite(
        "Group.characteristic",
        ("http://hl7.org/fhir/SearchParameter/Group-characteristic", "code"),
        ("http://hl7.org/fhir/SearchParameter/Observation-value-quantity|4.0.1", "value.as(Quantity)"),
        ("http://hl7.org/fhir/SearchParameter/clinical-date", "period"),
        base="Group",
    )
    refused = apart.operator.post(traits)
    assert refused.paths == {"SearchParameter.component[2].definition"}, refused.body
    traits["component"][2]["definition"] = "http://hl7.org/fhir/SearchParameter/Observation-date"
    code = defined(apart, traits)["code"]
    assert hosp.get(f"Group?{code}=a$10$2010").status == 503
    assert hosp.get(f"Group?_sort={code}").status == 503
    index(apart)
    after = hosp.post(with_traits(("a", 20), ("c", 10))).body["id"]

    assert found(hosp, f"Group?{code}=a$10$2010") == [before]
    assert found(hosp, f"Group?{code}=a$gt15$2020") == [after]
    assert found(hosp, f"Group?{code}=b$10$2010") == []
    assert found(hosp, f"Group?{code}=a$10$2020") == []
    assert sorted(found(hosp, f"Group?{code}=a$ge10$ge2010")) == sorted([before, after])
    assert found(hosp, f"Group?{code}=b$20$2020,c$10$2010&_sort={code}") == [before, after]
    assert found(hosp, f"Group?{code}=b$20$2020,c$10$2010&_sort=-{code}") == [after, before]
    told = hosp.get(f"Group?{code}=a$10")
    assert (told.status, "TOKEN$QUANTITY$DATE" in told.issues[0]["diagnostics"]) == (400, True)
    declared = listed(apart, "Group")[code]
    assert (declared["type"], declared["definition"]) == ("composite", traits["url"])
    assert found(apart.party(), f"Group?{code}=a$ge10$ge2010") == []


def test_a_composite_of_the_resource_joins_what_the_operator_defined(apart: World, hosp: Party) -> None:
    ward = definition("Group.extension('https://care.example/ward').value.as(Coding)", kind="token")
    named = composite(
        "Group",
        (ward["url"], "extension('https://care.example/ward').value.as(Coding)"),
        ("http://hl7.org/fhir/SearchParameter/Patient-name", "name"),
    )
    entries = [{"resource": each, "request": {"method": "POST", "url": "SearchParameter"}} for each in (named, ward)]
    assert apart.operator.transact({"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 200
    inside = [{"url": "https://care.example/ward", "valueCoding": {"system": "urn:wards", "code": "3b"}}]
    one = hosp.post(minimal("Group", name="Élan", extension=inside)).body["id"]
    for elements in ({"name": "Élan"}, {"name": "Other", "extension": inside}):
        assert hosp.post(minimal("Group", **elements)).status == 201
    index(apart)

    assert found(hosp, f"Group?{named['code']}=urn:wards|3b$elan") == [one]
    assert found(hosp, f"Group?{named['code']}=3b$ela") == [one]
    assert found(hosp, f"Group?{named['code']}=3c$elan") == []


def test_a_component_may_be_found_by_how_it_sounds(apart: World, hosp: Party) -> None:
    heard = definition("Group.name", xpath="f:Group/f:name", xpathUsage="phonetic")
    names = [{"use": "official", "family": "De Smet"}, {"use": "maiden", "family": "Peeters"}]
    patient = hosp.post(minimal("Patient", name=names)).body["id"]
    use = "http://hl7.org/fhir/SearchParameter/Group-type"
    url = defined(apart, heard)["url"]
    official = composite(
        "Patient.name",
        (use, "use"),
        ("http://hl7.org/fhir/SearchParameter/individual-phonetic", "family"),
        (url, "family"),
        base="Patient",
    )
    code = defined(apart, official)["code"]
    index(apart)

    assert found(hosp, f"Patient?{code}=official$desmedt$de smedt&_id={patient}") == [patient]
    assert found(hosp, f"Patient?{code}=maiden$pieters$peters&_sort={code}&_id={patient}") == [patient]
    assert found(hosp, f"Patient?{code}=maiden$desmedt$desmedt&_id={patient}") == []


def test_another_component_is_indexed_again(apart: World, hosp: Party) -> None:
    group = hosp.post(with_traits(("a", 30))).body["id"]
    by = "http://hl7.org/fhir/SearchParameter/Group-characteristic"
    stored = defined(apart, composite("Group.characteristic", (by, "code"), (by, "code")))
    index(apart)
    assert found(hosp, f"Group?{stored['code']}=a$a") == [group]

    other = {"definition": "http://hl7.org/fhir/SearchParameter/Observation-date", "expression": "period"}
    changed = apart.operator.put({**stored, "component": [stored["component"][0], other]})
    assert changed.status == 200, changed.body
    assert hosp.get(f"Group?{stored['code']}=a$2030").status == 503
    index(apart)

    assert found(hosp, f"Group?{stored['code']}=a$2030") == [group]
    document = apart.parts.store._connection.database["Group"].find_one({"_id": group})
    assert document is not None
    assert set(document["m"][f"{stored['code']}:0"][0]) == {"t", "d"}


def test_another_expression_is_indexed_again_and_other_words_are_not(apart: World, hosp: Party) -> None:
    group = hosp.post(minimal("Group", name="by name", language="nl")).body["id"]
    stored = defined(apart, definition("Group.name", base="Group"))
    code = stored["code"]
    index(apart)

    worded = apart.operator.put({**stored, "description": "Said otherwise."})
    assert (worded.status, found(hosp, f"Group?{code}=by")) == (200, [group])
    changed = apart.operator.put({**worded.body, "expression": "Group.language", "type": "token"})
    assert changed.status == 200, changed.body
    assert hosp.get(f"Group?{code}=nl").status == 503
    index(apart)

    assert found(hosp, f"Group?{code}=nl") == [group]
    assert found(hosp, f"Group?{code}=by") == []


@pytest.mark.parametrize("place", ["Group?", "?_type=Group,List&"])
def test_a_page_is_not_begun_in_an_order_that_was_defined_anew_since(apart: World, hosp: Party, place: str) -> None:
    """By the values of one order, what comes after them in another is anywhere: some would be lost."""
    groups = [
        hosp.post(minimal("Group", name=f"{letter}-{uuid.uuid4().hex}", code={"text": f"{digit}"})).body["id"]
        for letter, digit in zip("abcd", "4321", strict=True)
    ]
    stored = defined(apart, definition("Group.name | List.title", base="Group List"))
    index(apart)
    asked = f"{place}_id={','.join(groups)}&_sort={stored['code']}&_count=2"
    first = hosp.get(asked)
    assert ids(first) == groups[:2]
    onward = following(first)
    assert onward is not None

    worded = apart.operator.put({**stored, "description": "Said otherwise."}).body
    assert ids(hosp.get(onward)) == groups[2:]
    changed = apart.operator.put({**worded, "expression": "Group.code.text | List.title"})
    assert changed.status == 200, changed.body
    index(apart)

    reply = hosp.get(onward)
    assert reply.status == 400
    assert "search again from the first page" in reply.issues[0]["diagnostics"]
    assert ids(hosp.get(asked)) == groups[:1:-1]


@pytest.mark.parametrize("how", ["retired", "deleted"])
def test_a_retired_definition_is_no_parameter_any_more(apart: World, hosp: Party, how: str) -> None:
    assert hosp.post(minimal("Group", name="kept")).status == 201
    stored = defined(apart, definition("Group.name", base="Group"))
    index(apart)
    assert hosp.get(f"Group?{stored['code']}=kept").status == 200

    if how == "deleted":
        assert apart.operator.ask("DELETE", f"SearchParameter/{stored['id']}").status == 204
    else:
        assert apart.operator.put({**stored, "status": "retired"}).status == 200

    refused = hosp.get(f"Group?{stored['code']}=kept")
    assert refused.status == 400
    assert stored["code"] not in listed(apart, "Group")
    again = defined(apart, {**definition("Group.name", base="Group"), "code": stored["code"]})
    assert hosp.get(f"Group?{again['code']}=kept").status == 503


R4 = "http://hl7.org/fhir/SearchParameter"
REFUSED = [
    ({"expression": "Group.name.first()"}, "SearchParameter.expression", "first() is not reduced"),
    ({"expression": "Group.nonsense"}, "SearchParameter.expression", "no element 'nonsense'"),
    ({"expression": "Task.code"}, "SearchParameter.expression", "no string stands at Group"),
    ({"expression": "Group.member"}, "SearchParameter.expression", "no string"),
    ({"expression": "Group.where(name='x').name"}, "SearchParameter.expression", "compares one child"),
    ({"expression": None}, "SearchParameter.expression", "needs an expression"),
    ({"expression": "Group." + "a" * 1000}, "SearchParameter.expression", "at most 1000"),
    ({"base": ["Group", "AuditEvent"]}, "SearchParameter.base[1]", "AuditEvent"),
    ({"base": ["Resource"]}, "SearchParameter.base[0]", "Resource"),
    ({"code": "identifier"}, "SearchParameter.code", "already"),
    ({"code": "_odd"}, "SearchParameter.code", "begins with a letter"),
    ({"code": "a.b"}, "SearchParameter.code", "begins with a letter"),
    ({"type": "composite"}, "SearchParameter.component", "has components"),
    (
        {"type": "composite", "component": [{"definition": "https://care.example/none", "expression": "name"}]},
        "SearchParameter.component[0].definition",
        "one defined here",
    ),
    (
        {"type": "composite", "component": [{"definition": f"{R4}/Patient-age", "expression": "name"}]},
        "SearchParameter.component[0].definition",
        "of R4",
    ),
    (
        {"type": "composite", "component": [{"definition": f"{R4}/Group-nothing", "expression": "name"}]},
        "SearchParameter.component[0].definition",
        "of R4",
    ),
    (
        {
            "type": "composite",
            "expression": "Group",
            "component": [{"definition": f"{R4}/Group-code", "expression": "x"}],
        },
        "SearchParameter.expression",
        "no element 'x'",
    ),
    (
        {
            "type": "composite",
            "expression": "Group",
            "component": [{"definition": f"{R4}/Group-code", "expression": "quantity"}],
        },
        "SearchParameter.expression",
        "no token stands at quantity",
    ),
    (
        {
            "type": "composite",
            "expression": "Group.name",
            "component": [{"definition": f"{R4}/Group-code", "expression": "code"}],
        },
        "SearchParameter.expression",
        "has no elements",
    ),
    (
        {
            "type": "composite",
            "expression": "Group.characteristic.value.as(Quantity)",
            "component": [{"definition": f"{R4}/Observation-value-quantity", "expression": "as(Quantity)"}],
        },
        "SearchParameter.expression",
        "names no element",
    ),
    (
        {
            "type": "composite",
            "expression": "Task",
            "component": [{"definition": f"{R4}/Group-code", "expression": "code"}],
        },
        "SearchParameter.expression",
        "no place",
    ),
    ({"type": "special"}, "SearchParameter.type", "not special"),
    ({"expression": "Group" + ".extension.value" * 3}, "SearchParameter.expression", "more than 200 places"),
    ({"expression": "|".join(["Group.extension.value"] * 40)}, "SearchParameter.expression", "value.as(Quantity)"),
    (
        {
            "type": "composite",
            "expression": "|".join(["Group.extension"] * 40),
            "component": [{"definition": f"{R4}/Group-code", "expression": "extension.value"}],
        },
        "SearchParameter.expression",
        "more than 200 places",
    ),
    (
        {
            "type": "composite",
            "expression": "|".join(["Group"] * 140),
            "component": [{"definition": f"{R4}/Group-code", "expression": "code"}] * 2,
        },
        "SearchParameter.expression",
        "more than 200 places",
    ),
]


@pytest.mark.parametrize(("changed", "path", "told"), REFUSED)
def test_what_cannot_be_searched_by_is_refused_with_the_place_and_the_reason(
    apart: World, changed: Resource, path: str, told: str
) -> None:
    before = {name: value for name, value in definition("Group.name", base="Group").items() if name not in changed}
    resource = {**before, **{name: value for name, value in changed.items() if value is not None}}

    refused = apart.operator.post(resource)

    assert (refused.status, refused.rules) == (422, {"search-parameter"}), refused.body
    assert path in refused.paths
    assert told in refused.issues[0]["diagnostics"]
    assert apart.operator.post({**resource, "status": "draft"}).status == 201, "what is not active is only kept"


def test_a_type_that_is_named_again_and_again_is_looked_at_once(apart: World, hosp: Party) -> None:
    told = definition("Group.name", base="Group AuditEvent " * 20)

    refused = apart.operator.post(told)
    stored = apart.operator.post({**told, "base": ["Group"] * 20})

    assert (refused.status, [issue["expression"] for issue in refused.issues]) == (422, [["SearchParameter.base[1]"]])
    assert stored.status == 201
    assert listed(apart, "Group").get(told["code"]) is None, "until it is indexed"


def test_a_code_is_defined_once(apart: World, hosp: Party) -> None:
    stored = defined(apart, definition("Group.name", base="Group"))
    other = {**definition("Group.language", base="Group", kind="token"), "code": stored["code"]}

    refused = apart.operator.post(other)
    both = [{"resource": {**definition("Flag.status", base="Flag", kind="token"), "code": "same"}} for _ in range(2)]
    entries = [{**each, "request": {"method": "POST", "url": "SearchParameter"}} for each in both]
    bundle = apart.operator.transact({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    assert (refused.status, refused.paths) == (422, {"SearchParameter.code"})
    assert f"SearchParameter/{stored['id']}" in refused.issues[0]["diagnostics"]
    assert (bundle.status, bundle.rules) == (422, {"search-parameter"})
    assert hosp.get("Flag?same=x").status == 400


def test_a_url_is_defined_once(apart: World, hosp: Party) -> None:
    first, second = definition("Group.name"), definition("List.title", base="List", version="2")
    made, same = defined(apart, first), {**second, "url": first["url"]}
    draft = defined(apart, {**same, "status": "draft"})

    for refused in (apart.operator.post(same), apart.operator.put({**draft, "status": "active"})):
        assert (refused.status, refused.paths) == (422, {"SearchParameter.url"})
        assert made["id"] in refused.issues[0]["diagnostics"]
    assert apart.operator.put({**made, "description": "Other words."}).status == 200
    assert apart.operator.change(f"SearchParameter/{made['id']}", status="retired").status == 200
    assert apart.operator.post(same).status == 201


def test_of_several_writers_one_defines_a_url(apart: World, hosp: Party) -> None:
    url = definition("Group.name")["url"]

    with ThreadPoolExecutor(6) as threads:
        replies = list(threads.map(lambda _: apart.operator.post({**definition("Group.name"), "url": url}), range(6)))

    assert sorted(reply.status for reply in replies) == [201, *[422] * 5]


def test_r4s_own_definitions_are_kept_and_change_nothing(apart: World, hosp: Party) -> None:
    official = definition("Group.identifier", base="Group", kind="token", code="identifier")
    official["url"] = "http://hl7.org/fhir/SearchParameter/Group-identifier"

    assert apart.operator.post(official).status == 201
    assert hosp.get("Group?identifier=x").status == 200


def test_only_the_operator_defines(apart: World, hosp: Party) -> None:
    refused = hosp.post(definition("Group.name", base="Group"))
    assert (refused.status, refused.rules) == (403, {"type-access"})


def test_what_is_hidden_is_not_found_by_an_own_parameter(apart: World, hosp: Party) -> None:
    mine = hosp.post(minimal("Group", name="hidden from others")).body["id"]
    code = defined(apart, definition("Group.name", base="Group"))["code"]
    index(apart)

    assert found(hosp, f"Group?{code}=hidden") == [mine]
    assert found(apart.party(), f"Group?{code}=hidden") == []


def test_other_servers_on_the_database_learn_of_it_within_seconds(apart: World, mongo_url: str) -> None:
    other = World(mongo_url, apart.parts.settings.database)
    try:
        hosp = other.hospital()
        stored = hosp.post(minimal("Group", name="known elsewhere")).body["id"]
        code = defined(apart, definition("Group.name", base="Group"))["code"]
        began = time.monotonic()

        replies = [hosp.get(f"Group?{code}=known")]
        while replies[-1].status == 400 and time.monotonic() - began < 12 * AGE:
            time.sleep(0.2)
            replies.append(hosp.get(f"Group?{code}=known"))
        assert replies[-1].status == 503
        index(apart)
        while replies[-1].status == 503 and time.monotonic() - began < 24 * AGE:
            time.sleep(0.2)
            replies.append(hosp.get(f"Group?{code}=known"))
        assert ids(replies[-1]) == [stored]
        assert not any(empty(reply) for reply in replies)
    finally:
        other.close()


def empty(reply: Reply) -> bool:
    return reply.status == 200 and not reply.entries


def test_the_commands_of_the_page_do_what_it_says(apart: World, hosp: Party) -> None:
    page = (Path(__file__).parents[2] / "docs" / "own-search-parameters.md").read_text()
    defining, searching = (asked_by(line, "http://127.0.0.1:8080/fhir") for line in commands_of(page))
    listed = hosp.post(minimal("List", note=[{"text": "For the handover of today"}])).body["id"]

    created = apart.operator.ask(defining.method, defining.url, defining.body, **defining.headers)
    assert created.status == 201, created.body
    index(apart)
    assert found(hosp, searching.url) == [listed]
