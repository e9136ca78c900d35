"""Where another page of a search begins, signed so that nobody can make one up.

A cursor holds the sort values of the last match of a page, or of the first when it leads back, and belongs to one
question: type, clauses and sort. It is good for a day. Who asks plays no part: what they may see is decided anew
for each page.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.query import Query
from fhir_server.store.signed import signed, unsigned

GOOD_FOR = 24 * 3600

_LONGEST = 16_000


@dataclass(frozen=True)
class Cursor:
    """Sort values (texts and numbers) that the page comes after, or before when it leads `back`.

    With `ties` it begins with what has these very values. `until` are the milliseconds since 1970 at which the first
    page of AuditEvents was asked for: each page leaves one, and who goes through them must come to an end.
    """

    values: list[Any]
    back: bool = False
    ties: bool = False
    until: int | None = None

    def turned(self) -> "Cursor":
        """The way back from a page on which nothing is left: all that lies on the other side of where it begins."""
        return Cursor(self.values, not self.back, not self.ties, self.until)


def written(query: Query, cursor: Cursor, moment: datetime, secret: bytes) -> str:
    """The text of a cursor of this query, written at `moment`."""
    rest = [cursor.ties, cursor.until] if cursor.until is not None else [True] if cursor.ties else []
    body = msgspec.json.encode([int(moment.timestamp()), cursor.back, cursor.values, *rest])
    return signed(body, query.question, secret)


def read(query: Query, moment: datetime, secret: bytes) -> Cursor:
    """The cursor that the query carries.

    Raises MalformedRequest for a cursor that this server did not write, wrote for another question or a day ago.
    """
    body = unsigned(query.cursor or "", query.question, secret, longest=_LONGEST)
    if body is None:
        raise MalformedRequest(
            "'_cursor' is not from a next link of this search, or a search parameter was defined anew since; "
            "follow the links as they are given, or search again from the first page."
        )
    at, back, values, *rest = msgspec.json.decode(body)
    if moment.timestamp() - at > GOOD_FOR:
        raise MalformedRequest("'_cursor' is from more than a day ago; search again from the first page.")
    return Cursor(values, back, ties=bool(rest and rest[0]), until=rest[1] if len(rest) > 1 else None)
