"""The error invariants of R4, by the path of the element that they speak of.

What FHIR writes as FHIRPath stands here as small closures, each with its key in R4 and a sentence of ours. They are
asked only about elements whose structure is clean. `HELD_ELSEWHERE` names the others.
"""

from fhir_server.validation.invariants import (
    bundles,
    chart,
    conformance,
    coordination,
    datatypes,
    element_definitions,
    measures,
    people,
    questionnaires,
    structure_definitions,
    terminology,
)
from fhir_server.validation.invariants.words import Invariant, Invariants

_PAGES = (
    bundles,
    chart,
    conformance,
    coordination,
    datatypes,
    element_definitions,
    measures,
    people,
    questionnaires,
    structure_definitions,
    terminology,
)

HELD_ELSEWHERE = {
    "ele-1": "structure: an element has a value or children",
    "dom-2": "structure: what contained resources may not have",
    "dom-3": "references: what nothing refers to",
    "dom-4": "structure: what contained resources may not have",
    "dom-5": "structure: what contained resources may not have",
    "ref-1": "references: what is not contained",
    "sqty-1": "structure: a SimpleQuantity has no comparator among its elements",
    "txt-1": "narrative",
    "txt-2": "narrative",
    "eld-11": "nowhere: R4 wrote it so that any type fulfils it",
}
"""Error invariants of R4 that are not closures here, and where they are held."""

INVARIANTS: Invariants = {path: held for page in _PAGES for path, held in page.INVARIANTS.items()}

__all__ = ["HELD_ELSEWHERE", "INVARIANTS", "Invariant", "Invariants"]
