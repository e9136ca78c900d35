"""What one entry of a Bundle says of another becomes what that other is called on this server.

References; addresses in elements of the types uri, url and canonical; links and images in the narrative. R4 names the
types oid and uuid as well, which can hold no address of a resource: what they say stays.
A `urn:` is nothing but a name for an entry, wherever it stands. `https://elsewhere.example/CodeSystem/1` may be what
somebody calls a code system, so it is taken for the address of an entry only where nothing but an address stands: in
a url, a link, an image. A canonical that means what a definition in the Bundle calls itself stays, as that does.

https://hl7.org/fhir/R4/http.html#trules
"""

import re
from collections.abc import Callable, Container, Mapping
from typing import Any

from fhir_server.definitions.structures import RESOURCE, load
from fhir_server.fhir.json import Resource, encode

Named = Callable[[str, str], str]
"""What an address is called here, in an element of that datatype."""

_URL, _CANONICAL = "url", "canonical"
_ADDRESSES = frozenset({"uri", _URL, _CANONICAL})
_URN = re.compile(rb"urn:(?:uuid|oid):")
_PLACED = re.compile(rb"(?:href|src)\s*=|url\"\s*:", re.IGNORECASE)
_LINK = re.compile(r"""(?P<before>\b(?:href|src)\s*=\s*)(?P<quote>["'])(?P<address>[^"']*)(?P=quote)""")


def named_anew(resource: Resource, targets: Mapping[str, str], outside: str, called: Container[str]) -> Resource:
    """The resource with the addresses among `targets` replaced.

    These are every `urn:uuid:` and `urn:oid:`, and in a url, a link or an image every other address too; a relative one
    is meant below `outside`, the base that the resource comes from. What a resource calls itself (`url` of a
    definition), a canonical that is one of those names (`called`) and plain texts, such as the value of an identifier,
    stay.
    """
    urns = {name: target for name, target in targets.items() if name.startswith("urn:")}
    places = {name: target for name, target in targets.items() if "://" in name and "?" not in name}
    if not (urns or places):
        return resource
    sent = encode(resource)
    if not (urns and _URN.search(sent)) and not (places and _PLACED.search(sent)):
        return resource

    def named(address: str, datatype: str) -> str:
        placed = places.get(address) or places.get(f"{outside}/{address}") if datatype == _URL else None
        found = placed or urns.get(address)
        plain, mark, version = address.partition("|")
        if datatype == _CANONICAL and plain in called:
            return address
        if found is not None:
            return found
        return f"{urns[plain]}{mark}{version}" if plain in urns else address

    own: Resource = {name: resource[name] for name in ("url", "id") if name in resource}
    return {**_object(resource, resource["resourceType"], named), **own}


def _object(value: Resource, path: str, named: Named) -> Resource:
    types = _types(path)
    return {name: _value(child, types.get(name, ""), named) for name, child in value.items()}


def _value(value: Any, datatype: str, named: Named) -> Any:
    if isinstance(value, list):
        return [_value(item, datatype, named) for item in value]
    if isinstance(value, str):
        if datatype in _ADDRESSES:
            return named(value, datatype)
        return _LINK.sub(lambda link: _link(link, named), value) if datatype == "xhtml" else value
    if isinstance(value, dict):
        of_resource = datatype == RESOURCE
        return _object(value, str(value.get("resourceType")) if of_resource else datatype.removeprefix("#"), named)
    return value


def _link(link: re.Match[str], named: Named) -> str:
    return f"{link['before']}{link['quote']}{named(link['address'], _URL)}{link['quote']}"


def _types(path: str) -> Mapping[str, str]:
    """The JSON names of the elements at a path, each with its type; `_name` holds the extensions of a primitive."""
    try:
        elements = load().elements(path)
    except KeyError:
        return {}
    types = {name: datatype for element in elements for name, datatype in element.json_names().items()}
    return {**{f"_{name}": "Element" for name in types}, **types}
