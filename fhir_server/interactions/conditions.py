"""Versions as HTTP conditions state them.

https://hl7.org/fhir/R4/http.html#versions
"""

import re

from fhir_server.fhir.errors import MalformedRequest, VersionConflict
from fhir_server.store.contract import Stored

_ETAG = re.compile(r'(?:W/)?"(?P<quoted>[0-9]{1,9})"|(?P<bare>[0-9]{1,9})')


def etag(version: int) -> str:
    """The weak ETag of a version."""
    return f'W/"{version}"'


def matches_etag(header: str, version: int) -> bool:
    """Whether If-None-Match (a list of ETags or `*`) names the version."""
    return header.strip() == "*" or any(
        part.strip().removeprefix("W/").strip('"') == str(version) for part in header.split(",")
    )


def version_required(current: Stored, otherwise: str) -> VersionConflict:
    """The refusal of a change that does not say which version it is based on; `otherwise` says it too."""
    return VersionConflict(
        f"Say which version of {current.reference} you changed: send If-Match: {etag(current.version)} or {otherwise}.",
        f"{current.type}.meta.versionId",
        "version-required",
    )


def check_if_match(header: str | None, current: Stored) -> None:
    """Raise VersionConflict unless If-Match, when it is given, names the current version."""
    if header is None:
        return
    match = _ETAG.fullmatch(header.strip())
    if match is None:
        raise MalformedRequest(
            f"If-Match needs the ETag of a version, such as {etag(current.version)}; it was {header!r}."
        )
    stated = match["quoted"] or match["bare"]
    if int(stated) != current.version:
        raise VersionConflict(
            f"You changed version {stated} of {current.reference}, but the current version is {current.version}; "
            "read it again and repeat your change on it.",
            current.type,
            "version-stale",
        )
