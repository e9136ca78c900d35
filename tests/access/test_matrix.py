"""Every address x every kind of actor x every type: the answer is the oracle's, to the status."""

from collections.abc import Mapping

import pytest

from fhir_server.interactions.addressing import ADDRESSES, Address
from tests.access.actors import KINDS, NOBODY, OPERATOR
from tests.access.asking import (
    absent,
    batch,
    constant,
    marked,
    new,
    operation_body,
    patched,
    place_of,
    request,
    stored,
)
from tests.access.circle import Matrix
from tests.access.oracle import CLASS_OF, expected, may_glimpse, may_see
from tests.access.samples import in_turn, types_at, versions
from tests.world import Reply

# What is about a person is searched in test_searches_through.py and test_searches_of_several.py.
OF_ONE = [
    address for address in ADDRESSES if address.path.startswith("/{type}/{id}") and "{member}" not in address.path
]
READING = [address for address in OF_ONE if address.method == "GET"]
WRITING = [address for address in OF_ONE if address.method != "GET"]
CONDITIONAL = [
    address
    for address in ADDRESSES
    if address.path == "/{type}" and address.interaction in {"update", "patch", "delete"}
]
SEARCHING = [address for address in ADDRESSES if address.interaction == "search-type" and "{id}" not in address.path]
[CREATING] = [address for address in ADDRESSES if address.interaction == "create"]
UPDATING, PATCHING = (
    next(address for address in OF_ONE if address.interaction == name) for name in ("update", "patch")
)
OF_EACH_SORT = ("CarePlan", "Observation", "Subscription", "AuditEvent")


def named(address: Address) -> str:
    return f"{address.method} {address.path}"


def statuses(replies: Mapping[str, Reply]) -> dict[str, int]:
    return {name: reply.status for name, reply in replies.items()}


def assert_as_absent(matrix: Matrix, kind: str, address: Address, replies: Mapping[str, Reply]) -> None:
    """Byte for byte, headers too: whatever exists and is hidden answers as what never was.

    An address that resources of a type do not have is another matter: it says so to everybody.
    """
    hidden = {name: reply for name, reply in replies.items() if reply.status in {401, 404} and address.is_of(name)}
    answers = {repr(constant(reply)) for reply in hidden.values()}
    for name in OF_EACH_SORT:
        if name in hidden and not (kind == OPERATOR and address.interaction == "update"):  # an import creates it
            never = absent(name)
            body = {"resourceType": name, "id": never.partition("/")[2]}
            body = {**stored(matrix, matrix.circle(kind).refs[name]), **body}
            sent = body if address.interaction == "update" else operation_body(address)
            if address.interaction == "patch":
                answers.add(repr(constant(patched(matrix.parties[kind], place_of(address, never), never))))
                continue
            answers.add(repr(constant(matrix.parties[kind].ask(address.method, place_of(address, never), sent))))
    assert len(answers) <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", READING, ids=named)
def test_a_read_shows_what_the_oracle_says(matrix: Matrix, kind: str, address: Address) -> None:
    replies = {name: request(address, kind, name, matrix) for name in types_at(address, kind)}

    assert statuses(replies) == {name: expected(address.interaction, kind, name) for name in replies}
    assert_as_absent(matrix, kind, address, replies)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", WRITING, ids=named)
def test_who_may_not_write_is_refused_and_changes_nothing(matrix: Matrix, kind: str, address: Address) -> None:
    refused = [name for name in types_at(address, kind) if expected(address.interaction, kind, name) >= 400]
    before = versions(matrix)

    replies = {name: request(address, kind, name, matrix) for name in refused}

    assert statuses(replies) == {name: expected(address.interaction, kind, name) for name in refused}
    assert versions(matrix) == before
    assert_as_absent(matrix, kind, address, replies)


@pytest.mark.parametrize("kind", KINDS)
def test_who_may_not_create_is_refused_and_creates_nothing(matrix: Matrix, kind: str) -> None:
    refused = [name for name in types_at(CREATING, kind) if expected("create", kind, name) >= 400]
    before = versions(matrix)

    replies = {name: request(CREATING, kind, name, matrix) for name in refused}

    assert statuses(replies) == {name: expected("create", kind, name) for name in refused}
    assert versions(matrix) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", [CREATING, UPDATING, PATCHING], ids=named)
def test_who_may_write_may(matrix: Matrix, kind: str, address: Address) -> None:
    allowed = [name for name in types_at(address, kind) if expected(address.interaction, kind, name) < 400]

    replies = {name: request(address, kind, name, matrix) for name in allowed}

    assert statuses(replies) == {name: expected(address.interaction, kind, name) for name in allowed}


