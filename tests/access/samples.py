"""What keeps the matrix quick as it grows: one look at everything that is stored, and turns in asking about types."""

from typing import Any

from fhir_server.interactions.addressing import Address
from tests.access.actors import KINDS, NOBODY
from tests.access.circle import Matrix
from tests.access.oracle import CLASS_OF, CLASSES, OPEN, ROLES

# Asked of every type by every kind of actor who is signed in; what is built on them is asked in turn.
OF_EVERY_TYPE = frozenset({"read", "vread", "history-instance", "search-type", "create", "update", "delete"})
_KEPT = {"v": 1, "plans": 1, "readers": 1}


def unagreed_alone(matrix: Matrix) -> set[str]:
    """What lies in the plan that waits for consent and is not open to every signed-in party."""
    circles = {name: ref for name, ref in matrix.unagreed.refs.items() if CLASS_OF[name] not in {ROLES, OPEN}}
    return set(circles.values()) - set(matrix.agreed.refs.values())


def in_turn(kind: str, names: list[str] | None = None) -> list[str]:
    """Types of every class, other ones for each kind of actor, so that all kinds together ask about every type."""
    turn, chosen = KINDS.index(kind), []
    for of_class in CLASSES.values():
        types = of_class.split()
        chosen += types[turn % len(types) :: len(KINDS)]
    return [name for name in chosen if names is None or name in names]


def types_at(address: Address, kind: str) -> list[str]:
    """The types about which an actor of this kind is made to ask at this address."""
    in_full = address.interaction in OF_EVERY_TYPE and not address.path.endswith("_search") and kind != NOBODY
    return list(CLASS_OF) if in_full else in_turn(kind)


def versions(matrix: Matrix) -> dict[str, Any]:
    """Every stored resource with its version, its plans and its readers, but for the AuditEvents; in one question."""
    first, *others = sorted(set(matrix.agreed.refs) - {"AuditEvent"})
    pipeline: list[dict[str, Any]] = [_of(first)]
    pipeline += [{"$unionWith": {"coll": name, "pipeline": [_of(name)]}} for name in others]
    found = matrix.database[first].aggregate(pipeline)
    return {f"{each['type']}/{each['_id']}": (each["v"], each["plans"], each["readers"]) for each in found}


def _of(type_name: str) -> dict[str, Any]:
    return {"$project": {**_KEPT, "type": {"$literal": type_name}}}
