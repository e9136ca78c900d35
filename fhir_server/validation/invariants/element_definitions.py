"""Invariants of ElementDefinition. https://hl7.org/fhir/R4/elementdefinition.html"""

import re

from fhir_server.validation.invariants.words import Fields, Invariant, Invariants, choice, distinct, has, has_any

_SLICE_NAME = re.compile(r"[a-zA-Z0-9/\-_\[\]@]+")
_STEP = r"[^\s.,:;'\"/|?!@#$%&*()\[\]{}]{1,64}"
_PATH = re.compile(rf"{_STEP}(?:\.{_STEP}(?:\[x\])?(?::[^\s.]+)?)*")
_NOT_WITH_CONTENT_REFERENCE = ("defaultValue", "fixed", "pattern", "minValue", "maxValue")


def _max_is_count(element: Fields) -> bool:
    return "max" not in element or element["max"] == "*" or str(element["max"]).isdecimal()


def _min_up_to_max(element: Fields) -> bool:
    if "min" not in element or "max" not in element or not _max_is_count(element):
        return True
    return bool(element["max"] == "*" or element["min"] <= int(element["max"]))


def _content_reference_alone(element: Fields) -> bool:
    if not has(element, "contentReference"):
        return True
    chosen = any(choice(element, name) for name in _NOT_WITH_CONTENT_REFERENCE)
    return not chosen and not has_any(element, "type", "example", "maxLength", "binding")


INVARIANTS: Invariants = {
    "ElementDefinition": (
        Invariant("eld-2", "min must not be greater than max.", _min_up_to_max),
        Invariant("eld-3", "max must be a whole number or *.", _max_is_count),
        Invariant("eld-5", "An element with a contentReference states no type or values.", _content_reference_alone),
        Invariant(
            "eld-6",
            "A fixed value goes with one type.",
            lambda e: choice(e, "fixed") is None or len(e.get("type", ())) <= 1,
        ),
        Invariant(
            "eld-7",
            "A pattern goes with one type.",
            lambda e: choice(e, "pattern") is None or len(e.get("type", ())) <= 1,
        ),
        Invariant(
            "eld-8",
            "Either a pattern or a fixed value may be given, not both.",
            lambda e: choice(e, "pattern") is None or choice(e, "fixed") is None,
        ),
        Invariant("eld-13", "Each type must come once.", lambda e: distinct(t.get("code") for t in e.get("type", ()))),
        Invariant(
            "eld-14",
            "Each constraint key must come once.",
            lambda e: distinct(c.get("key") for c in e.get("constraint", ())),
        ),
        Invariant(
            "eld-15",
            "Either a default value or meaningWhenMissing may be given, not both.",
            lambda e: choice(e, "defaultValue") is None or not has(e, "meaningWhenMissing"),
        ),
        Invariant(
            "eld-16",
            "A slice name has letters, digits and / - _ [ ] @ only.",
            lambda e: "sliceName" not in e or bool(_SLICE_NAME.fullmatch(e["sliceName"])),
        ),
        Invariant(
            "eld-18",
            "A modifier must say why it is one.",
            lambda e: e.get("isModifier") is not True or has(e, "isModifierReason"),
        ),
        Invariant(
            "eld-19",
            "A path is names joined by dots, without special characters.",
            lambda e: bool(_PATH.match(e.get("path", "-"))),
        ),
        Invariant(
            "eld-22",
            "sliceIsConstraining needs a sliceName.",
            lambda e: not has(e, "sliceIsConstraining") or has(e, "sliceName"),
        ),
    ),
    "ElementDefinition.slicing": (
        Invariant(
            "eld-1",
            "Slicing must have a discriminator or a description.",
            lambda s: has_any(s, "discriminator", "description"),
        ),
    ),
    "ElementDefinition.type": (
        Invariant(
            "eld-4",
            "Only a Reference or canonical has an aggregation.",
            lambda t: not has(t, "aggregation") or t.get("code") in ("Reference", "canonical"),
        ),
        Invariant(
            "eld-17",
            "Only a Reference or canonical has target profiles.",
            lambda t: not has(t, "targetProfile") or t.get("code") in ("Reference", "canonical"),
        ),
    ),
    "ElementDefinition.binding": (
        Invariant(
            "eld-12",
            "A value set is named by an address that starts with http:, https: or urn:.",
            lambda b: "valueSet" not in b or b["valueSet"].startswith(("http:", "https", "urn:")),
        ),
    ),
}
