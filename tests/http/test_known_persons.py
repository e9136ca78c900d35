"""A national identifier that is known already: created all the same, silently, and proposed to whoever sees both."""

from fhir_server.demo.referral import MIA, Person, consent
from fhir_server.fhir.dates import now
from fhir_server.fhir.json import Resource
from tests.viewer_visitor import signed_in
from tests.world import Case, Party, Reply, World

BORN_TWICE = Person("Nora", "Baert", age=71)


def identifier(party: Party, case: Case) -> Resource:
    [found] = party.read(case.patient)["identifier"]
    return dict(found)


def number_is_the_same(one: Party, of_one: Case, other: Party, of_other: Case) -> None:
    """Give the second record the number of the first: its own has another date of birth if the day turned between."""
    assert other.change(of_other.patient, identifier=[identifier(one, of_one)]).status == 200


def asked(reply: Reply) -> tuple[int, set[str]]:
    return reply.status, set(reply.headers) - {"Date"}


def test_whoever_creates_a_known_person_is_told_nothing_of_it(world: World) -> None:
    first, second = world.hospital(), world.hospital()
    known = identifier(first, world.case(first, world.party()))
    new: Resource = {"resourceType": "Patient", "identifier": [known], "birthDate": "1960-01-01"}
    unknown = {**new, "identifier": [{**known, "value": "60010199987"}]}

    replies = {name: second.post(each) for name, each in (("known", new), ("unknown", unknown))}
    condition = f"identifier={known['system']}|{known['value']}"
    conditional = world.hospital().post(new, If_None_Exist=condition)

    assert asked(replies["known"]) == asked(replies["unknown"])
    assert [reply.status for reply in (*replies.values(), conditional)] == [201, 201, 201]
    found = second.get(f"Patient?{condition}&_total=accurate")
    assert (found.body["total"], [each["id"] for each in found.entries]) == (1, [replies["known"].body["id"]])


def test_the_case_manager_of_both_is_proposed_to_link_them(world: World) -> None:
    first, second = world.hospital(), world.hospital()
    cases = [world.case(hosp, world.party(), BORN_TWICE) for hosp in (first, second)]
    number_is_the_same(first, cases[0], second, cases[1])
    ids = [case.patient.partition("/")[2] for case in cases]
    manager = signed_in(world)

    for own, other in (ids, ids[::-1]):
        page = manager.get(f"/people/{own}").text
        assert "The same person?" in page
        assert f'href="/people/{other}"' in page
        assert f'href="/people/{own}"' not in page.partition("The same person?")[2].partition("</section>")[0]


def test_whoever_sees_one_of_them_is_shown_nothing_of_the_other(world: World) -> None:
    first, second = world.hospital(), world.hospital()
    person = Person("Lies", "Goris", age=66)
    case = world.case(first, world.party(), person)
    hidden = world.case(second, world.party(), person, with_consent=False)
    number_is_the_same(first, case, second, hidden)

    for reader in (first.reference, world.custodian.reference):
        page = signed_in(world, reader).get(f"/people/{case.patient.partition('/')[2]}")
        assert page.status_code == 200
        assert "The same person?" not in page.text
        assert hidden.patient.partition("/")[2] not in page.text

    assert second.post(consent(hidden.patient, now(), second.reference)).status == 201
    assert "The same person?" in signed_in(world).get(f"/people/{case.patient.partition('/')[2]}").text


def test_a_number_of_another_system_says_nothing_of_the_person(world: World) -> None:
    hosp = world.hospital()
    number = {"system": "urn:test:ward-bed", "value": "12"}
    cases = [world.case(hosp, world.party(), Person(name, MIA.family, age=age)) for name, age in (("A", 41), ("B", 42))]
    for case in cases:
        assert hosp.change(case.patient, identifier=[number]).status == 200

    page = signed_in(world, hosp.reference).get(f"/people/{cases[0].patient.partition('/')[2]}")

    assert "The same person?" not in page.text
