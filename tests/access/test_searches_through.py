"""What an actor may not read answers no chain, no `_has`, no `_list` and no include: not even yes or no."""

from itertools import product
from urllib.parse import quote

import pytest

from fhir_server.definitions.compartments import patient_compartment
from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.fhir.reference import reference_to
from tests.access.actors import AUTHOR, KINDS, MEMBER, NOBODY, OFFERED, OUTSIDER
from tests.access.circle import Matrix
from tests.access.oracle import AUDIT, CLASS_OF, OPEN, ROLES, may_glimpse, may_see
from tests.world import Party, Reply

SIGNED_IN = [kind for kind in KINDS if kind != NOBODY]
OF_ONE_CIRCLE = [kind for kind in SIGNED_IN if not kind.endswith("without consent")]
CLOSED = [name for name, kind in CLASS_OF.items() if kind not in {OPEN, ROLES, AUDIT}]


def ids(reply: Reply, mode: str = "match") -> set[str]:
    assert reply.status == 200, reply.body
    return {reference_to(e["resource"]) for e in reply.body.get("entry", []) if e["search"]["mode"] == mode}


def id_of(reference: str) -> str:
    return reference.partition("/")[2]


def referring(matrix: Matrix, name: str) -> list[tuple[str, str]]:
    """The reference parameters of a type that lead from the circle's resource to others of it, with their type."""
    refs = matrix.agreed.refs
    type_name, id = refs[name].split("/")
    document = matrix.database[type_name].find_one({"_id": id})
    assert document is not None
    terms = set(document["t"])
    return [
        (code, target)
        for (code, each), target in product(parameters_of(name).items(), CLOSED)
        if each.type == "reference" and f"{code}={refs[target]}" in terms
    ]


@pytest.mark.parametrize("kind", OF_ONE_CIRCLE)
def test_a_chain_finds_by_what_the_actor_may_read_and_by_nothing_else(matrix: Matrix, kind: str) -> None:
    party, refs = matrix.parties[kind], matrix.agreed.refs
    asked = 0
    for name in CLOSED:
        for code, target in referring(matrix, name):
            reply = party.get(f"{name}?{code}:{target}._id={id_of(refs[target])}&_id={id_of(refs[name])}")
            assert (refs[name] in ids(reply)) == (may_see(kind, name) and may_see(kind, target)), (name, code, target)
            asked += 1
    assert asked > 30


@pytest.mark.parametrize("kind", OF_ONE_CIRCLE)
def test_a_filter_goes_only_through_what_the_actor_may_read(matrix: Matrix, kind: str) -> None:
    party, refs = matrix.parties[kind], matrix.agreed.refs
    asked = 0
    for name in CLOSED:
        for code, target in referring(matrix, name):
            through = f"{code}:{target}._id eq {id_of(refs[target])}"
            there = party.get(f"{name}?_filter={quote(through)}&_id={id_of(refs[name])}")
            not_there = party.get(f"{name}?_filter={quote(f'not ({through})')}&_id={id_of(refs[name])}")
            seen = may_see(kind, name) and may_see(kind, target)
            assert (refs[name] in ids(there)) == seen, (name, code, target)
            assert (refs[name] in ids(not_there)) == (may_see(kind, name) and not seen), (name, code, target)
            asked += 1
    assert asked > 30


@pytest.mark.parametrize("kind", OF_ONE_CIRCLE)
def test_has_finds_by_what_the_actor_may_read_and_by_nothing_else(matrix: Matrix, kind: str) -> None:
    party, refs = matrix.parties[kind], matrix.agreed.refs
    asked = 0
    for name in CLOSED:
        for code, target in referring(matrix, name):
            reply = party.get(f"{target}?_has:{name}:{code}:_id={id_of(refs[name])}&_id={id_of(refs[target])}")
            assert (refs[target] in ids(reply)) == (may_see(kind, name) and may_see(kind, target)), (name, code, target)
            asked += 1
    assert asked > 30


@pytest.mark.parametrize("kind", SIGNED_IN)
def test_what_refers_to_a_match_comes_only_when_a_read_shows_it(matrix: Matrix, kind: str) -> None:
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    for target in ("Patient", "CarePlan", "ServiceRequest", "Observation"):
        backwards = "&".join(
            f"_revinclude={name}:{each.code}"
            for name in CLOSED
            for each in parameters_of(name).values()
            if each.type == "reference" and each.may_point_to(target)
        )
        reply = party.get(f"{target}?_id={id_of(refs[target])}&{backwards}")
        assert (refs[target] in ids(reply)) == (may_see(kind, target) or may_glimpse(kind, target))
        included = ids(reply, "include")
        for reference in sorted(included)[:5]:
            assert party.get(reference).status == 200, (target, reference)
        known = [name for name in CLOSED if refs[name] in included]
        assert all(may_see(kind, name) for name in known), (target, known)


def test_the_questions_of_an_outsider_are_all_answered_alike(matrix: Matrix) -> None:
    """What is there and hidden, and what is not there: one answer."""
    party, refs = matrix.parties[OUTSIDER], matrix.agreed.refs
    hidden = [
        f"Organization?_has:Task:owner:_id={id_of(refs['Task'])}",
        f"Patient?_has:Observation:patient:_id={id_of(refs['Observation'])}",
        f"Practitioner?_has:Task:owner:subject={refs['Patient']}",
        f"Organization?_has:Task:requester:patient.identifier=urn:x|{id_of(refs['Patient'])}",
        f"Organization?_list={id_of(refs['List'])}",
    ]
    for place in hidden:
        assert ids(party.get(place)) == set(), place
        assert party.get(f"{place}&_summary=count").body["total"] == 0, place


def test_members_do_find_through_others(matrix: Matrix) -> None:
    """Else the tests above could pass on nothing."""

    def found(kind: str, place: str) -> set[str]:
        party: Party = matrix.parties[kind]
        return ids(party.get(place))

    refs = matrix.agreed.refs
    chain = f"Observation?patient._id={id_of(refs['Patient'])}"
    assert refs["Observation"] in found(MEMBER, chain)
    assert refs["Observation"] in found(AUTHOR, chain)
    assert found(OFFERED, chain) == set()


@pytest.mark.parametrize("kind", SIGNED_IN)
def test_what_is_about_a_person_is_found_as_a_read_shows_it(matrix: Matrix, kind: str) -> None:
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    for name in [
        each for each in patient_compartment() if each in CLOSED and each not in {"Provenance", "Patient", "Group"}
    ]:
        reply = party.get(f"{refs['Patient']}/{name}?_id={id_of(refs[name])}&_total=accurate")
        assert (refs[name] in ids(reply)) == may_see(kind, name), name
        assert reply.body["total"] == len(ids(reply)), name
