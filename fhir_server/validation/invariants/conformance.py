"""Invariants of CapabilityStatement, SearchParameter, OperationDefinition and NamingSystem."""

from fhir_server.validation.invariants.words import Fields, Invariant, Invariants, distinct, has, has_any


def _names(holders: list[Fields], *names: str) -> list[tuple[str, ...]]:
    return [tuple(str(holder.get(name)) for name in names) for holder in holders]


def _preferred_types(system: Fields) -> list[str]:
    return [u["type"] for u in system.get("uniqueId", ()) if u.get("preferred") is True and "type" in u]


INVARIANTS: Invariants = {
    "CapabilityStatement": (
        Invariant(
            "cpb-1",
            "A statement must describe rest, messaging or documents.",
            lambda c: has_any(c, "rest", "messaging", "document"),
        ),
        Invariant(
            "cpb-2",
            "A statement must have a description, software or implementation.",
            lambda c: has_any(c, "description", "software", "implementation"),
        ),
        Invariant(
            "cpb-3",
            "Only an instance has messaging endpoints.",
            lambda c: c.get("kind") == "instance" or not any("endpoint" in m for m in c.get("messaging", ())),
        ),
        Invariant(
            "cpb-7",
            "Each document profile must come once per mode.",
            lambda c: distinct(_names(c.get("document", []), "profile", "mode")),
        ),
        Invariant(
            "cpb-14",
            "An instance must have an implementation.",
            lambda c: c.get("kind") != "instance" or "implementation" in c,
        ),
        Invariant(
            "cpb-15",
            "A capability must have software and no implementation.",
            lambda c: c.get("kind") != "capability" or ("implementation" not in c and "software" in c),
        ),
        Invariant(
            "cpb-16",
            "Requirements have neither implementation nor software.",
            lambda c: c.get("kind") != "requirements" or not has_any(c, "implementation", "software"),
        ),
    ),
    "CapabilityStatement.rest": (
        Invariant(
            "cpb-9", "Each resource type must come once.", lambda r: distinct(_names(r.get("resource", []), "type"))
        ),
    ),
    "CapabilityStatement.rest.resource": (
        Invariant(
            "cpb-12",
            "Each search parameter must come once.",
            lambda r: distinct(_names(r.get("searchParam", []), "name")),
        ),
    ),
    "SearchParameter": (
        Invariant("spd-1", "An xpath needs an xpathUsage.", lambda s: not has(s, "xpath") or has(s, "xpathUsage")),
        Invariant(
            "spd-2",
            "Only a reference parameter has a chain.",
            lambda s: "chain" not in s or s.get("type") == "reference",
        ),
    ),
    "OperationDefinition.parameter": (
        Invariant("opd-1", "A parameter must have a type or parts.", lambda p: has_any(p, "type", "part")),
        Invariant(
            "opd-2",
            "Only a parameter of the type string has a searchType.",
            lambda p: not has(p, "searchType") or p.get("type") == "string",
        ),
        Invariant(
            "opd-3",
            "Only a Reference or canonical has target profiles.",
            lambda p: not has(p, "targetProfile") or p.get("type") in ("Reference", "canonical"),
        ),
    ),
    "NamingSystem": (
        Invariant(
            "nsd-1",
            "A root system has no identifier of the type uuid.",
            lambda n: n.get("kind") != "root" or all(u.get("type") != "uuid" for u in n.get("uniqueId", ())),
        ),
        Invariant(
            "nsd-2",
            "Only one preferred identifier of each type may be given.",
            lambda n: distinct(_preferred_types(n)),
        ),
    ),
}
