"""What is asked again and again, a worklist each minute or a chart that is looked at anew, is parsed once."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from fhir_server.definitions.search_parameters import only_shipped
from fhir_server.search.parse import DEFAULT_COUNT, MAX_COUNT, parse
from fhir_server.search.query import Query

_KEPT = 2048
_LONGEST = 1000


def parse_again(
    type_name: str,
    pairs: Sequence[tuple[str, str]],
    *,
    base_url: str,
    default_count: int = DEFAULT_COUNT,
    max_count: int = MAX_COUNT,
    lenient: bool = False,
    moment: datetime | None = None,
    patient: str | None = None,
    full_text: frozenset[str] = frozenset(),
) -> Query:
    """The Query that `parse` makes of the same, perhaps the very one of an earlier request; `moment` is best a day's.

    Not while the operator's parameters or new ones play a part: these change from one moment to the next.
    """
    once = (type_name, tuple(pairs), base_url, default_count, max_count, lenient, moment, patient, full_text)
    short = sum(len(name) + len(text) for name, text in pairs) <= _LONGEST
    return (_remembered if short and only_shipped() else _parsed)(*once)


def _parsed(
    type_name: str,
    pairs: Sequence[tuple[str, str]],
    base_url: str,
    default_count: int,
    max_count: int,
    lenient: bool,
    moment: datetime | None,
    patient: str | None,
    full_text: frozenset[str],
) -> Query:
    return parse(
        type_name,
        pairs,
        base_url=base_url,
        default_count=default_count,
        max_count=max_count,
        lenient=lenient,
        moment=moment,
        patient=patient,
        full_text=full_text,
    )


_remembered = lru_cache(maxsize=_KEPT)(_parsed)
