"""What the entries of a transaction say of each other and of what is stored, and how many there may be."""

import uuid
from typing import Any

import pytest

from fhir_server.fhir.json import Resource
from tests.minimal import minimal
from tests.world import Party, Reply, World

SYSTEM = "urn:test:bundle-references"


def post(resource: Resource, full_url: str | None = None, **request: str) -> Resource:
    """A create entry."""
    named = {"fullUrl": full_url} if full_url else {}
    return {**named, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **request}}


def transact(party: Party, *entries: Resource) -> Reply:
    """A transaction."""
    return party.transact({"resourceType": "Bundle", "type": "transaction", "entry": list(entries)})


def places(reply: Reply) -> list[str]:
    """`Type/id` of what each entry made."""
    assert reply.status == 200, reply.body
    return ["/".join(entry["response"]["location"].split("/")[-4:-2]) for entry in reply.body["entry"]]


def person(value: str) -> Resource:
    """A Patient with an identifier."""
    return minimal("Patient", identifier=[{"system": SYSTEM, "value": value}])


def flag(subject: str) -> Resource:
    """A small chart resource."""
    return minimal("Flag", subject={"reference": subject})


def test_a_conditional_reference_means_the_one_that_matches(hosp: Party) -> None:
    value = uuid.uuid4().hex
    known = f"Patient/{hosp.post(person(value)).body['id']}"
    condition = f"Patient?identifier={SYSTEM}|{value}"

    made = places(transact(hosp, post(flag(condition)), post(flag(condition))))

    assert [hosp.read(place)["subject"]["reference"] for place in made] == [known, known]


def test_a_conditional_reference_may_begin_with_the_address_of_this_server(world: World, hosp: Party) -> None:
    value = uuid.uuid4().hex
    known = f"Patient/{hosp.post(person(value)).body['id']}"
    condition = f"Patient?identifier={SYSTEM}|{value}"

    [made] = places(transact(hosp, post(flag(f"{world.parts.services.base_url}/{condition}"))))

    assert hosp.read(made)["subject"]["reference"] == known
    refused = transact(hosp, post(flag(f"https://elsewhere.example/fhir/{condition}")))
    assert refused.status == 422


def test_a_conditional_reference_means_what_an_entry_under_that_condition_makes(hosp: Party) -> None:
    value = uuid.uuid4().hex
    condition = f"identifier={SYSTEM}|{value}"
    entries = [post(flag(f"Patient?{condition}")), post(person(value), ifNoneExist=condition)]

    first, again = places(transact(hosp, *entries)), places(transact(hosp, *entries))

    assert first[1] == again[1]
    assert hosp.read(first[0])["subject"] == hosp.read(again[0])["subject"] == {"reference": first[1]}


def test_a_conditional_reference_to_none_or_several_or_hidden_ones_is_refused_at_its_path(
    world: World, hosp: Party
) -> None:
    value, hidden = uuid.uuid4().hex, uuid.uuid4().hex
    for _ in range(2):
        hosp.post(person(value))
    world.hospital().post(person(hidden))

    several = transact(hosp, post(flag(f"Patient?identifier={SYSTEM}|{value}")))
    none = transact(hosp, post(flag(f"Patient?identifier={SYSTEM}|{uuid.uuid4().hex}")))
    unseen = transact(hosp, post(flag(f"Patient?identifier={SYSTEM}|{hidden}")))
    nonsense = transact(hosp, post(flag("Patient?nonsense=1")))

    assert [r.status for r in (several, none, unseen, nonsense)] == [412, 422, 422, 422]
    for reply in (several, none, unseen, nonsense):
        assert reply.paths == {"Bundle.entry[0].resource.subject.reference"}
    assert none.body == unseen.body


def test_a_condition_is_no_reference_outside_a_transaction(hosp: Party) -> None:
    value = uuid.uuid4().hex
    hosp.post(person(value))

    assert hosp.post(flag(f"Patient?identifier={SYSTEM}|{value}")).status == 422


