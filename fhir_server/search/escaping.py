r"""The escapes of search values: `\,` `\|` `\$` `\\` stand for the character itself.

https://hl7.org/fhir/R4/search.html#escaping
"""

import re

from fhir_server.fhir.errors import MalformedRequest

_ESCAPED = re.compile(r"\\(.?)", re.DOTALL)
_SPECIAL = frozenset(",|$\\")


def split(text: str, separator: str) -> list[str]:
    """The parts of `text` between separators that are not escaped; the parts keep their escapes."""
    parts, escaped = [""], False
    for character in text:
        if character == separator and not escaped:
            parts.append("")
        else:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def unescape(text: str) -> str:
    """`text` without its escapes. Raises MalformedRequest for an escape that FHIR does not have."""
    return _ESCAPED.sub(_character, text)


def escape(text: str) -> str:
    r"""`text` with each `|` and `\` escaped, so that it can stand beside a `|` that separates."""
    return text.replace("\\", "\\\\").replace("|", "\\|")


def literally(text: str) -> str:
    """`text` with all its escapes, so that a search asks for it as it is, whatever signs it holds."""
    return escape(text).replace(",", "\\,").replace("$", "\\$")


def _character(match: re.Match[str]) -> str:
    if match[1] not in _SPECIAL:
        raise MalformedRequest(rf"'{match[0]}' is no escape; FHIR has \, \| \$ and \\ in search values.")
    return match[1]
