"""The narrative of an XML document: cut out of the bytes as the sender wrote it, so that no form of it is lost.

Only XHTML that was written with a namespace prefix, or inherits its namespace from above, must be written anew: cut
out, it would not stand on its own.
"""

import re

XHTML = "http://www.w3.org/1999/xhtml"

_XML = "http://www.w3.org/XML/1998/namespace"
_SEPARATOR = " "
_STANDS_ALONE = re.compile(rb"<div(?=[\s/>])[^>]*?\sxmlns\s*=")
_PREFIXED = re.compile(rb"</?[A-Za-z_][\w.-]*:")
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = _IN_TEXT | str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})


class Narrative:
    """One `div`, from the byte where it begins; told of each tag until its own end."""

    def __init__(self, body: bytes, begin: int, attributes: dict[str, str]) -> None:
        self._body = body
        self._begin = begin
        self._end = begin
        self._depth = 0
        self._empty = True
        self._anew: list[str] = []
        self.start(f"{XHTML} div", attributes)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """A tag inside, as expat names it: namespace, a space, the name."""
        namespace, _, name = tag.rpartition(_SEPARATOR)
        stated = "" if self._depth and namespace == XHTML else f' xmlns="{namespace}"'
        self._empty = self._depth == 0
        self._depth += 1
        self._anew.append(f"<{name}{stated}{''.join(map(_attribute, attributes.items()))}>")

    def characters(self, text: str) -> None:
        """Text inside."""
        self._empty = False
        self._anew.append(text.translate(_IN_TEXT))

    def end(self, tag: str, at: int) -> bool:
        """An end tag that begins at byte `at`, or an empty tag that ends there; True when it ends the narrative."""
        self._depth -= 1
        self._anew.append(f"</{tag.rpartition(_SEPARATOR)[2]}>")
        if self._depth == 0:
            is_empty_tag = self._empty and self._body.endswith(b"/>", self._begin, at)
            self._end = at if is_empty_tag else self._body.index(b">", at) + 1
        return self._depth == 0

    def text(self) -> str:
        """The XHTML, as it was written wherever that stands on its own."""
        written = self._body[self._begin : self._end]
        if _STANDS_ALONE.match(written) and not _PREFIXED.search(written):
            return written.decode()
        return "".join(self._anew)


def _attribute(stated: tuple[str, str]) -> str:
    name, value = stated
    namespace, _, local = name.rpartition(_SEPARATOR)
    return f' {"xml:" if namespace == _XML else ""}{local}="{value.translate(_IN_ATTRIBUTE)}"'
