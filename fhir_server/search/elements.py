"""Where a resource has the values of a search parameter."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.definitions.value_paths import RESOLVED, ElementPath, Step
from fhir_server.fhir.json import Resource

EXISTENCE = "existence"

_BESIDE = frozenset({"extension", "id"})
_Inside: TypeAlias = dict[str, set[str]]
"""The types of what a resource contains by its ids, once something points there: thousands of references may."""
_SAYING = frozenset({"code", "end", "family", "reference", "start", "system", "text", "value"})


def values_of(resource: Resource, parameter: SearchParameter) -> list[tuple[str, Any]]:
    """The values of the parameter in `resource`, each with its datatype."""
    if parameter.paths[0].datatype == EXISTENCE:
        return [("boolean", any(value is not False for path in parameter.paths for value in values_at(resource, path)))]
    if resource.keys().isdisjoint(parameter.elements):  # most are not there
        return []
    return [
        (path.datatype, value)
        for path in parameter.paths
        if path.steps[0].name in resource
        for value in values_at(resource, path)
    ]


def values_at(resource: Resource, path: ElementPath) -> Iterator[Any]:
    """What a path leads to in `resource`."""
    nodes: list[Any] = [resource]
    inside: _Inside = {}
    for step in path.steps:
        nodes = [child for node in nodes for child in _children(node, step, resource, inside)]
    if path.only is None:
        return iter(nodes)
    return (each for each in nodes if _points_to(path.only, each, resource, inside))


def elements_at(resource: Resource, path: ElementPath | None) -> list[Resource]:
    """The elements that a path leads to, the resource itself without one; what is no element is none."""
    return [resource] if path is None else [each for each in values_at(resource, path) if isinstance(each, dict)]


def states(value: Any) -> bool:
    """Whether a value says anything beside extensions, which often say why there is none."""
    if isinstance(value, dict):
        # Each write asks this of each value, and most have one of these.
        return not _SAYING.isdisjoint(value) or any(
            name not in _BESIDE and name[0] != "_" and states(each) for name, each in value.items()
        )
    return any(map(states, value)) if isinstance(value, list) else value is not None


def _children(node: Any, step: Step, resource: Resource, inside: _Inside) -> Iterator[Any]:
    found = node.get(step.name) if isinstance(node, dict) else None
    for child in found if isinstance(found, list) else (found,):
        if child is not None and (step.element is None or _is_meant(child, step, resource, inside)):
            yield child


def _is_meant(child: Any, step: Step, resource: Resource, inside: _Inside) -> bool:
    if step.element == RESOLVED:
        return _points_to(str(step.value), child, resource, inside)
    return _has(child, str(step.element), step.value)


def _has(child: Any, element: str, value: str | None) -> bool:
    name, _, inner = element.partition(".")
    found = child.get(name) if isinstance(child, dict) else None
    if not inner:
        return found in (value, [value])  # FHIRPath compares a list with a text when it has one item
    return any(_has(each, inner, value) for each in (found if isinstance(found, list) else (found,)))


def _points_to(type_name: str, reference: Any, resource: Resource, inside: _Inside) -> bool:
    """Whether a Reference points to a resource of the type, by its address, its `type` or what is contained."""
    if not isinstance(reference, dict):
        return False
    address = reference.get("reference")
    if isinstance(address, str) and address.startswith("#"):
        if not inside:
            for each in resource.get("contained", ()):
                inside.setdefault(each.get("id"), set()).add(each.get("resourceType"))
        return type_name in inside.get(address[1:], ())
    told = address.partition("/_history/")[0].split("/")[-2:-1] if isinstance(address, str) else []
    return bool((told[0] if told and told[0][:1].isupper() else reference.get("type")) == type_name)
