"""The codes of a ValueSet, for `:in` and `:not-in`.

https://hl7.org/fhir/R4/valueset.html

An expansion says them; else `compose` does: by concepts that it lists, other value sets, code systems as a whole, and
what stands below a code, for which the other definitions must be stored here. What only a terminology server could work
out (other filters, code systems that are not here whole) is refused rather than answered in part.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import reduce

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.search.hierarchy import BELOW, all_codes, related_codes
from fhir_server.search.query import Token

Other = Callable[[str, str], Resource]
"""The stored ValueSet or CodeSystem, the first argument, of a url, perhaps with a version. Raises MalformedRequest."""

MOST_READ = 32
"""How many other definitions one value set may need."""


def codes_of(value_set: Resource, most: int, other: Other) -> list[Token]:
    """The codes with their systems. Raises MalformedRequest when they cannot be told, or are more than `most`."""
    found = _Reading(most, other).codes(value_set, ())
    if len(found) > most:
        raise MalformedRequest(f"The value set has more than {most} codes; a search takes no more.")
    return sorted(found, key=lambda token: (token.system or "", token.code or ""))


class _Reading:
    """The reading of one value set and of what it is made of."""

    def __init__(self, most: int, other: Other) -> None:
        self._most = most
        self._other = other
        self._read: dict[tuple[str, str], Resource] = {}

    def codes(self, value_set: Resource, within: tuple[str, ...]) -> set[Token]:
        """The codes of a value set that stands `within` others of these urls."""
        if "expansion" in value_set:
            return set(_contained(value_set["expansion"].get("contains", ())))
        name = f"ValueSet/{value_set.get('id')}"
        compose, around = value_set.get("compose", {}), (*within, value_set.get("url", name))
        included = [self._part(each, name, around) for each in compose.get("include", ())]
        excluded = [self._part(each, name, around) for each in compose.get("exclude", ())]
        return set().union(*included) - set().union(*excluded)

    def _part(self, part: Resource, name: str, around: tuple[str, ...]) -> set[Token]:
        """What all that a part says have in common."""
        said = [self._nested(url, around) for url in part.get("valueSet", ())]
        if "concept" in part:
            said.append({Token(part.get("system"), each["code"]) for each in part["concept"]})
        elif "system" in part:
            said.append(self._of_system(part, name))
        if not said:
            raise MalformedRequest(f"A part of {name} names no codes; store it with its expansion.")
        return reduce(set.intersection, said)

    def _nested(self, url: str, around: tuple[str, ...]) -> set[Token]:
        if url.partition("|")[0] in around:
            raise MalformedRequest(f"The value set {url} is part of itself.")
        return self.codes(self._definition("ValueSet", url), around)

    def _of_system(self, part: Resource, name: str) -> set[Token]:
        """All codes of a system, or those that every filter leaves."""
        version = f"|{part['version']}" if "version" in part else ""
        code_system = self._definition("CodeSystem", f"{part['system']}{version}")
        left = [set(all_codes(code_system))]
        for each in part.get("filter", ()):
            below = _FILTERS.get((each.get("property"), each.get("op")))
            if below is None:
                raise MalformedRequest(f"A filter of {name} is not worked out here; store it with its expansion.")
            left.append(below(code_system, each["value"], self._most))
        return {Token(part["system"], code) for code in reduce(set.intersection, left)}

    def _definition(self, type_name: str, url: str) -> Resource:
        if (type_name, url) not in self._read:
            if len(self._read) == MOST_READ:
                raise MalformedRequest(
                    f"The value set needs more than {MOST_READ} others; store it with its expansion."
                )
            self._read[type_name, url] = self._other(type_name, url)
        return self._read[type_name, url]


def _below(code_system: Resource, code: str, most: int) -> set[str]:
    return set(related_codes(code_system, code, BELOW, most))


_FILTERS: Mapping[tuple[str | None, str | None], Callable[[Resource, str, int], set[str]]] = {
    ("concept", "is-a"): _below,
    ("concept", "descendent-of"): lambda system, code, most: _below(system, code, most) - {code},
}


def _contained(entries: list[Resource]) -> Iterator[Token]:
    for entry in entries:
        if "code" in entry and not entry.get("abstract"):
            yield Token(entry.get("system"), entry["code"])
        yield from _contained(entry.get("contains", []))
