"""The matrix grows by itself: a type or an address without a row in the oracle fails here."""

from fhir_server.access.types import TYPES
from fhir_server.interactions.addressing import ADDRESSES
from tests.access.actors import KINDS
from tests.access.circle import Matrix
from tests.access.oracle import CHANGES, CLASS_OF, CLASSES, CREATES, DELETES, INTERACTIONS, REACHES, SEES


def test_each_type_has_a_class() -> None:
    assert set(CLASS_OF) == set(TYPES)
    assert sum(len(names.split()) for names in CLASSES.values()) == len(CLASS_OF), "a type has two classes"


def test_each_class_has_every_row() -> None:
    for table in (SEES, CHANGES, DELETES, CREATES, REACHES):
        assert set(table) == set(CLASSES)
        assert all(kinds <= set(KINDS) for kinds in table.values())


def test_each_interaction_of_the_address_table_has_a_row() -> None:
    assert {address.interaction for address in ADDRESSES} == set(INTERACTIONS)


def test_each_circle_has_a_resource_of_each_type(matrix: Matrix) -> None:
    for circle in (matrix.agreed, matrix.unagreed):
        assert set(circle.refs) == set(TYPES)
    assert set(matrix.parties) == set(KINDS)


def test_everybody_is_what_their_kind_says(matrix: Matrix) -> None:
    """The ground of all that the matrix says: the circles as the database holds them."""
    store = matrix.world.parts.store
    members = {}
    for name, plan in (("agreed", matrix.agreed.case.plan), ("unagreed", matrix.unagreed.case.plan)):
        circle = store.circle(plan.partition("/")[2])
        assert circle is not None
        members[name] = {reader.party for reader in circle.members}, {r.party for r in circle.former}, circle.pending
    of = {kind: party.reference for kind, party in matrix.parties.items()}
    active, former, pending = members["agreed"]
    assert active >= {of["active member"], of["requester and author"], of["custodian"]}
    assert (former, pending) == ({of["former member"]}, ())
    assert not active & {of[kind] for kind in ("outsider", "offered owner", "member of another plan of the person")}
    active, former, pending = members["unagreed"]
    assert set(pending) == {of["member without consent"], of["custodian without consent"]}
    assert not active & set(pending)
    assert not former
