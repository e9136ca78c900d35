"""Parts of resources as `_summary` and `_elements` ask for them, tagged SUBSETTED: what is so tagged is not stored.

https://hl7.org/fhir/R4/search.html#summary
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fhir_server.definitions.structures import load
from fhir_server.definitions.summaries import needed_elements, spelt, summary_paths
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource, encode
from fhir_server.interactions.parameters import SUBSETTING
from fhir_server.search.query import Query
from fhir_server.search.shown import elements_named
from fhir_server.store.values import Match, Page, Shown, Stored

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}

_ALWAYS = frozenset({"resourceType", "id", "meta"})


def is_part(resource: Resource) -> bool:
    """Whether the resource says that it is not whole; the tag may have a display and a version beside its code."""
    tags = resource.get("meta", {}).get("tag", ())
    return any((tag.get("system"), tag.get("code")) == (SUBSETTED["system"], SUBSETTED["code"]) for tag in tags)


def subset_of(page: Page[Shown], query: Query) -> Page[Shown]:
    """The page with its matches cut to what the query asks of them; what is included stays whole."""
    if query.elements:
        return _cut(page, lambda resource: _only(resource, frozenset(query.elements)))
    cut = _SUMMARIES.get(query.summary or "")
    return _cut(page, cut) if cut else page


def part_asked(types: Sequence[str], parameters: Sequence[tuple[str, str]]) -> Callable[[Resource], Resource] | None:
    """How `_summary` or `_elements` cut a resource of one of the types, where no search counts; None when it is whole.

    Raises MalformedRequest.
    """
    asked = [pair for pair in parameters if pair[0] in SUBSETTING and pair[1]] if types else []
    if not asked:
        return None
    given = dict(asked)
    summary, elements = given.get("_summary", "false"), given.get("_elements")
    if len(given) < len(asked):
        raise MalformedRequest("'_summary' and '_elements' may be given once.", rule="parameter-value")
    if summary not in _WORDS:
        told = f"'_summary' takes {', '.join(_WORDS)}, not {summary!r}; only a search counts."
        raise MalformedRequest(told, rule="parameter-value")
    if elements is None:
        return _SUMMARIES.get(summary)
    if summary != "false":
        told = "'_summary' and '_elements' each say what to leave out; give one of them."
        raise MalformedRequest(told, rule="parameter-value")
    named = frozenset(elements_named(types, elements))
    return lambda resource: _only(resource, named)


def part_of(stored: Stored, parameters: Sequence[tuple[str, str]]) -> bytes:
    """The bytes of a version, cut to what `_summary` or `_elements` of a read asks. Raises MalformedRequest."""
    [part] = parts_of([stored], part_asked([stored.type], parameters))
    return part.body


def parts_of(versions: Sequence[Stored], cut: Callable[[Resource], Resource] | None) -> Sequence[Stored]:
    """The versions, each cut; what was deleted has nothing to leave out."""
    if cut is None:
        return versions
    return [each if each.deleted else replace(each, body=_part(each, cut)) for each in versions]


def _cut(page: Page[Shown], cut: Callable[[Resource], Resource]) -> Page[Shown]:
    return replace(page, matches=tuple(_tagged(stored, cut) for stored in page.matches))


def _tagged(shown: Shown, cut: Callable[[Resource], Resource]) -> Match:
    return Match(shown.type, shown.id, _part(shown, cut), shown.stamp)


def _part(shown: Shown, cut: Callable[[Resource], Resource]) -> bytes:
    resource = shown.resource()  # with `_containedType=contained` of another type than what it is stored in
    return encode(marked(cut(resource), resource["resourceType"]))


def marked(resource: Resource, type_name: str) -> Resource:
    """The resource with the tag that says it is not whole."""
    meta = resource.get("meta", {})
    tagged = {**meta, "tag": [*(tag for tag in meta.get("tag", ()) if tag != SUBSETTED), SUBSETTED]}
    return {"resourceType": type_name, **resource, "meta": tagged}


def _only(resource: Resource, named: frozenset[str]) -> Resource:
    """The named elements, and those that none may go without."""
    type_name = resource["resourceType"]
    kept, names = named | needed_elements(type_name), spelt(type_name)
    return {
        name: value
        for name, value in resource.items()
        if name in _ALWAYS or names.get(name.removeprefix("_"), name) in kept
    }


def _summary(resource: Resource) -> Resource:
    type_name = resource["resourceType"]
    return _within(resource, type_name, "", summary_paths(type_name))


def _within(node: Mapping[str, Any], path: str, below: str, kept: frozenset[str]) -> dict[str, Any]:
    """The summary's part of an element that has elements of the type itself; datatypes stay whole."""
    elements = {
        name: (each.name, type_name) for each in load().elements(path) for name, type_name in each.json_names().items()
    }
    found: dict[str, Any] = {}
    for name, value in node.items():
        element, type_name = elements.get(name.removeprefix("_"), ("", ""))
        if below + element in kept:
            found[name] = _each(value, type_name.removeprefix("#"), kept) if type_name.startswith("#") else value
    return found


def _each(value: Any, path: str, kept: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_each(item, path, kept) for item in value]
    below = path.partition(".")[2] + "."
    return _within(value, path, below, kept) if isinstance(value, dict) else value


def _text(resource: Resource) -> Resource:
    return _only(resource, frozenset({"text"}))


def _data(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "text"}


_SUMMARIES: Mapping[str, Callable[[Resource], Resource]] = {"true": _summary, "text": _text, "data": _data}
_WORDS = (*_SUMMARIES, "false")
