"""What this process told of pages a moment ago, ready for MongoDB before the record comes back from the journal.

A page that is about one person names most of what AuditEvents name. What it names is known when it is told, so nothing
is taken apart again, and it is known that all of it is about that person: so it is kept as `pages.py` says. What
another process recorded, or this one before it ended, goes the way of all records.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress

from fhir_server.definitions.search_parameters import own_mark_of
from fhir_server.fhir.json import Resource, encode
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.audit.forms import Alike, Formed, form_of, formed, is_plain, terms_beside
from fhir_server.store.mongo.audit.pages import NAMES, page_term
from fhir_server.store.mongo.documents import AUDIT_EVENTS

LEAST = 4
"""With fewer names a term for each costs no more."""
MOST_NAMES = 1000
MOST_PAGES = 1000
"""Pages that wait at most; each takes some three KB."""

_NAMES = re.compile(r"(?:[A-Z][A-Za-z]{1,63}/[A-Za-z0-9-]{1,64} )+")
_BY_NAME = [(NAMES.encode() + b"=", False)]
_PATIENT = (b"Patient", False)


class ToldPages:
    """The pages of a process by their records, each until it is taken; the oldest go first when they are too many.

    Records that another process carries on, or that are made anew for a purge, are never taken.
    """

    def __init__(self) -> None:
        self._made: OrderedDict[bytes, Formed] = OrderedDict()

    def keep(self, record: bytes, event: Resource, body: bytes, stamp: Stamp, page: Sequence[str]) -> None:
        """Make ready the event that a record keeps, if it is of a page, as the store's contract says."""
        made = formed_page(event, body, stamp, page) if LEAST <= len(page) <= MOST_NAMES else None
        if made is not None:
            self._made[record] = made
            if len(self._made) > MOST_PAGES:
                with suppress(KeyError):
                    self._made.popitem(last=False)

    def formed(self, record: bytes) -> Formed | None:
        """What was made ready of a record, else what `forms.py` makes of it."""
        return self._made.pop(record, None) or formed(record)


def formed_page(event: Resource, body: bytes, stamp: Stamp, page: Sequence[str]) -> Formed | None:
    """The AuditEvent of a page, as `audit/events.py` makes it; None of what lies otherwise."""
    person = stamp.patient
    if person is None or not is_plain(stamp) or not _NAMES.fullmatch(f"{person} {' '.join(page)} "):
        return None
    types = {each.partition("/")[0] for each in page}
    named = [each for each in page if each != person] if "Patient" in types else page
    others: dict[bytes, None] = {}
    for entity in event["entity"][len(page) :]:
        if "query" not in entity:
            others[encode({name: value for name, value in entity.items() if name != "what"})] = None
    sorts = tuple((each.encode(), False) for each in sorted(types | {"Patient"}))
    steady = (encode(event["type"]), encode(event["subtype"]), encode(event["agent"]), encode(event["source"]))
    form = form_of(Alike(*steady, event["action"], event["outcome"], sorts, tuple(others)), own_mark_of(AUDIT_EVENTS))
    if any(form.sorts[sort] != _BY_NAME for sort in sorts if sort != _PATIENT):
        return None  # the operator's own parameters find it by these, too
    terms = terms_beside(form, [(person.encode(), b"", _PATIENT)])
    terms += [page_term(person, each).encode() for each in sorted(types - {"Patient"})]
    return Formed(form, event["id"], event["recorded"], body, stamp, terms, [each.encode() for each in named])
