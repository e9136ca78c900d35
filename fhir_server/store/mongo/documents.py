"""How a stored version, a circle and a stamp lie in MongoDB.

A collection per resource type holds current versions; the ledger those that another has followed, with the stamp that
they had then. One document: `_id` (the resource's id; in the ledger as `ledger.py` says), `type`, `v` version, `lu`
last updated, `body` the exact JSON bytes, `del` tombstone, `method`, `back` whether it brought back what was deleted,
the stamp (`patient plans author audience readers glimpses label`, a reader being `{p: party, f: from, u: until}`, a
glimpse one with `g: programme`) and, in current versions only, the search values of `search/extract.py`.
"""

from collections.abc import Container, Iterable
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias

from bson import Binary

from fhir_server.definitions.search_parameters import own_mark_of
from fhir_server.fhir.errors import TooLarge
from fhir_server.fhir.reference import parse_reference, targets_in
from fhir_server.search.audit_values import audit_values
from fhir_server.search.extract import search_values
from fhir_server.search.fingerprints import shipped_mark_of
from fhir_server.search.grant import Glimpse, Grant, Reader, Stamp
from fhir_server.search.texts import wording_of
from fhir_server.store.mongo.contained import contained_terms, contained_values
from fhir_server.store.mongo.wording import NO_WORDING, WORDING, kept_wording
from fhir_server.store.values import Match, Stored

Document: TypeAlias = dict[str, Any]

CIRCLES = "circles"
EVENTS = "events"
COUNTERS = "counters"
AUDIT_EVENTS = "AuditEvent"


MOST_OF_TERMS = 4 * 1024 * 1024
"""Characters of the terms that one write may bring: MongoDB keeps all keys of a write in its cache until it is done,
and with more than a cache of 256 MB bears it works at it for ten seconds, then gives up."""
_FEW_TERMS = 2000

NAMED = "named"
"""What the AuditEvent of a page names that has no term of its own, as `audit/pages.py` says."""

# What only searches need: it stays in the database, and an update takes away those that a version has no more. `w` is
# what an earlier build kept for WORDING.
SEARCH_VALUES = ("t", "d", "s", "n", "g", "m", "has", "k", "own", "c", NAMED, WORDING, "w")
TERMS_SENT = dict.fromkeys(("t", NAMED), 1)
"""What says whom a document refers to."""
# What a Stored is made of, and nothing else, is sent.
STORED_FIELDS = dict.fromkeys(
    (
        "type",
        "v",
        "lu",
        "body",
        "del",
        "method",
        "back",
        "patient",
        "plans",
        "author",
        "audience",
        "readers",
        "glimpses",
        "label",
    ),
    1,
)
# The same of what is only shown, and judged by nobody any more: who reads it, and since when, takes longest to send.
SHOWN_FIELDS = {name: 1 for name in STORED_FIELDS if name not in {"readers", "glimpses"}}
# What is shown of a match, and what the record of showing it needs: a time takes longer to read than all the rest.
MATCH_FIELDS = dict.fromkeys(("body", "patient", "plans", "audience"), 1)


def document_to_keep(stored: Stored, *, full_text: Container[str] = ()) -> Document:
    """The document of a version that somebody writes. Raises TooLarge for more terms than one write may bring."""
    document = current_document(stored, full_text=full_text)
    terms = document.get("t", ())
    if len(terms) > _FEW_TERMS and sum(map(len, terms)) > MOST_OF_TERMS:
        raise TooLarge(
            f"{stored.reference} has too many codes, identifiers and references to be found by: {len(terms)} forms of "
            f"them, of more than {MOST_OF_TERMS} characters together. Divide it."
        )
    return document


def current_document(stored: Stored, *, full_text: Container[str] = ()) -> Document:
    """The document of a current version; a tombstone keeps its stamp but no search values, so no search finds it.

    A resource of a type in `full_text`, or one that it contains, has its wording there, as `wording.py` says.
    """
    values = {} if stored.deleted else found_by(stored, full_text)
    if stored.type in full_text:
        values = {**values, WORDING: NO_WORDING if stored.deleted else kept_wording(wording_of(stored.resource()))}
    return {"_id": stored.id, **_version_fields(stored), **stamp_fields(stored.stamp), **values}


def found_by(stored: Stored, full_text: Container[str] = ()) -> Document:
    """The search values, those of what it contains, and among the terms those that say what this one refers to.

    What it contains of a type in `full_text` keeps its words; its own are not among these values.

    `own` is the mark of what it is indexed by, as `search/fingerprints.py` makes them.
    """
    resource, mark = stored.resource(), own_mark_of(stored.type) or shipped_mark_of(stored.type)
    if stored.type == AUDIT_EVENTS:  # what the audit names may go
        return {**audit_values(resource), "own": mark}
    values = {**search_values(resource), "own": mark}
    referred = {str(found) for text in targets_in(resource) if (found := parse_reference(text))}
    contained = contained_values(resource, full_text)
    terms = [*values["t"], *(refers_to(reference) for reference in sorted(referred)), *contained_terms(contained)]
    return {**values, "t": terms, **({"c": contained} if contained else {})}


