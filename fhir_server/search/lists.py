"""What is on a list: on a List by its id, or, by its function, what is current about a person.

https://hl7.org/fhir/R4/search.html#list, https://hl7.org/fhir/R4/lifecycle.html#current

R4 leaves it to the server how it knows what is on `$current-problems` and its like. Here it is what the resources say
of themselves, so that a list is the same for all who may read these, and what somebody has just recorded is on it at
once. What does not say that it is over, or that it never was, is current: a list that leaves out what somebody may have
or take does harm. So does one that holds what must not be given.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from fhir_server.search.clauses import Asking, NotServed, clause
from fhir_server.search.query import AllOf, AnyOf, Clause, Condition, Join, Query, Token

LIST = "_list"

_Asked: TypeAlias = tuple[tuple[tuple[str, str], ...], ...]
_ALLERGIES: _Asked = (
    (("clinical-status:not", "inactive,resolved"),),
    (("verification-status:not", "refuted,entered-in-error"),),
)

FUNCTIONS: Mapping[str, Mapping[str, _Asked]] = {
    "$current-problems": {
        "Condition": (
            (("clinical-status:not", "inactive,remission,resolved"),),
            (("verification-status:not", "refuted,entered-in-error"),),
        ),
    },
    "$current-medications": {
        "MedicationRequest": (
            (("status", "active,unknown"),),
            (("intent:not", "proposal,option"),),
            (("do-not-perform:not", "true"),),
        ),
        "MedicationStatement": ((("status", "active,unknown"),),),
    },
    "$current-allergies": {"AllergyIntolerance": _ALLERGIES},
    "$current-drug-allergies": {
        "AllergyIntolerance": (*_ALLERGIES, (("category", "medication,biologic"), ("category:missing", "true")))
    },
}
"""Each function with the types that its list holds, and what is on it: what one of each row's searches finds."""

_OF_A_PERSON = frozenset({"patient", "subject"})
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


def items_of(text: str) -> Join:
    """The items of the List of this id. Raises NotServed."""
    if not _ID.fullmatch(text):
        told = f"{LIST!r} takes the id of a List or the function of one, such as $current-problems, not {text!r}."
        raise NotServed(told)
    return Join("_id", (Query("List", (Clause("_id", "token", (Token(None, text),)),)),), "item")


def by_function(name: str, text: str) -> bool:
    """Whether a parameter asks for a list by its function rather than for a List by its id."""
    return name == LIST and text.startswith("$")


def current_list(asking: Asking, text: str) -> Condition:
    """What is on the list. Raises NotServed for a function that there is not, or whose list holds no such type."""
    if text not in FUNCTIONS:
        raise NotServed(f"There is no list {text!r}; there are {', '.join(FUNCTIONS)}, and a List by its id.")
    held = FUNCTIONS[text]
    if asking.type not in held:
        raise NotServed(f"The list {text!r} holds {' and '.join(held)}, not {asking.type}.")
    rows = ([clause(asking, name, value) for name, value in row] for row in held[asking.type])
    return AllOf(tuple(row[0] if len(row) == 1 else AnyOf(tuple(row)) for row in rows))


def held_by_all(type_names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The types among these that the lists which are asked for by function hold; all, when no type is left."""
    held = [FUNCTIONS[text] for name, text in pairs if by_function(name, text) and text in FUNCTIONS]
    return [each for each in type_names if all(each in types for types in held)] or list(type_names)


def names_a_person(query: Query) -> bool:
    """Whether the query says whose resources it asks for: by a compartment, a patient or subject, or a chain there."""
    naming: list[Clause | Join] = [each for each in query.clauses if each.missing is None]
    naming += [each for each in query.joins if each.linked is None]
    return bool(query.any_of) or any(each.parameter in _OF_A_PERSON for each in naming)
