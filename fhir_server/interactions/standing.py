"""What stands above or below codes and places, sought under the asker's own grants.

What the asker may not read leads no further: a part that is hidden hides what is part of it alone.
"""

from collections.abc import Callable, Sequence

from fhir_server.access.scopes import check_scope
from fhir_server.fhir.errors import MalformedRequest, TooCostly
from fhir_server.fhir.reference import parse_reference
from fhir_server.interactions.sight import Sight
from fhir_server.search.hierarchy import ABOVE, PART_OF, related_codes
from fhir_server.search.query import Clause, Join, Query, Target, Token

Seek = Callable[[Query, str | None], Sequence[str]]

MOST_LEVELS = 32


def codes_standing(asked: Join, sight: Sight, most: int) -> list[Token]:
    """The codes that stand above or below those asked, by the stored CodeSystem of each.

    Raises MalformedRequest for a CodeSystem that is not here once, or cannot say it.
    """
    found: dict[Token, None] = {}
    for value, query in zip(asked.values, asked.queries, strict=True):
        if isinstance(value, Token) and value.code is not None:
            check_scope(sight.actor, "read", query.type)
            stored = sight.reading.search(query, sight.grants(query.type), sight.moment).matches
            if len(stored) != 1:
                told = "more than one CodeSystem" if stored else "no CodeSystem"
                raise MalformedRequest(f"':{asked.members}': {told} of this server has the url {value.system!r}.")
            codes = related_codes(stored[0].resource(), value.code, asked.members or "", most)
            found.update({Token(value.system, code): None for code in codes})
    return list(found)


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