def test_addresses_and_narrative_are_rewritten_and_texts_are_not(hosp: Party) -> None:
    subject, image, other = (f"urn:uuid:{uuid.uuid4()}" for _ in range(3))
    div = '<div xmlns="http://www.w3.org/1999/xhtml">'
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "SGFsbG8="}
    document = minimal(
        "DocumentReference",
        subject={"reference": subject},
        text={
            "status": "generated",
            "div": f'{div}<a href="{subject}">her</a> <img src=\'{image}\' alt="{image}"/></div>',
        },
        identifier=[{"system": "urn:ietf:rfc:3986", "value": subject}],
        extension=[
            {"url": "https://samen.example/about", "valueUri": subject},
            {"url": "https://samen.example/version", "valueCanonical": f"{image}|2"},
            {"url": "https://samen.example/text", "valueString": subject},
            {"url": "https://samen.example/name", "valueUuid": subject},
            {"url": "https://samen.example/elsewhere", "valueUri": other},
        ],
        content=[{"attachment": {"contentType": "text/plain", "url": image}}],
    )

    made = places(transact(hosp, post(document), post(minimal("Patient"), subject), post(binary, image)))

    stored = hosp.read(made[0])
    assert stored["subject"]["reference"] == made[1]
    assert stored["text"]["div"] == f'{div}<a href="{made[1]}">her</a> <img src=\'{made[2]}\' alt="{image}"/></div>'
    values: list[Any] = [list(each.values())[1] for each in stored["extension"]]
    assert values == [made[1], f"{made[2]}|2", subject, subject, other]
    assert stored["content"][0]["attachment"]["url"] == made[2]
    assert stored["identifier"][0]["value"] == subject


def test_addresses_are_rewritten_however_deep_and_of_whatever_type_they_are(hosp: Party) -> None:
    form, device, person = (f"urn:uuid:{uuid.uuid4()}" for _ in range(3))
    elsewhere = "https://elsewhere.example/fhir"
    url = f"https://forms.example/{uuid.uuid4().hex}"
    inside = {"resourceType": "Device", "id": "d", "patient": {"reference": person}, "parent": {"reference": device}}
    nested = {"url": "https://samen.example/who", "valueReference": {"reference": f"{elsewhere}/Patient/7"}}
    answers = minimal(
        "QuestionnaireResponse",
        contained=[inside],
        questionnaire=form,
        subject={"reference": person, "_reference": {"extension": [nested]}},
        item=[{"linkId": "1", "item": [{"linkId": "2", "answer": [{"valueReference": {"reference": "#d"}}]}]}],
        extension=[{"url": "https://samen.example/deep", "extension": [nested]}],
    )
    relative = minimal("Flag", subject={"reference": "Patient/7"}, author={"reference": "Device/8"})
    entries = [
        post(relative, f"{elsewhere}/Flag/1"),
        post(answers, f"{elsewhere}/QuestionnaireResponse/1"),
        post(minimal("Patient"), f"{elsewhere}/Patient/7"),
        post(minimal("Device"), f"{elsewhere}/Device/8"),
        post(minimal("Patient"), person),
        post(minimal("Device"), device),
        post(minimal("Questionnaire", url=url, status="active"), form),
    ]

    made = places(transact(hosp, *entries))

    flagged, stored = hosp.read(made[0]), hosp.read(made[1])
    assert (flagged["subject"]["reference"], flagged["author"]["reference"]) == (made[2], made[3])
    assert stored["contained"][0]["patient"]["reference"] == stored["subject"]["reference"] == made[4]
    assert stored["contained"][0]["parent"]["reference"] == made[5]
    assert stored["questionnaire"] == made[6]
    for deep in (stored["extension"][0]["extension"][0], stored["subject"]["_reference"]["extension"][0]):
        assert deep["valueReference"]["reference"] == made[2]
    assert stored["item"][0]["item"][0]["answer"][0]["valueReference"]["reference"] == "#d"


def test_a_canonical_that_is_what_a_definition_calls_itself_stays(hosp: Party) -> None:
    form = f"urn:uuid:{uuid.uuid4()}"
    answers = minimal("QuestionnaireResponse", questionnaire=f"{form}|2")

    made = places(transact(hosp, post(answers), post(minimal("Questionnaire", url=form, status="active"), form)))

    assert hosp.read(made[0])["questionnaire"] == f"{form}|2"
    assert hosp.read(made[1])["url"] == form


