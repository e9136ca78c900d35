"""The value of a primitive as JSON has it, from the text of its attribute.

Values are only spelt here (`true`, `1.00`), never judged: what is no number stays text, and validation refuses it at
its path, as it would in JSON. https://hl7.org/fhir/R4/xml.html
"""

import re
from typing import Any

from fhir_server.fhir.json import NotJson
from fhir_server.fhir.json import decode as number_of

_BOOLEANS = {"true": True, "false": False}
_WHOLE = frozenset({"integer", "positiveInt", "unsignedInt"})
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


def value_of(type_name: str, text: str) -> Any:
    """`true`, `7` and `1.00` by their types, with every digit; what is none of them stays text."""
    if type_name == "boolean":
        return _BOOLEANS.get(text, text)
    if type_name != "decimal" and type_name not in _WHOLE:
        return text
    number = text.removeprefix("+") if type_name in _WHOLE else text
    if not _NUMBER.fullmatch(number):
        return text
    try:
        return number_of(number.encode())
    except NotJson:
        return text
