"""A person who was purged, in the AuditEvents that stay: every reference to what was the person's becomes a pseudonym.

The same reference has the same pseudonym in one purge, so that the audit still says what happened to one resource. The
key is forgotten with the purge: then nobody can turn a pseudonym back, or try whether it is of a reference they know.
"""

import base64
import hmac
import re
from collections.abc import Iterable, Iterator
from typing import Any

from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import parse_reference
from fhir_server.search.grant import Stamp
from fhir_server.store.purges import Names

LEFT_OUT = "(purged)"

_REFERENCE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}")
_PARTS = re.compile(r"[^A-Za-z0-9.-]+")
_VALUE = r"(?<=[\s=|,$\"'(\[])(?:{})(?=[\s&|,$\"')\]]|\Z)"
"""One of these texts where a value stands in a question, or a part of one."""


class Pseudonyms:
    """The pseudonyms of one purge: of `references` (`Type/id`); `words` are the person's identifiers.

    With `searched` the values of every search are left out.
    """

    def __init__(self, key: bytes, references: Iterable[str], words: Iterable[str], *, searched: bool = False) -> None:
        self._searched = searched
        self._key = key
        self._references = frozenset(references)
        self._ids = {reference.partition("/")[2] for reference in self._references}
        said = "|".join(re.escape(_plain(word)) for word in sorted(words, key=len, reverse=True))
        self._said = re.compile(_VALUE.replace("{}", said or "(?!)"), re.IGNORECASE)

    def of(self, reference: str) -> str:
        """`Type/purged-...` for `Type/id`."""
        type_name = reference.partition("/")[0]
        return f"{type_name}/purged-{hmac.digest(self._key, reference.encode(), 'sha256').hex()[:40]}"

    def names(self, reference: str) -> bool:
        """Whether a literal reference, of whatever version, is to what was the person's."""
        parsed = parse_reference(reference)
        return parsed is not None and str(parsed) in self._references

    def event(self, event: Resource) -> Resource | None:
        """An AuditEvent without the person; None when it does not name it."""
        anew: Resource = self._without(event)
        about = anew != event
        entities = [self._asked(entity, about=about) for entity in anew.get("entity", [])]
        if not about and entities == event.get("entity", []):
            return None
        return {**anew, **({"entity": entities} if entities else {})}

    def stamp(self, stamp: Stamp) -> Stamp:
        """A stamp without the person and its plans."""
        patient = stamp.patient
        if patient is not None and patient in self._references:
            patient = self.of(patient)
        plans = tuple(plan for plan in stamp.plans if f"CarePlan/{plan}" not in self._references)
        return Stamp(patient, plans, stamp.readers, stamp.author, stamp.audience)

    def _without(self, value: Any) -> Any:
        """`value` with pseudonyms in all its texts: a reason names the plan as well."""
        if isinstance(value, dict):
            return {name: self._without(child) for name, child in value.items()}
        if isinstance(value, list):
            return [self._without(child) for child in value]
        return _REFERENCE.sub(self._renamed, value) if isinstance(value, str) else value

    def _renamed(self, found: re.Match[str]) -> str:
        return self.of(found[0]) if found[0] in self._references else found[0]

    def _asked(self, entity: Resource, *, about: bool) -> Resource:
        """An entity whose question may tell who the person is, with the names of the parameters alone."""
        if "query" not in entity:
            return entity
        query = _plain(base64.b64decode(entity["query"]).decode())
        without = self._said.sub(LEFT_OUT, query)
        tells = not self._ids.isdisjoint(_PARTS.split(query)) or without != query
        if not (about or tells or self._searched):
            return entity
        place, mark, asked = without.rpartition("?")
        kept = "&".join(self._pair(pair) for pair in asked.split("&"))
        return {**entity, "query": base64.b64encode(f"{self._without(place)}{mark}{kept}".encode()).decode()}

    def _pair(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        if self.names(value):
            return f"{name}={self.of(value)}"
        return f"{name}={LEFT_OUT}" if equals else str(self._without(pair))


def _plain(text: str) -> str:
    """A text as it stands in a question, without the marks of what is escaped there, once or twice."""
    return text.replace("\\", "")


def named(event: Resource, stamp: Stamp) -> frozenset[str]:
    """Everything that an AuditEvent and its stamp name, as `Type/id`."""
    asked = [base64.b64decode(entity["query"]).decode() for entity in event.get("entity", []) if "query" in entity]
    found = {each for text in [*_texts(event), *asked] for each in _REFERENCE.findall(text)}
    return frozenset({*found, *([stamp.patient] if stamp.patient else ()), *(f"CarePlan/{p}" for p in stamp.plans)})


def without(event: Resource, stamp: Stamp, names: Names) -> tuple[Resource, Stamp]:
    """An AuditEvent and its stamp without what `names` says."""
    pseudonyms = Pseudonyms(names.key, names.references, names.words, searched=names.searched)
    return pseudonyms.event(event) or event, pseudonyms.stamp(stamp)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for child in value.values():
            yield from _texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)
    elif isinstance(value, str):
        yield value
