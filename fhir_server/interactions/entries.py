"""The entries of a batch or transaction Bundle, read with the one address table.

https://hl7.org/fhir/R4/http.html#transaction
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from fhir_server.fhir.errors import FhirError, MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.interactions.addressing import resolve
from fhir_server.interactions.parameters import parameters_in
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
    if not isinstance(entry, dict) or not isinstance(entry.get("request"), dict):
        raise MalformedRequest("An entry of a batch or transaction needs a request.", "entry.request")
    request = entry["request"]
    method, url = _text(request, "method", "request.method"), _text(request, "url", "request.url")
    if method is None or url is None:
        missing = "request.method" if method is None else "request.url"
        raise MalformedRequest(f"An entry of a batch or transaction needs {missing}.", f"entry.{missing}")
    path, query = _address(url, services)
    found = resolve(method, path)
    if found.interaction in NESTED:
        raise MalformedRequest("A Bundle holds reads, searches, creates, updates and deletes.", "entry.request.url")
    interaction = Interaction(
        found.interaction,
        found.type,
        found.id,
        found.version,
        tuple(parameters_in(query)),
        entry.get("resource"),
        _text(request, "ifMatch", "request.ifMatch"),
        _text(request, "ifNoneMatch", "request.ifNoneMatch"),
        _text(request, "ifNoneExist", "request.ifNoneExist"),
    )
    if interaction.name in {"create", "update"} and not isinstance(interaction.resource, dict):
        raise MalformedRequest(f"A {method} entry needs a resource.", "entry.resource")
    return Entry(place, _text(entry, "fullUrl", "fullUrl"), interaction)


def _text(holder: Resource, name: str, path: str) -> str | None:
    value = holder.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise MalformedRequest(f"{path} must be a string that is not empty.", f"entry.{path}")
    return value


def _address(url: str, services: Services) -> tuple[str, str]:
    """The path below the base, with its slash, and the query."""
    try:
        parts = urlsplit(url.removeprefix(f"{services.base_url}/"))
    except ValueError as error:
        raise MalformedRequest("request.url is no address.", "entry.request.url") from error
    if parts.scheme or parts.netloc:
        raise MalformedRequest(f"request.url must be relative to this server; it was {url!r}.", "entry.request.url")
    return "/" + unquote(parts.path).strip("/"), parts.query
