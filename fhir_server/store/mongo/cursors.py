"""Where the next page of a search begins, signed so that nobody can make one up.

A cursor holds the sort values of the last match of a page, and belongs to one question: type, clauses and sort. Who
asks plays no part: what they may see is decided anew for each page.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Any

import msgspec

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.query import Query

_SIGNED_BYTES = 16
_LONGEST = 16_000


def written(query: Query, values: list[Any], secret: bytes) -> str:
    """The cursor of a page whose last match has these sort values (texts and whole numbers)."""
    body = msgspec.json.encode(values)
    return base64.urlsafe_b64encode(_signature(query, body, secret) + body).rstrip(b"=").decode()


def read(query: Query, secret: bytes) -> list[Any]:
    """The sort values that the query's cursor holds.

    Raises MalformedRequest for a cursor that this server did not write, or wrote for another question.
    """
    cursor = query.cursor or ""
    try:
        signed = base64.urlsafe_b64decode(cursor[:_LONGEST].encode("ascii") + b"=" * (-len(cursor) % 4))
    except (binascii.Error, UnicodeEncodeError):
        signed = b""
    signature, body = signed[:_SIGNED_BYTES], signed[_SIGNED_BYTES:]
    if not hmac.compare_digest(signature, _signature(query, body, secret)):
        raise MalformedRequest("'_cursor' is not from a next link of this search; follow the links as they are given.")
    values: list[Any] = msgspec.json.decode(body)
    return values


def _signature(query: Query, body: bytes, secret: bytes) -> bytes:
    question = repr((query.type, query.clauses, query.sort)).encode()
    return hmac.new(secret, hashlib.sha256(question).digest() + body, hashlib.sha256).digest()[:_SIGNED_BYTES]
