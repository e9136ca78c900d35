"""Conditional references: `Patient?identifier=system|value` in an entry of a Bundle, and whom it means.

https://hl7.org/fhir/R4/http.html#trules
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from fhir_server.access.types import TYPES
from fhir_server.fhir.errors import FhirError, InvalidResource, MultipleMatches
from fhir_server.fhir.outcome import Issue
from fhir_server.fhir.reference import references_in
from fhir_server.interactions.gate.asks import Ask
from fhir_server.interactions.gate.matching import Condition, matches, read_condition, said
from fhir_server.interactions.gate.references import local
from fhir_server.interactions.gate.working_set import WorkingSet
from fhir_server.interactions.words import Services

_CONDITIONAL = re.compile(r"(?P<type>[A-Z][A-Za-z]{1,63})\?(?P<query>.+)")


def find_meant(ask: Ask, targets: dict[str, str], working: WorkingSet, services: Services) -> None:
    """Add to `targets` what each conditional reference of a Bundle's entry means: `Patient?identifier=system|value`.

    It means what an entry under the same condition makes, else the one resource that its writer may read.
    """
    issues = list[Issue]()
    for path, reference in references_in(ask.resource or {}, ask.type) if ask.place else ():
        stated = _CONDITIONAL.fullmatch(local(reference, services.base_url))
        if stated is None or stated["type"] not in TYPES or reference in targets:
            continue
        try:
            targets[reference] = _meant(
                stated["type"], read_condition(stated["query"], stated["type"]), targets, working, services
            )
        except MultipleMatches as error:
            raise ask.located(MultipleMatches(issues=[replace(issue, path=path) for issue in error.issues])) from error
        except FhirError as error:
            issues += [replace(issue, path=path) for issue in error.issues]
    if issues:
        raise ask.located(InvalidResource(issues=issues))


def _meant(
    type_name: str, condition: Condition, targets: Mapping[str, str], working: WorkingSet, services: Services
) -> str:
    made = targets.get(said(type_name, condition))
    if made is not None:
        return made
    found = matches(type_name, condition, working, services, what="A conditional reference", guarded=False)
    if not found:
        told = f"There is no {type_name} that this condition matches, or you may not read it."
        raise InvalidResource(issues=[Issue("not-found", told, rule="reference")])
    return found[0].reference
