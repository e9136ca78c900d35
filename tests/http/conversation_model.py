"""Who reads what, said once more and as simply as can be: what long conversations over HTTP are compared with.

It knows persons with one plan each, and what organisations wrote about them; nothing of how the server keeps it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import rewrite_references

CHART = ("Observation", "Encounter", "Flag")
TYPES = (*CHART, "List", "Practitioner")
SYSTEM = "urn:test:conversations"


@dataclass(frozen=True)
class Past:
    """One version: what was said (None is a deletion), in which plan, and how the history tells of it."""

    number: int
    said: Resource | None
    plan: str | None
    method: str
    status: str

    @property
    def label(self) -> str | None:
        """How far it is restricted."""
        labels = (self.said or {}).get("meta", {}).get("security", [])
        return str(labels[0]["code"]) if labels else None


@dataclass
class Kept:
    """A resource: by whom, about whom, and its versions."""

    reference: str
    author: str
    person: str | None
    versions: list[Past] = field(default_factory=list)

    @property
    def type(self) -> str:
        """The type."""
        return self.reference.partition("/")[0]

    @property
    def id(self) -> str:
        """The id."""
        return self.reference.partition("/")[2]

    @property
    def now(self) -> Past:
        """The current version."""
        return self.versions[-1]


@dataclass
class Circle:
    """A plan about a person: who opened it, who keeps it, who works in it, and whether the person agrees.

    `at_work` are the accepted Tasks of those who work in it.
    """

    plan: str
    person: str
    opened_by: str
    kept_by: str
    at_work: dict[str, str]
    consent: str
    agreed: bool = True

    @property
    def members(self) -> set[str]:
        """The organisations that read the chart."""
        return {self.opened_by, self.kept_by, *self.at_work} if self.agreed else set()


@dataclass
class Model:
    """All that was written, and the circles."""

    circles: list[Circle]
    kept: dict[str, Kept] = field(default_factory=dict)

    def plan_of(self, who: str, person: str | None) -> str | None:
        """The plan that what `who` writes about the person lies in."""
        return next((each.plan for each in self.circles if each.person == person and who in each.members), None)

    def reads_person(self, who: str, person: str) -> bool:
        """Whether the Patient is read: by who opened its plan, who wrote it, and by members."""
        return any(each.person == person and who in {each.opened_by, *each.members} for each in self.circles)

    def knows(self, who: str, reference: str) -> bool:
        """Whether the resource, or that it was deleted, is known to `who`."""
        kept = self.kept.get(reference)
        return kept is not None and self._may(who, kept, kept.now)

    def reads(self, who: str, reference: str) -> bool:
        """Whether the current version is read."""
        return self.knows(who, reference) and self.kept[reference].now.said is not None

    def reads_version(self, who: str, kept: Kept, version: Past) -> bool:
        """Whether a version is read: who reads the current one reads those that were as open, in the same plan."""
        if not self._may(who, kept, kept.now):
            return False
        as_open = version.label in {None, kept.now.label} and version.plan in {None, kept.now.plan}
        return as_open or self._may(who, kept, version)

    def readable(self, who: str, *types: str) -> list[str]:
        """The references of all that is read of the types, in the order in which it was written."""
        return [each for each, kept in self.kept.items() if kept.type in types and self.reads(who, each)]

    def history(self, who: str, type_name: str) -> Iterator[tuple[str, Past]]:
        """The versions of the type that were seen by `who` in their time and are read now."""
        for reference, kept in self.kept.items():
            for version in kept.versions if kept.type == type_name else ():
                if self.reads_version(who, kept, version) and self._may(who, kept, version):
                    yield reference, version

    def write(self, who: str, reference: str, said: Resource | None, method: str) -> None:
        """A version more, unless it says what the last one said."""
        person = _subject(said) if said else None
        kept = self.kept.setdefault(reference, Kept(reference, who, person))
        if kept.versions and said is not None and kept.now.said is not None and same(said, kept.now.said):
            return
        plan = kept.now.plan if kept.versions else None
        if kept.type in CHART:
            plan = plan or self._led_to(said) or self.plan_of(who, kept.person)
        begins = not kept.versions or kept.now.said is None
        status = "204" if said is None else "201" if begins else "200"
        kept.versions.append(Past(len(kept.versions) + 1, said, plan, method, status))

    def _led_to(self, said: Resource | None) -> str | None:
        visit = (said or {}).get("encounter", {}).get("reference")
        return self.kept[visit].now.plan if visit in self.kept else None

    def _may(self, who: str, kept: Kept, version: Past) -> bool:
        if kept.type == "Practitioner" or who == kept.author:
            return True
        if kept.type == "List" or version.label == "V":
            return False
        return any(who in each.members for each in self.circles if each.plan == version.plan)


def same(one: Resource, other: Resource) -> bool:
    """Whether two resources say the same, apart from what the server writes into them."""
    return _said(one) == _said(other)


def _said(resource: Resource) -> str:
    meta = {name: value for name, value in resource.get("meta", {}).items() if name in {"tag", "security"}}
    return json.dumps({**resource, "id": None, "meta": meta}, sort_keys=True, default=str)


def _subject(said: Resource) -> str | None:
    reference = said.get("subject", {}).get("reference")
    return str(reference) if reference else None


def renamed(said: Resource, names: Mapping[str, str]) -> Resource:
    """The resource with the fullUrls of other entries replaced."""
    written: Resource = rewrite_references(said, lambda reference: names.get(reference, reference))
    return written
