"""What an AuditEvent can be found by: what `extract.py` finds, sooner, since AuditEvents are many and nearly alike.

Only who acted, what it was about and when differ from one to the next. What the other parameters find is kept from
the events before, and so is what each actor and each resource is found by.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any, TypeAlias

from fhir_server.fhir.json import Resource, decode, encode
from fhir_server.search.extract import Extraction, searched

_CHANGING = frozenset({"agent", "altid", "date", "entity", "patient"})
# The elements that only these parameters see, or none.
_OWN = frozenset({"id", "recorded", "outcomeDesc"})
_OF_META = frozenset({"versionId", "lastUpdated"})
_OF_AGENT = frozenset({"who", "altId"})
_OF_ENTITY = frozenset({"what", "query", "description", "detail"})
_WHAT = frozenset({"what"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = 1000
_INSTANT = len("2026-05-01T12:00:00.000Z")
_LONGEST = 200
_PLAIN = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9.-]{1,64})(?:/_history/([0-9]{1,20}))?")
_ANY = "an-id-that-stands-for-any"
_ANY_VERSION = "a-version-that-stands-for-any"

_Terms: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""Terms, and the parameters that have them."""


def audit_values(event: Resource) -> dict[str, Any]:
    """The same fields as `search_values` gives, their lists in another order."""
    steady = _steady(encode(_alike(event)))
    parts = list(_parts(event))
    if None in parts:
        changing = _extraction(changing=True).values_of(event)
        terms, has, dates, keys = changing["t"], changing["has"], changing["d"], changing["k"]
    else:
        terms = dict.fromkeys(term for part in parts if part for term in part[0])
        has = ["date", *dict.fromkeys(code for part in parts if part for code in part[1])]
        dates, keys = _dates(event["recorded"])
    return {
        "t": [*steady["t"], *terms],
        "d": {**steady["d"], **dates},
        "s": steady["s"],
        "has": [*steady["has"], *has],
        "k": {**steady["k"], **keys},
    }


def terms_of_named(reference: str) -> tuple[str, ...]:
    """The terms by which an AuditEvent is found that names `reference`."""
    return _terms({"entity": [{"what": {"reference": reference}}]})[0]


def _alike(event: Resource) -> Resource:
    """The event without what differs; entities of which nothing is left are left out."""
    kept = {name: value for name, value in event.items() if name not in _OWN}
    if "meta" in kept:
        kept["meta"] = _without(kept["meta"], _OF_META)
    kept["agent"] = [_without(agent, _OF_AGENT) for agent in event.get("agent", ())]
    entities = [
        entity for entity in event.get("entity", ()) if entity.keys() != _WHAT
    ]  # of a page, most are that alone
    kept["entity"] = [rest for entity in entities if (rest := _without(entity, _OF_ENTITY))]
    return kept


def _without(element: Resource, names: frozenset[str]) -> Resource:
    return {name: value for name, value in element.items() if name not in names}


@lru_cache(maxsize=512)
def _steady(alike: bytes) -> dict[str, Any]:
    return _extraction(changing=False).values_of(decode(alike))


def _parts(event: Resource) -> Iterator[_Terms | None]:
    """What each agent and entity is found by; None for what is written in another way than this server writes it."""
    recorded = event.get("recorded", "")
    yield ((), ()) if len(recorded) == _INSTANT and recorded.endswith("Z") else None
    for agent in event.get("agent", ()):
        known = _is_plain(agent.get("who")) and len(agent.get("altId", "")) < _LONGEST
        yield _of_agent(agent.get("who", {}).get("reference"), agent.get("altId")) if known else None
    for entity in event.get("entity", ()):
        if "what" in entity:
            yield _of_entity(entity["what"]["reference"]) if _is_plain(entity["what"]) else None


def _is_plain(reference: Any) -> bool:
    """Whether it is absent, or an address and no more; a long one is not worth keeping."""
    if reference is None:
        return True
    return reference.keys() == {"reference"} and len(reference["reference"]) < _LONGEST


@lru_cache(maxsize=4096)
def _of_agent(who: str | None, alternative: str | None) -> _Terms:
    given = {"who": {"reference": who} if who else None, "altId": alternative}
    return _terms({"agent": [{name: value for name, value in given.items() if value}]})


@lru_cache(maxsize=8192)
def _of_entity(reference: str) -> _Terms:
    plain = _PLAIN.fullmatch(reference)
    if plain is None or ".." in reference:
        return _terms({"entity": [{"what": {"reference": reference}}]})
    terms, has = _of_entities(plain[1], versioned=plain[3] is not None)
    return tuple(each.replace(_ANY, plain[2]).replace(_ANY_VERSION, plain[3] or "") for each in terms), has


@lru_cache(maxsize=512)
def _of_entities(type_name: str, *, versioned: bool) -> _Terms:
    """What every resource of a type is found by, or every version; the id and the version are still to be put in."""
    version = f"/_history/{_ANY_VERSION}" if versioned else ""
    return _terms({"entity": [{"what": {"reference": f"{type_name}/{_ANY}{version}"}}]})


def _terms(part: Resource) -> _Terms:
    found = _extraction(changing=True).values_of({"resourceType": "AuditEvent", **part})
    return tuple(found["t"]), tuple(found["has"])


def _dates(recorded: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The range and the key of an instant with milliseconds."""
    start = (datetime.fromisoformat(recorded) - _EPOCH) // _MICROSECOND
    return {"date": [{"lo": start, "hi": start + _MILLISECOND}]}, {"date": {"lo": start, "hi": start}}


@cache
def _extraction(*, changing: bool) -> Extraction:
    return Extraction("AuditEvent", [each for each in searched("AuditEvent") if (each.code in _CHANGING) == changing])
