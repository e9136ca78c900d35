"""Codes that stored definitions say: those of a ValueSet, and those above or below others in a CodeSystem.

Definitions are sought under the asker's own grants: what it may not read is not here.
"""

from fhir_server.access.scopes import check_scope
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.search.hierarchy import related_codes
from fhir_server.search.members import codes_of
from fhir_server.search.query import Clause, Join, Query, Target, Token, Value


def codes_in(asked: Join, sight: Sight, most: int) -> list[Token]:
    """The codes of the value set that is asked, with whatever it is made of.

    Raises MalformedRequest for a definition that is not here once, or does not say its codes.
    """

    def other(type_name: str, canonical: str) -> Resource:
        url, _, version = canonical.partition("|")
        versioned = (Clause("version", "token", (Token(None, version),)),) if version else ()
        return _definition(Query(type_name, (Clause("url", "uri", (Target(url=url),)), *versioned)), asked, sight)

    return codes_of(_definition(asked.queries[0], asked, sight), most, other)


def codes_standing(asked: Join, sight: Sight, most: int) -> list[Token]:
    """The codes that stand above or below those asked, by the stored CodeSystem of each.

    Raises MalformedRequest for a CodeSystem that is not here once, or cannot say it.
    """
    found: dict[Token, None] = {}
    for value, query in zip(asked.values, asked.queries, strict=True):
        if isinstance(value, Token) and value.code is not None:
            code_system = _definition(query, asked, sight)
            codes = related_codes(code_system, value.code, asked.members or "", most)
            found.update({Token(value.system, code): None for code in codes})
    return list(found)


def _definition(query: Query, asked: Join, sight: Sight) -> Resource:
    """The one ValueSet or CodeSystem that a query finds. Raises MalformedRequest for none or several."""
    check_scope(sight.actor, "read", query.type)
    found = sight.reading.search(query, sight.grants(query.type), sight.moment).matches
    if len(found) == 1:
        return found[0].resource()
    name = "|".join(_said(value) for clause in query.clauses for value in clause.values)
    many = f"more than one {query.type}" if found else f"no {query.type}"
    hint = "; add its |version" if found else ""
    raise MalformedRequest(f"':{asked.members}': {many} of this server has the url or id {name!r}{hint}.")


def _said(value: Value) -> str:
    return str(value.url if isinstance(value, Target) else value.code if isinstance(value, Token) else "")
