"""Where another page of a search begins, signed so that nobody can make one up.

A cursor holds the sort values of the last match of a page, or of the first when it leads back, and belongs to one
question: type, clauses and sort. It is good for a day. Who asks plays no part: what they may see is decided anew
for each page.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.query import Query

GOOD_FOR = 24 * 3600

_SIGNED_BYTES = 16
_LONGEST = 16_000


@dataclass(frozen=True)
class Cursor:
    """Sort values (texts and numbers) that the page comes after, or before when it leads `back`."""

    values: list[Any]
    back: bool = False


def written(query: Query, cursor: Cursor, moment: datetime, secret: bytes) -> str:
    """The text of a cursor of this query, written at `moment`."""
    body = msgspec.json.encode([int(moment.timestamp()), cursor.back, cursor.values])
    return base64.urlsafe_b64encode(_signature(query, body, secret) + body).rstrip(b"=").decode()


def read(query: Query, moment: datetime, secret: bytes) -> Cursor:
    """The cursor that the query carries.

    Raises MalformedRequest for a cursor that this server did not write, wrote for another question or a day ago.
    """
    text = query.cursor or ""
    try:
        signed = base64.urlsafe_b64decode(text[:_LONGEST].encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, UnicodeEncodeError):
        signed = b""
    signature, body = signed[:_SIGNED_BYTES], signed[_SIGNED_BYTES:]
    if not hmac.compare_digest(signature, _signature(query, body, secret)):
        raise MalformedRequest("'_cursor' is not from a next link of this search; follow the links as they are given.")
    at, back, values = msgspec.json.decode(body)
    if moment.timestamp() - at > GOOD_FOR:
        raise MalformedRequest("'_cursor' is from more than a day ago; search again from the first page.")
    return Cursor(values, back)


def _signature(query: Query, body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, query.question + body, "sha256")[:_SIGNED_BYTES]
