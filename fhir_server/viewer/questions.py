"""What the pages ask: always of the interactions, as the signed-in person, so every answer is judged and audited."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from fhir_server.access.grants import needs_circles
from fhir_server.access.types import TYPES
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.dates import time_range
from fhir_server.fhir.errors import NotFound
from fhir_server.fhir.json import Resource, decode
from fhir_server.fhir.reference import parse_reference, reference_to
from fhir_server.interactions.perform import perform
from fhir_server.interactions.words import Interaction, Services

Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Found:
    """One page of a search: matches in their order, what they include by reference, the total when asked, the cursor
    of the next page when there is one."""

    matches: tuple[Resource, ...] = ()
    included: Mapping[str, Resource] | None = None
    total: int | None = None
    cursor: str | None = None

    def get(self, reference: str | None) -> Resource | None:
        """An included resource."""
        return (self.included or {}).get(reference or "")


@dataclass(frozen=True)
class Version:
    """One version of a resource in its history; no content when that version is a deletion."""

    number: int
    at: datetime
    content: Resource | None


class Questions:
    """The questions of one person in one request; the moment stands still meanwhile."""

    def __init__(self, actor: Actor, services: Services) -> None:
        self.actor = actor
        self.moment = services.clock()
        self._services = services
        self._directory: dict[str, Resource | None] = {}

    def read(self, type_name: str, id: str) -> Resource:
        """The current version. Raises NotFound, Gone."""
        return self._ask(Interaction("read", type_name, id))

    def search(self, type_name: str, *parameters: tuple[str, str]) -> Found:
        """A page of a search; remembers included directory entries for `directory`."""
        bundle = self._ask(Interaction("search-type", type_name, parameters=parameters))
        entries = [(entry["search"]["mode"], entry["resource"]) for entry in bundle.get("entry", [])]
        included = {reference_to(resource): resource for mode, resource in entries if mode == "include"}
        self._directory.update(included)
        return Found(
            tuple(resource for mode, resource in entries if mode == "match"),
            included,
            bundle.get("total"),
            _next_cursor(bundle),
        )

    def history(self, type_name: str, id: str, count: int) -> list[Version]:
        """At most `count` versions, newest first; empty when the resource may not be read any more."""
        try:
            asked = Interaction("history-instance", type_name, id, parameters=(("_count", str(count)),))
            return [_version(entry) for entry in self._ask(asked).get("entry", [])]
        except NotFound:
            return []

    def directory(self, references: Iterable[str], about: str | None = None) -> dict[str, Resource]:
        """The resources behind `Type/id` references, those that may be read; one question for each type.

        What lies in a chart, such as a RelatedPerson, is asked only when `about` names the one `Patient/x` of it.
        """
        wanted = dict.fromkeys(references)
        missing: dict[str, list[str]] = defaultdict(list)
        for parsed in filter(None, map(parse_reference, wanted)):
            if str(parsed) not in self._directory and parsed.type in TYPES:
                missing[parsed.type].append(parsed.id)
        for type_name, ids in missing.items():
            if not needs_circles(type_name):
                self._learn(type_name, ids)
            elif about and TYPES[type_name].patient == "patient":
                self._learn(type_name, ids, ("patient", about))
        return {reference: known for reference in wanted if (known := self._directory.get(reference))}

    def _learn(self, type_name: str, ids: Sequence[str], *narrowed: tuple[str, str]) -> None:
        self._directory.update({f"{type_name}/{id}": None for id in ids})
        found = self.search(type_name, ("_id", ",".join(ids)), ("_count", str(len(ids))), *narrowed)
        self._directory.update({reference_to(resource): resource for resource in found.matches})

    def _ask(self, interaction: Interaction) -> Resource:
        answer = perform(interaction, self.actor, self._services)
        content: Resource = decode(answer.body or b"{}")
        return content


def _next_cursor(bundle: Resource) -> str | None:
    following = [link["url"] for link in bundle.get("link", []) if link["relation"] == "next"]
    return dict(parse_qsl(urlsplit(following[0]).query)).get("_cursor") if following else None


def _version(entry: Resource) -> Version:
    response = entry["response"]
    number = "".join(filter(str.isdigit, response["etag"]))
    return Version(int(number), time_range(response["lastModified"])[0], entry.get("resource"))
