"""What stands above or below resources by what they are part of, sought under the asker's own grants.

What the asker may not read leads no further: a part that is hidden hides what is part of it alone.
"""

from collections.abc import Callable, Sequence

from fhir_server.fhir.errors import TooCostly
from fhir_server.fhir.reference import parse_reference
from fhir_server.search.hierarchy import ABOVE, PART_OF
from fhir_server.search.query import Clause, Join, Query, Target, Token

Seek = Callable[[Query, str | None], Sequence[str]]

MOST_LEVELS = 32


def places_standing(asked: Join, seek: Seek, most: int) -> list[Target]:
    """The references that stand above or below those asked, level by level. Raises TooCostly for too many."""
    fresh = [value.reference for value in asked.values if isinstance(value, Target) and value.reference]
    found = dict.fromkeys(fresh)
    for _ in range(MOST_LEVELS):
        fresh = [each for each in _next(fresh, asked, seek) if each not in found]
        found.update(dict.fromkeys(fresh))
        if not fresh:
            return [Target(reference=each) for each in found]
        if len(found) > most:
            break
    raise TooCostly(
        f"More than {most} resources, or {MOST_LEVELS} levels, stand {asked.members} what is asked; ask for less."
    )


def _next(references: Sequence[str], asked: Join, seek: Seek) -> list[str]:
    """What stands directly above or below."""
    type_name = asked.queries[0].type
    if asked.members == ABOVE:
        ids = [parsed.id for each in references if (parsed := parse_reference(each))]
        itself = Clause("_id", "token", tuple(Token(None, id) for id in ids))
        led = seek(Query(type_name, (itself,)), PART_OF[type_name])
        return [each for each in led if each.startswith(f"{type_name}/")]
    parts = Clause(PART_OF[type_name], "reference", tuple(Target(reference=each) for each in references))
    return list(seek(Query(type_name, (parts,)), None))
