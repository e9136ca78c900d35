"""What is asked again and again, a worklist each minute or a chart that is looked at anew, is parsed once."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Concatenate, ParamSpec, TypeAlias, cast

from fhir_server.definitions.search_parameters import only_shipped
from fhir_server.search.parse import parse
from fhir_server.search.query import Query

_KEPT = 2048
_LONGEST = 1000

How = ParamSpec("How")
Parse: TypeAlias = Callable[Concatenate[str, Sequence[tuple[str, str]], How], Query]


def _once(parse: Parse[How]) -> Parse[How]:
    """`parse`, which gives the very Query of an earlier request when the same is asked in the same way.

    Not while the operator's parameters or new ones play a part: these change from one moment to the next.
    """
    remembered = cast("Parse[How]", lru_cache(maxsize=_KEPT)(parse))

    def again(type_name: str, pairs: Sequence[tuple[str, str]], /, *more: How.args, **how: How.kwargs) -> Query:
        short = sum(len(name) + len(text) for name, text in pairs) <= _LONGEST
        if short and only_shipped():
            return remembered(type_name, tuple(pairs), *more, **how)
        return parse(type_name, pairs, *more, **how)

    return again


parse_again = _once(parse)
"""`parse` for who asks what may have been asked before; `moment` is best the beginning of a day."""
