"""Where a Reference may point: its form, the types its element allows, and references into `contained`.

https://hl7.org/fhir/R4/references.html
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import references_in
from fhir_server.validation.findings import NONE, Check, Finding, Findings, Locals, below, finding, quoted

_ID = r"[A-Za-z0-9\-.]{1,64}"
_LITERAL = re.compile(
    rf"(?P<base>https?://[^?#\s]*/)?(?P<type>[A-Z][A-Za-z]+)(?:/{_ID}(?:/_history/{_ID})?(?:#.*)?|\?\S+)"
)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_UNREADABLE = finding(
    "value",
    "This must be Type/id of an R4 resource type, an absolute URL, urn:uuid:..., or #id of a contained resource.",
)
_CORE = "http://hl7.org/fhir/StructureDefinition/"


def reference_check(structure: Check, resource_types: frozenset[str], targets: frozenset[str]) -> Check:
    """A check of one Reference element that may point to `targets`; none means any type.

    The type is read from `Type/id`, from an absolute url that ends so, from `Type?query` and from `Reference.type`.
    """

    def check(value: Any, local: Locals) -> Findings:
        found = structure(value, local)
        if found:
            return found
        literal, stated = value.get("reference"), value.get("type")
        pointed: str | None = None
        if literal is not None:
            if literal[0] == "#":
                local.append((literal, targets))
            else:
                match = _LITERAL.fullmatch(literal)
                if match and match["type"] in resource_types:
                    pointed = match["type"]
                elif not _ABSOLUTE.fullmatch(literal):
                    return below(".reference", _UNREADABLE)
                if pointed and targets and pointed not in targets:
                    return below(".reference", _wrong_target(pointed, targets))
        if stated is None:
            return NONE
        return below(".type", _type_findings(stated.removeprefix(_CORE), pointed, resource_types, targets))

    return check


def local_findings(resource: Resource, local: Locals) -> Iterator[Finding]:
    """What is wrong with references into `contained` (ref-1), and contained resources that nothing uses (dom-3)."""
    contained = resource.get("contained", ())
    types = {"#" + c["id"]: c["resourceType"] for c in contained if "id" in c} | {"#": resource["resourceType"]}
    for literal, targets in dict.fromkeys(local):
        if literal not in types:
            text = f"{quoted(literal)} must be the id of a contained resource."
            yield from _at_each(resource, literal, finding("invariant", text, "ref-1"))
        elif targets and types[literal] not in targets:
            yield from _at_each(resource, literal, _wrong_target(types[literal], targets))
    for position, unused in enumerate(contained):
        if "id" in unused and not _is_used(resource, unused):
            text = "A contained resource must be referenced from the resource around it, or refer to it."
            yield from below(f".contained[{position}]", finding("invariant", text, "dom-3"))


def _is_used(resource: Resource, contained: Resource) -> bool:
    """dom-3. Any string that is `#id` counts, because canonicals and uris may name a contained resource, too."""
    anchor = "#" + contained["id"]
    return any(text == anchor for text in _strings(resource)) or any(text == "#" for text in _strings(contained))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _strings(child)


def _at_each(resource: Resource, literal: str, found: Findings) -> Iterator[Finding]:
    for path, text in references_in(resource):
        if text == literal:
            yield from below("." + path, found)


def _type_findings(
    stated: str, pointed: str | None, resource_types: frozenset[str], targets: frozenset[str]
) -> Findings:
    if stated not in resource_types:
        return finding("code-invalid", f"{quoted(stated)} must be a resource type of R4.")
    if targets and stated not in targets:
        return _wrong_target(stated, targets)
    if pointed and pointed != stated:
        return finding("value", f"The type must be {pointed}, as the reference says.")
    return NONE


def _wrong_target(pointed: str, targets: Iterable[str]) -> Findings:
    return finding("value", f"A reference to {pointed} may not stand here; allowed are {', '.join(sorted(targets))}.")
