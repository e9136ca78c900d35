"""Each primitive datatype: what it accepts, and what it does not."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.definitions.structures import load
from fhir_server.validation.primitives import primitive_checks

CHECKS = primitive_checks(load().primitives)

GOOD: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [0, -(2**31), 2**31 - 1],
    "unsignedInt": [0, 2**31 - 1],
    "positiveInt": [1, 2**31 - 1],
    "decimal": [0, -1, Decimal("1.00"), Decimal("1E-7")],
    "string": ["x", " x ", "zoë", "two\nlines\t", "\u00a0x"],
    "markdown": ["# x\r\n"],
    "code": ["x", "in-progress", "a b"],
    "id": ["x", "A-1.b", "a" * 64],
    "uri": ["urn:x", "https://samen.example/fhir?x=1#y"],
    "url": ["mailto:x@samen.example"],
    "canonical": ["https://samen.example/fhir/Questionnaire/x|1.0", "#x"],
    "oid": ["urn:oid:1.2.840"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "base64Binary": ["SGVsbG8=", "SGVs bG8=\n", "AAAA"],
    "date": ["2026", "2026-03", "2026-02-28", "2024-02-29", "0001-01-01", "9999-12-31"],
    "dateTime": ["2026", "2026-03", "2026-03-31", "2026-03-31T23:59:60Z", "2026-03-31T09:00:00.123456789+14:00"],
    "instant": ["2026-03-31T09:00:00Z", "2026-03-31T09:00:00.1-05:30"],
    "time": ["09:00:00", "23:59:60.5"],
}
BAD: dict[str, list[Any]] = {
    "boolean": ["true", 0, 1, None, []],
    "integer": [2**31, -(2**31) - 1, True, "1", Decimal("1"), Decimal("1.5"), None],
    "unsignedInt": [-1, 2**31, False, "0"],
    "positiveInt": [0, -1, 2**31, True],
    "decimal": [True, "1.0", 1.5, Decimal("NaN"), Decimal("Infinity"), None],
    "string": ["", " ", "\t\n", "\u0000", "a\u000b", 1, None, {}, ["x"]],
    "markdown": ["", " ", "a\u0001", 1],
    "code": ["", " x", "x ", "a  b", "a\u0000b", 1, True],
    "id": ["", "a" * 65, "a_b", "a/b", "a b", "é", 1],
    "uri": ["", "urn: x", "a\u0000b", "a" * (1024 * 1024 + 1), 1],
    "url": ["", "a b"],
    "canonical": ["", "a b", {}],
    "oid": ["1.2.3", "urn:oid:3.1", "urn:oid:1.02"],
    "uuid": ["c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"],
    "base64Binary": ["", " ", "SGVsbG8", "SGVs*G8=", "=AAA", "SGVsbG8=SGVs", "é", 1],
    "date": ["", "0000", "2026-13", "2026-02-29", "2026-04-31", "2026-3-1", "2026-03-01T09:00:00Z", "03/01/2026", 2026],
    "dateTime": [
        "2026-03-31T09:00:00",
        "2026-03-31T09:00Z",
        "2026-03-31 09:00:00Z",
        "2026-02-30T09:00:00Z",
        "today",
        1,
    ],
    "instant": ["2026-03-31", "2026-03-31T09:00Z", "2026-02-30T09:00:00Z", "2026-03-31T24:00:00Z"],
    "time": ["9:00:00", "09:00", "24:00:00", "09:00:00Z"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_primitive_accepts(name: str, value: Any) -> None:
    assert CHECKS[name](value, []) == ()


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_primitive_refuses(name: str, value: Any) -> None:
    (found,) = CHECKS[name](value, [])

    assert found.code in ("structure", "value")


def test_every_primitive_of_r4_is_checked() -> None:
    assert CHECKS.keys() == load().primitives.keys()
    assert CHECKS.keys() - {"xhtml"} == GOOD.keys() == BAD.keys()


@pytest.mark.parametrize("name", sorted(BAD))
def test_message_does_not_repeat_the_value(name: str) -> None:
    (found,) = CHECKS[name]("Peeters, An: 85.07.30-033 28", []) or CHECKS[name](["Peeters, An"], [])

    assert "Peeters" not in found.text
