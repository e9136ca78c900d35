"""Conditions: which resource a conditional create, update, patch, delete or reference means.

Matches are sought under the writer's own grants, also where a chain or `_has` leads through other resources. A writer
who comes at the same time with the same condition takes its turn after this one.

https://hl7.org/fhir/R4/http.html#cond-update
"""

import hmac
import re
from collections.abc import Collection, Sequence

from fhir_server.access.scopes import check_scope
from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.fhir.dates import beginning_of_day
from fhir_server.fhir.errors import MalformedRequest, MultipleMatches
from fhir_server.interactions.gate.working_set import WorkingSet
from fhir_server.interactions.parameters import SUBSETTING, parameters_in
from fhir_server.interactions.seeing.joining import answered, grants_of
from fhir_server.interactions.words import Interaction, Services
from fhir_server.search.parse import BARE, OF_FORM, parse
from fhir_server.store.values import Stored

Condition = tuple[tuple[str, str], ...]

# What some clients add to every address, that of a condition too; it says how to answer, not what is meant.
_OF_THE_ANSWER = OF_FORM.union(SUBSETTING)
# Behind a comma: a parameter, perhaps with a modifier or a chain, and what a condition may begin with before it.
_ANEW = re.compile(
    r"(?<!\\),[ \t]*(?:(?:[^,?]*/)?(?P<type>[A-Za-z]*)\?)?(?P<name>[A-Za-z_][\w-]*)(?:[:.][^=&,]*)?=", re.ASCII
)


def condition_of(interaction: Interaction) -> Condition | None:
    """What an update, patch or delete says instead of an id; None when it has one. Raises MalformedRequest."""
    if interaction.id is not None:
        return None
    condition = tuple(pair for pair in interaction.parameters if pair[0] not in SUBSETTING)
    if not condition:
        raise MalformedRequest(
            f"Name one {interaction.type} by its id ({interaction.type}/[id]) or say which by search parameters "
            f"({interaction.type}?identifier=system|value).",
            interaction.type,
            "condition",
        )
    return condition


def read_condition(text: str, type_name: str, base_url: str | None = None) -> Condition:
    """The parameters of a condition in any of the forms that clients write.

    These are `identifier=1`, `?identifier=1`, `Patient?identifier=1` and `https://.../Patient?identifier=1`, below
    `base_url` where that is given. Raises MalformedRequest for another type, and for another server.
    """
    place, mark, query = text.partition("?")
    if not mark or "=" in place:
        return _meaning(text)
    if place.rpartition("/")[2] not in {"", type_name}:
        told = f"The condition is about {place!r}, and the resource is a {type_name}; write identifier=system|value."
        raise MalformedRequest(told, type_name, "condition")
    if base_url is not None and place not in {"", type_name, f"/{type_name}", f"{base_url}/{type_name}"}:
        told = f"The condition is about {place!r}, which is not this server's; write identifier=system|value."
        raise MalformedRequest(told, type_name, "condition")
    return _meaning(query)


def _meaning(query: str) -> Condition:
    return tuple(pair for pair in parameters_in(query) if pair[0] not in _OF_THE_ANSWER)


def read_if_none_exist(text: str, type_name: str, base_url: str) -> Condition:
    """The condition of a create. Raises MalformedRequest, also for two of them: two headers of a name come as one text,
    with a comma between, and what was the second would be taken for another value of the first."""
    for begun in _ANEW.finditer(text):
        if begun["type"] in {None, "", type_name} and begun["name"] in {*BARE, "_has", *parameters_of(type_name)}:
            raise MalformedRequest(
                f"If-None-Exist is stated once, with & between its parameters; behind a comma it begins again with "
                f"{begun['name']!r}.",
                type_name,
                "if-none-exist",
            )
    return read_condition(text, type_name, base_url)


def said(type_name: str, condition: Condition) -> str:
    """A condition as one text: the same for the same parameters in any order."""
    return f"{type_name}?{'&'.join(f'{name}={value}' for name, value in sorted(condition))}"


def _turn_at(condition: str, secret: bytes) -> str:
    """The guard of a condition, without the condition: it may hold a person's number, and guards stay."""
    return f"if-none-exist:{hmac.digest(secret, condition.encode(), 'sha256').hex()}"


def matches(
    type_name: str,
    condition: Condition,
    working: WorkingSet,
    services: Services,
    *,
    most: int = 1,
    what: str = "A condition",
    guarded: bool = True,
    without: Collection[str] = (),
) -> Sequence[Stored]:
    """The resources that the condition means and the writer may read, `without` those of these references.

    Raises MultipleMatches for more than `most`, MalformedRequest when it holds anything but search parameters.
    """
    check_scope(working.actor, "search-type", type_name)
    if guarded:
        working.tx.guard(_turn_at(said(type_name, condition), services.secret))
    query = parse(
        type_name,
        condition,
        base_url=services.base_url,
        default_count=most + 1 + len(without),
        max_count=most + 1 + len(without),
        moment=beginning_of_day(working.moment),
    )
    if not condition or len(query.clauses) + len(query.joins) + len(query.filters) < len(condition):
        raise MalformedRequest(
            f"{what} takes search parameters that say what a resource has, such as identifier=system|value.",
            type_name,
            "if-none-exist" if what == "If-None-Exist" else "condition",
        )
    query = answered(query, working.sight)
    page = working.tx.search(query, grants_of(query, working.sight), working.moment)
    found = [each for each in page.matches if each.reference not in without]
    if len(found) > most:
        told = "&".join(f"{name}={value}" for name, value in condition)
        many = "more than one" if most == 1 else f"more than {most}"
        raise MultipleMatches(f"{what} {told!r} matches {many} {type_name}; make it more precise.", type_name)
    return found


def match(
    type_name: str,
    condition: Condition,
    working: WorkingSet,
    services: Services,
    *,
    what: str = "A condition",
    without: Collection[str] = (),
) -> Stored | None:
    """The one resource that the condition means; None when there is none."""
    found = matches(type_name, condition, working, services, what=what, without=without)
    return found[0] if found else None
