"""Versions as HTTP conditions state them.

https://hl7.org/fhir/R4/http.html#versions
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fhir_server.fhir.errors import MalformedRequest, VersionConflict
from fhir_server.interactions.words import Interaction
from fhir_server.store.values import Stored

# A member of a list of entity tags, which may be empty. Some clients send the number of a version without quotes.
_MEMBER = re.compile(r'[ \t]*+(?:(?:(?:W/)?"(?P<tag>[!\x23-\x7e\x80-\xff]*)"|(?P<number>[0-9]+))[ \t]*+)?(?:,|\Z)')
_ANY = "*"
_STALE = "version-stale"


def etag(version: int) -> str:
    """The weak ETag of a version."""
    return f'W/"{version}"'


def entity_tags(header: str) -> frozenset[str] | None:
    """What stands between the quotes of each entity tag of a list, commas too; None for what is no such list.

    https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3
    """
    tags, at = set[str](), 0
    while at < len(header):
        member = _MEMBER.match(header, at)
        if member is None:
            return None
        tags.update(each for each in member.groups() if each is not None)
        at = member.end()
    return frozenset(tags) or None


def matches_etag(header: str, tag: int | str) -> bool:
    """Whether If-None-Match or If-Match (a list of ETags or `*`) names the version, or what else the ETag holds."""
    return header.strip() == _ANY or str(tag) in (entity_tags(header) or ())


def not_modified(
    interaction: Interaction, stored: Stored, followed: Callable[[], Stored | None] = lambda: None
) -> bool:
    """Whether the caller has this version already: by If-None-Match, and only without one by If-Modified-Since.

    `followed` is asked for the version before, where dates alone cannot tell the two apart.
    """
    if interaction.if_none_match:
        return matches_etag(interaction.if_none_match, stored.version)
    since = interaction.if_modified_since
    if isinstance(since, datetime):
        return stored.last_updated <= since
    return bool(since) and _is_known(str(since), stored.last_updated, followed)


def _is_known(header: str, last_updated: datetime, followed: Callable[[], Stored | None]) -> bool:
    """Whether nothing newer than the date is there; a header that is no HTTP date asks nothing.

    A date has whole seconds: of two versions within one, nobody knows which the caller has, and so it is not known.
    """
    stated = _http_date(header)
    if stated is None:
        return False
    second = last_updated.replace(microsecond=0)
    if second != stated:
        return second < stated
    before = followed()
    return before is None or before.last_updated < second


def _http_date(header: str) -> datetime | None:
    """The time that a header states; None for what is no HTTP date, and for two: that is how two headers come."""
    if header.count(",") > 1:
        return None
    try:
        stated = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return None
    # Of the three forms that HTTP has, the oldest names no zone; it means the same one.
    return stated if stated.tzinfo else stated.replace(tzinfo=UTC)


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
        raise VersionConflict(told, reference.partition("/")[0], _STALE)


def says_version(if_match: str | None) -> bool:
    """Whether If-Match says which version a change is based on; `*` says only that there is one."""
    return if_match is not None and if_match.strip() != _ANY


def check_if_match(header: str | None, current: Stored) -> None:
    """Raise VersionConflict unless If-Match, when it is given, names the current version."""
    if header is None:
        return
    if not says_version(header) and current.deleted:
        raise VersionConflict(f"{current.reference} was deleted, and has no current version.", current.type, _STALE)
    if says_version(header) and entity_tags(header) is None:
        raise MalformedRequest(
            f"If-Match needs the ETag of a version, such as {etag(current.version)}; it was {header!r}."
        )
    if not matches_etag(header, current.version):
        raise VersionConflict(
            f"You changed version {_named(header)} of {current.reference}, but the current version is "
            f"{current.version}; read it again and repeat your change on it.",
            current.type,
            _STALE,
        )


def check_unmodified(header: str | None, if_match: str | None, current: Stored) -> None:
    """Raise VersionConflict when a write's If-Unmodified-Since is before the current version; If-Match says it better.

    What is no HTTP date asks nothing.
    """
    stated = _http_date(header) if header is not None and if_match is None else None
    if stated is not None and current.last_updated.replace(microsecond=0) > stated:
        raise VersionConflict(
            f"{current.reference} was modified since; read it again, repeat your change on it, and send If-Match.",
            current.type,
            _STALE,
        )


def check_if_none_match(header: str | None, current: Stored) -> None:
    """Raise VersionConflict when a write's If-None-Match names what is there: `*` is to create, never to change.

    MalformedRequest for what is no ETag: nobody knows what must not be there.
    """
    if header is not None and header.strip() != _ANY and entity_tags(header) is None:
        raise MalformedRequest(
            f"If-None-Match needs `*` or the ETag of a version, such as {etag(1)}; it was {header!r}."
        )
    if header is not None and not current.deleted and matches_etag(header, current.version):
        told = f"There is version {current.version} of {current.reference}, and If-None-Match says that it must not be."
        raise VersionConflict(told, current.type, "version-exists")


def _named(header: str) -> str:
    return header.replace("W/", "").replace('"', "").strip()[:100]
