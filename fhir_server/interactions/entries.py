"""The entries of a batch or transaction Bundle, read with the one address table.

https://hl7.org/fhir/R4/http.html#transaction
"""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from fhir_server.definitions.operations import OPERATIONS
from fhir_server.fhir.dates import time_range
from fhir_server.fhir.errors import FhirError, InvalidResource, MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.interactions.addressing import resolve
from fhir_server.interactions.parameters import check_known, parameters_in, stated
from fhir_server.interactions.patching.patches import unpacked
from fhir_server.interactions.words import Interaction, Misread, Services
from fhir_server.search.parse import OF_FORM

NESTED = frozenset({"transaction", "batch"})


@dataclass(frozen=True)
class Entry:
    """One entry: where it stands, what other entries call it, the interaction that it asks; `head` wants no body.

    `sends` is of an operation that is asked by POST, which may change something.
    """

    place: str
    full_url: str | None
    interaction: Interaction
    head: bool = False
    sends: bool = False


def read_entry(entry: Any, position: int, services: Services, *, lenient: bool = False) -> Entry:
    """The entry at `position`. Raises a FhirError that names its place."""
    place = f"Bundle.entry[{position}]"
    if isinstance(entry, Misread):
        around = [issue for issue in entry.issues if not (issue.path or "").startswith(f"{place}.resource")]
        raise (MalformedRequest if around else InvalidResource)(issues=list(entry.issues))
    try:
        _check_structure(entry, services)
        return _read(entry, place, services, lenient)
    except FhirError as error:
        raise error.below(place) from error


def _check_structure(entry: Any, services: Services) -> None:
    """The entry around its resource, so that a misspelt condition is not read as none."""
    shell = {name: value for name, value in entry.items() if name != "resource"} if isinstance(entry, dict) else entry
    found = services.validator.check({"resourceType": "Bundle", "type": "batch", "entry": [shell]})
    if found:
        paths = ["entry" + (issue.path or "").removeprefix("Bundle.entry[0]") for issue in found]
        raise MalformedRequest(issues=[replace(issue, path=path) for issue, path in zip(found, paths, strict=True)])


def _read(entry: Resource, place: str, services: Services, lenient: bool) -> Entry:
    request = entry["request"]
    method, url = (_stated(request, name) for name in ("method", "url"))
    path, query = _address(url, services)
    parameters = parameters_in(query)
    found = resolve(method, path)
    if found.interaction in NESTED:
        raise MalformedRequest(
            "A Bundle holds reads, searches, creates, updates, patches, deletes and operations.", "entry.request.url"
        )
    interaction = Interaction(
        found.interaction,
        found.type,
        found.id,
        found.version,
        tuple(pair for pair in parameters if pair[0] not in OF_FORM),
        unpacked(entry.get("resource")) if found.interaction == "patch" else entry.get("resource"),
        request.get("ifMatch"),
        request.get("ifNoneMatch"),
        request.get("ifNoneExist"),
        lenient,
        time_range(request["ifModifiedSince"])[0] if "ifModifiedSince" in request else None,
        form=tuple(pair for pair in stated(parameters) if pair[0] in OF_FORM),
    )
    if not lenient:
        check_known(interaction.name, interaction.id, interaction.parameters)
    if interaction.name in {"create", "update"} and not isinstance(interaction.resource, dict):
        raise MalformedRequest(f"A {method} entry needs a resource.", "entry.resource")
    sends = method == "POST" and interaction.name in OPERATIONS
    return Entry(place, entry.get("fullUrl"), interaction, method == "HEAD", sends)


def _stated(request: Resource, name: str) -> str:
    """An element that R4 requires, by its value: extensions in its place ask for nothing. Raises MalformedRequest."""
    if name not in request:
        raise MalformedRequest(f"An entry states its request.{name}.", f"entry.request.{name}", "required")
    return str(request[name])


def _address(url: str, services: Services) -> tuple[str, str]:
    """The path below the base, with its slash, and the query."""
    below = url.removeprefix(services.base_url)
    is_own = below != url and below[:1] in {"", "/", "?"}
    try:
        parts = urlsplit(below.removeprefix("/") if is_own else url)
    except ValueError as error:
        raise MalformedRequest("request.url is no address.", "entry.request.url") from error
    if parts.scheme or parts.netloc:
        raise MalformedRequest(f"request.url must be relative to this server; it was {url!r}.", "entry.request.url")
    return "/" + unquote(parts.path).strip("/"), parts.query
