"""What the resources of a type are indexed by, as short marks: another mark says that they must be indexed anew.

A later version of this server may find other values in a resource: because a search parameter is new, or finds them
elsewhere, or because all are kept in another form. What was stored by an earlier version does not have them.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType

from fhir_server.definitions.search_parameters import SearchParameter, shipped_parameters_of
from fhir_server.search.extract import OF_THE_STORE
from fhir_server.search.types.age import AGE, BORN, DIED
from fhir_server.search.types.token import is_mime_type

FORM = 7
"""How values are kept. Whoever changes what `extract.py` and `types/` make of the same parameters counts it up."""

CONTAINED = "_contained"
"""Among the rows of a type, what its resources keep of those that they contain; no search parameter has this name."""
_CONTAINS_NOTHING = "AuditEvent"  # this server alone writes these, and there are many
_CONTAINED_FORM = "ways and words of each"
"""How that is kept. Whoever changes what `containers.py` makes of it says it in other words."""


@cache
def rows_of(type_name: str) -> Mapping[str, str]:
    """A mark of each search parameter of a type that travels with the code, and of what is CONTAINED."""
    shipped = shipped_parameters_of(type_name)
    rows = {code: _row(each) for code, each in shipped.items() if code not in OF_THE_STORE}
    if AGE in rows:  # found by the values of others, so it waits for them
        rows[AGE] = _digest(rows[each] for each in (AGE, BORN, DIED))
    contained = {} if type_name == _CONTAINS_NOTHING else {CONTAINED: _digest([_CONTAINED_FORM])}
    return MappingProxyType({**rows, **contained})


def mark_of(type_name: str, own: Iterable[str]) -> str:
    """What a resource carries that is indexed by what is shipped, and by the operator's parameters of these keys."""
    keys = sorted(own)
    return _digest((shipped_mark_of(type_name), *keys)) if keys else shipped_mark_of(type_name)


@cache
def shipped_mark_of(type_name: str) -> str:
    """The mark of a resource whose type has no other parameters."""
    return _digest((str(FORM), *(f"{code}={row}" for code, row in sorted(rows_of(type_name).items()))))


def _row(parameter: SearchParameter) -> str:
    """What decides on the values of a parameter, and no more than that."""
    parts = [(part.at, [(each.code, _row(each)) for each in part.components]) for part in parameter.parts]
    folded = ("in any case",) if is_mime_type(parameter) else ()
    return _digest((parameter.type, repr(parameter.paths), str(parameter.single), repr(parts), *folded))


def _digest(said: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]
