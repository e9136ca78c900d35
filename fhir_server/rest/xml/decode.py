"""XML to a resource: the same dict that JSON gives, with every digit, and the narrative as the sender wrote it.

https://hl7.org/fhir/R4/xml.html
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.fhir.errors import InvalidResource
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue
from fhir_server.interactions.words import Misread
from fhir_server.rest.xml import FHIR
from fhir_server.rest.xml.document import DEEPEST, SEPARATOR, NotXml, new_parser, parse
from fhir_server.rest.xml.fields import PRIMITIVES_OWN, Field, Kind, fields_of, is_resource
from fhir_server.rest.xml.narrative import XHTML, Narrative
from fhir_server.rest.xml.values import value_of

MOST_ISSUES = 50

_WHITESPACE = " \t\r\n"


def decode(body: bytes) -> Resource:
    """The resource that `body` holds.

    Raises NotXml when the bytes are not well-formed UTF-8, hold a document type, entities or processing instructions,
    are nested too deep, have too many attributes, or their root is not in FHIR's namespace; InvalidResource, with every
    place, for elements, attributes and text that R4 does not define, and elements that are out of order or too many.
    In a batch an entry that holds such a thing becomes a Misread, and the others stand.
    """
    reader = _Reader(body)
    parse(reader.parser, body)
    return reader.finished()


class _Frame:
    """An element that is open: where its children go, what they may be, and how its place is called."""

    __slots__ = ("content", "field", "fields", "index", "last", "occurred", "step", "value")

    def __init__(
        self, step: str, index: int | None, content: Resource, fields: Mapping[str, Field], field: Field | None = None
    ) -> None:
        self.step = step
        self.index = index
        self.content = content
        self.fields = fields
        self.field = field
        self.value: Any = None
        self.last = -1
        self.occurred = False


class _Reader:
    """Reads one document from its first tag to its last."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._root: Resource = {}
        self._open: list[_Frame] = []
        self._issues: list[Issue] = []
        self._misread: dict[int, list[Issue]] = {}
        self._skipping = 0
        self._narrative: Narrative | None = None
        self._without_values: list[tuple[Resource, str]] = []
        self._depth = 0
        self.parser = new_parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def finished(self) -> Resource:
        """The resource. Raises InvalidResource when something in it was not understood."""
        if self._issues:
            raise InvalidResource(issues=self._issues)
        for content, name in self._without_values:
            # JSON leaves out an array in which nothing has a value.
            if all(value is None for value in content.get(name, ())):
                content.pop(name, None)
        for position, issues in self._misread.items():
            self._root["entry"][position] = Misread(tuple(issues))
        return self._root

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotXml(f"it is nested deeper than {DEEPEST} elements")
        if self._skipping:
            self._skipping += 1
        elif self._narrative is not None:
            self._narrative.start(tag, attributes)
        elif self._open:
            self._start_child(self._open[-1], tag, attributes)
        else:
            self._start_root(tag, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if self._skipping:
            self._skipping -= 1
        elif self._narrative is not None:
            if self._narrative.end(tag, self.parser.CurrentByteIndex):
                self._open[-1].content["div"] = self._narrative.text()
                self._narrative = None
        else:
            self._finish(self._open.pop())

    def _text(self, text: str) -> None:
        if self._narrative is not None:
            self._narrative.characters(text)
        elif not self._skipping and text.strip(_WHITESPACE):
            self._refuse('Text may stand only in the narrative; a value is an attribute: value="...".')

    def _start_root(self, tag: str, attributes: dict[str, str]) -> None:
        namespace, _, name = tag.rpartition(SEPARATOR)
        if namespace != FHIR:
            raise NotXml(f"its root must be a resource in the namespace {FHIR}")
        if is_resource(name):
            self._root["resourceType"] = name
            self._open_frame(_Frame(name, None, self._root, fields_of(name)), attributes)
        else:
            self._skip(f"<{_short(name)}> must be a resource type of R4.", "resourceType", code="value")

    def _start_child(self, parent: _Frame, tag: str, attributes: dict[str, str]) -> None:
        namespace, _, name = tag.rpartition(SEPARATOR)
        holds_resource = parent.field is not None and parent.field.kind is Kind.RESOURCE
        field = None if holds_resource else parent.fields.get(name)
        expected = XHTML if field is not None and field.kind is Kind.NARRATIVE else FHIR
        if namespace != expected:
            self._skip(f"<{_short(name)}> must be in the namespace {expected}.")
        elif holds_resource:
            self._start_resource(parent, name, attributes)
        elif field is None or field.kind is Kind.ATTRIBUTE:
            told = "it is an attribute" if field else "R4 has no such element here; use an extension"
            self._skip(f"Unknown element <{_short(name)}>: {told}.")
        elif field.position < parent.last:
            self._skip(f"<{name}> comes too late: elements stand in the order of R4.")
        elif field.position == parent.last and not field.repeats:
            self._skip(f"<{name}> may stand here only once.")
        else:
            parent.last = field.position
            self._start_field(parent, field, attributes)

    def _start_field(self, parent: _Frame, field: Field, attributes: dict[str, str]) -> None:
        if field.kind is Kind.NARRATIVE:
            self._narrative = Narrative(self._body, self.parser.CurrentByteIndex, attributes)
            return
        content: Resource = {}
        placed = parent.content.setdefault(field.name, []) if field.repeats else None
        index = len(placed) if placed is not None else None
        fields: Mapping[str, Field] = {}
        if field.kind is not Kind.RESOURCE:
            fields = fields_of(PRIMITIVES_OWN if field.kind is Kind.PRIMITIVE else field.content)
        frame = _Frame(field.name, index, content, fields, field)
        if field.kind is Kind.PRIMITIVE:
            text = attributes.pop("value", None)
            frame.value = None if text is None else value_of(field.content, text)
        elif placed is not None:
            placed.append(content)
        else:
            parent.content[field.name] = content
        self._open_frame(frame, attributes)

    def _start_resource(self, holder: _Frame, name: str, attributes: dict[str, str]) -> None:
        if holder.occurred:
            self._skip(f"<{holder.step}> holds one resource; write a second <{holder.step}>.")
        elif not is_resource(name):
            holder.occurred = True
            self._skip(f"<{_short(name)}> must be a resource type of R4.", code="value")
        else:
            holder.occurred = True
            holder.content["resourceType"] = name
            self._open_frame(_Frame("", None, holder.content, fields_of(name)), attributes)

    def _open_frame(self, frame: _Frame, attributes: dict[str, str]) -> None:
        self._open.append(frame)
        for name, text in attributes.items():
            field = frame.fields.get(name)
            if field is not None and field.kind is Kind.ATTRIBUTE:
                frame.content[name] = text
            else:
                self._refuse(f"Unknown attribute {_short(name)!r}: R4 has none of this name here.")

    def _finish(self, frame: _Frame) -> None:
        if frame.field is None:
            return
        if frame.field.kind is Kind.RESOURCE and not frame.occurred:
            self._refuse("A resource must stand here.", self._path(frame))
        if frame.field.kind is Kind.PRIMITIVE:
            self._place(frame, frame.field, self._open[-1].content)

    def _place(self, frame: _Frame, field: Field, parent: Resource) -> None:
        """A primitive's value into the parent, its id and extensions beside it under `_name`."""
        beside = "_" + field.name
        if frame.value is None and not frame.content:
            self._refuse("An element must have a value or children.", self._path(frame))
        elif field.repeats:
            values = parent[field.name]
            if frame.content and beside not in parent:
                parent[beside] = [None] * len(values)
            if frame.value is None:
                self._without_values.append((parent, field.name))
            values.append(frame.value)
            if beside in parent:
                parent[beside].append(frame.content or None)
        else:
            if frame.value is not None:
                parent[field.name] = frame.value
            if frame.content:
                parent[beside] = frame.content

    def _skip(self, text: str, path: str | None = None, code: str = "structure") -> None:
        """Refuse an element with all that is in it."""
        self._refuse(text, path, code)
        self._skipping = 1

    def _refuse(self, text: str, path: str | None = None, code: str = "structure") -> None:
        position = self._entry_of_a_batch()
        issues = self._issues if position is None else self._misread.setdefault(position, [])
        if len(issues) < MOST_ISSUES:
            issues.append(Issue(code, text, path or self._path()))
        if len(self._issues) >= MOST_ISSUES:
            raise InvalidResource(issues=self._issues)

    def _entry_of_a_batch(self) -> int | None:
        """The position of the entry that the reader is in, where each entry stands for itself."""
        is_batch = self._root.get("resourceType") == "Bundle" and self._root.get("type") == "batch"
        return self._open[1].index if is_batch and len(self._open) > 1 and self._open[1].step == "entry" else None

    def _path(self, *closed: _Frame) -> str:
        """Where the reader is: `Patient.name[1].given[0]`."""
        opened = (*self._open, *closed)
        steps = [frame.step + (f"[{frame.index}]" if frame.index is not None else "") for frame in opened]
        return ".".join(step for step in steps if step)


def _short(name: str) -> str:
    """A name of the sender's, short enough to be said back to it."""
    return name if len(name) <= 60 else name[:60] + "…"
