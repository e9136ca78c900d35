"""Invariants of Bundle and Parameters. https://hl7.org/fhir/R4/bundle.html"""

from collections.abc import Callable

from fhir_server.validation.invariants.words import Fields, Invariant, Invariants, choice, distinct, has, has_any

_ASKS = frozenset({"batch", "transaction", "history"})
_ANSWERS = frozenset({"batch-response", "transaction-response", "history"})


def _entries_have(name: str, types: frozenset[str]) -> Callable[[Fields], bool]:
    def holds(bundle: Fields) -> bool:
        expected = bundle.get("type") in types
        return all((name in entry) == expected for entry in bundle.get("entry", ()))

    return holds


def _full_urls_are_distinct(bundle: Fields) -> bool:
    entries = [entry for entry in bundle.get("entry", ()) if "fullUrl" in entry]
    versions = [(e["fullUrl"], e.get("resource", {}).get("meta", {}).get("versionId")) for e in entries]
    return bundle.get("type") == "history" or distinct(versions)


def _starts_with(bundle_type: str, resource_type: str) -> Callable[[Fields], bool]:
    def holds(bundle: Fields) -> bool:
        first = bundle.get("entry", [{}])[0].get("resource", {})
        return bundle.get("type") != bundle_type or first.get("resourceType") == resource_type

    return holds


def _one_content(parameter: Fields) -> bool:
    return [choice(parameter, "value") is not None, "resource" in parameter, "part" in parameter].count(True) == 1


INVARIANTS: Invariants = {
    "Bundle": (
        Invariant(
            "bdl-1",
            "Only a searchset or a history has a total.",
            lambda b: not has(b, "total") or b.get("type") in ("searchset", "history"),
        ),
        Invariant(
            "bdl-2",
            "Only the entries of a searchset have search.",
            lambda b: b.get("type") == "searchset" or not any("search" in e for e in b.get("entry", ())),
        ),
        Invariant(
            "bdl-3",
            "Each entry of a batch, transaction or history has a request, and no other has one.",
            _entries_have("request", _ASKS),
        ),
        Invariant(
            "bdl-4",
            "Each entry of a batch-response, transaction-response or history has a response, and no other has one.",
            _entries_have("response", _ANSWERS),
        ),
        Invariant(
            "bdl-7",
            "A fullUrl must come once, or with different versions.",
            _full_urls_are_distinct,
        ),
        Invariant(
            "bdl-9",
            "A document must have an identifier with system and value.",
            lambda b: b.get("type") != "document" or all(has(b.get("identifier", {}), n) for n in ("system", "value")),
        ),
        Invariant(
            "bdl-10", "A document must have a timestamp.", lambda b: b.get("type") != "document" or "timestamp" in b
        ),
        Invariant("bdl-11", "A document must start with a Composition.", _starts_with("document", "Composition")),
        Invariant("bdl-12", "A message must start with a MessageHeader.", _starts_with("message", "MessageHeader")),
    ),
    "Bundle.entry": (
        Invariant(
            "bdl-5",
            "An entry must have a resource, a request or a response.",
            lambda entry: has_any(entry, "resource", "request", "response"),
        ),
        Invariant(
            "bdl-8", "A fullUrl must not name a version.", lambda entry: "/_history/" not in entry.get("fullUrl", "")
        ),
    ),
    "Parameters.parameter": (
        Invariant("inv-1", "A parameter must have one of value, resource and part.", _one_content),
    ),
}
