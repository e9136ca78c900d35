"""Invariants of ValueSet, CodeSystem and ConceptMap."""

from collections.abc import Iterator

from fhir_server.validation.invariants.words import Fields, Invariant, Invariants, distinct, has, has_any


def _codes(holder: Fields) -> Iterator[str]:
    for concept in holder.get("concept", ()):
        if "code" in concept:
            yield concept["code"]
        yield from _codes(concept)


INVARIANTS: Invariants = {
    "CodeSystem": (Invariant("csd-1", "Each code must come once.", lambda c: distinct(_codes(c))),),
    "ConceptMap.group.element.target": (
        Invariant(
            "cmd-1",
            "A narrower or inexact target needs a comment.",
            lambda t: has(t, "comment") or t.get("equivalence") not in ("narrower", "inexact"),
        ),
    ),
    "ConceptMap.group.unmapped": (
        Invariant("cmd-2", "The mode fixed needs a code.", lambda u: u.get("mode") != "fixed" or has(u, "code")),
        Invariant("cmd-3", "The mode other-map needs a url.", lambda u: u.get("mode") != "other-map" or has(u, "url")),
    ),
    "ValueSet.compose.include": (
        Invariant("vsd-1", "A system or value sets must be named.", lambda i: has_any(i, "valueSet", "system")),
        Invariant(
            "vsd-2",
            "Concepts and filters need a system.",
            lambda i: not has_any(i, "concept", "filter") or has(i, "system"),
        ),
        Invariant(
            "vsd-3",
            "Either concepts or filters may be given, not both.",
            lambda i: not ("concept" in i and "filter" in i),
        ),
    ),
    "ValueSet.expansion.contains": (
        Invariant("vsd-6", "An entry must have a code or a display.", lambda c: has_any(c, "code", "display")),
        Invariant(
            "vsd-9", "An entry without code must be abstract.", lambda c: has(c, "code") or c.get("abstract") is True
        ),
        Invariant("vsd-10", "A code needs its system.", lambda c: not has(c, "code") or has(c, "system")),
    ),
}
