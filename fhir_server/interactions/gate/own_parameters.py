"""SearchParameters that the operator stores: an active one says how resources are searched from then on.

https://hl7.org/fhir/R4/searchparameter.html

R4's own definitions, and those that are not active, are kept as documents like any other and change nothing.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from fhir_server.access.types import SERVER_ONLY, TYPES
from fhir_server.definitions.composite_rows import composite_row
from fhir_server.definitions.expressions import Irreducible
from fhir_server.definitions.parameter_rows import SERVED, row, searched_by
from fhir_server.definitions.search_parameters import shipped_parameters_of
from fhir_server.fhir.errors import InvalidResource
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue
from fhir_server.interactions.gate.working_set import WorkingSet
from fhir_server.store.values import OwnParameter

MOST = 200
"""How many parameters an operator may define."""

_OFFICIAL = "http://hl7.org/fhir/SearchParameter/"
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_KINDS = tuple(sorted({*SERVED, "composite"} - {"special"}))
_MOST_COMPONENTS = 8
_LONGEST = 1000
_RULE = "search-parameter"

Rows = dict[str, dict[str, Any]]
Kinds = Mapping[str, str]


def is_own(definition: Resource) -> bool:
    """Whether a SearchParameter makes resources searchable: it is active, and none of R4's own."""
    return definition.get("status") == "active" and not definition.get("url", "").startswith(_OFFICIAL)


def definition_issues(definition: Resource) -> list[Issue]:
    """Why a SearchParameter cannot be searched by, whatever else is defined; nothing for one that is only kept."""
    return [issue for found in _compiled(definition) for issue in [found] if isinstance(issue, Issue)]


def define(working: WorkingSet, new_key: Callable[[], str]) -> None:
    """Take up, change or retire what the SearchParameters of this write define.

    Raises InvalidResource for what cannot be searched by and for a code or a url that another one has.
    """
    changed = {
        reference.partition("/")[2]: pending
        for reference, pending in working.pending.items()
        if reference.startswith("SearchParameter/")
    }
    if not changed:
        return
    before = {each.id: each for each in working.tx.own_parameters()}
    after = dict(before)
    for id, pending in sorted(changed.items(), key=lambda each: _is_composite(each[1].after)):
        known = after.pop(id, None)
        if pending.after is not None and is_own(pending.after):
            made = _made(id, pending.after, new_key(), _kinds(after.values()))
            after[id] = replace(made, key=known.key, indexed=known.indexed) if _alike(known, made) and known else made
    _check_codes(after)
    _check_urls(after, changed)
    if after != before:
        working.tx.define(list(after.values()))


def _is_composite(definition: Resource | None) -> bool:
    return definition is not None and definition.get("type") == "composite"


def _kinds(parameters: Iterable[OwnParameter]) -> Kinds:
    """The types of the operator's parameters by their urls; composites are no components."""
    rows = {each.url: next(iter(each.rows.values())) for each in parameters if each.rows}
    return {url: row["type"] for url, row in rows.items() if row["type"] != "composite"}


def _made(id: str, definition: Resource, key: str, kinds: Kinds) -> OwnParameter:
    found = list(_compiled(definition, kinds))
    issues = [each for each in found if isinstance(each, Issue)]
    if issues:
        raise InvalidResource(issues=issues)
    rows: Rows = {each[0]: each[1] for each in found if not isinstance(each, Issue)}
    return OwnParameter(id, definition["url"], definition["code"], rows, key)


def _alike(known: OwnParameter | None, made: OwnParameter) -> bool:
    """Whether what was indexed for the one serves the other."""
    return known is not None and (known.code, known.rows) == (made.code, made.rows)


def _check_codes(parameters: Mapping[str, OwnParameter]) -> None:
    if len(parameters) > MOST:
        raise _refusal(f"At most {MOST} search parameters can be defined.", "SearchParameter")
    taken: dict[tuple[str, str], str] = {}
    for each in parameters.values():
        for type_name in each.rows:
            other = taken.setdefault((type_name, each.code), each.id)
            if other != each.id:
                told = f"SearchParameter/{other} defines {each.code!r} of {type_name}; take another code, or retire it."
                raise _refusal(told, "SearchParameter.code")


def _check_urls(parameters: Mapping[str, OwnParameter], changed: Iterable[str]) -> None:
    """A url means one parameter: a composite names its components by it. What was stored before that was asked may
    have another's, and hinders nobody."""
    for id in changed:
        made = parameters.get(id)
        other = next((each.id for each in parameters.values() if made and each.url == made.url and each.id != id), None)
        if made and other:
            told = f"SearchParameter/{other} is active and has the url {made.url!r}; take another url, or retire it."
            raise _refusal(told, "SearchParameter.url")


