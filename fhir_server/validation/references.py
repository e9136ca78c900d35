"""Where a Reference may point: its form, the types its element allows, and references into `contained`.

https://hl7.org/fhir/R4/references.html
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
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
_NO_DEFINITION = below(
    ".url",
    finding(
        "value",
        "This must be the absolute URL of the extension's definition; only a part of an extension has a bare name.",
        "extension-url",
    ),
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


def named_extension_check(structure: Check) -> Check:
    """A check of an extension that is no part of another one: its url is that of a definition, which is absolute."""

    def check(value: Any, local: Locals) -> Findings:
        return structure(value, local) or (NONE if _ABSOLUTE.fullmatch(value["url"]) else _NO_DEFINITION)

    return check


_CONTAINED_MAY_NOT: tuple[tuple[str, str, Callable[[Resource], bool], str], ...] = (
    ("dom-2", ".contained", lambda c: "contained" in c, "A contained resource must not contain resources itself."),
    ("dom-4", ".meta.versionId", lambda c: "versionId" in c.get("meta", ()), "A contained resource has no version."),
    ("dom-4", ".meta.lastUpdated", lambda c: "lastUpdated" in c.get("meta", ()), "A contained resource has no date."),
    ("dom-5", ".meta.security", lambda c: "security" in c.get("meta", ()), "Security labels belong to the container."),
)


def contained_findings(contained: Resource) -> list[Finding]:
    """What a contained resource says that it may not, being contained (dom-2, dom-4, dom-5)."""
    return [
        Finding(path, "invariant", text, key) for key, path, breaks, text in _CONTAINED_MAY_NOT if breaks(contained)
    ]


def local_findings(resource: Resource, local: Locals) -> Iterator[Finding]:
    """What is wrong with references into `contained` (ref-1), with the ids there, and contained resources that nothing
    uses (dom-3); without an id nothing can."""
    contained = resource.get("contained", ())
    references = [(literal, targets) for literal, targets in local if targets is not None]
    types = {"#" + c["id"]: c["resourceType"] for c in contained if "id" in c} | {"#": resource["resourceType"]}
    broken = {
        literal: found for literal, targets in references if (found := _local_target(types.get(literal), targets))
    }
    for path, literal in references_in(resource) if broken else ():
        yield from below("." + path, broken.get(literal, NONE))
    yield from _repeated_ids(contained)
    unused = set(types) - {"#"} - {literal for literal, _ in references}
    if unused or any("id" not in each for each in contained):
        yield from _unused_findings(resource, unused)


def _local_target(pointed: str | None, targets: frozenset[str]) -> Findings:
    if pointed is None:
        return finding("invariant", "This must be # and the id of a contained resource.", "ref-1")
    return _wrong_target(pointed, targets) if targets and pointed not in targets else NONE


def _unused_findings(resource: Resource, unused: set[str]) -> Iterator[Finding]:
    """dom-3, beyond References: canonicals and uris may name a contained resource, so any string `#id` counts."""
    named = {text for text in _strings(resource) if text.startswith("#")}
    for position, contained in enumerate(resource["contained"]):
        anchor = "#" + contained["id"] if "id" in contained else None
        is_named = anchor is not None and (anchor not in unused or anchor in named)
        if not is_named and "#" not in _strings(contained):
            text = "A contained resource must be referenced from the resource around it, by its id, or refer to it."
            yield from below(f".contained[{position}]", finding("invariant", text, "dom-3"))


def _repeated_ids(contained: Sequence[Resource]) -> Iterator[Finding]:
    """A reference to one of two of the same id would say neither."""
    seen: set[str] = set()
    for position, each in enumerate(contained):
        if "id" not in each:
            continue
        if each["id"] in seen:
            text = "Another contained resource has this id; ids are unique within a resource."
            yield from below(f".contained[{position}].id", finding("value", text, "contained-id"))
        seen.add(each["id"])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _strings(child)


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
