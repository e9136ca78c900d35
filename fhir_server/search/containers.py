"""What a resource contains, and which of it refers to which: the ways that a chain may go within one container.

https://hl7.org/fhir/R4/references.html#contained

The database cannot go from one element of an array to another. So each way is written out: below a contained resource
stand those that it refers to, below these the next, the shorter ways first. Resources may refer to each other in
circles and in all directions, so the ways have an end, which is the same in the database and in memory.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.json import Resource, encode
from fhir_server.fhir.reference import targets_in
from fhir_server.search.elements import values_of
from fhir_server.search.joins import MOST_LINKS
from fhir_server.search.texts import Wording, wordings_of

MOST_WRITTEN = 500_000
"""How many bytes of JSON the resources have, at most, to which the ways from one contained resource to another lead."""


class Contents:
    """What one container contains that can be searched."""

    def __init__(self, container: Resource) -> None:
        self.resources: Sequence[Resource] = [
            each
            for each in container.get("contained", ())
            if isinstance(each, dict) and each.get("resourceType") in RESOURCE_TYPES
        ]

        self._wordings: dict[str, Mapping[int, Wording]] = {}

    def wording(self, at: int) -> Wording:
        """What the one at this place says, as far as room is for what all of its type say."""
        type_name = self.resources[at]["resourceType"]
        if type_name not in self._wordings:
            alike = {at: each for at, each in enumerate(self.resources) if each["resourceType"] == type_name}
            self._wordings[type_name] = dict(zip(alike, wordings_of(alike.values()), strict=True))
        return self._wordings[type_name][at]


@dataclass(slots=True)
class Inner:
    """A contained resource at the end of one way to it, the one at the place `at` of the contents.

    `seen` is the resource as it is searched: it holds what it refers to beside it, for there references are looked up.
    `by` are the parameters by which what stands before it on the way refers to it; `inner` is where the way goes on.
    """

    of: Contents
    at: int
    seen: Resource
    by: Sequence[str]
    inner: list["Inner"] = field(default_factory=list)

    @property
    def resource(self) -> Resource:
        """The resource as it stands in its container."""
        return self.of.resources[self.at]

    @property
    def wording(self) -> Wording:
        """What the resource says."""
        return self.of.wording(self.at)


def inner_of(container: Resource) -> list[Inner]:
    """The contained resources that can be searched, in their order, each with the ways that lead on from it."""
    contents = Contents(container)
    contained = contents.resources
    if not contained:
        return []
    places = defaultdict[str, list[int]](list)
    for at, each in enumerate(contained):
        places[f"#{each['id']}" if "id" in each else ""].append(at)
    by = {at: codes for address, codes in _referring(container).items() for at in places.get(address, ())}
    found = [Inner(contents, at, _seen(each, contained, places), by.get(at, ())) for at, each in enumerate(contained)]
    links = [_links(each, places) for each in found]
    if any(links):
        _lead_on(found, links)
    return found


def _seen(resource: Resource, contained: Sequence[Resource], places: Mapping[str, Sequence[int]]) -> Resource:
    beside = [contained[at] for address in sorted(targets_in(resource)) for at in places.get(address, ())]
    return {**resource, "contained": beside} if beside else resource


def _links(inner: Inner, places: Mapping[str, Sequence[int]]) -> Sequence[tuple[int, Sequence[str]]]:
    """The places of those that a contained resource refers to, each with the parameters."""
    if inner.seen is inner.resource and not _names_canonicals(inner.resource["resourceType"]):
        return []
    return [(at, codes) for address, codes in _referring(inner.seen).items() for at in places.get(address, ())]


def _names_canonicals(type_name: str) -> bool:
    return any(each.type == "reference" and each.is_canonical for each in parameters_of(type_name).values())


def _lead_on(found: Sequence[Inner], links: Sequence[Sequence[tuple[int, Sequence[str]]]]) -> None:
    """Write the ways out, the shorter ones first, until there are no more or MOST_WRITTEN is reached."""
    sizes = {at: len(encode(found[at].resource)) for at in {at for to in links for at, _ in to}}
    left, ends = MOST_WRITTEN, list(enumerate(found))
    for _ in range(MOST_LINKS):
        further = []
        for at, end in ends:
            for to, by in links[at]:
                left -= sizes[to]
                if left < 0:
                    return
                end.inner.append(replace(found[to], by=by, inner=[]))
                further.append((to, end.inner[-1]))
        ends = further


def _referring(resource: Resource) -> Mapping[str, Sequence[str]]:
    """The parameters by which a resource refers to what is contained, by the reference, such as `#device`."""
    found = defaultdict[str, dict[str, None]](dict)
    for parameter in parameters_of(resource["resourceType"]).values():
        for _, value in values_of(resource, parameter) if parameter.type == "reference" else ():
            address = value.get("reference") if isinstance(value, dict) else value
            if isinstance(address, str) and address.startswith("#"):
                found[address][parameter.code] = None
    return {address: list(codes) for address, codes in found.items()}
