"""The primitive datatypes: is this JSON value a date, a code, a decimal?

Messages never repeat a value, which may be a patient's; the path says where it stands.
https://hl7.org/fhir/R4/datatypes.html#primitive
"""

import binascii
import re
from calendar import monthrange
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fhir_server.validation.findings import NONE, Check, Findings, Locals, finding, wrong_type
from fhir_server.validation.narrative import check_xhtml

LONGEST_STRING = 1024 * 1024
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_INTEGERS = {
    "integer": (-(2**31), 2**31 - 1),
    "unsignedInt": (0, 2**31 - 1),
    "positiveInt": (1, 2**31 - 1),
}
_FORMATS = {
    "code": "a code: no leading or trailing spaces, single spaces inside",
    "id": "an id: 1 to 64 letters, digits, '-' and '.'",
    "oid": "an OID such as urn:oid:1.2.3",
    "uuid": "a UUID such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520, in lower case",
    "time": "a time such as 14:30:00",
    "uri": "a URI without spaces",
    "url": "a URL without spaces",
    "canonical": "a canonical URL without spaces",
}
_DATES = {
    "date": "a date that exists, as YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "a date that exists, as YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz",
    "instant": "a moment with seconds and time zone, as YYYY-MM-DDThh:mm:ss.sss+zz:zz",
}


def primitive_checks(patterns: Mapping[str, str]) -> dict[str, Check]:
    """A check for each primitive of R4, from the regular expressions that its definitions state."""
    checks: dict[str, Check] = {
        "boolean": check_boolean,
        "decimal": check_decimal,
        "base64Binary": check_base64,
        "string": check_string,
        "markdown": check_string,
        "xhtml": check_xhtml,
    }
    checks |= {name: _integer(name, *bounds) for name, bounds in _INTEGERS.items()}
    checks |= {name: _date(patterns[name], expected) for name, expected in _DATES.items()}
    # R4 writes \S* for addresses, yet no JSON string may be empty.
    formats = {name: r"\S+" if patterns[name] == r"\S*" else patterns[name] for name in _FORMATS}
    return checks | {name: _text(pattern, _FORMATS[name]) for name, pattern in formats.items()}


def check_boolean(value: Any, _: Locals) -> Findings:
    """true or false."""
    return NONE if type(value) is bool else wrong_type(value, "true or false")


def check_decimal(value: Any, _: Locals) -> Findings:
    """A JSON number, which arrives as int or Decimal: a float would have lost digits already."""
    if type(value) is Decimal:
        return NONE if value.is_finite() else finding("value", "This must be a finite number.")
    return NONE if type(value) is int else wrong_type(value, "a decimal number")


def check_string(value: Any, _: Locals) -> Findings:
    """Text with some content, without control characters, of at most 1 MB."""
    if type(value) is not str:
        return wrong_type(value, "a string")
    if not value or value.isspace():
        return finding("value", "A string must not be empty or only whitespace; leave the element out.")
    if len(value) > LONGEST_STRING:
        return finding("value", f"A string must not be longer than {LONGEST_STRING} characters.")
    if not value.isprintable() and _CONTROL.search(value):
        return finding("value", "A string must not hold control characters other than tab, return and newline.")
    return NONE


def check_base64(value: Any, _: Locals) -> Findings:
    """Base64 in groups of four with padding; whitespace between is allowed."""
    if type(value) is not str:
        return wrong_type(value, "a string of base64")
    try:
        packed = "".join(value.split()).encode("ascii")
        binascii.a2b_base64(packed, strict_mode=True)
    except (ValueError, binascii.Error):
        packed = b""
    return NONE if packed else finding("value", "This must be base64: letters, digits, '+', '/' and '=' padding.")


def _integer(name: str, lowest: int, highest: int) -> Check:
    def check(value: Any, _: Locals) -> Findings:
        if type(value) is not int:
            return wrong_type(value, "a whole number")
        if lowest <= value <= highest:
            return NONE
        return finding("value", f"This {name} must lie between {lowest} and {highest}.")

    return check


def _text(pattern: str, expected: str) -> Check:
    matches = re.compile(pattern, re.ASCII).fullmatch

    def check(value: Any, _: Locals) -> Findings:
        if type(value) is not str:
            return wrong_type(value, "a string")
        if len(value) > LONGEST_STRING or not matches(value) or _CONTROL.search(value):
            return finding("value", f"This must be {expected}.")
        return NONE

    return check


def _date(pattern: str, expected: str) -> Check:
    matches = re.compile(pattern).fullmatch

    def check(value: Any, _: Locals) -> Findings:
        if type(value) is not str:
            return wrong_type(value, "a string")
        if matches(value) and (value[8:10] <= "28" or _day_exists(value)):
            return NONE
        return finding("value", f"This must be {expected}.")

    return check


def _day_exists(date: str) -> bool:
    return int(date[8:10]) <= monthrange(int(date[0:4]), int(date[5:7]))[1]
