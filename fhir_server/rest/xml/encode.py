"""A resource to XML: elements in the order of R4, digits and narrative as they are stored.

https://hl7.org/fhir/R4/xml.html
"""

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from fhir_server.fhir.json import Resource
from fhir_server.rest.xml import FHIR
from fhir_server.rest.xml.fields import PRIMITIVES_OWN, Field, Kind, fields_of

# A parser turns a bare tab or line end in an attribute into a space, so they are spelt out.
_SPELT = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECLARATION = re.compile(r"\s*<\?xml\s[^>]*\?>")


def encode(resource: Resource, *, pretty: bool = False) -> bytes:
    """The XML document of a valid resource, in UTF-8; `pretty` puts each element on a line of its own.

    Characters that XML cannot carry (U+FFFE) become U+FFFD. Raises ValueError for what R4 does not define, which would
    be lost.
    """
    writer = _Writer(pretty)
    writer.resource(resource, f' xmlns="{FHIR}"')
    return "".join(['<?xml version="1.0" encoding="UTF-8"?>', *writer.parts, "\n" if pretty else ""]).encode()


class _Writer:
    """Collects the parts of a document."""

    def __init__(self, pretty: bool) -> None:
        self.parts: list[str] = []
        self._pretty = pretty
        self._depth = 0

    def resource(self, resource: Resource, namespace: str = "") -> None:
        """A resource in an element of its type's name."""
        type_name = resource["resourceType"]
        children = {name: value for name, value in resource.items() if name != "resourceType"}
        self._element(type_name, namespace, type_name, children)

    def _element(self, name: str, attributes: str, path: str, children: Mapping[str, Any]) -> None:
        """`<name attributes>children</name>`; those children that are attributes go into the tag."""
        fields = _fields_in_order(path, children) if children else []
        own = "".join([_attribute(f.name, children[f.name]) for f in fields if f.kind is Kind.ATTRIBUTE])
        inner = [field for field in fields if field.kind is not Kind.ATTRIBUTE]
        self._line()
        if not inner:
            self.parts.append(f"<{name}{own}{attributes}/>")
            return
        self.parts.append(f"<{name}{own}{attributes}>")
        self._depth += 1
        for field in inner:
            self._field(field, children)
        self._close(name)

    def _field(self, field: Field, parent: Mapping[str, Any]) -> None:
        """Every occurrence of a field."""
        if field.kind is Kind.PRIMITIVE:
            values, siblings = _occurrences(field, parent, field.name), _occurrences(field, parent, "_" + field.name)
            for value, beside in zip_longest(values, siblings):
                stated = _attribute("value", value)
                if beside:
                    self._element(field.name, stated, PRIMITIVES_OWN, beside)
                else:
                    self._line()
                    self.parts.append(f"<{field.name}{stated}/>")
            return
        for each in _occurrences(field, parent, field.name):
            if field.kind is Kind.OBJECT:
                self._element(field.name, "", field.content, each)
            elif field.kind is Kind.RESOURCE:
                self._holder(field.name, each)
            else:
                self._line()
                self.parts.append(_DECLARATION.sub("", _carried(each), count=1))

    def _holder(self, name: str, resource: Resource) -> None:
        self._line()
        self.parts.append(f"<{name}>")
        self._depth += 1
        self.resource(resource)
        self._close(name)

    def _close(self, name: str) -> None:
        self._depth -= 1
        self._line()
        self.parts.append(f"</{name}>")

    def _line(self) -> None:
        if self._pretty:
            self.parts.append("\n" + "  " * self._depth)


def _occurrences(field: Field, parent: Mapping[str, Any], name: str) -> Sequence[Any]:
    """The values under a name, one or many; none when the name is not there."""
    if name not in parent:
        return ()
    values: Sequence[Any] = parent[name] if field.repeats else (parent[name],)
    return values


def _fields_in_order(path: str, children: Mapping[str, Any]) -> list[Field]:
    """The fields that `children` fills, each once, in the order of R4."""
    known = fields_of(path)
    found = {}
    for name in children:
        field = known.get(name) or known.get(name.removeprefix("_"))
        if field is None or (field.name != name and field.kind is not Kind.PRIMITIVE):
            raise ValueError(f"R4 defines no {name} in {path}.")
        found[field.name] = field
    return sorted(found.values(), key=_position)


def _position(field: Field) -> int:
    return field.position


def _attribute(name: str, value: Any) -> str:
    """` name="value"`, escaped; nothing for None."""
    if value is None:
        return ""
    text = ("true" if value else "false") if type(value) is bool else str(value)
    return f' {name}="{_carried(text).translate(_SPELT)}"'


def _carried(text: str) -> str:
    """The text without what XML 1.0 has no way to write."""
    return text if text.isprintable() else _NOT_IN_XML.sub("\ufffd", text)
