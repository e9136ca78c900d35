"""The places of a resource that can be changed: an element, and what stands beside it when it is a primitive.

In JSON the id and extensions of a primitive stand in a sibling (`_birthDate`). An element that has only these exists.

https://hl7.org/fhir/R4/json.html#primitive
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Any, Optional

from fhir_server.definitions.structures import RESOURCE, Element, load
from fhir_server.fhir.errors import InvalidResource
from fhir_server.fhir.json import Resource

Pair = tuple[Any, Any]
"""The value of an element and, of a primitive, its id and extensions; None for what it has not."""

BARE = ""
"""The type of what has a value alone, such as the url of an Extension."""


@lru_cache(maxsize=2048)
def elements_of(type_name: str) -> Mapping[str, Element]:
    """The child elements of a type by name; of a primitive its id and extensions."""
    try:
        return {each.name: each for each in load().elements("Element" if is_primitive(type_name) else type_name)}
    except KeyError:
        return {}


def named(type_name: str, name: str) -> tuple[Element | None, str | None]:
    """A child element by its name or, of a choice, by the name that it has in JSON: then that, too."""
    elements = elements_of(type_name)
    if name in elements:
        return elements[name], None
    return next((each for each in elements.values() if name in each.json_names()), None), name


def is_primitive(type_name: str) -> bool:
    """Whether the children of such an element stand beside it."""
    return type_name in load().primitives


def child_type(type_name: str, name: str, datatype: str, value: Any = None) -> str:
    """The type whose elements a child has; that of a whole resource is known by its value alone."""
    if load().is_bare(type_name, name):
        return BARE
    if datatype == RESOURCE and isinstance(value, dict):
        return str(value.get("resourceType", ""))
    return "Quantity" if datatype == "SimpleQuantity" else datatype.removeprefix("#")


@dataclass
class Place:
    """An element of a resource: what owns it under which JSON name, at which position of a list, and its type."""

    value: Any
    type: str
    beside: Any = None
    owner: Optional["Place"] = None
    name: str = ""
    position: int | None = None

    def parent_element(self) -> Element | None:
        """The definition of this element in what owns it; None for the resource itself."""
        return named(self.owner.type, self.name)[0] if self.owner else None

    def fields(self) -> Resource | None:
        """The object that holds the children: beside a primitive, else the value. None when there is none."""
        held = self.beside if is_primitive(self.type) else self.value
        return held if isinstance(held, dict) else None

    def opened(self) -> Resource | None:
        """The same, begun beside a primitive that has none yet."""
        if self.owner is not None and is_primitive(self.type) and self.beside is None:
            self.put(self.name, (self.value, {}))
        return self.fields()

    def children(self, name: str) -> Iterator["Place"]:
        """The places of a child element that are there: with a value, or with an id or extensions alone."""
        element, fields = elements_of(self.type).get(name), self.fields()
        if element is None or fields is None:
            return
        for json_name, datatype in element.json_names().items():
            for position, (value, beside) in _numbered(fields, json_name):
                if value is not None or beside is not None:
                    kind = child_type(self.type, name, datatype, value)
                    yield Place(value, kind, beside, self, json_name, position)

    def put(self, name: str, pair: Pair) -> None:
        """Let a value, and what is given beside it, stand here: under `name` when the type of a choice changes."""
        holder = self._holder()
        self.value, self.beside = pair
        if self.position is not None:
            items = items_of(holder, name)
            items[self.position] = pair
            write_items(holder, name, items)
            return
        if name != self.name:
            write(holder, self.name, (None, None))
        write(holder, name, pair)
        self.name = name

    def cut(self) -> None:
        """Take the element away, with its id and extensions; a list that is left empty goes, and an owner that is."""
        holder = self._holder()
        if self.position is None:
            write(holder, self.name, (None, None))
        else:
            items = items_of(holder, self.name)
            items.pop(self.position)
            write_items(holder, self.name, items)
        if self.owner is not None and is_primitive(self.owner.type) and not holder:
            self.owner._bare()

    def _bare(self) -> None:
        """Nothing is left beside this primitive: without a value it is not there."""
        if self.value is None:
            self.cut()
        else:
            self.put(self.name, (self.value, None))

    def _holder(self) -> Resource:
        holder = self.owner.fields() if self.owner else None
        if holder is None:
            raise InvalidResource("A whole resource is not deleted by a patch.", rule="patch-path")
        return holder


def items_of(holder: Resource, name: str) -> list[Pair]:
    """The items of a list, each with what stands beside it; none when there is no list."""
    lists = [each if isinstance(each, list) else [] for each in (holder.get(name), holder.get("_" + name))]
    return list(zip_longest(*lists))


def write_items(holder: Resource, name: str, items: list[Pair]) -> None:
    """Let these be the items of a list: two lists of one length, with null where an item has nothing in one of them.

    A list that would hold nothing is not written.
    """
    columns = [list(column) for column in zip(*items, strict=True)] or [[], []]
    for json_name, column in zip((name, "_" + name), columns, strict=True):
        write_one(holder, json_name, column if any(each is not None for each in column) else None)


def write(holder: Resource, name: str, pair: Pair) -> None:
    """Let an element that does not repeat have this value, and this beside it; neither when it has none."""
    for json_name, each in zip((name, "_" + name), pair, strict=True):
        write_one(holder, json_name, each)


def write_one(holder: Resource, json_name: str, value: Any) -> None:
    """Let a name hold a value, or nothing."""
    if value is None:
        holder.pop(json_name, None)
    else:
        holder[json_name] = value


def _numbered(fields: Resource, name: str) -> list[tuple[int | None, Pair]]:
    """What stands under a name, with its position in a list."""
    both = fields.get(name), fields.get("_" + name)
    return list(enumerate(items_of(fields, name))) if any(isinstance(each, list) for each in both) else [(None, both)]
