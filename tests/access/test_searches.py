"""A search contains exactly what a read would show: everything, of the person, counted, page by page, included."""

from urllib.parse import urlsplit

import pytest

from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.fhir.reference import reference_to
from tests.access.actors import AUTHOR, ELSEWHERE, FORMER, KINDS, MEMBER, NOBODY, OFFERED, OUTSIDER, WAITING
from tests.access.circle import Matrix
from tests.access.oracle import AUDIT, CLASS_OF, OPEN, ROLES, may_glimpse, may_see
from tests.access.samples import in_turn
from tests.world import Party, Reply

SIGNED_IN = [kind for kind in KINDS if kind != NOBODY]
SAMPLE = 2
# AuditEvents are written while they are asked for: test_audit_events.py.
CLOSED = [name for name, kind in CLASS_OF.items() if kind not in {OPEN, ROLES, AUDIT}]
OF_A_PERSON = [name for name in CLOSED if "patient" in parameters_of(name)]


def following(reply: Reply) -> str | None:
    """The place that the `next` link leads to."""
    urls = [link["url"] for link in reply.body["link"] if link["relation"] == "next"]
    return "?".join(urlsplit(urls[0])[2:4]).partition("/fhir")[2].lstrip("/") if urls else None


def pages(party: Party, place: str) -> list[Reply]:
    """Every page of a search."""
    found: list[Reply] = []
    onward: str | None = place
    while onward is not None:
        reply = party.get(onward)
        assert reply.status == 200, (onward, reply.body)
        found.append(reply)
        onward = following(reply)
    return found


def matches(replies: list[Reply]) -> list[str]:
    return [reference_to(resource) for reply in replies for resource in reply.entries]


def assert_as_read(party: Party, found: list[str], stored: set[str]) -> None:
    """Some of what was found can be read, some of what was not cannot."""
    hidden = sorted(stored - set(found))
    assert [party.get(reference).status for reference in sorted(found)[:SAMPLE]] == [200] * min(SAMPLE, len(found))
    assert {party.get(reference).status for reference in hidden[:SAMPLE]} <= {404, 410}


@pytest.mark.parametrize("kind", SIGNED_IN)
def test_a_search_of_everything_pages_through_what_is_seen_and_counts_nothing_else(matrix: Matrix, kind: str) -> None:
    party = matrix.parties[kind]
    for name in in_turn(kind, CLOSED):
        stored = {f"{name}/{each['_id']}" for each in matrix.database[name].find({"del": False}, {"_id": 1})}
        replies = pages(party, f"{name}?_count=7&_total=accurate")
        found = matches(replies)

        assert len(found) == len(set(found)), name
        assert {reply.body["total"] for reply in replies} == {len(found)}, name
        assert party.get(f"{name}?_summary=count").body["total"] == len(found), name
        assert (matrix.circle(kind).refs[name] in found) == may_see(kind, name), name
        assert set(found) <= stored, name
        glimpsed = {matrix.circle(kind).refs[name]} if may_glimpse(kind, name) else set()
        assert_as_read(party, found, stored - glimpsed)


@pytest.mark.parametrize("kind", SIGNED_IN)
def test_a_search_of_a_person_finds_what_a_read_shows(matrix: Matrix, kind: str) -> None:
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    for name in in_turn(kind, OF_A_PERSON):
        reply = party.get(f"{name}?patient={refs['Patient']}&_total=accurate&_count=500")
        found = matches([reply])

        assert reply.status == 200, name
        assert reply.body["total"] == len(found), name
        # A Provenance is of its patient when its target is one; the circle's is about an Observation.
        assert (refs[name] in found) == (may_see(kind, name) and name != "Provenance"), name
        stored = {f"{name}/{each['_id']}" for each in matrix.database[name].find({"del": False}, {"_id": 1})}
        assert set(found) <= stored, name
        assert_as_read(party, found, set(found))


@pytest.mark.parametrize("kind", SIGNED_IN)
def test_an_include_brings_only_what_a_read_shows(matrix: Matrix, kind: str) -> None:
    """Whatever a visible resource refers to, by every reference parameter of its type."""
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    for name in CLOSED:
        includes = [f"_include={name}:{p.code}" for p in parameters_of(name).values() if p.leads_on]
        if not may_see(kind, name) or not includes:
            continue
        reply = party.get(f"{name}?_id={refs[name].partition('/')[2]}&_total=accurate&{'&'.join(includes)}")

        assert reply.status == 200, (name, reply.body)
        assert reply.body["total"] == 1
        included = [reference_to(e["resource"]) for e in reply.body["entry"] if e["search"]["mode"] == "include"]
        for reference in included:
            known = [type_name for type_name in CLASS_OF if refs[type_name] == reference]
            assert all(may_see(kind, each) or may_glimpse(kind, each) for each in known), (name, reference)
            assert party.get(reference).status == 200, (name, reference)


def test_includes_do_bring_what_is_seen(matrix: Matrix) -> None:
    """Else the test above could pass on nothing."""
    place = f"Task?_id={matrix.agreed.refs['Task'].partition('/')[2]}&_include=Task:patient&_include=Task:focus"

    def included(kind: str) -> set[str]:
        entries = matrix.parties[kind].get(place).body["entry"]
        return {e["resource"]["resourceType"] for e in entries if e["search"]["mode"] == "include"}

    assert included(MEMBER) == {"Patient", "ServiceRequest"}
    assert included(OFFERED) == {"Patient", "ServiceRequest"}


@pytest.mark.parametrize("kind", [OUTSIDER, OFFERED, FORMER, ELSEWHERE, WAITING])
def test_a_cursor_of_another_actor_opens_nothing(matrix: Matrix, kind: str) -> None:
    onward = following(matrix.parties[AUTHOR].get("Condition?_count=1"))
    place = onward or following(matrix.parties[AUTHOR].get("Task?_count=1"))
    assert place is not None
    type_name = place.partition("?")[0]

    reply = matrix.parties[kind].get(place)

    assert reply.status == 200
    seen = matches(pages(matrix.parties[kind], f"{type_name}?_count=50"))
    assert set(matches([reply])) <= set(seen)