def refers_to(reference: str) -> str:
    """The term of a resource that refers to `Type/id`, by whatever element; no search parameter has this name."""
    return f"_refers={reference}"


def history_fields(stored: Stored, followed: datetime) -> Document:
    """What is kept of this version now that another follows it, since `followed`.

    `see` holds the keys of those who may ask for it in a history of many resources, `o` its place among the versions
    of one moment, `nx` the moment when another took its place.
    """
    stamp = stored.stamp
    see = seen_by([reader.party for reader in stamp.readers], stamp.plans, [stamp.author] if stamp.author else [])
    return {
        **_version_fields(stored),
        **stamp_fields(stamp),
        "see": sorted(see | ({"*"} if stamp.audience == "everyone" else set())),
        "o": time_key(stored.type, stored.id, stored.version),
        "nx": followed,
    }


def seen_by(readers: Iterable[str] = (), plans: Iterable[str] = (), authors: Iterable[str] = ()) -> set[str]:
    """The keys under which past versions are found by their readers, plans and authors."""
    named = (("r", readers), ("p", plans), ("a", authors))
    return {f"{kind}:{name}" for kind, names in named for name in names}


def history_keys_of(grant: Grant) -> set[str]:
    """The keys under which a grant finds past versions."""
    return seen_by(grant.readers, grant.plans, grant.authors) | ({"*"} if grant.everyone else set())


def time_key(type_name: str, id: str, version: int) -> str:
    """What orders versions of one moment by type, id and number; a space sorts before all that an id may hold."""
    return f"{type_name} {id} {version:010d}"


def stored_from(type_name: str, id: str, document: Document) -> Stored:
    """The Stored that a current or history document of `Type/id` tells of."""
    made = Stored.__new__(Stored)
    # As its own constructor does, in half the time: a page has many.
    made.__dict__.update(
        type=type_name,
        id=id,
        version=document["v"],
        last_updated=document["lu"],
        body=bytes(document["body"]),
        stamp=stamp_from(document),
        deleted=document["del"],
        method=document["method"],
        revives=document.get("back", False),
    )
    return made


def match_from(type_name: str, id: str, document: Document) -> Match:
    """The Match that a document of `Type/id` tells of by its MATCH_FIELDS."""
    made = Match.__new__(Match)
    stamp = _plain_stamp(document["patient"], tuple(document["plans"]), None, document["audience"], None)
    made.__dict__.update(type=type_name, id=id, body=document["body"], stamp=stamp)
    return made


def stamp_fields(stamp: Stamp) -> Document:
    """The fields that a stamp takes in a document."""
    return {
        "patient": stamp.patient,
        "plans": list(stamp.plans),
        "author": stamp.author,
        "audience": stamp.audience,
        "readers": readers_kept(stamp.readers),
        "glimpses": [
            {"p": each.party, "g": each.programme, "f": each.start, "u": each.until} for each in stamp.glimpses
        ],
        "label": stamp.label,
    }


def stamp_from(document: Document) -> Stamp:
    """The stamp that a document carries; of SHOWN_FIELDS, one that admits no reader."""
    plain = _plain_stamp(
        document["patient"],
        tuple(document["plans"]),
        document["author"],
        document["audience"],
        document.get("label"),
    )
    readers, glimpses = document.get("readers"), document.get("glimpses")
    if not readers and not glimpses:
        return plain
    seen = tuple(Glimpse(each["p"], each["g"], each["f"], each["u"]) for each in glimpses or ())
    return replace(plain, readers=readers_from(readers or []), glimpses=seen)


@lru_cache(maxsize=4096)
def _plain_stamp(
    patient: str | None, plans: tuple[str, ...], author: str | None, audience: str, label: str | None
) -> Stamp:
    """The stamp of what names no readers: whole charts share one."""
    return Stamp(patient, plans, (), author, audience, (), label)


def admitted(parties: list[str], moment: datetime) -> Document:
    """The condition that one of `parties` is among an array of readers at `moment`."""
    return {"$elemMatch": {"p": {"$in": parties}, "f": {"$lte": moment}, "u": {"$gt": moment}}}


def _version_fields(stored: Stored) -> Document:
    return {
        "type": stored.type,
        "v": stored.version,
        "lu": stored.last_updated,
        "body": Binary(b"" if stored.deleted else stored.body),
        "del": stored.deleted,
        "method": stored.method,
        "back": stored.revives,
    }


def readers_kept(readers: tuple[Reader, ...]) -> list[Document]:
    """Readers as an array in a document."""
    return [{"p": reader.party, "f": reader.start, "u": reader.until} for reader in readers]


def readers_from(documents: list[Document]) -> tuple[Reader, ...]:
    """The readers that such an array tells of."""
    return tuple(Reader(each["p"], each["f"], each["u"]) for each in documents)
