"""What stands above and below a code in a CodeSystem, and which references stand above and below each other.

https://hl7.org/fhir/R4/codesystem.html#hierarchy

A concept stands below those that it is nested in, below its `parent` property, and above its `child` property. Only a
CodeSystem that is complete, and whose hierarchy says what is a kind of what, is answered from; no part of one.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource

ABOVE, BELOW = "above", "below"
DIRECTIONS = frozenset({ABOVE, BELOW})

PART_OF = {
    "CarePlan": "part-of",
    "Communication": "part-of",
    "Device": "parent",
    "Encounter": "part-of",
    "Location": "partof",
    "MedicationStatement": "part-of",
    "Organization": "partof",
    "Procedure": "part-of",
    "Task": "part-of",
}
"""The types whose resources stand below each other, each with the parameter that leads up."""

_MEANS = {f"http://hl7.org/fhir/concept-properties#{name}": name for name in ("parent", "child")}


def related_codes(code_system: Resource, code: str, direction: str, most: int) -> list[str]:
    """The code and all that stand above or below it.

    Raises MalformedRequest when the CodeSystem cannot say that, does not have the code, or there are more than `most`.
    """
    name = _complete(code_system)
    if code_system.get("hierarchyMeaning", "is-a") != "is-a":
        raise MalformedRequest(f"The hierarchy of {name} does not say what is a kind of what.")
    known, parents = _concepts(code_system)
    found = next((each for each in known if each == code), None)
    if found is None and code_system.get("caseSensitive") is False:
        found = next((each for each in known if each.casefold() == code.casefold()), None)
    if found is None:
        raise MalformedRequest(f"{name} has no code {code!r}.")
    related = _reached(found, parents if direction == ABOVE else _turned(parents))
    if len(related) > most:
        raise MalformedRequest(f"More than {most} codes of {name} stand {direction} {code!r}; a search takes no more.")
    return related


def all_codes(code_system: Resource) -> list[str]:
    """Every code that the CodeSystem has. Raises MalformedRequest when it is not complete."""
    _complete(code_system)
    return [concept["code"] for concept, _ in _nested(code_system.get("concept", []), None)]


def _complete(code_system: Resource) -> str:
    """What the CodeSystem is called. Raises MalformedRequest when it does not have all of its codes."""
    name = f"CodeSystem/{code_system.get('id')}"
    if code_system.get("content") != "complete":
        raise MalformedRequest(f"{name} is not complete, so it does not say which codes there are.")
    return name


Links = Mapping[str, set[str]]


def _concepts(code_system: Resource) -> tuple[list[str], Links]:
    """All codes, and the parents of each."""
    declared = {each.get("code"): _MEANS.get(each.get("uri", "")) for each in code_system.get("property", ())}
    meaning = {**{name: name for name in _MEANS.values()}, **{code: name for code, name in declared.items() if name}}
    known: list[str] = []
    parents: dict[str, set[str]] = defaultdict(set)
    for concept, nested_in in _nested(code_system.get("concept", []), None):
        code = concept["code"]
        known.append(code)
        if nested_in is not None:
            parents[code].add(nested_in)
        for each in concept.get("property", ()):
            other = each.get("valueCode")
            if other is not None and meaning.get(each.get("code")) == "parent":
                parents[code].add(other)
            elif other is not None and meaning.get(each.get("code")) == "child":
                parents[other].add(code)
    return known, parents


def _nested(concepts: list[Resource], nested_in: str | None) -> Iterator[tuple[Resource, str | None]]:
    waiting = [(concept, nested_in) for concept in concepts]
    while waiting:
        concept, above = waiting.pop()
        yield concept, above
        waiting += [(each, concept["code"]) for each in concept.get("concept", ())]


def _turned(links: Links) -> Links:
    turned: dict[str, set[str]] = defaultdict(set)
    for code, others in links.items():
        for other in others:
            turned[other].add(code)
    return turned


def _reached(start: str, links: Links) -> list[str]:
    """Whatever the links lead to, each once, although they may lead in a circle."""
    found, waiting = {start: None}, [start]
    while waiting:
        fresh = [each for each in sorted(links.get(waiting.pop(), ())) if each not in found]
        found.update(dict.fromkeys(fresh))
        waiting += fresh
    return list(found)
