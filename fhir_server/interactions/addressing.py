"""The one table of addresses: method and path to the FHIR interaction.

The web door, the entries of a Bundle and the CapabilityStatement read it. What is not in it does not exist.

https://hl7.org/fhir/R4/http.html#summary
"""

import re
from dataclasses import dataclass

from fhir_server.access.types import TYPES
from fhir_server.definitions.operations import OPERATIONS
from fhir_server.fhir.errors import MethodNotAllowed, UnknownAddress, UnknownType


@dataclass(frozen=True)
class Address:
    """A method, a path below the base (`/{type}/{id}`) and the FHIR name of the interaction that lives there.

    `only` is the one type that has this address; without it every type does.
    """

    method: str
    path: str
    interaction: str
    only: str | None = None

    def is_of(self, type_name: str | None) -> bool:
        """Whether resources of the type have this address; an address without a type is of none and always there."""
        return self.only in {None, type_name}


def _operation(name: str, place: str = "", only: str | None = None, *, methods: tuple[str, ...]) -> tuple[Address, ...]:
    path = f"{place}/${OPERATIONS[name].code}"
    return tuple(Address(method, path, name, only) for method in methods)


_INSTANCE = "/{type}/{id}"
_ASKED, _SENT = ("GET", "POST"), ("POST",)


ADDRESSES = (
    Address("GET", "/metadata", "capabilities"),
    Address("POST", "/", "transaction"),
    Address("GET", "/", "search-system"),
    Address("POST", "/_search", "search-system"),
    Address("GET", "/Patient/{id}/*", "search-system"),
    Address("POST", "/Patient/{id}/_search", "search-system"),
    Address("POST", "/Patient/{id}/*/_search", "search-system"),
    Address("GET", "/{type}", "search-type"),
    Address("POST", "/{type}/_search", "search-type"),
    Address("GET", "/{type}/{id}/{member}", "search-type", "Patient"),
    Address("POST", "/{type}/{id}/{member}/_search", "search-type", "Patient"),
    Address("POST", "/{type}", "create"),
    Address("GET", "/{type}/{id}", "read"),
    Address("PUT", "/{type}/{id}", "update"),
    Address("PATCH", "/{type}/{id}", "patch"),
    Address("DELETE", "/{type}/{id}", "delete"),
    Address("PUT", "/{type}", "update"),
    Address("PATCH", "/{type}", "patch"),
    Address("DELETE", "/{type}", "delete"),
    Address("GET", "/_history", "history-system"),
    Address("GET", "/{type}/_history", "history-type"),
    Address("GET", "/{type}/{id}/_history", "history-instance"),
    Address("GET", "/{type}/{id}/_history/{version}", "vread"),
    *_operation("explain", methods=("GET",)),
    *_operation("Patient-everything", _INSTANCE, "Patient", methods=_ASKED),
    *_operation("CarePlan-everything", _INSTANCE, "CarePlan", methods=_ASKED),
    *_operation("CapabilityStatement-versions", methods=_ASKED),
    *_operation("CapabilityStatement-versions", "/{type}", "CapabilityStatement", methods=_ASKED),
    *_operation("Subscription-status", _INSTANCE, "Subscription", methods=_ASKED),
    *_operation("Subscription-events", _INSTANCE, "Subscription", methods=_ASKED),
    *_operation("Resource-validate", "/{type}", methods=_SENT),
    *_operation("Resource-validate", _INSTANCE, methods=_SENT),
    *_operation("Resource-meta", methods=_ASKED),
    *_operation("Resource-meta", "/{type}", methods=_ASKED),
    *_operation("Resource-meta", _INSTANCE, methods=_ASKED),
    *_operation("Resource-meta-add", _INSTANCE, methods=_SENT),
    *_operation("Resource-meta-delete", _INSTANCE, methods=_SENT),
)

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_PLACES = {
    "type": r"(?P<type>[A-Z][A-Za-z]*)",
    "id": f"(?P<id>{_ID.pattern})",
    "member": r"(?P<member>[A-Z][A-Za-z]*)",
    "version": r"(?P<version>[A-Za-z0-9.-]{1,64})",
}


@dataclass(frozen=True)
class Place:
    """Where a request goes: the interaction and what its path names.

    A search with an id is one in the compartment of that Patient: of the type, or of every type that is in it.
    """

    interaction: str
    type: str | None = None
    id: str | None = None
    version: str | None = None


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", lambda match: _PLACES[match[1]], re.escape(path)))


_PATTERNS = [(address, _pattern(address.path)) for address in ADDRESSES]
_OF_DEPTH = {
    depth: [(address, pattern) for address, pattern in _PATTERNS if address.path.count("/") == depth]
    for depth in {address.path.count("/") for address in ADDRESSES}
}
"""The same, by how many parts a path has."""


def resolve(method: str, path: str) -> Place:
    """The place of `method` and `path` (with a leading slash, without base or query); HEAD reads like GET.

    Raises UnknownType, UnknownAddress or MethodNotAllowed (naming those that the address has).
    """
    asked = "GET" if method == "HEAD" else method
    for address, pattern in _OF_DEPTH.get(path.count("/"), ()):
        match = pattern.fullmatch(path)
        if match is None:
            continue
        named = match.groupdict()
        for name in (named.get("type"), named.get("member")):
            if name and name not in TYPES:
                raise UnknownType(name, TYPES)
        if address.method == asked and address.is_of(named.get("type")):
            searched = named.get("member") or named.get("type")
            return Place(address.interaction, searched, named.get("id"), named.get("version"))
    allowed = allowed_methods(path)
    if allowed:
        raise MethodNotAllowed(f"{method} is not possible here; this address has {', '.join(allowed)}.")
    raise UnknownAddress(_what_is_wrong(path))


def _what_is_wrong(path: str) -> str:
    """What may be wrong with a path that is no address; nothing of it is repeated, for it may name a person."""
    first, *others = path.removeprefix("/").split("/")
    last = others[-1] if others else first
    meant = next((name for name in TYPES if name.lower() == first.lower()), None)
    if meant and meant != first:
        return f"There is no such address: the type is written {meant}."
    if last.startswith("$"):
        known = sorted({address.path.rpartition("/")[2] for address in ADDRESSES if "/$" in address.path})
        return f"There is no such operation here. Those of this server are {', '.join(known)}, where /metadata says."
    if meant and others and not _ID.fullmatch(others[0]):
        return f"There is no such address: an id of a {meant} is 1 to 64 letters, digits, - and dots."
    return "There is no such address; /metadata says what there is."


def allowed_methods(path: str) -> list[str]:
    """The methods that the address `path` has, HEAD where it has GET; empty when there is no such address."""
    matches = ((address, pattern.fullmatch(path)) for address, pattern in _PATTERNS)
    found = {address.method for address, match in matches if match and address.is_of(match.groupdict().get("type"))}
    return sorted(found | {"HEAD"} if "GET" in found else found)
