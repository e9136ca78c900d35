"""Searches that ask through other resources: what these are is sought first, under the asker's own grants.

So a resource that the asker may not read answers nothing, not even yes or no.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from fhir_server.access.scopes import check_scope
from fhir_server.access.types import TYPES
from fhir_server.definitions.search_parameters import shipped_parameters_of
from fhir_server.fhir.errors import TooCostly
from fhir_server.interactions.seeing.part_hierarchy import places_standing
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.seeing.terminology import codes_in, codes_standing
from fhir_server.search.contained import may_be_contained
from fhir_server.search.grant import Grant
from fhir_server.search.hierarchy import DIRECTIONS, PART_OF
from fhir_server.search.join_answers import conditions_of, joined, joins_in
from fhir_server.search.query import (
    AllOf,
    AnyOf,
    Clause,
    Condition,
    Contained,
    Join,
    Not,
    Query,
    Target,
    Token,
    Value,
)


@dataclass
class Known:
    """What one request knows already of chains, so that several of its searches work it out once.

    `found` is what was found, by what was sought; `inside` what a query asks of a contained resource, None when it
    cannot be one.
    """

    found: dict[tuple[Query, str | None], Sequence[str]] = field(default_factory=dict)
    inside: dict[Query, Sequence[Condition] | None] = field(default_factory=dict)


SECONDS = 10.0
"""How long the chains of one request may be sought before no other is begun."""

_ABOUT = frozenset({"patient", "subject"})
_OF_SEVERAL = frozenset(
    name for name in TYPES if (patient := shipped_parameters_of(name).get("patient")) and not patient.single
)
"""The types whose resources may name several people by `patient`."""

MOST_JOINED = 2000
"""How many resources of a type one step of a chain or `_has` may go through."""

MOST_INSIDE = 256
"""How many contained resources a chain may ask for, of all the types that each of its steps may lead to."""


def answered(query: Query, sight: Sight, known: Known | None = None, *, within: bool = False) -> Query:
    """`query` with its joins answered; what is in `known` is not sought again.

    A chain is also answered in what a resource contains, but for Patients: who they are decides what may be sought.
    Of a resource `within` a container, it is answered in whatever that refers to there. Raises Forbidden for a type
    that the token's scopes do not let search, TooCostly for too many steps.
    """
    if not joins_in(query):
        return query
    known = Known() if known is None else known
    found = known.found

    def seek(asked: Query, linked: str | None) -> Sequence[str]:
        check_scope(sight.actor, "search-type", asked.type)
        if (asked, linked) not in found:
            if time.monotonic() > sight.begun + SECONDS:
                raise TooCostly("This search goes through other resources for too long; narrow what it says of them.")
            plain = answered(asked, sight, known)
            grants = grants_of(plain, sight)
            found[asked, linked] = sight.reading.linked(
                plain, grants, sight.moment, parameter=linked, limit=MOST_JOINED
            )
        return found[asked, linked]

    def members(asked: Join) -> Sequence[Value]:
        if asked.members not in DIRECTIONS:
            return codes_in(asked, sight, MOST_JOINED)
        if asked.queries[0].type in PART_OF:
            return places_standing(asked, seek, MOST_JOINED)
        return codes_standing(asked, sight, MOST_JOINED)

    def inside(type_name: str, asked: Query) -> Sequence[Condition] | None:
        if not within and (asked.type == "Patient" or not sight.reading.contains(type_name, asked.type)):
            return None
        if asked not in known.inside:
            said = conditions_of(answered(asked, sight, known, within=True))
            _check_steps(said)
            known.inside[asked] = said if may_be_contained(asked.type, said) else None
        return known.inside[asked]

    return joined(query, seek, members, inside)


def _check_steps(conditions: Sequence[Condition]) -> None:
    waiting, steps = list(conditions), 0
    while waiting:
        each = waiting.pop()
        if isinstance(each, AllOf | AnyOf | Contained):
            waiting += each.conditions
        elif isinstance(each, Not):
            waiting.append(each.condition)
        steps += isinstance(each, Contained)
        if steps > MOST_INSIDE:
            raise TooCostly(
                f"This search may lead to more than {MOST_INSIDE} contained resources of different types; "
                "name the types that you mean, as in subject:Patient.name."
            )


def grants_of(query: Query, sight: Sight) -> list[Grant]:
    """The grants for what a query asks, by no more of the actor's circles than it can be about. Raises TooCostly.

    An actor may care for more people than one question may bring circles of. It can still search what names one person:
    by the circles about that person, and the plans of what names the person but is about somebody else. Of the types
    whose resources may name several people it then finds what lies in the plans about the one.
    """
    named = person_named(query)
    try:
        if named is not None and query.type in _OF_SEVERAL - {"AuditEvent"}:
            asked = Clause("patient", "reference", (Target(reference=named),))
            return sight.grants(query.type, plans=_plans_naming(Query(query.type, (asked,)), named, sight))
        return sight.grants(query.type, patient_asked(query))
    except TooCostly:
        if named is not None:
            return sight.grants(query.type, named)
        if not query.any_of:
            raise
    person = compartment_of(query) or ""
    naming = tuple(clause for clause in query.any_of if clause.parameter not in _ABOUT)
    plans = _plans_naming(Query(query.type, any_of=naming) if naming else None, person, sight)
    return sight.grants(query.type, plans=plans)


def _plans_naming(naming: Query | None, person: str, sight: Sight) -> list[str]:
    """The actor's plans about the person, and all plans of what names the person and is about somebody else.

    The grants decide which of these plans the actor takes part in.
    """
    beside = sight.reading.plans_beside(naming, person, limit=MOST_JOINED) if naming is not None else []
    return sorted({*(circle.plan for circle in sight.circles(patient=person)), *beside})


def compartment_of(query: Query) -> str | None:
    """`Patient/x` when the query is of the compartment of a person."""
    naming = query.any_of[-1].values if query.any_of else ()
    return next((value.reference for value in naming if isinstance(value, Target)), None)


def patient_asked(query: Query) -> str | None:
    """`Patient/x` when the query is about exactly one person, so that only that person's circles matter.

    What may name several people lies in the plan of another one, too.
    """
    return None if query.type in _OF_SEVERAL else person_named(query)


def person_named(query: Query) -> str | None:
    """`Patient/x` when the query names exactly one person."""
    for clause in query.clauses + query.joined:
        if (
            not isinstance(clause, Clause)
            or clause.modifier is not None
            or clause.missing is not None
            or len(clause.values) != 1
        ):
            continue
        value = clause.values[0]
        if query.type == "Patient" and clause.parameter == "_id" and isinstance(value, Token):
            return f"Patient/{value.code}"
        if clause.parameter in _ABOUT and isinstance(value, Target):
            if value.reference and value.reference.startswith("Patient/"):
                return value.reference
            if value.id and clause.parameter == "patient":
                return f"Patient/{value.id}"
    return None
