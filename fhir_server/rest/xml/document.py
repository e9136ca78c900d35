"""What a document must be before anything in it is read: well-formed UTF-8, and nothing that only XML itself has.

No document type, no entities, no processing instructions: nothing is fetched, nothing unfolds to more than was sent.
"""

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from typing import Any
from xml.parsers import expat

DEEPEST = 250
"""Elements inside one another: a resource as deep as validation allows, and a narrative as deep, fit in."""
SEPARATOR = " "
"""Between the namespace and the name of an element."""

# Expat takes half a minute for 20 MB of attributes of one element; no element of FHIR or XHTML has 64.
_MANY_ATTRIBUTES = re.compile(rb"""<(?![!?])[^<>"']*+(?:(?:"[^"]*+"|'[^']*+')[^<>"']*+){64}""")

_OF_UTF_16 = (BOM_UTF16_BE, BOM_UTF16_LE)


class NotXml(ValueError):
    """The bytes are not the XML of a resource; the message says why and where."""


def new_parser() -> expat.XMLParserType:
    """A parser that refuses what no resource needs, with NotXml."""
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=SEPARATOR)
    parser.buffer_text = True
    parser.XmlDeclHandler = _check_declaration
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.ProcessingInstructionHandler = _refuse_instruction
    return parser


def parse(parser: expat.XMLParserType, body: bytes) -> None:
    """Read the whole document. Raises NotXml."""
    if body.startswith(_OF_UTF_16) or b"\0" in body[:2]:  # where nothing is declared, Expat reads UTF-16 as well
        raise NotXml("it must be in UTF-8")
    if _MANY_ATTRIBUTES.search(body):
        raise NotXml("an element has more attributes than any of FHIR or XHTML")
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        told = f"{expat.ErrorString(error.code)} at line {error.lineno}, column {error.offset + 1}"
        raise NotXml(told) from error


def _check_declaration(version: str, encoding: str | None, _: int) -> None:
    if encoding is not None and encoding.lower() not in {"utf-8", "utf8"}:
        raise NotXml("it must be in UTF-8")


def _refuse_doctype(*_: Any) -> None:
    raise NotXml("it may not hold a document type or entity declarations")


def _refuse_instruction(*_: Any) -> None:
    raise NotXml("it may not hold processing instructions")
