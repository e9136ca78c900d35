"""The content of a Binary as it is: sent and answered in its own media type, not as a resource around it.

Whoever accepts one of FHIR's formats is answered in that. What is answered in another is never shown as a page of this
server: it may hold anything.

https://hl7.org/fhir/R4/binary.html#rest
"""

import base64
import re
from collections.abc import Sequence

from flask import Request

from fhir_server.fhir.errors import NotAcceptable
from fhir_server.fhir.json import Resource, decode
from fhir_server.interactions.addressing import Place
from fhir_server.interactions.parameters import SUBSETTING
from fhir_server.rest.formats import FORMATS, media_range
from fhir_server.rest.headers import media_type

CONTEXT = "X-Security-Context"

_READS, _WRITES = frozenset({"read", "vread"}), frozenset({"create", "update"})
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_SENDABLE = re.compile(r"[\x20-\x7e]+")
# What clients say who mean to say nothing.
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_FHIR = frozenset[str]().union(*(known.media_types for known in FORMATS))
_OF_ANY_TYPE = "application/octet-stream"
_KEPT_APART = {"Content-Disposition": "attachment", "Content-Security-Policy": "sandbox; default-src 'none'"}


def is_content(request: Request, place: Place) -> bool:
    """Whether the body is what a Binary is to hold, rather than the resource itself."""
    if place.type != "Binary" or place.interaction not in _WRITES:
        return False
    stated, _ = media_type(request)
    return _MEDIA_TYPE.fullmatch(stated) is not None and stated not in _FHIR | _FORMS


def binary_of(request: Request, place: Place, content: bytes) -> Resource:
    """The Binary that holds the content."""
    resource: Resource = {"resourceType": "Binary"}
    if place.id is not None:
        resource["id"] = place.id
    resource["contentType"] = request.headers["Content-Type"].strip()
    if CONTEXT in request.headers:
        resource["securityContext"] = {"reference": request.headers[CONTEXT].strip()}
    resource["data"] = base64.b64encode(content).decode()
    return resource


def may_be_content(place: Place, parameters: Sequence[tuple[str, str]]) -> bool:
    """Whether the answer may be the content of a Binary; `_format` asks for a resource."""
    asks_for_format = any(name == "_format" and value for name, value in parameters)
    return place.type == "Binary" and place.interaction in _READS and not asks_for_format


def of_the_whole(parameters: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The parameters without those that ask for a part of a resource: content has none."""
    return [pair for pair in parameters if pair[0] not in SUBSETTING]


def content_of(body: bytes, accept: str) -> tuple[bytes, dict[str, str]]:
    """What the Binary whose JSON is `body` holds, with its headers. Raises NotAcceptable."""
    resource = decode(body)
    stated = str(resource.get("contentType", ""))
    if not _admits(accept, stated.partition(";")[0].strip().lower()):
        told = f"None of {accept!r} is spoken here, nor is this Binary of such a type; accept application/fhir+json."
        raise NotAcceptable(told, rule="format")
    headers = {"Content-Type": stated if _SENDABLE.fullmatch(stated) else _OF_ANY_TYPE, **_KEPT_APART}
    context = resource.get("securityContext", {}).get("reference", "")
    if _SENDABLE.fullmatch(context):
        headers[CONTEXT] = context
    return base64.b64decode(resource.get("data", "")), headers


def _admits(accept: str, media_type: str) -> bool:
    """Whether an Accept header takes the media type, by what it says most precisely of it."""
    qualities = dict(media_range(part) for part in accept.split(","))
    family = f"{media_type.partition('/')[0]}/*"
    return next((qualities[each] for each in (media_type, family, "*/*") if each in qualities), 0) > 0
