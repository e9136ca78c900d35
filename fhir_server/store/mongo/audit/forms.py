"""AuditEvents as MongoDB keeps them, made by their form: what is alike of many is worked out and encoded once.

Events of one form differ in their time, their person and which resources of the same types they name, and so in a few
values of an otherwise equal document. Making these documents is most of the work of carrying on what was recorded, so
they are put together as bytes (`bson_bytes.py`). An event that is written in another way than this server writes it has
no form. Only what has one can name its kind (`kinds.py`) instead of the terms that this stands for.
"""

import re
import uuid
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

import bson
import msgspec

from fhir_server.definitions.search_parameters import own_mark_of
from fhir_server.search.audit_values import terms_of_named
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.audit import bson_bytes
from fhir_server.store.mongo.audit.kinds import Kind, kind_of
from fhir_server.store.mongo.documents import AUDIT_EVENTS, NAMED, Document, current_document
from fhir_server.store.values import Stored

Sort: TypeAlias = tuple[bytes, bool]
"""The type of what is named, and whether a version of it is."""
Named: TypeAlias = tuple[bytes, bytes, Sort]
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


class Alike(NamedTuple):
    """What the form of an event depends on, in JSON; `others` are its entities without what they name."""

    type: bytes
    subtype: bytes
    agent: bytes
    source: bytes
    action: str
    outcome: str
    sorts: tuple[Sort, ...]
    others: tuple[bytes, ...]


@dataclass(frozen=True)
class _Terms:
    """Terms that all of a form have, as `array` how an array of them begins, and how many these are."""

    array: bytes
    count: int


@dataclass(frozen=True)
class Form:
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
    sorts: dict[Sort, Sequence[tuple[bytes, bool]]]
    rest: Sequence[bytes]
    times: Sequence[int]


@dataclass(frozen=True)
class Formed:
    """An AuditEvent that has a form; `terms` are those of its own, `recorded` its moment.

    `named` is what a page names that has no term, as `pages.py` says.
    """

    form: Form
    id: str
    recorded: str
    body: bytes
    stamp: Stamp
    terms: Sequence[bytes]
    named: Sequence[bytes] = ()

    def document(self, kinds: Container[str]) -> bytes:
        """Its document in BSON; it names its kind when that is one of `kinds`."""
        alike = self.form.short if self.form.kind.name in kinds else self.form.plain
        patient = self.stamp.patient
        fields = [
            bson_bytes.text_element(b"_id", self.id.encode()),
            bson_bytes.binary_element(b"body", self.body),
            bson_bytes.text_element(b"patient", patient.encode() if patient else None),
            bson_bytes.array_element(b"plans", bson_bytes.texts_from([plan.encode() for plan in self.stamp.plans])),
            bson_bytes.array_element(b"t", alike.array + bson_bytes.texts_from(self.terms, alike.count)),
            *([bson_bytes.array_element(NAMED.encode(), bson_bytes.texts_from(self.named))] if self.named else ()),
            self.form.rest[0],
        ]
        times = _as_kept((datetime.fromisoformat(self.recorded) - _EPOCH) // _MILLISECOND)
        for which, rest in zip(self.form.times, self.form.rest[1:], strict=True):
            fields += (times[which], rest)
        return bson_bytes.document(b"".join(fields))


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
    if not dated or not is_plain(stamp):
        return None
    named, alike = _parts(event)
    form = form_of(alike, own_mark_of(AUDIT_EVENTS))
    terms = terms_beside(form, named)
    if len(form.terms) + len(terms) >= bson_bytes.MOST_TEXTS:
        return None
    return Formed(form, event.id, event.recorded, body, stamp, terms)


def terms_beside(form: Form, named: Iterable[Named]) -> list[bytes]:
    """The terms by which what is named is found, beside those that all of the form have."""
    found = [
        before + reference + version if to_version else before + reference
        for reference, version, sort in named
        for before, to_version in form.sorts[sort]
    ]
    return [term for term in dict.fromkeys(found) if term not in form.terms]


def is_plain(stamp: Stamp) -> bool:
    """Whether it says of whom and in which plans, and no more."""
    beyond = stamp.readers or stamp.glimpses or stamp.author is not None or stamp.label is not None
    return not beyond and stamp.audience == "circle"


def _parts(event: _Event) -> tuple[Sequence[Named], Alike]:
    """What the event names, and the rest of what it is found by. What was asked finds nothing."""
    named: list[Named] = []
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
    return named, Alike(*steady, event.action, event.outcome, sorts, tuple(others))


def _as_kept(milliseconds: int) -> Sequence[bytes]:
    """A moment of the audit as the times of its document: milliseconds, its beginning and its end in microseconds."""
    beginning = milliseconds * 1000
    return tuple(map(bson_bytes.long_value, (milliseconds, beginning, beginning + 1000)))


@lru_cache(maxsize=1024)
def form_of(alike: Alike, mark: str | None) -> Form:
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
    fields = current_document(Stored(AUDIT_EVENTS, "any", 1, _ANY_TIME, sample, Stamp()))
    terms = [term for term in fields["t"] if _ANY.decode() not in term]
    kind = kind_of(terms)
    short = [kind.name, *(term for term in terms if term not in kind.terms)]
    rest, times = _cut({name: value for name, value in fields.items() if name not in _VARYING})
    return Form(kind, frozenset(map(str.encode, terms)), _array(terms), _array(short), sorts, rest, times)


def _array(terms: Sequence[str]) -> _Terms:
    return _Terms(bson_bytes.texts_from([term.encode() for term in terms]), len(terms))


def _any_of(sort: Sort) -> bytes:
    type_name, versioned = sort
    return b"%b/%b%b" % (type_name, _ANY, _ANY_VERSION if versioned else b"")


def _before(sort: Sort) -> Sequence[tuple[bytes, bool]]:
    """What stands before the reference in each term of the sort, and whether that is to the version."""
    any_such = _any_of(sort)
    unversioned = any_such.removesuffix(_ANY_VERSION)
    terms = [term.encode() for term in terms_of_named(any_such.decode())]
    return [(term.removesuffix(_ANY_VERSION).removesuffix(unversioned), term.endswith(_ANY_VERSION)) for term in terms]


def _cut(fields: Document) -> tuple[Sequence[bytes], Sequence[int]]:
    """The fields as they end a document, cut where a time of `_ANY_TIME` stands, and which time that is."""
    times = _as_kept((_ANY_TIME - _EPOCH) // _MILLISECOND)
    parts = re.split(b"(" + b"|".join(map(re.escape, times)) + b")", bson_bytes.elements_of(bson.encode(fields)))
    return parts[::2], [times.index(each) for each in parts[1::2]]
