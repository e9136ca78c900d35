"""The indexes of each collection of current versions, and their making at start-up.

Three kinds. Worklists: `{readers.p, status, due or lu, _id}`, one range for each party and status whatever its
caseload; only the coordination types and Patient carry readers. The chart of a person: `{k.patient.lo, k.date.hi,
_id}`, newest first. Everything else: `{t, _id}`, one range for any code, reference or uri. MongoDB allows one array in
an index, so `t`, `readers` and `plans` never share one, and what stands beside them are the scalar keys of
`search/keys.py`.
Types whose words are kept have `{f.words, _id}`. Every index ends in `_id`, so that a page can begin after any
document. One more, of hardly any keys, finds the documents in which AuditEvents wait.
"""

import hashlib
import json
from collections.abc import Container, Iterable, Sequence
from functools import cache
from typing import Any, TypeAlias

from pymongo import ASCENDING, IndexModel
from pymongo.database import Database
from pymongo.errors import OperationFailure

from fhir_server.definitions.search_parameters import shipped_parameters_of
from fhir_server.search.keys import LAST_TEXT, has_key
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.wording import BY_WORD

Fields: TypeAlias = tuple[str, ...]

FINGERPRINTS = "index_fingerprints"

STATUS_OF = {
    "Task": "status",
    "ServiceRequest": "status",
    "CarePlan": "status",
    "CareTeam": "status",
    "Consent": "status",
    "Goal": "lifecycle-status",
}
"""The coordination types, each with the parameter that its worklists narrow first."""

_IN_TIME = {"lu", "k.due.lo", "k.due.hi"}
"""The fields of time in whose order worklists are asked, or within it."""

_STAMPED = frozenset({*STATUS_OF, "Patient"})
_CASELOAD = "readers.p"
_FORMER: tuple[Fields, ...] = ((_CASELOAD, "lu", "_id"), (_CASELOAD, "k.due.lo", "_id"))
"""Indexes of coordination types that this version does without; others serve what they served."""
_WORDS: Fields = (BY_WORD, "_id")
_WAITING = "waiting"
_OF_WAITING = IndexModel([(_WAITING, ASCENDING)], sparse=True)
_NO_SUCH_INDEX = 27


@cache
def keyed(type_name: str) -> frozenset[str]:
    """The parameters of a type whose scalar keys stand in an index, so that queries ask the key."""
    return frozenset(field.split(".")[1] for fields in _fields_of(type_name) for field in fields if field[:2] == "k.")


def indexes_of(type_name: str, *, words: bool = False) -> list[IndexModel]:
    """The indexes that the collection of a type has beside that on `_id`, with `words` one of its words."""
    all_fields = (*_fields_of(type_name), *((_WORDS,) if words else ()))
    return [IndexModel([(field, ASCENDING) for field in fields]) for fields in all_fields]


def ensure_indexes(database: Database[Document], type_names: Sequence[str], full_text: Container[str] = ()) -> None:
    """Make the indexes that are missing; quick when nothing changed. The types in `full_text` have one of words.

    A fingerprint of each type's declaration is kept, so a start that changes nothing asks one question. What an earlier
    version had and this one does without is dropped: it would cost every write. Other indexes that are not declared
    stay, because another version of this server may be running on the same database.
    """
    wanted = {type_name: _fingerprint(type_name, words=type_name in full_text) for type_name in type_names}
    kept = {each["_id"]: each["fields"] for each in database[FINGERPRINTS].find({"_id": {"$in": list(wanted)}})}
    for type_name, fingerprint in wanted.items():
        if kept.get(type_name) != fingerprint:
            declared = indexes_of(type_name, words=type_name in full_text)
            database[type_name].create_indexes([*declared, _OF_WAITING])
            _drop_former(database, type_name)
            database[FINGERPRINTS].replace_one({"_id": type_name}, {"fields": fingerprint}, upsert=True)


def in_time_alone(type_name: str, fields: Iterable[str]) -> dict[str, Any] | None:
    """What lets an index of worklists serve an order or a range in `fields` of time when no status is asked.

    These indexes have the status before the time, for a write pays for each index that has an entry for what changed.
    But a status is one of few codes, or none at all. Asked for all of them, MongoDB reads a range of the index for each
    and merges these in the order of time.
    """
    if type_name not in STATUS_OF or _IN_TIME.isdisjoint(fields):
        return None
    codes = shipped_parameters_of(type_name)[STATUS_OF[type_name]].codes
    return {status_key(type_name): {"$in": [*codes, LAST_TEXT, None]}} if codes else None


def status_key(type_name: str) -> str:
    """The key of the status of a coordination type."""
    return f"k.{STATUS_OF[type_name]}.lo"


def _drop_former(database: Database[Document], type_name: str) -> None:
    for fields in _FORMER if type_name in STATUS_OF else ():
        try:
            database[type_name].drop_index([(field, ASCENDING) for field in fields])
        except OperationFailure as error:
            if error.code != _NO_SUCH_INDEX:
                raise


@cache
def _fields_of(type_name: str) -> tuple[Fields, ...]:
    fields: list[Fields] = [("t", "_id"), ("plans", "_id")]
    if type_name in _STAMPED:
        fields += _worklists(type_name)
    else:
        fields.append(("lu", "_id"))
    if type_name not in {*_STAMPED, "AuditEvent"}:
        fields += [("author", "_id"), ("patient", "_id"), *_chart(type_name)]
    return (*fields, *_names(type_name))


def _chart(type_name: str) -> list[Fields]:
    """A person's resources of the type, newest first."""
    parameters = shipped_parameters_of(type_name)
    if "patient" not in parameters or not has_key(parameters["patient"]):
        return []
    return [("k.patient.lo", "k.date.hi", "_id") if "date" in parameters else ("k.patient.lo", "_id")]


def _names(type_name: str) -> list[Fields]:
    parameters = shipped_parameters_of(type_name)
    searched: list[Fields] = [(f"s.{code}.f", "_id") for code in ("name", "family") if code in parameters]
    sorts = "name" in parameters and type_name not in _STAMPED
    return [*searched, ("k.name.lo", "_id")] if sorts else searched


def _worklists(type_name: str) -> list[Fields]:
    fields: list[Fields] = [(_CASELOAD, "_id")]
    if type_name == "Patient":
        fields.append((_CASELOAD, "lu", "_id"))
        by_name = [(_CASELOAD, "k.name.lo", "_id"), (_CASELOAD, "k.family.lo", "k.given.lo", "_id")]
        return [*fields, *by_name, ("k.birthdate.lo", "_id")]
    status = status_key(type_name)
    by_due = [(_CASELOAD, status, "k.due.lo", "_id")] if type_name == "Task" else []
    return [*fields, (_CASELOAD, status, "lu", "_id"), *by_due]


def _fingerprint(type_name: str, *, words: bool) -> str:
    fields = (*_fields_of(type_name), *((_WORDS,) if words else ()), _WAITING)
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()
