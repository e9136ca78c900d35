"""The words of a search.

https://hl7.org/fhir/R4/search.html
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Token:
    """`system|code`: system None means any, "" means none stated; code None means any code of the system."""

    system: str | None
    code: str | None


@dataclass(frozen=True)
class Typed:
    """An identifier by the type that it states: `system|code` of the type, and the value."""

    system: str
    code: str
    value: str


@dataclass(frozen=True)
class Text:
    """A string as it was asked, and folded (lower case, no accents) for comparison."""

    asked: str
    folded: str


@dataclass(frozen=True)
class Moment:
    """A date with its prefix (`eq ne gt lt ge le sa eb ap`) and the half-open range it stands for.

    Where the range is counted from the day of the search, `counted` is what was asked: that is still the same question
    on the next day, when a page of it may be asked for.
    """

    prefix: str
    start: datetime
    end: datetime
    counted: str | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        """What a question is told by."""
        stands_for = f"start={self.start!r}, end={self.end!r}" if self.counted is None else f"counted={self.counted!r}"
        return f"Moment(prefix={self.prefix!r}, {stands_for})"


@dataclass(frozen=True)
class Target:
    """A reference: `Type/id`, only an id, an absolute or canonical url, or an identifier token."""

    reference: str | None = None
    id: str | None = None
    url: str | None = None
    identifier: Token | None = None


@dataclass(frozen=True)
class Amount:
    """A number with its prefix: the range that its digits stand for, and itself; `form` is the unit's ("" is any)."""

    prefix: str
    start: float
    end: float
    value: float
    form: str = ""


@dataclass(frozen=True)
class Near:
    """Within so many km of a place."""

    latitude: float
    longitude: float
    km: float


@dataclass(frozen=True)
class Together:
    """The values of a composite, one for each component."""

    values: tuple["Value", ...]


@dataclass(frozen=True)
class Sounds:
    """A name by how it sounds: of one of the groups, every key."""

    groups: tuple[tuple[str, ...], ...]


Value = Token | Typed | Text | Sounds | Moment | Target | Amount | Near | Together


@dataclass(frozen=True)
class Clause:
    """One search parameter of the request: its values are alternatives; clauses are joined by AND."""

    parameter: str
    type: str
    values: tuple[Value, ...]
    modifier: str | None = None
    missing: bool | None = None


@dataclass(frozen=True)
class AllOf:
    """Every one of the conditions."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one of the conditions."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True)
class Not:
    """What does not meet the condition."""

    condition: "Condition"


@dataclass(frozen=True)
class Contained:
    """What contains a resource of the type that meets all of the conditions, and refers to it `by` these parameters.

    Asked of a contained resource: what stands beside one that it refers to so.
    """

    type: str
    conditions: tuple["Condition", ...]
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sort:
    """A sort key: the parameter's code, ascending unless `descending`.

    Of a parameter that the operator defined, `way` names how it is searched: by another one it is another order, in
    which a page that was reached by the first begins nowhere.
    """

    parameter: str
    descending: bool = False
    way: str = field(default="", compare=False)

    def __repr__(self) -> str:
        """What a question is told by."""
        way = f", way={self.way!r}" if self.way else ""
        return f"Sort(parameter={self.parameter!r}, descending={self.descending!r}{way})"


@dataclass(frozen=True)
class Include:
    """`_include=Task:focus[:ServiceRequest]`, or as `reverse` `_revinclude=Provenance:target`.

    With `iterate` it also applies to what was included.
    """

    type: str
    parameter: str
    target: str | None = None
    iterate: bool = False
    reverse: bool = False


@dataclass(frozen=True)
class Join:
    """Asked through other resources: those that `queries` find.

    Without `linked`, `parameter` must refer to one of them (a chain); with it, one of them must refer to the resource
    by the parameter that it names (`_has`). With `members` in or not-in, `parameter` must have one, or none, of the
    codes of the value set that they are; with above or below, one that stands there from one of `values`, each by its
    query's code system or by the type of resource that the query is of.
    """

    parameter: str
    queries: tuple["Query", ...]
    linked: str | None = None
    members: str | None = None
    values: tuple[Value, ...] = ()


Condition: TypeAlias = Clause | Join | AllOf | AnyOf | Not | Contained


@dataclass(frozen=True)
class Query:
    """A search of one resource type.

    Of `any_of`, when there are some, one must be met. `joins` are answered before the rest; `joined` are the conditions
    that they came to. `filters` are the conditions of `_filter`, `filtered` the same with their joins answered.
    `contained` is true or both when contained resources are asked for, `as_contained` when these are shown rather than
    what contains them; of a query for what contains them `part_of` are the questions that it answers, as they were
    asked. `summary` is count, true, text or data, `elements` what `_elements` names. `skipped` are the
    parameters that a lenient search left out, each with its value; they play no part in what is asked.
    """

    type: str
    clauses: tuple[Clause, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int = 50
    includes: tuple[Include, ...] = ()
    cursor: str | None = None
    total: str = "none"
    summary: str | None = None
    skipped: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    any_of: tuple[Clause, ...] = ()
    joins: tuple[Join, ...] = ()
    joined: tuple[Condition, ...] = ()
    filters: tuple[Condition, ...] = ()
    filtered: tuple[Condition, ...] = ()
    elements: tuple[str, ...] = ()
    contained: str | None = None
    as_contained: bool = False
    part_of: tuple["Query", ...] = ()

    @cached_property
    def made_of_it(self) -> dict[str, Any]:
        """What was worked out of this very query, by name; a query that is asked again brings it along."""
        return {}

    @cached_property
    def question(self) -> bytes:
        """A digest of what is asked and in which order, whatever came of its joins and whichever page it is."""
        parts = self.part_of or (self,)
        asked = [part for each in parts for part in (each.clauses, each.any_of, each.joins, each.filters)]
        said = (self.type, *asked, self.sort, *([self.contained] if self.part_of else ()))
        return hashlib.sha256(repr(said).encode()).digest()
