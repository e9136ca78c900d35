"""What a page of matches brings with it, forwards and backwards, each resource only when a grant of its type admits it.

Terms say what a document refers to, so nothing is parsed. What is included with `:iterate` is followed further, for
some rounds and up to a number of resources; a search that would bring more is too costly.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from pymongo.database import Database

from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.errors import TooCostly
from fhir_server.fhir.json import decode
from fhir_server.fhir.reference import Reference, parse_reference
from fhir_server.search.carried import matches_inside
from fhir_server.search.extract import search_values
from fhir_server.search.grant import Grant, GrantsFor, first_that_admits
from fhir_server.search.query import Include, Query
from fhir_server.search.types.term import term
from fhir_server.store.mongo.audit.pages import found_by_terms, terms_of
from fhir_server.store.mongo.documents import AUDIT_EVENTS, STORED_FIELDS, TERMS_SENT, Document, stamp_from, stored_from
from fhir_server.store.mongo.logic import NOTHING, Filter, both
from fhir_server.store.mongo.search.queries import grant_filter
from fhir_server.store.mongo.time_limit import Within
from fhir_server.store.values import Stored

Found: TypeAlias = dict[str, tuple[str, Document]]
"""Documents by their `Type/id`, each with its type."""

MOST_ROUNDS = 5
MOST_INCLUDED = 2000
# The terms say what a resource refers to.
_SENT = {**STORED_FIELDS, **TERMS_SENT}


def brought(
    database: Database[Document],
    includes: Sequence[Include],
    matched: Found,
    grants: Mapping[str, Sequence[Grant]],
    grants_for: GrantsFor | None,
    moment: datetime,
    within: Within,
) -> tuple[Stored, ...]:
    """What the includes bring, without what was matched, which the `grants` of its type admit.

    Nothing is followed from what is only admitted in part. Raises TooCostly for too much.
    """
    if grants_for is None or not includes:
        return ()
    room = _Room(database, grants_for, moment, within)
    known, onward = dict(matched), [each for each in includes if each.iterate]
    fresh = _whole(matched, grants, moment)
    for _ in range(MOST_ROUNDS):
        found = room.around(fresh, includes, set(known))
        known, fresh = {**known, **found}, _whole(found, room.grants, moment)
        if len(known) - len(matched) > MOST_INCLUDED:
            raise TooCostly(f"The includes bring more than {MOST_INCLUDED} resources; ask for smaller pages or fewer.")
        includes = onward
        if not fresh or not includes:
            break
    return tuple(stored_from(known[key][0], known[key][1]["_id"], known[key][1]) for key in known if key not in matched)


def matched_by(type_name: str, documents: Iterable[Document]) -> Found:
    """Documents of one type, as they are followed from."""
    return {f"{type_name}/{each['_id']}": (type_name, each) for each in documents}


def matched_inside(query: Query, documents: Iterable[Document]) -> Found:
    """What the documents contain that a container query sought, so that it is followed from as they are."""
    found: Found = {}
    for document in documents:
        for part in matches_inside(query, decode(bytes(document["body"]))):
            name = f"{document['_id']}#{part.get('id', '')}"
            found[f"{query.type}/{name}"] = (part["resourceType"], {"_id": name, "t": search_values(part)["t"]})
    return found


def named(document: Document, parameter: str) -> Iterator[str]:
    """What a document refers to by a parameter, without versions: `Type/id` or a url; its terms say which."""
    for form in _forms(document, parameter):
        reference = parse_reference(form)
        yield str(reference) if reference else form.partition("|")[0]


class _Room:
    """One search's way to the resources around what was found."""

    def __init__(self, database: Database[Document], grants_for: GrantsFor, moment: datetime, within: Within) -> None:
        self._database = database
        self._grants_for = grants_for
        self._moment = moment
        self._within = within
        self._admitted: dict[str, Filter] = {}
        self.grants: dict[str, Sequence[Grant]] = {}

    def around(self, fresh: Found, includes: Sequence[Include], known: set[str]) -> Found:
        """What the includes find from `fresh`, without what is known, in the order of mention."""
        found: Found = {}
        for type_name, ids in _by_type(_forwards(fresh, includes), known).items():
            found |= self._find(type_name, {"_id": {"$in": ids}}, known)
        for type_name, urls in _canonicals(fresh, includes).items():
            found |= self._find(type_name, {"t": {"$in": [term("url", url) for url in urls]}}, known)
        for type_name, terms in _backwards(fresh, includes).items():
            found |= self._find(type_name, self._having(type_name, terms), known | found.keys())
        return found

    def _find(self, type_name: str, asked: Filter, known: set[str]) -> Found:
        admitted = self._admitting(type_name)
        if admitted == NOTHING:
            return {}
        condition = both(asked, {"del": False}, admitted)
        documents = self._database[type_name].find(condition, _SENT, limit=MOST_INCLUDED + 1, **self._within.options())
        return {key: value for key, value in matched_by(type_name, documents).items() if key not in known}

    def _having(self, type_name: str, terms: Sequence[str]) -> Filter:
        if type_name == AUDIT_EVENTS:
            return found_by_terms(self._database, terms, self._within.session)
        return {"t": {"$in": terms}}

    def _admitting(self, type_name: str) -> Filter:
        if type_name not in self._admitted:
            self.grants[type_name] = self._grants_for(type_name)
            self._admitted[type_name] = grant_filter(self.grants[type_name], self._moment)
        return self._admitted[type_name]