def _refusal(told: str, path: str) -> InvalidResource:
    return InvalidResource(told, path, _RULE)


def _compiled(definition: Resource, kinds: Kinds | None = None) -> Iterator[Issue | tuple[str, dict[str, Any]]]:
    """For each type that it is about, the row by which it is searched; or what is wrong.

    `kinds` are the types of what else is defined; without it a component's definition may be any that is not R4's.
    """
    if not is_own(definition):
        return
    unstated = list(_unstated(definition))
    if unstated:
        yield from unstated
        return
    code, kind, expression = definition["code"], definition["type"], definition.get("expression", "")
    if not _CODE.fullmatch(code):
        yield _issue("A code that is searched by has letters, digits and hyphens, and begins with a letter.", "code")
    if kind not in _KINDS:
        yield _issue(f"A parameter of an own definition is {', '.join(_KINDS)}; not {kind}.", "type")
        return
    if not expression or len(expression) > _LONGEST:
        yield _issue(f"It needs an expression of at most {_LONGEST} characters.", "expression")
        return
    for type_name in dict.fromkeys(definition["base"]):
        if type_name not in TYPES or TYPES[type_name].kind == SERVER_ONLY:
            place = f"base[{definition['base'].index(type_name)}]"
            yield _issue(f"{type_name} is no type that own parameters can search here.", place)
        elif code in shipped_parameters_of(type_name):
            yield _issue(f"{type_name} has a search parameter {code!r} already; take another code.", "code")
        elif kind == "composite":
            yield from _composite(definition, type_name, kinds)
        else:
            yield _row(definition, type_name)


def _unstated(definition: Resource) -> Iterator[Issue]:
    """What R4 takes with an extension in the place of a value, and a search needs the value of."""
    for element in ("url", "code", "type", "base"):
        if element not in definition:
            yield _issue("What is searched by states the value; an extension does not stand for it.", element)
    for position, target in enumerate(definition.get("target", [])):
        if target is None:
            yield _issue("It names a type; an extension does not stand for it.", f"target[{position}]")
    for position, each in enumerate(definition.get("component", [])):
        for element in ("definition", "expression"):
            if element not in each:
                told = "A component states the value; an extension does not stand for it."
                yield _issue(told, f"component[{position}].{element}")


def _row(definition: Resource, type_name: str) -> Issue | tuple[str, dict[str, Any]]:
    try:
        return type_name, row(definition, type_name, None)
    except Irreducible as reason:
        told = f"The expression is no plain path to a {definition['type']} of {type_name}: {reason}."
        return _issue(told, "expression")


def _composite(
    definition: Resource, type_name: str, kinds: Kinds | None
) -> Iterator[Issue | tuple[str, dict[str, Any]]]:
    components = definition.get("component", [])
    if not 0 < len(components) <= _MOST_COMPONENTS or any(len(each["expression"]) > _LONGEST for each in components):
        told = f"A composite has components, at most {_MOST_COMPONENTS}, with expressions of {_LONGEST} characters."
        yield _issue(told, "component")
        return
    found = [_kind(each["definition"].partition("|")[0], type_name, kinds or {}) for each in components]
    unknown = [
        position
        for position, each in enumerate(components)
        if found[position] is None and (kinds is not None or each["definition"].startswith(_OFFICIAL))
    ]
    for position in unknown:
        told = "It says of what type the component is, so it must be a search parameter of R4 or one defined here."
        yield _issue(told, f"component[{position}].definition")
    if None in found:
        return
    try:
        yield type_name, composite_row(definition, type_name, [each for each in found if each])
    except Irreducible as reason:
        yield _issue(f"No plain paths lead to its components in {type_name}: {reason}.", "expression")


def _kind(url: str, type_name: str, kinds: Kinds) -> str | None:
    """The type of the search parameter of a url: one of the operator's, or R4's, as in `.../clinical-code`."""
    if not url.startswith(_OFFICIAL):
        return kinds.get(url)
    stated, _, code = url.removeprefix(_OFFICIAL).partition("-")
    types = [each for each in (type_name, stated) if each in TYPES]
    known = (shipped_parameters_of(each).get(name) for each in types for name in (code, f"_{code}"))
    return next((each.type for each in known if each is not None and searched_by(each.type)), None)


def _issue(told: str, element: str) -> Issue:
    return Issue("invalid", told, f"SearchParameter.{element}", _RULE)
