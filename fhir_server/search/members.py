"""The codes of a ValueSet that names them one by one, for `:in` and `:not-in`.

https://hl7.org/fhir/R4/valueset.html

An expansion says them; else the concepts that `compose` lists. What only a terminology server could work out (filters,
whole code systems, other value sets) is refused rather than answered in part.
"""

from collections.abc import Iterator

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.search.query import Token


def codes_of(value_set: Resource, most: int) -> list[Token]:
    """The codes with their systems. Raises MalformedRequest when they are not all named, or are more than `most`."""
    if "expansion" in value_set:
        found = set(_contained(value_set["expansion"].get("contains", ())))
    else:
        compose = value_set.get("compose", {})
        found = set(_listed(value_set, compose.get("include", ()))) - set(
            _listed(value_set, compose.get("exclude", ()))
        )
    if len(found) > most:
        raise MalformedRequest(f"The value set has more than {most} codes; a search takes no more.")
    return sorted(found, key=lambda token: (token.system or "", token.code or ""))


def _contained(entries: list[Resource]) -> Iterator[Token]:
    for entry in entries:
        if "code" in entry and not entry.get("abstract"):
            yield Token(entry.get("system"), entry["code"])
        yield from _contained(entry.get("contains", []))


def _listed(value_set: Resource, parts: list[Resource]) -> Iterator[Token]:
    for part in parts:
        if "concept" not in part or "valueSet" in part:
            raise MalformedRequest(
                f"The codes of ValueSet/{value_set.get('id')} are not all named in it; store it with its expansion."
            )
        yield from (Token(part.get("system"), each["code"]) for each in part["concept"])
