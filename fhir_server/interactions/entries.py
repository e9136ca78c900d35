"""The entries of a batch or transaction Bundle, read with the one address table.

https://hl7.org/fhir/R4/http.html#transaction
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from fhir_server.fhir.errors import FhirError, MalformedRequest
from fhir_server.interactions.addressing import resolve
from fhir_server.interactions.words import Interaction, Services

NESTED = frozenset({"transaction", "batch", "capabilities"})


@dataclass(frozen=True)
class Entry:
    """One entry: where it stands, what other entries call it, and the interaction that it asks."""

    place: str
    full_url: str | None
    interaction: Interaction


def read_entry(entry: Any, position: int, services: Services) -> Entry:
    """The entry at `position`. Raises a FhirError that names its place."""
    place = f"Bundle.entry[{position}]"
    try:
        return _read(entry, place, services)
    except FhirError as error:
        raise error.below(place) from error


def _read(entry: Any, place: str, services: Services) -> Entry:
    request = entry.get("request") if isinstance(entry, dict) else None
    if (
        not isinstance(request, dict)
        or not isinstance(request.get("url"), str)
        or not isinstance(request.get("method"), str)
    ):
        raise MalformedRequest(
            "An entry of a batch or transaction needs request.method and request.url.", "entry.request"
        )
    url = request["url"].removeprefix(f"{services.base_url}/")
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        raise MalformedRequest(
            f"request.url is relative to this server; it was {request['url']!r}.", "entry.request.url"
        )
    found = resolve(request["method"], "/" + unquote(parts.path).strip("/"))
    if found.interaction in NESTED:
        raise MalformedRequest("A Bundle holds reads, searches, creates, updates and deletes.", "entry.request.url")
    interaction = Interaction(
        found.interaction,
        found.type,
        found.id,
        found.version,
        tuple(parse_qsl(parts.query, keep_blank_values=True)),
        entry.get("resource"),
        request.get("ifMatch"),
        request.get("ifNoneMatch"),
        request.get("ifNoneExist"),
    )
    if interaction.name in {"create", "update"} and not isinstance(interaction.resource, dict):
        raise MalformedRequest(f"A {request['method']} entry needs a resource.", "entry.resource")
    full_url = entry.get("fullUrl")
    return Entry(place, full_url if isinstance(full_url, str) else None, interaction)
