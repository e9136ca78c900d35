"""What R4 4.0.1 lets clients search by, and this server's own parameters beside it.

https://hl7.org/fhir/R4/searchparameter-registry.html

The table `search_parameters.json` is made by `tools/reduce_search_parameters.py`. What stands here is served;
`unserved()` names the rest of R4's parameters, each with the reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import msgspec

from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.definitions.value_paths import ElementPath, path_from

ANY_TYPE = "*"

_DECLARED = {"age": "number", "sound": "string"}


@dataclass(frozen=True, slots=True)
class Part:
    """A place where the components of a composite stand together: below the element `at`, or "" for the resource.

    What stands there is `kept` by this name, "" among the values of the resource; the operator's composites, whose
    elements a `path` leads to, each keep their own.
    """

    at: str
    components: tuple["SearchParameter", ...]
    kept: str = ""
    path: ElementPath | None = None


_EXTENSION = frozenset({"extension"})


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """A parameter of one resource type.

    `type` is token, reference, date, string, uri, number, quantity, special or composite, or what R4 declares as one of
    these: `sound`, `age`. A composite has `parts` in place of paths, an age nothing. `single` says that a resource has
    at most one such element.
    `targets` are the types that a reference may point to, `("*",)` any. `system` is the system of a code whose element
    states none; `codes` are all codes of an element that every resource has exactly once.
    A parameter that the operator defined has the url of its `definition`, and a `way` that names how it searches. While
    resources that were stored before it, or by another version of this server, are not indexed by it, `progress` says
    how many in a hundred are.
    `datatypes` are those of its paths, and `elements` those of the resource in which they begin.
    """

    code: str
    type: str
    paths: tuple[ElementPath, ...]
    targets: tuple[str, ...] = ()
    single: bool = False
    system: str | None = None
    codes: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    definition: str | None = None
    way: str = ""
    progress: int | None = None
    datatypes: frozenset[str] = field(init=False, repr=False, compare=False)
    elements: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "datatypes", frozenset(path.datatype for path in self.paths))
        object.__setattr__(self, "elements", frozenset(path.steps[0].name for path in self.paths))

    def may_point_to(self, type_name: str) -> bool:
        """Whether a reference of this parameter may have the target type."""
        return ANY_TYPE in self.targets or type_name in self.targets

    @property
    def leads_on(self) -> bool:
        """Whether it is a reference to what is kept here: Appointment may refer to a Slot, and no Slot is kept."""
        return self.type == "reference" and (ANY_TYPE in self.targets or not RESOURCE_TYPES.isdisjoint(self.targets))

    @property
    def declared_type(self) -> str:
        """What R4 calls its type."""
        return _DECLARED.get(self.type, self.type)

    @property
    def is_extension(self) -> bool:
        """Whether its values stand in extensions of the resource, which hardly any resource has."""
        return self.elements == _EXTENSION

    @property
    def is_canonical(self) -> bool:
        """Whether it is a reference whose values name resources by their canonical urls."""
        return self.type == "reference" and "Reference" not in self.datatypes


@dataclass(frozen=True)
class Own:
    """The operator's parameters by type, and of each type that has some a mark, which no other set of them has.

    `lagging` are those that travel with the code and that not all resources of a type are indexed by; `containers` are
    the types of which not all keep what they contain in the form of now.
    """

    parameters: Mapping[str, tuple[SearchParameter, ...]] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    lagging: Mapping[str, Mapping[str, SearchParameter]] = field(default_factory=dict)
    containers: frozenset[str] = frozenset()


_NONE = Own()
_OWN: ContextVar[Own | None] = ContextVar("own search parameters", default=None)


@contextmanager
def using(own: Own) -> Iterator[None]:
    """Let `own` be the operator's parameters, for this thread and while this lasts."""
    token = _OWN.set(own)
    try:
        yield
    finally:
        _OWN.reset(token)