@pytest.mark.parametrize("kind", KINDS)
def test_conditions_and_heads_tell_no_more_than_a_read(matrix: Matrix, kind: str) -> None:
    """HEAD, and If-None-Match with the right version or `*`: 304 only to whoever may read."""
    party = matrix.parties[kind]
    for name in in_turn(kind):
        reference = matrix.circle(kind).refs[name]
        current = stored(matrix, reference).get("meta", {}).get("versionId", "1")
        if may_see(kind, name):
            assert party.ask("HEAD", reference).status == 200, name
            assert party.get(reference, If_None_Match=f'W/"{current}"').status == 304, name
        elif may_glimpse(kind, name):
            assert party.ask("HEAD", reference).status == 200, name
            assert "ETag" not in party.get(reference, If_None_Match=f'W/"{current}"').headers, name
            assert party.get(reference, If_None_Match="*").status == 200, name
        elif kind != NOBODY and CLASS_OF[name] in {"plan", "person", "task", "audit", "owned"}:
            never = absent(reference)
            assert constant(party.ask("HEAD", reference)) == constant(party.ask("HEAD", never)), name
            for condition in (f'W/"{current}"', "*"):
                asked = [party.get(each, If_None_Match=condition) for each in (reference, never)]
                assert constant(asked[0]) == constant(asked[1]), name
                assert asked[0].status == 404, name


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != NOBODY])
@pytest.mark.parametrize("address", CONDITIONAL, ids=named)
def test_a_condition_means_what_a_read_shows_and_nothing_else(matrix: Matrix, kind: str, address: Address) -> None:
    """What is hidden is no match: an update creates if it may, a patch finds nothing, a delete has nothing to do."""
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    asked = address.interaction
    before = versions(matrix)
    for name in in_turn(kind):
        place, seen = f"{name}?_id={refs[name].partition('/')[2]}", may_see(kind, name)
        if seen and expected(asked, kind, name) < 400:
            continue
        if asked == "update":
            reply = party.ask("PUT", place, marked(stored(matrix, refs[name])) if seen else new(kind, name, matrix))
        elif asked == "patch":
            reply = patched(party, place, refs[name], matrix)
        else:
            reply = party.ask("DELETE", place)

        otherwise = {"update": expected("create", kind, name), "patch": 404, "delete": 204}[asked]
        assert reply.status == (expected(asked, kind, name) if seen else otherwise), (name, reply.body)
    after = versions(matrix)
    assert {reference: after[reference] for reference in before} == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", SEARCHING, ids=named)
def test_a_search_by_id_finds_what_a_read_shows(matrix: Matrix, kind: str, address: Address) -> None:
    for name in types_at(address, kind):
        reply = request(address, kind, name, matrix)

        assert reply.status == expected("search-type", kind, name), name
        if kind != NOBODY:
            found = [f"{name}/{resource['id']}" for resource in reply.entries]
            seen = may_see(kind, name) or may_glimpse(kind, name)
            assert found == ([matrix.circle(kind).refs[name]] if seen else []), name


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != NOBODY])
def test_a_bundles_reads_show_what_a_read_shows(matrix: Matrix, kind: str) -> None:
    """Types of every class in one batch; a transaction with one hidden read is refused as a whole."""
    party, refs = matrix.parties[kind], matrix.circle(kind).refs

    names = in_turn(kind)

    reply = party.transact(batch([("GET", refs[name]) for name in names]))

    told = {name: int(e["response"]["status"][:3]) for name, e in zip(names, reply.body["entry"], strict=True)}
    assert told == {name: expected("read", kind, name) for name in names}
    for entry in reply.body["entry"]:
        assert ("resource" in entry) == entry["response"]["status"].startswith("200")
    hidden = [name for name in names if not may_see(kind, name) and not may_glimpse(kind, name)]
    seen = [name for name in names if name not in hidden]
    assert party.transact(batch([("GET", refs[name]) for name in seen], "transaction")).status == 200
    for name in hidden[:3]:
        asked = batch([("GET", refs[seen[0]]), ("GET", refs[name])], "transaction")
        assert party.transact(asked).status == 404, name


@pytest.mark.parametrize("kind", KINDS)
def test_the_statement_is_for_whoever_is_signed_in(matrix: Matrix, kind: str) -> None:
    assert matrix.parties[kind].get("metadata").status == expected("capabilities", kind, "")
