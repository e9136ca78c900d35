"""Required bindings: the codes that an element must choose from.

https://hl7.org/fhir/R4/terminologies.html#required
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.validation.findings import NONE, Check, Findings, Locals, below, finding, quoted, wrong_type

MOST_NAMED = 30


def code_check(value_set: str, codes: Mapping[str, Sequence[str]]) -> Check:
    """A check of a `code` that is bound to `codes`."""
    allowed = frozenset(code for listed in codes.values() for code in listed)
    advice = _advice(value_set, sorted(allowed))

    def check(value: Any, _: Locals) -> Findings:
        if type(value) is not str:
            return wrong_type(value, "a string")
        return NONE if value in allowed else finding("code-invalid", f"{quoted(value)} {advice}")

    return check


def concept_check(structure: Check, value_set: str, codes: Mapping[str, Sequence[str]]) -> Check:
    """A check of a CodeableConcept of which at least one coding must be in `codes`, by system and code."""
    allowed = frozenset((system, code) for system, listed in codes.items() for code in listed)
    advice = "One coding " + _advice(value_set, sorted(f"{system}|{code}" for system, code in allowed))

    def check(value: Any, local: Locals) -> Findings:
        found = structure(value, local)
        if found or any((c.get("system"), c.get("code")) in allowed for c in value.get("coding", ())):
            return found
        return below(".coding", finding("code-invalid", advice))

    return check


def _advice(value_set: str, allowed: Sequence[str]) -> str:
    """A sentence end that names the codes, or the value set alone where the list would be long."""
    if len(allowed) > MOST_NAMED:
        return f"must be a code of {value_set}."
    return f"must be a code of {value_set}: {', '.join(allowed)}."
