"""Versions as HTTP conditions state them.

https://hl7.org/fhir/R4/http.html#versions
"""

import re
from datetime import datetime
from email.utils import parsedate_to_datetime

from fhir_server.fhir.errors import MalformedRequest, VersionConflict
from fhir_server.interactions.words import Interaction
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


def not_modified(interaction: Interaction, stored: Stored) -> bool:
    """Whether the caller has this version already: by If-None-Match, and only without one by If-Modified-Since."""
    if interaction.if_none_match:
        return matches_etag(interaction.if_none_match, stored.version)
    return bool(interaction.if_modified_since) and _is_known(str(interaction.if_modified_since), stored.last_updated)


def _is_known(header: str, last_updated: datetime) -> bool:
    """Whether nothing newer than the date is there; a header that is no HTTP date asks nothing."""
    try:
        return last_updated.replace(microsecond=0) <= parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return False


def version_required(current: Stored, otherwise: str) -> VersionConflict:
    """The refusal of a change that does not say which version it is based on; `otherwise` says it too."""
    return VersionConflict(
        f"Say which version of {current.reference} you changed: send If-Match: {etag(current.version)} or {otherwise}.",
        f"{current.type}.meta.versionId",
        "version-required",
    )


def check_absent(header: str | None, reference: str) -> None:
    """Raise VersionConflict when If-Match names a version of what is not there."""
    if header is not None:
        told = f"There is no {reference} whose version If-Match could name; leave it out to create the resource."
        raise VersionConflict(told, reference.partition("/")[0], "version-stale")


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