def _whole(found: Found, grants: Mapping[str, Sequence[Grant]], moment: datetime) -> Found:
    """Those of the documents that are admitted as they are: what a part does not show leads nowhere."""
    return {
        key: (name, document)
        for key, (name, document) in found.items()
        if _is_whole(document, grants.get(name, ()), moment)
    }


def _is_whole(document: Document, grants: Sequence[Grant], moment: datetime) -> bool:
    if not any(grant.glimpses for grant in grants):
        return True
    return first_that_admits((g for g in grants if not g.glimpses), stamp_from(document), moment) is not None


def _forwards(fresh: Found, includes: Sequence[Include]) -> Iterator[Reference]:
    wanted: dict[tuple[str, str], set[str | None]] = defaultdict(set)
    for include in includes:
        if not include.reverse:
            wanted[include.type, include.parameter].add(include.target)
    for type_name, document in fresh.values():
        for each in terms_of(document) if wanted else ():
            parameter, _, form = each.partition("=")
            targets = wanted.get((type_name, parameter))
            reference = parse_reference(form) if targets else None
            if targets and reference and reference.version is None and not targets.isdisjoint({None, reference.type}):
                yield reference


def _canonicals(fresh: Found, includes: Sequence[Include]) -> Mapping[str, list[str]]:
    """The urls that are mentioned, without their versions, by each type that may be meant."""
    urls: dict[str, dict[str, None]] = defaultdict(dict)
    wanted: dict[str, list[Include]] = defaultdict(list)
    for include in includes:
        if not include.reverse and _is_canonical(include):
            wanted[include.type].append(include)
    for type_name, document in fresh.values():
        for include in wanted[type_name]:
            mentioned = dict.fromkeys(_urls(document, include.parameter))
            for target in _defined(include) if mentioned else ():
                urls[target].update(mentioned)
    return {target: list(found) for target, found in urls.items()}


def _urls(document: Document, parameter: str) -> Iterator[str]:
    """The canonical urls that a document mentions by a parameter, without their versions."""
    for form in _forms(document, parameter):
        if "://" in form or form.startswith("urn:"):
            yield form.partition("|")[0]


def _backwards(fresh: Found, includes: Sequence[Include]) -> Mapping[str, list[str]]:
    """The terms of which one must be had by what refers to what was found, by the type that refers."""
    terms: dict[str, list[str]] = defaultdict(list)
    for include in includes:
        if include.reverse:
            parameter = parameters_of(include.type)[include.parameter]
            terms[include.type] += [
                term(include.parameter, form)
                for reference, (type_name, document) in fresh.items()
                if include.target in {None, type_name} and parameter.may_point_to(type_name)
                for form in (reference, *(_forms(document, "url") if _is_canonical(include) else ()))
            ]
    return {type_name: found for type_name, found in terms.items() if found}


def _is_canonical(include: Include) -> bool:
    return any(path.datatype != "Reference" for path in parameters_of(include.type)[include.parameter].paths)


def _defined(include: Include) -> list[str]:
    """The types with a canonical url that an include may mean."""
    parameter = parameters_of(include.type)[include.parameter]
    possible = [include.target] if include.target else sorted(RESOURCE_TYPES)
    return [
        each
        for each in possible
        if each in RESOURCE_TYPES and parameter.may_point_to(each) and "url" in parameters_of(each)
    ]


def _forms(document: Document, parameter: str) -> Iterator[str]:
    beginning = f"{parameter}="
    return (each.removeprefix(beginning) for each in terms_of(document) if each.startswith(beginning))


def _by_type(references: Iterable[Reference], known: set[str]) -> Mapping[str, list[str]]:
    ids: dict[str, dict[str, None]] = defaultdict(dict)
    for reference in references:
        if reference.type in RESOURCE_TYPES and str(reference) not in known:
            ids[reference.type][reference.id] = None
    return {type_name: list(found) for type_name, found in ids.items()}