def test_links_to_entries_that_come_from_elsewhere_lead_here_and_what_is_a_name_stays(world: World) -> None:
    elsewhere = f"https://elsewhere.example/{uuid.uuid4().hex}"
    other = "https://another.example/fhir/Binary/8"
    system = f"{elsewhere}/CodeSystem/2"
    div = '<div xmlns="http://www.w3.org/1999/xhtml">%s</div>'
    links = '<a href="%s">her</a> <img src="%s" alt="Binary/8"/> <a href="%s">there</a> <a href="#b">below</a>'
    about = {
        "subject": {"reference": "Patient/7"},
        "text": {"status": "generated", "div": div % links % ("Patient/7", f"{elsewhere}/Binary/8", other)},
        "extension": [{"url": f"{elsewhere}/StructureDefinition/x", "valueUri": f"{elsewhere}/Patient/7"}],
        "category": [{"coding": [{"system": system, "code": "a"}]}],
        "content": [{"attachment": {"url": each}} for each in ("Binary/8", f"{elsewhere}/Binary/8", other)],
    }
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "SGFsbG8="}
    entries = [
        post(minimal("DocumentReference", **about), f"{elsewhere}/DocumentReference/1"),
        post(minimal("DocumentReference", **{**about, "subject": None}), f"urn:uuid:{uuid.uuid4()}"),
        post(minimal("Patient"), f"{elsewhere}/Patient/7"),
        post(binary, f"{elsewhere}/Binary/8"),
        post(minimal("CodeSystem", url=system), system),
    ]

    made = places(transact(world.operator, *entries))

    stored, beside = (world.operator.read(place) for place in made[:2])
    assert stored["subject"]["reference"] == made[2]
    assert stored["text"]["div"] == div % links % (made[2], made[3], other)
    assert [each["attachment"]["url"] for each in stored["content"]] == [made[3], made[3], other]
    assert (stored["extension"], stored["category"]) == (about["extension"], about["category"])
    assert world.operator.read(made[4])["url"] == system
    assert [each["attachment"]["url"] for each in beside["content"]] == ["Binary/8", made[3], other]
    assert beside["text"]["div"] == div % links % ("Patient/7", made[3], other)


def test_what_is_deleted_beside_it_is_not_referred_to(world: World, hosp: Party) -> None:
    gone = f"Group/{hosp.post(minimal('Group')).body['id']}"
    delete = {"request": {"method": "DELETE", "url": gone}}
    listed = minimal("List", entry=[{"item": {"reference": gone}}])

    reply = transact(hosp, delete, post(listed))

    assert (reply.status, reply.paths) == (422, {"Bundle.entry[1].resource.entry[0].item.reference"})
    assert hosp.get(gone).status == 200


def test_two_thousand_entries_are_one_transaction(hosp: Party) -> None:
    patient, value = f"urn:uuid:{uuid.uuid4()}", uuid.uuid4().hex
    flags = [
        post(minimal("Flag", subject={"reference": patient}, identifier=[{"system": SYSTEM, "value": value}]))
        for _ in range(1999)
    ]

    reply = transact(hosp, *flags, post(minimal("Patient"), patient))

    assert len(set(places(reply))) == 2000
    assert hosp.get(f"Flag?identifier={SYSTEM}|{value}&_summary=count").body["total"] == 1999
    flags[1000]["resource"] = {**flags[1000]["resource"], "status": "nonsense"}
    assert transact(hosp, *flags, post(minimal("Patient"), patient)).status == 422
    assert hosp.get(f"Flag?identifier={SYSTEM}|{value}&_summary=count").body["total"] == 1999


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("Patient?identifier=urn:x|1", "in a transaction only"),
        ("urn:uuid:7f0e5f6a-6b0e-4c0e-9a51-3d1c2b4a5e6f", "entries of one transaction"),
    ],
)
def test_what_refers_within_a_transaction_alone_says_so_elsewhere(hosp: Party, reference: str, told: str) -> None:
    flag = minimal("Flag", subject={"reference": reference})
    entry = {"resource": flag, "request": {"method": "POST", "url": "Flag"}}

    alone = hosp.post(flag)
    batch = hosp.transact({"resourceType": "Bundle", "type": "batch", "entry": [entry]}).body["entry"][0]["response"]

    assert (alone.status, alone.paths) == (422, {"Flag.subject.reference"})
    assert told in alone.issues[0]["diagnostics"]
    assert batch["outcome"]["issue"] == alone.issues