def own_parameters_of(type_name: str) -> tuple[SearchParameter, ...]:
    """The operator's parameters of a type."""
    return (_OWN.get() or _NONE).parameters.get(type_name, ())


def own_mark_of(type_name: str) -> str | None:
    """The mark of the operator's parameters of a type; None when it has none."""
    return (_OWN.get() or _NONE).marks.get(type_name)


def only_shipped() -> bool:
    """Whether no parameter plays a part now but those that travel with the code, and all is indexed by these."""
    known = _OWN.get() or _NONE
    return not known.parameters and not known.lagging


def contents_lag(type_name: str) -> bool:
    """Whether some resources of a type keep what they contain in an earlier form."""
    return type_name in (_OWN.get() or _NONE).containers


def parameters_of(type_name: str) -> Mapping[str, SearchParameter]:
    """The parameters of a resource type by their codes.

    They are those of every resource (`_id`, `_tag` ...), of the type, and of the operator. Raises KeyError for a type
    that this server does not store.
    """
    known, shipped = _OWN.get() or _NONE, shipped_parameters_of(type_name)
    own, lagging = known.parameters.get(type_name), known.lagging.get(type_name)
    if not own and not lagging:
        return shipped
    return MappingProxyType({**shipped, **(lagging or {}), **{each.code: each for each in own or ()}})


@cache
def shipped_parameters_of(type_name: str) -> Mapping[str, SearchParameter]:
    """The parameters of a type that travel with the code: R4's and this server's."""
    if type_name == "Resource":
        raise KeyError(type_name)
    table = _table()["parameters"]
    rows = {**table["Resource"], **table[type_name]}
    known: dict[str, SearchParameter] = {}
    for code, row in rows.items():
        known[code] = _parameter(code, row, known)
    return MappingProxyType(known)


def parameter_from(code: str, row: Mapping[str, Any], **more: Any) -> SearchParameter:
    """The parameter that a row says, as `parameter_rows.row` and `composite_rows.composite_row` make them."""
    places = row.get("places", ())
    parts = tuple(_own_part(f"{code}:{position}", place) for position, place in enumerate(places))
    return replace(_parameter(code, row, {}), parts=parts, **more)


@cache
def places_of(type_name: str) -> Mapping[str, Mapping[str, SearchParameter]]:
    """The elements of a type below which components of composites stand together, each with these components."""
    found: dict[str, dict[str, SearchParameter]] = {}
    for parameter in shipped_parameters_of(type_name).values():
        for part in parameter.parts:
            if part.at:
                found.setdefault(part.at, {}).update({each.code: each for each in part.components})
    return MappingProxyType(found)


def unserved() -> Mapping[str, str]:
    """R4's parameters that are not served, as `Type.code`, each with the reason."""
    reasons: Mapping[str, str] = _table()["unserved"]
    return reasons


@cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = msgspec.json.decode(files(__package__).joinpath("search_parameters.json").read_bytes())
    return table


def _parameter(code: str, row: Mapping[str, Any], known: Mapping[str, SearchParameter]) -> SearchParameter:
    """The parameter of a row; `known` are those of the resource, of which a composite may be made."""
    return SearchParameter(
        code=code,
        type=row["type"],
        paths=tuple(path_from(text) for text in row["paths"]),
        targets=tuple(row.get("targets", ())),
        single=row.get("single", False),
        system=row.get("system"),
        codes=tuple(row.get("codes", ())),
        parts=tuple(_part(at, components, known) for at, components in row.get("parts", {}).items()),
    )


def _part(at: str, components: Sequence[Any], known: Mapping[str, SearchParameter]) -> Part:
    return Part(at, tuple(_parameter(each["code"], each, {}) if at else known[each] for each in components), kept=at)


def _own_part(kept: str, place: Mapping[str, Any]) -> Part:
    path = path_from(place["at"]) if place["at"] else None
    components = tuple(_parameter(each["code"], each, {}) for each in place["components"])
    return Part(".".join(step.name for step in path.steps) if path else "", components, kept, path)
