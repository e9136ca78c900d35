"""A search of the system, or of all that is about a person, shows each kind of actor what a read shows."""

import pytest

from fhir_server.definitions.compartments import patient_compartment
from fhir_server.fhir.reference import reference_to
from tests.access.actors import ELSEWHERE, FORMER, KINDS, MEMBER, NOBODY, OFFERED, OUTSIDER, WAITING
from tests.access.circle import Matrix
from tests.access.oracle import AUDIT, CLASS_OF, OPEN, ROLES, expected, may_glimpse, may_see
from tests.access.test_searches import following, matches, pages
from tests.world import Party, Reply

SIGNED_IN = [kind for kind in KINDS if kind != NOBODY]
CLOSED = [name for name, kind in CLASS_OF.items() if kind not in {OPEN, ROLES, AUDIT}]
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
ABOUT = ("*", "_search", "*/_search")
SAMPLE = 6


def at(party: Party, refs: dict[str, str], address: str, asked: str) -> Reply:
    """A search of all that is about the circle's person, at one of its addresses."""
    place = f"{refs['Patient']}/{address}"
    return party.ask("POST", place, asked.encode(), **FORM) if "_search" in address else party.get(f"{place}?{asked}")


@pytest.mark.parametrize("address", ["?_count=1", "_search"])
def test_nobody_searches_the_system(matrix: Matrix, address: str) -> None:
    party = matrix.parties[NOBODY]
    reply = party.ask("POST", address, b"_count=1", **FORM) if address == "_search" else party.get(address)
    assert reply.status == expected("search-system", NOBODY, "")


@pytest.mark.parametrize("address", ABOUT)
def test_nobody_searches_a_person(matrix: Matrix, address: str) -> None:
    assert at(matrix.parties[NOBODY], matrix.agreed.refs, address, "").status == 401


@pytest.mark.parametrize("kind", SIGNED_IN)
def test_a_search_of_the_system_finds_what_the_searches_of_its_types_find(matrix: Matrix, kind: str) -> None:
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    single = [reference for name in CLOSED for reference in matches(pages(party, f"{name}?_count=200"))]

    replies = pages(party, f"?_type={','.join(CLOSED)}&_count=9&_total=accurate&_sort=-_lastUpdated")

    assert sorted(matches(replies)) == sorted(single)
    assert {reply.body["total"] for reply in replies} == {len(single)}
    for name in CLOSED:
        assert (refs[name] in single) == may_see(kind, name), name


@pytest.mark.parametrize("kind", SIGNED_IN)
def test_what_several_types_bring_is_only_what_a_read_shows(matrix: Matrix, kind: str) -> None:
    """Forwards by every reference of all closed types, backwards by all that refers to the person."""
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    ids = ",".join(refs[each].partition("/")[2] for each in CLOSED)
    asked = f"?_type={','.join(CLOSED)}&_id={ids}&_count=500&_total=accurate"

    plain = party.get(asked)
    reply = party.get(f"{asked}&_include=*&_revinclude=Provenance:*&_revinclude=Task:*")

    assert reply.status == 200, reply.body
    assert reply.body["total"] == plain.body["total"]
    entries = reply.body.get("entry", [])
    brought = [reference_to(e["resource"]) for e in entries if e["search"]["mode"] == "include"]
    assert not set(brought) & set(matches([plain]))
    for reference in brought:
        known = [type_name for type_name in CLASS_OF if refs[type_name] == reference]
        assert all(may_see(kind, each) or may_glimpse(kind, each) for each in known), reference
        assert party.get(reference).status == 200, reference
    if kind == MEMBER:
        assert {each.partition("/")[0] for each in brought} & {"Organization", "Practitioner", "Location"}


def test_whoever_is_asked_for_care_is_brought_the_same_part_of_a_person_by_several_types(matrix: Matrix) -> None:
    party, refs = matrix.parties[OFFERED], matrix.agreed.refs
    id = refs["Task"].partition("/")[2]

    [alone] = [e["resource"] for e in party.get(f"Task?_id={id}&_include=Task:patient").body["entry"][1:]]
    [along] = [
        e["resource"]
        for e in party.get(f"?_type=Task,Goal&_id={id}&_include=*").body["entry"][1:]
        if e["resource"]["resourceType"] == "Patient"
    ]

    assert along == alone
    assert along != matrix.parties[MEMBER].read(refs["Patient"])


@pytest.mark.parametrize("kind", SIGNED_IN)
@pytest.mark.parametrize("address", ABOUT)
def test_all_that_is_about_a_person_is_found_as_a_read_shows_it(matrix: Matrix, kind: str, address: str) -> None:
    party, refs = matrix.parties[kind], matrix.circle(kind).refs

    reply = at(party, refs, address, "_count=500&_total=accurate")

    assert reply.status == expected("search-system", kind, "")
    found = [reference_to(resource) for resource in reply.entries]
    assert reply.body["total"] == len(found) == len(set(found))
    for name in [each for each in patient_compartment() if each in CLOSED and each not in {"Provenance", "Group"}]:
        assert (refs[name] in found) == may_see(kind, name), name
    for reference in found[:SAMPLE]:
        assert party.get(reference).status == 200, reference


@pytest.mark.parametrize("kind", SIGNED_IN)
def test_one_type_about_a_person_may_be_searched_by_post(matrix: Matrix, kind: str) -> None:
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    for name in ("Task", "Observation", "CarePlan"):
        found = at(party, refs, f"{name}/_search", f"_id={refs[name].partition('/')[2]}").entries
        assert [reference_to(each) for each in found] == ([refs[name]] if may_see(kind, name) else []), name


@pytest.mark.parametrize("kind", [OUTSIDER, OFFERED, FORMER, ELSEWHERE, WAITING])
def test_a_cursor_of_another_actor_opens_nothing_of_several_types(matrix: Matrix, kind: str) -> None:
    onward = following(matrix.parties[MEMBER].get(f"{matrix.agreed.refs['Patient']}/*?_count=1"))
    assert onward is not None

    reply = matrix.parties[kind].get(onward.replace("_count=1", "_count=500"))

    seen = matches(pages(matrix.parties[kind], f"{matrix.agreed.refs['Patient']}/*?_count=50"))
    assert reply.status == 200
    assert set(matches([reply])) <= set(seen)


def test_the_questions_of_an_outsider_about_a_person_are_answered_as_about_nobody(matrix: Matrix) -> None:
    party = matrix.parties[OUTSIDER]
    for address in ABOUT:
        for asked in ("_total=accurate", "_summary=count", "_sort=-_lastUpdated"):
            hidden = at(party, matrix.agreed.refs, address, asked).body
            never = at(party, {"Patient": "Patient/never-was"}, address, asked).body
            assert {**hidden, "link": []} == {**never, "link": []}
            assert hidden.get("total", 0) == 0
