"""The narrative of a resource: well-formed XHTML that formats text and cannot act.

https://hl7.org/fhir/R4/narrative.html#xhtml
"""

import re
from typing import Any
from xml.parsers import expat

from fhir_server.validation.findings import NONE, Findings, Locals, finding, quoted, wrong_type

XHTML = "http://www.w3.org/1999/xhtml"
DEEPEST = 100
_SEPARATOR = " "
_BLANKS = " \t\r\n"
"""What XML, and so txt-2, takes for whitespace: a no-break space is content."""
_MARK = "\ufeff"
_ELEMENTS = frozenset(
    """
    a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img
    li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var
    """.split()  # noqa: SIM905
)
_ATTRIBUTES = frozenset(
    """
    abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff charset
    cite class colspan compact coords dir frame headers height href hreflang hspace id lang longdesc name nowrap rel
    rev rowspan rules scope shape span src start style summary tabindex title type valign value vspace width
    """.split()  # noqa: SIM905
)
_ADDRESSES = frozenset({"href", "src", "cite", "longdesc"})
_XML_LANG = "http://www.w3.org/XML/1998/namespace lang"
_IMAGE = re.compile(r"data:image/(png|gif|jpeg|webp)[;,]", re.IGNORECASE)
_SAFE_SCHEMES = frozenset({"http", "https", "ftp", "mailto", "tel", "urn", "cid"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_INVISIBLE = re.compile(r"[\x00-\x20]+")
_STYLE_ADDRESS = re.compile(r"url\s*\(\s*['\"]?(?P<address>[^)]*)", re.IGNORECASE)
_ACTIVE_STYLE = re.compile(r"expression\s*\(|javascript:|behaviou?r\s*:|-moz-binding|@import|\\", re.IGNORECASE)


def check_xhtml(value: Any, _: Locals) -> Findings:
    """`<div xmlns="http://www.w3.org/1999/xhtml">` with text or an image, formatting elements only (txt-1, txt-2)."""
    if type(value) is not str:
        return wrong_type(value, "a string of XHTML")
    reader = _Reader()
    try:
        reader.read(value)
    except _Refused as refusal:
        return finding("invariant", str(refusal), "txt-1")
    except UnicodeEncodeError:
        return finding("structure", "The narrative must be Unicode text.")
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset + 1}"
        return finding("structure", f"The narrative must be well-formed XHTML; the parser stops at {place}.")
    if not reader.has_content:
        return finding("invariant", "The narrative must hold some text or an image.", "txt-2")
    return NONE


def told_by(narrative: str) -> list[Any]:
    """What a valid narrative tells: its elements with their attributes, and the text between them, as one list.

    Equal for two that differ in how they are written down alone: quotes, entities, comments, an empty element in short.
    """
    told: list[Any] = []
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=_SEPARATOR)
    parser.buffer_text = True
    parser.StartElementHandler = lambda tag, attributes: told.append((tag, attributes))
    parser.EndElementHandler = lambda tag: told.append(None)
    parser.CharacterDataHandler = told.append
    try:
        parser.Parse(narrative.encode("utf-8"), True)
    except (expat.ExpatError, UnicodeEncodeError):
        return [narrative]
    return told


class _Refused(Exception):
    """The narrative holds something that it must not."""


class _Reader:
    """Reads a narrative once, refuses what may not be in it, and remembers whether it says anything."""

    def __init__(self) -> None:
        self.has_content = False
        self._depth = 0
        self._parser = expat.ParserCreate(encoding="utf-8", namespace_separator=_SEPARATOR)
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.ProcessingInstructionHandler = self._instruction

    def read(self, text: str) -> None:
        if text.startswith(_MARK):
            raise _Refused("A narrative may not begin with a byte order mark, which is text where it stands in XML.")
        self._parser.Parse(text.encode("utf-8"), True)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        namespace, _, name = tag.rpartition(_SEPARATOR)
        if self._depth == 0 and (name != "div" or namespace != XHTML):
            raise _Refused(f'The narrative must be <div xmlns="{XHTML}">...</div>.')
        if namespace != XHTML or name not in _ELEMENTS:
            raise _Refused(f"<{quoted(name)[1:-1]}> may not stand in a narrative; use basic formatting elements only.")
        self._depth += 1
        if self._depth > DEEPEST:
            raise _Refused(f"A narrative must not be nested deeper than {DEEPEST} elements.")
        self.has_content |= name == "img" and "src" in attributes
        for attribute, content in attributes.items():
            _refuse_active(attribute, content)

    def _end(self, _: str) -> None:
        self._depth -= 1

    def _text(self, text: str) -> None:
        self.has_content = self.has_content or bool(text.strip(_BLANKS))

    def _doctype(self, *_: Any) -> None:
        raise _Refused("A narrative may not hold a document type or entity declarations.")

    def _instruction(self, *_: Any) -> None:
        raise _Refused("A narrative may not hold processing instructions.")


def _refuse_active(attribute: str, content: str) -> None:
    if attribute not in _ATTRIBUTES and attribute != _XML_LANG:
        raise _Refused(f"The attribute {quoted(attribute)} may not stand in a narrative.")
    if attribute in _ADDRESSES and not _is_harmless(content):
        raise _Refused(f"{attribute} in a narrative must be a relative, http, https, ftp, mailto or tel address.")
    if attribute == "style" and not _is_plain_style(content):
        raise _Refused("style in a narrative may not run anything, nor load it from another place.")


def _is_harmless(address: str) -> bool:
    """Browsers skip control characters and spaces inside a scheme, so they are taken out before looking at it."""
    bare = _INVISIBLE.sub("", address)
    scheme = _SCHEME.match(bare)
    return scheme is None or scheme[1].lower() in _SAFE_SCHEMES or bool(_IMAGE.match(bare))


def _is_plain_style(style: str) -> bool:
    """Colours, borders and the like; a background may only be an image beside the narrative, or spelt out in it."""
    addresses = [_INVISIBLE.sub("", found["address"]) for found in _STYLE_ADDRESS.finditer(style)]
    near = all(_IMAGE.match(a) or not (_SCHEME.match(a) or a.startswith("//")) for a in addresses)
    return near and not _ACTIVE_STYLE.search(style)
