"""JSON as FHIR needs it: decimals keep their digits, elements keep their order.

https://hl7.org/fhir/R4/json.html
"""

import re
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from fhir_server.fhir.repeats import may_repeat, repeated

Resource: TypeAlias = dict[str, Any]

_LONGEST_NAME, _LONGEST_PATH = 64, 200

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16
_TRUNCATED = "Input data was truncated"
# The first half of a character beyond 16 bits without its second.
_HALF = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_ordered = msgspec.json.Encoder(decimal_format="number", order="sorted")


class NotJson(ValueError):
    """The bytes are not JSON; the message says where, and so does `path` when one name stands twice in one object."""

    def __init__(self, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


def decode(body: bytes) -> Any:
    """The value that `body` holds; numbers with a fraction become Decimal, so 1.00 stays 1.00.

    Raises NotJson with the parser's position when the bytes are no JSON, nested too deep to read, or
    hold a number that no computer keeps.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError) as error:
        raise NotJson(_fault(body, error)) from error


def _fault(body: bytes, error: Exception) -> str:
    """What is wrong with the bytes, in words of their sender's world and not of the parser's."""
    if body.startswith(_BYTE_ORDER_MARK):
        return "it begins with a byte order mark; leave that out"
    if isinstance(error, UnicodeDecodeError) or body.startswith(_OTHER_MARKS):
        return "it is not in UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, ArithmeticError):
        return "it holds a number that no computer keeps"
    if str(error) != _TRUNCATED:
        return str(error).removeprefix("JSON is malformed: ")
    return "half of a character stands alone as \\u escape" if _HALF.search(body) else "it ends too early"


def decode_sent(body: bytes) -> Any:
    """The value of what somebody sends: as `decode` says, and no name stands twice in one object. Raises NotJson."""
    value = decode(body)
    try:
        twice = repeated(body) if may_repeat(body, encode(value)) else None
    except (ValueError, RecursionError) as error:
        raise NotJson("one name stands twice in one object, or it is nested too deep") from error
    if twice:
        raise NotJson(f"the name {twice[0][:_LONGEST_NAME]!r} stands twice in one object", twice[1][:_LONGEST_PATH])
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two values say the same to the digit, in whatever order their elements stand."""
    return _ordered.encode(one) == _ordered.encode(other)


def encode(value: Any) -> bytes:
    """The JSON bytes of `value`, in the order of its elements."""
    return _encoder.encode(value)
