"""$everything, whatever it is about: page by page, type by type, and on each page the people that it speaks of.

Each resource is judged by the grants that a read or search of it would ask, inside the database, when its page is
asked for. A cursor says where a page begins and no more, so a made-up one shows nothing that the first page would not
lead to.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fhir_server.access.scopes import allows
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import parse_reference, references_in
from fhir_server.interactions.bundles import searchset
from fhir_server.interactions.parameters import SUBSETTING, time_stated
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.subsets import part_asked, parts_of
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.operations.care_dates import CareTime
from fhir_server.operations.inputs import one, texts, whole_number
from fhir_server.store.values import Page, Stored

Fetched = tuple[Sequence[Stored], str | None]
Fetch = Callable[[str, str | None, int], Fetched]
"""Resources of a type from a cursor on, at most so many, and the cursor behind them when there are more."""

PEOPLE = ("Practitioner", "PractitionerRole", "Organization", "HealthcareService", "Location")
SECONDS = 5.0
"""A page that took so long ends, and leads on by its next link."""

_KNOWN = ("_count", "_cursor", "_since", "_type", "end", "start", *SUBSETTING)
_ROUNDS = 2  # a role leads to its practitioner and its organisation


@dataclass(frozen=True)
class Wish:
    """What a caller asks of everything: the types, from when on, the time of care, how many on a page, from where, and
    how each resource is cut, when it is."""

    types: frozenset[str]
    since: datetime | None
    care: CareTime
    count: int
    cursor: str | None
    cut: Callable[[Resource], Resource] | None
    parameters: tuple[tuple[str, str], ...]
    form: tuple[tuple[str, str], ...]

    def is_new(self, stored: Stored) -> bool:
        """Whether the resource was updated since the asked time."""
        return self.since is None or stored.last_updated >= self.since


def wish_of(interaction: Interaction, services: Services, usual: Sequence[str], also: Sequence[str] = ()) -> Wish:
    """What is asked of the types that are `usual` and of people, or of `also` by name. Raises MalformedRequest."""
    given = texts(interaction, services, _KNOWN)
    possible = (*usual, *also, *PEOPLE)
    named = [name for text in given.get("_type", []) for name in text.split(",")]
    unknown = [name for name in named if name not in possible]
    if unknown:
        raise MalformedRequest(
            f"_type takes {', '.join(sorted(possible))}; not {unknown[0]!r}.", rule="parameter-value"
        )
    count = whole_number(given, "_count")
    if count == 0:
        raise MalformedRequest("_count is at least 1.", rule="parameter-value")
    types = named or [*usual, *PEOPLE]
    return Wish(
        frozenset(types),
        _moment(one(given, "_since")),
        _care(given),
        min(count or services.default_count, services.max_count),
        one(given, "_cursor"),
        part_asked(types, [(name, value) for name in SUBSETTING for value in given.get(name, [])]),
        tuple((name, value) for name, values in given.items() for value in values),
        interaction.form,
    )


def _care(given: dict[str, list[str]]) -> CareTime:
    """The time of care: the whole of both days, months or years that are named."""
    start, end = _range(given, "start"), _range(given, "end")
    if start and end and end[1] <= start[0]:
        raise MalformedRequest("start comes before end.", rule="parameter-value")
    return CareTime(start[0] if start else None, end[1] if end else None)


def _range(given: dict[str, list[str]], name: str) -> tuple[datetime, datetime] | None:
    text = one(given, name)
    try:
        return time_stated(text) if text is not None else None
    except ValueError as error:
        raise MalformedRequest(f"{name} takes a date, not {text!r}.", rule="parameter-value") from error


def everything(
    root: Stored, wish: Wish, order: Sequence[str], fetch: Fetch, sight: Sight, services: Services
) -> Page[Stored]:
    """The page that is wished for: resources of the types in their `order`, then the people they refer to."""
    asks_for_people = bool(wish.types & set(PEOPLE))
    listed = [name for name in order if asks_for_people or name in wish.types]
    readable = [name for name in listed if allows(sight.actor, "read", name)]
    found, following = _page(readable, wish, fetch, root)
    people = _people(found, wish, sight, services) if asks_for_people else ()
    return Page(tuple(stored for stored in found if stored.type in wish.types), people, following)


def answer_of(root: Stored, reason: str, wish: Wish, page: Page[Stored], services: Services) -> Answer:
    """The searchset; `disclosed` names each resource in it."""
    place = f"{root.reference}/$everything"
    cut = replace(
        page, matches=tuple(parts_of(page.matches, wish.cut)), included=tuple(parts_of(page.included, wish.cut))
    )
    body = searchset(services.base_url, place, (*wish.parameters, *wish.form), cut)
    query = "&".join(f"{name}={value}" for name, value in wish.parameters)
    return Answer("ok", body, None, (*page.matches, *page.included), reason, query=f"{place}?{query}".rstrip("?"))


def _page(types: Sequence[str], wish: Wish, fetch: Fetch, root: Stored) -> tuple[list[Stored], str | None]:
    """At most the wished number of resources, and where the next page begins when there is one."""
    started = time.monotonic()
    position, cursor = _begin(types, wish.cursor)
    found: list[Stored] = []
    while position < len(types) and len(found) < wish.count:
        stored, following = fetch(types[position], cursor, wish.count - len(found))
        found += [each for each in stored if each.reference == root.reference or _is_in_time(each, wish)]
        position, cursor = (position + 1, None) if following is None else (position, following)
        if time.monotonic() - started > SECONDS:
            break
    if cursor is not None and position < len(types):
        return found, f"{types[position]}:{cursor}"
    return found, _next(types[position:], fetch, time.monotonic() - started > SECONDS)


def _is_in_time(stored: Stored, wish: Wish) -> bool:
    return wish.care.is_open or wish.care.holds(stored.resource())


def _next(types: Sequence[str], fetch: Fetch, late: bool) -> str | None:
    """The first of the remaining types that has something; unseen when it is late."""
    more = (name for name in types if late or fetch(name, None, 1)[0])
    following = next(more, None)
    return f"{following}:" if following else None


def _begin(types: Sequence[str], cursor: str | None) -> tuple[int, str | None]:
    if cursor is None:
        return 0, None
    type_name, _, inner = cursor.partition(":")
    if type_name not in types:
        raise MalformedRequest("'_cursor' is not from a next link; follow the links as they are given.", rule="cursor")
    return types.index(type_name), inner or None


def _people(found: Sequence[Stored], wish: Wish, sight: Sight, services: Services) -> tuple[Stored, ...]:
    """Whom the resources refer to, and whom those refer to in turn, as far as the actor may read them."""
    people: dict[str, Stored] = {}
    asking: Sequence[Stored] = found
    for _ in range(_ROUNDS):
        wanted = dict.fromkeys(reference for each in asking for reference in _referred(each))
        read = services.reading.read_many(reference for reference in wanted if reference not in people)
        asking = [stored for stored in read.values() if sight.reason_to_read(stored) is not None]
        people |= {stored.reference: stored for stored in asking}
    shown = (people[reference] for reference in sorted(people))
    return tuple(
        stored
        for stored in shown
        if stored.type in wish.types and wish.is_new(stored) and allows(sight.actor, "read", stored.type)
    )


def _referred(stored: Stored) -> Iterator[str]:
    for _, text in references_in(stored.resource()):
        reference = parse_reference(text)
        if reference and reference.type in PEOPLE:
            yield str(reference)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return time_stated(text)[0]
    except ValueError as error:
        raise MalformedRequest(f"_since takes an instant, not {text!r}.", rule="parameter-value") from error
