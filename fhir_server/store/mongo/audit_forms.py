"""AuditEvents as MongoDB keeps them, made by their form: what is alike of many is worked out and encoded once.

Events of one form differ in their time, their person and which resources of the same types they name, and so in a few
values of an otherwise equal document. Who carries on what was recorded spends most of the time on these documents;
hence bytes, as https://bsonspec.org/spec.html says. What is written in another way than this server writes it has no
form. Only what has one can name its kind (`audit_kinds.py`) instead of the terms that this stands for.
"""

import re
import uuid
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import Literal, NamedTuple, TypeAlias

import bson
import msgspec

from fhir_server.definitions.search_parameters import own_mark_of
from fhir_server.search.audit_values import terms_of_named
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.audit_kinds import Kind, kind_of
from fhir_server.store.mongo.documents import AUDIT_EVENTS, Document, current_document
from fhir_server.store.values import Stored

_Sort: TypeAlias = tuple[bytes, bool]
"""The type of what is named, and whether a version of it is."""
_Named: TypeAlias = tuple[bytes, bytes, _Sort]
"""A reference, what follows it when it is to a version, and of which sort it is."""

_NAMED = re.compile(
    rb'\{"what":\{"reference":"(([A-Z][A-Za-z]{1,63})/[A-Za-z0-9.-]{1,64})(/_history/[0-9]{1,10}|)"\}(,.*|)\}'
)
_QUESTION = re.compile(rb'\{"query":"[A-Za-z0-9+/=]*"\}')
_META = b'{"versionId":"1","lastUpdated":"%b"}'
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d\.\d{3}Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_ANY, _ANY_VERSION = uuid.uuid4().hex.encode(), b"/_history/7070707070"  # unlike any id that there is
_ANY_INSTANT, _ANY_TIME = b"2001-02-03T04:05:06.789Z", datetime(2001, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
_VARYING = frozenset({"_id", "body", "patient", "plans", "t"})

_int32, _int64 = Struct("<i").pack, Struct("<q").pack
_PLACES = tuple(b"\x02%d\x00" % place for place in range(4096))
"""How the texts of an array begin."""


class _Event(msgspec.Struct, forbid_unknown_fields=True):
    """An AuditEvent, as far as its form depends on it; with another element it has none."""

    resourceType: Literal["AuditEvent"]
    id: str
    meta: msgspec.Raw
    type: msgspec.Raw
    subtype: msgspec.Raw
    action: str
    recorded: str
    outcome: str
    agent: msgspec.Raw
    source: msgspec.Raw
    outcomeDesc: str = ""
    entity: list[msgspec.Raw] = []


class _Alike(NamedTuple):
    """What the form of an event depends on, as JSON; `others` are its entities without what they name."""

    type: bytes
    subtype: bytes
    agent: bytes
    source: bytes
    action: str
    outcome: str
    sorts: tuple[_Sort, ...]
    others: tuple[bytes, ...]


@dataclass(frozen=True)
class _Terms:
    """Terms that all of a form have, as `array` how an array of them begins, and how many these are."""

    array: bytes
    count: int


@dataclass(frozen=True)
class _Form:
    """What the documents of a form have in common.

    `terms` are those by which all of them are found, `plain` are all these, `short` the kind and the others. `sorts`
    says of each sort of reference what stands before it in the terms by which it is found, and whether the version is
    part of it. `rest` are the other fields, cut where a time stands, and `times` says which: its milliseconds, its
    beginning or its end.
    """

    kind: Kind
    terms: frozenset[bytes]
    plain: _Terms
    short: _Terms
    sorts: dict[_Sort, Sequence[tuple[bytes, bool]]]
    rest: Sequence[bytes]
    times: Sequence[int]


@dataclass(frozen=True)
class Formed:
    """An AuditEvent that has a form; `terms` are those of its own, `time` its moment in milliseconds."""

    form: _Form
    id: bytes
    body: bytes
    stamp: Stamp
    terms: Sequence[bytes]
    time: int

    @property
    def kind(self) -> Kind:
        """What it may name instead of the terms that this stands for."""
        return self.form.kind

    def document(self, kinds: Container[str]) -> bytes:
        """Its document in BSON; it names its kind when that is one of `kinds`."""
        alike = self.form.short if self.form.kind.name in kinds else self.form.plain
        patient = self.stamp.patient.encode() if self.stamp.patient is not None else None
        fields = [
            b"\x02_id\x00%b\x05body\x00%b\x00%b" % (_text(self.id), _int32(len(self.body)), self.body),
            b"\x0apatient\x00" if patient is None else b"\x02patient\x00%b" % _text(patient),
            b"\x04plans\x00%b" % _document(_texts([plan.encode() for plan in self.stamp.plans])),
            b"\x04t\x00%b" % _document(alike.array + _texts(self.terms, alike.count)),
            self.form.rest[0],
        ]
        times = _as_kept(self.time)
        for which, rest in zip(self.form.times, self.form.rest[1:], strict=True):
            fields += (times[which], rest)
        return _document(b"".join(fields))


_record = msgspec.json.Decoder(tuple[Stamp, msgspec.Raw])
_event = msgspec.json.Decoder(_Event)


def formed(record: bytes) -> Formed | None:
    """The AuditEvent that a journal record keeps, when it has a form and does not name too much."""
    stamp, raw = _record.decode(record)
    body = bytes(raw)
    try:
        event = _event.decode(body)
    except msgspec.ValidationError:
        return None
    dated = _INSTANT.fullmatch(event.recorded) and bytes(event.meta) == _META % event.recorded.encode()
    if not dated or not _is_plain(stamp):
        return None
    named, alike = _parts(event)
    form = _form(alike, own_mark_of(AUDIT_EVENTS))
    found = [
        before + reference + version if to_version else before + reference
        for reference, version, sort in named
        for before, to_version in form.sorts[sort]
    ]
    terms = [term for term in dict.fromkeys(found) if term not in form.terms]
    if len(form.terms) + len(terms) >= len(_PLACES):
        return None
    time = (datetime.fromisoformat(event.recorded) - _EPOCH) // _MILLISECOND
    return Formed(form, event.id.encode(), body, stamp, terms, time)


def _is_plain(stamp: Stamp) -> bool:
    """Whether it says of whom and in which plans, and no more."""
    beyond = stamp.readers or stamp.glimpses or stamp.author is not None or stamp.label is not None
    return not beyond and stamp.audience == "circle"


def _parts(event: _Event) -> tuple[Sequence[_Named], _Alike]:
    """What the event names, and the rest of what it is found by. What was asked finds nothing."""
    named: list[_Named] = []
    others: dict[bytes, None] = {}
    for entity in event.entity:
        found = _NAMED.fullmatch(entity)
        if found and b".." not in found[1]:  # a path, which terms do not have as it is
            reference, type_name, version, more = found.groups()
            named.append((reference, version, (type_name, bool(version))))
            if more:
                others[b"{%b}" % more[1:]] = None
        elif not _QUESTION.fullmatch(entity):
            others[bytes(entity)] = None
    sorts = tuple(dict.fromkeys([sort for _, _, sort in named]))
    steady = (bytes(event.type), bytes(event.subtype), bytes(event.agent), bytes(event.source))
    return named, _Alike(*steady, event.action, event.outcome, sorts, tuple(others))


def _as_kept(milliseconds: int) -> Sequence[bytes]:
    """A moment of the audit as the times of its document: milliseconds, its beginning and its end in microseconds."""
    return _int64(milliseconds), _int64(milliseconds * 1000), _int64(milliseconds * 1000 + 1000)


@lru_cache(maxsize=1024)
def _form(alike: _Alike, mark: str | None) -> _Form:
    """The form of such events, as long as the operator's own parameters have this `mark`."""
    sorts = {sort: _before(sort) for sort in alike.sorts}
    named = [b'{"what":{"reference":"%b"}}' % _any_of(sort) for sort in alike.sorts]
    sample = (
        b'{"resourceType":"AuditEvent","id":"any","type":%b,"subtype":%b,"action":"%b","recorded":"%b","outcome":"%b",'
        b'"agent":%b,"source":%b,"entity":[%b]}'
    ) % (
        alike.type,
        alike.subtype,
        alike.action.encode(),
        _ANY_INSTANT,
        alike.outcome.encode(),
        alike.agent,
        alike.source,
        b",".join([*named, *alike.others]),
    )
    document = current_document(Stored(AUDIT_EVENTS, "any", 1, _ANY_TIME, sample, Stamp()))
    terms = [term for term in document["t"] if _ANY.decode() not in term]
    kind = kind_of(terms)
    short = [kind.name, *(term for term in terms if term not in kind.terms)]
    rest, times = _cut({name: value for name, value in document.items() if name not in _VARYING})
    return _Form(kind, frozenset(map(str.encode, terms)), _array(terms), _array(short), sorts, rest, times)


def _array(terms: Sequence[str]) -> _Terms:
    return _Terms(_texts([term.encode() for term in terms]), len(terms))


def _any_of(sort: _Sort) -> bytes:
    type_name, versioned = sort
    return b"%b/%b%b" % (type_name, _ANY, _ANY_VERSION if versioned else b"")


def _before(sort: _Sort) -> Sequence[tuple[bytes, bool]]:
    """What stands before the reference in each term of the sort, and whether that is to the version."""
    any_such = _any_of(sort)
    unversioned = any_such.removesuffix(_ANY_VERSION)
    terms = [term.encode() for term in terms_of_named(any_such.decode())]
    return [(term.removesuffix(_ANY_VERSION).removesuffix(unversioned), term.endswith(_ANY_VERSION)) for term in terms]


def _cut(fields: Document) -> tuple[Sequence[bytes], Sequence[int]]:
    """The fields as they end a document, cut where a time of `_ANY_TIME` stands, and which time that is."""
    times = _as_kept((_ANY_TIME - _EPOCH) // _MILLISECOND)
    parts = re.split(b"(" + b"|".join(map(re.escape, times)) + b")", bson.encode(fields)[4:-1])
    return parts[::2], [times.index(each) for each in parts[1::2]]


def _document(fields: bytes) -> bytes:
    return b"%b%b\x00" % (_int32(len(fields) + 5), fields)


def _texts(texts: Collection[bytes], first: int = 0) -> bytes:
    """Texts as elements of an array, from its place `first` on."""
    places = _PLACES[first : first + len(texts)]
    return b"".join([b"%b%b%b\x00" % (at, _int32(len(each) + 1), each) for at, each in zip(places, texts, strict=True)])


def _text(text: bytes) -> bytes:
    return b"%b%b\x00" % (_int32(len(text) + 1), text)
