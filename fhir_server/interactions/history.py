"""history of one resource, newest first.

https://hl7.org/fhir/R4/http.html#history
"""

import re
from collections.abc import Mapping
from datetime import datetime

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import MalformedRequest, NotFound
from fhir_server.interactions.bundles import history_page
from fhir_server.interactions.listed import is_listed, listed
from fhir_server.interactions.parameters import SUBSETTING, time_stated
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.subsets import part_asked, parts_of
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.search.lists import LIST
from fhir_server.store.values import Stored

_KNOWN = frozenset({"_count", "_since", "_at", LIST, "_before", "_format", "_pretty", *SUBSETTING})
_SAID = frozenset({"_count", "_since", "_at", LIST, *SUBSETTING})
_NUMBERS = frozenset({"_count", "_before"})
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def history(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """A page of versions, `_count` at most, with a link to the next; each judged on its own plans."""
    if interaction.type is None or interaction.id is None:
        raise NotFound
    given = check_parameters(interaction, _KNOWN)
    cut = part_asked([interaction.type], interaction.parameters)
    count, before = count_of(given, services), int(given["_before"]) if "_before" in given else None
    sight = Sight.of(actor, services)
    current, reason = sight.visible(services.reading.read(interaction.type, interaction.id))
    start = _behind(current, given, services) if "_at" in given and before is None else before
    found = services.reading.history(interaction.type, interaction.id, start, count + 1)
    page = _in_time(found, given, _end_of_first(found, interaction, services))[:count]
    items = listed(given, sight)
    page = [version for version in page if is_listed(version, items)]
    shown = [version for version in page if version in found[:count] and sight.shows_version(current, version)]
    following = found[count - 1].version if len(found) > count and _older_matter(found[count - 1], given) else None
    kept = [
        ("_count", str(count)),
        *((name, given[name]) for name in ("_since", "_at", LIST, *SUBSETTING) if name in given),
        *interaction.form,
    ]
    body = history_page(
        services.base_url,
        f"{interaction.type}/{interaction.id}/_history",
        parts_of(shown, cut),
        kept + ([("_before", str(before))] if before is not None else []),
        [*kept, ("_before", str(following))] if following is not None else None,
    )
    return Answer("ok", body, None, tuple(shown), reason, query=interaction.asked or None)


def check_parameters(interaction: Interaction, known: frozenset[str]) -> Mapping[str, str]:
    """The parameters of a history. Raises MalformedRequest for unknown ones, unless lenient, and for wrong values."""
    given = dict(interaction.parameters)
    if len(given) < len(interaction.parameters):
        raise MalformedRequest("Each parameter of a history is stated once.", rule="parameter-value")
    unknown = sorted(set(given) - known)
    if unknown and not interaction.lenient:
        listed = ", ".join(name for name in sorted(known) if name in _SAID)
        raise MalformedRequest(f"A history has no parameter {unknown[0]!r}; it has {listed}.", rule="unknown-parameter")
    wrong = next((name for name, text in given.items() if name in _NUMBERS and not _NUMBER.fullmatch(text)), None)
    if wrong:
        told = f"{wrong!r} of a history takes a whole number of at most 9 digits, at least 1, not {given[wrong]!r}."
        raise MalformedRequest(told, rule="parameter-value")
    return given


def count_of(given: Mapping[str, str], services: Services) -> int:
    """How many versions a page holds."""
    return min(int(given.get("_count", services.default_count)), services.max_count)


def since_of(given: Mapping[str, str]) -> datetime | None:
    """`_since`: versions made at that time or later."""
    return _range(given, "_since")[0] if "_since" in given else None


def at_of(given: Mapping[str, str]) -> tuple[datetime, datetime] | None:
    """`_at`: versions that were the current ones at some moment of that time."""
    return _range(given, "_at") if "_at" in given else None


def _range(given: Mapping[str, str], name: str) -> tuple[datetime, datetime]:
    try:
        return time_stated(given[name])
    except ValueError as error:
        told = f"{name} of a history is an instant or a date, such as 2026-03-01T10:00:00Z."
        raise MalformedRequest(told, rule="parameter-value") from error


def _behind(current: Stored, given: Mapping[str, str], services: Services) -> int:
    """The first version that is made after all that `_at` asks for, where the page begins: versions are ever later."""
    end = (at_of(given) or (current.last_updated, current.last_updated))[1]
    earlier, later = 0, current.version + 1
    while later - earlier > 1:
        middle = (earlier + later) // 2
        version = services.reading.read_version(current.type, current.id, middle)
        earlier, later = (earlier, middle) if version and version.last_updated >= end else (middle, later)
    return later


def _end_of_first(found: list[Stored], interaction: Interaction, services: Services) -> datetime | None:
    """When the first version found was followed by another; None while it is the current one."""
    if not found:
        return None
    following = services.reading.read_version(found[0].type, found[0].id, found[0].version + 1)
    return following.last_updated if following else None


def _in_time(found: list[Stored], given: Mapping[str, str], end: datetime | None) -> list[Stored]:
    """Those of the versions, newest first, that `_since` and `_at` ask for."""
    since, at = since_of(given), at_of(given)
    ends = [end, *(version.last_updated for version in found)]
    return [
        version
        for version, until in zip(found, ends, strict=False)
        if (since is None or since <= version.last_updated)
        and (at is None or (version.last_updated < at[1] and (until is None or at[0] < until)))
    ]


def _older_matter(oldest: Stored, given: Mapping[str, str]) -> bool:
    """Whether versions before this one can be among those that are asked for."""
    since, at = since_of(given), at_of(given)
    return (since is None or since <= oldest.last_updated) and (at is None or at[0] < oldest.last_updated)
