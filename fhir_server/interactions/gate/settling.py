"""Asks become definite: ids are given, conditions decided, patches applied, references between entries rewritten."""

from collections.abc import Container, Iterator, Mapping, Sequence

from fhir_server.access.policy import check_delete
from fhir_server.access.scopes import allows, check_scope
from fhir_server.access.types import VERSIONED_UPDATE
from fhir_server.fhir.errors import (
    FhirError,
    IdTaken,
    InvalidResource,
    InvalidWorkflow,
    MalformedRequest,
    NotFound,
)
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import rewrite_references
from fhir_server.interactions.conditions import check_absent, check_if_match, says_version, version_required
from fhir_server.interactions.gate.asks import Ask, structural_issues
from fhir_server.interactions.gate.conditional_references import find_meant
from fhir_server.interactions.gate.matching import match, matches, read_if_none_exist
from fhir_server.interactions.gate.references import local
from fhir_server.interactions.gate.rewriting import named_anew
from fhir_server.interactions.gate.working_set import WorkingSet
from fhir_server.interactions.words import Services
from fhir_server.search.escaping import literally
from fhir_server.search.parse import parse
from fhir_server.validation.findings import quoted

_VERSION = "/_history/"


def resolve(asks: Sequence[Ask], working: WorkingSet, services: Services) -> list[Ask]:
    """The asks with ids and whole contents; a conditional delete may be several, or one of `nothing`."""
    _refuse_ambiguous(asks)
    settled = [each for ask in asks for each in _located(ask, working, services)]
    targets = {name: ask.reference for ask in settled if ask.id for name in ask.names}
    for ask in settled:
        find_meant(ask, targets, working, services)
    versions = {ask.reference: _version_of(ask) for ask in settled if ask.interaction == "create"}
    called = {ask.resource["url"] for ask in settled if ask.resource and isinstance(ask.resource.get("url"), str)}
    settled = [_rewritten(ask, targets, versions, called, services.base_url) for ask in settled]
    settled = [_with_person(ask, working, services) for ask in settled]
    _check_patched(settled, working, services)
    _refuse_duplicates(settled)
    return settled


def _located(ask: Ask, working: WorkingSet, services: Services) -> list[Ask]:
    try:
        return list(_SETTLE[ask.interaction](ask, working, services))
    except FhirError as error:
        raise ask.located(error) from error


def _create(ask: Ask, working: WorkingSet, services: Services) -> Iterator[Ask]:
    if ask.if_none_exist is not None:
        condition = read_if_none_exist(ask.if_none_exist, ask.type, services.base_url)
        found = match(ask.type, condition, working, services, what="If-None-Exist", without=working.leaving)
        if found is not None:
            yield ask.having(id=found.id, existing=found)
            return
    yield ask.having(id=services.new_id())


def _update(ask: Ask, working: WorkingSet, services: Services) -> Iterator[Ask]:
    """No match: created, under an id of the server's. One: updated. A body may say the id that it thinks of."""
    if ask.condition is None:
        yield ask
        return
    found = match(ask.type, ask.condition, working, services)
    if found is None:
        check_absent(ask.if_match, ask.type)
    content = ask.resource or {}
    stated = content.get("id")
    if found is None and stated is not None and working.actor.chooses_ids:
        _check_free(f"{ask.type}/{stated}", working)
        yield ask.having(id=stated)
    elif found is None:
        check_scope(working.actor, "create", ask.type)
        if stated is not None:
            raise MalformedRequest(
                "Nothing matches the condition, and the server chooses the ids of what it creates; leave the id out.",
                f"{ask.type}.id",
                "client-id",
            )
        yield ask.having(interaction="create", id=services.new_id())
    elif stated not in {None, found.id}:
        told = f"The condition matches {found.reference}, the body says {stated!r}; they must be the same."
        raise MalformedRequest(told, f"{ask.type}.id", "id-differs")
    else:
        rest = {name: value for name, value in content.items() if name not in {"resourceType", "id"}}
        yield ask.having(id=found.id, resource={"resourceType": ask.type, "id": found.id, **rest})


def _check_free(reference: str, working: WorkingSet) -> None:
    """Nothing stands where a conditional update would create: the condition did not mean what is there."""
    there = working.stored(reference)
    if there is not None and not there.deleted:
        told = f"Nothing matches the condition, and {reference}, which the body names, is another resource."
        raise IdTaken(told, f"{reference.partition('/')[0]}.id", "id-taken")


def _patch(ask: Ask, working: WorkingSet, services: Services) -> Iterator[Ask]:
    """The content as the patch leaves it; from here on a patch is an update.

    A patch that asks what stands there is a read as well, and refused before anything is looked up.
    """
    patch = ask.patch
    assert patch is not None, "who asks for a patch has one"
    if patch.asks:
        check_scope(working.actor, "read", ask.type)
    if ask.condition is not None:
        found = match(ask.type, ask.condition, working, services)
        if found is None:
            raise NotFound
        ask = ask.having(id=found.id)
    stored, _ = working.sight.readable(working.stored(ask.reference))
    check_if_match(ask.if_match, stored)
    if ask.type in VERSIONED_UPDATE and not (says_version(ask.if_match) or patch.says_version or working.actor.imports):
        raise version_required(stored, "begin a JSON Patch with a test of /meta/versionId")
    yield ask.having(resource=patch.of(stored.resource()))


def _delete(ask: Ask, working: WorkingSet, services: Services) -> Iterator[Ask]:
    """No match: nothing to do. Several: only where the operator has set that they all go.

    What was deleted already stays so: whoever lost the answer may ask again.
    """
    if ask.condition is None:
        stored = working.stored(ask.reference)
        if stored is None or not stored.deleted or working.sight.reason_to_read(stored) is None:
            working.leaving.add(ask.reference)
            yield ask
            return
        check_delete(working.actor, ask.type, stored.stamp.author)
        check_if_match(ask.if_match, stored)
        yield ask.having(existing=stored)
        return
    found = matches(ask.type, ask.condition, working, services, most=services.max_deletes)
    if not found:
        yield ask.having(nothing=True)
    for stored in found:
        working.leaving.add(stored.reference)
        yield ask.having(id=stored.id)


_SETTLE = {"create": _create, "update": _update, "patch": _patch, "delete": _delete}


def _version_of(ask: Ask) -> int:
    """The version that a create leaves: the first, or the one that was there."""
    return ask.existing.version if ask.existing else 1


def _rewritten(
    ask: Ask, targets: Mapping[str, str], versions: Mapping[str, int], called: Container[str], base_url: str
) -> Ask:
    """With references to other entries resolved, relative ones as its own fullUrl says; those to this server short.

    A reference to a version of what is created here gets the version that it is created with. `called` is what
    definitions in the Bundle call themselves.
    """
    if ask.resource is None:
        return ask
    root, _, id = (ask.full_url or "").rpartition(f"/{ask.type}/")
    outside = root if "/" not in id else ""

    def target_of(reference: str) -> str:
        found = targets.get(reference) or targets.get(f"{outside}/{reference}")
        if found is not None:
            return found
        plain, version, stated = reference.partition(_VERSION)
        found = targets.get(plain) or targets.get(f"{outside}/{plain}") if version else None
        return f"{found}{_VERSION}{versions.get(found, stated)}" if found else local(reference, base_url)

    if not ask.place and all(target_of(each) == each for each in ask.targets):
        return ask
    resource: Resource = rewrite_references(ask.resource, target_of)
    return ask.having(resource=named_anew(resource, targets, outside, called) if ask.place else resource)


def _with_person(ask: Ask, working: WorkingSet, services: Services) -> Ask:
    """A new Task that names its person by identifier alone, with the reference to the one readable match.

    What is imported may name a person whom nobody knows here, and then stays as it is.
    """
    person = (ask.resource or {}).get("for", {}) if (ask.interaction, ask.type) == ("create", "Task") else {}
    identifier = person.get("identifier", {})
    if ask.existing is not None or ask.resource is None or "reference" in person or "value" not in identifier:
        return ask
    value = literally(identifier["value"])
    asked = [("identifier", f"{literally(identifier['system'])}|{value}" if "system" in identifier else value)]
    query = parse("Patient", asked, base_url=services.base_url, default_count=2, max_count=2)
    allowed = allows(working.actor, "search-type", "Patient")
    grants = working.sight.grants("Patient") if allowed else ()
    found = working.tx.search(query, grants, working.moment).matches
    if len(found) != 1 and working.actor.imports:
        return ask
    if len(found) != 1:
        told = "`for` names the person by an identifier; it must match exactly one Patient that you may read."
        raise ask.located(InvalidWorkflow(told, "Task.for", "task-for"))
    named = {"reference": found[0].reference, **person}
    return ask.having(resource={**ask.resource, "for": named})


def _check_patched(asks: Sequence[Ask], working: WorkingSet, services: Services) -> None:
    """A patched resource is as well formed as one that is sent whole."""
    for ask in asks:
        issues = structural_issues(ask.resource, ask.type, working.actor, services) if ask.patch else []
        if issues:
            raise ask.located(InvalidResource(issues=issues))


def _refuse_ambiguous(asks: Sequence[Ask]) -> None:
    """A fullUrl names one entry, and a condition means one resource, beside the one that is deleted under it."""
    first: dict[str, Ask] = {}
    for ask in asks:
        for name in _names(ask) if ask.interaction != "delete" else ():
            if first.setdefault(name, ask) is not ask:
                told = f"{quoted(name)} stands at {first[name].place} as well; only one entry of a Bundle may have it."
                raise ask.located(MalformedRequest(told, ask.type, "duplicate-entry"))


def _names(ask: Ask) -> tuple[str, ...]:
    try:
        return ask.names
    except FhirError as error:
        raise ask.located(error) from error


def _refuse_duplicates(asks: Sequence[Ask]) -> None:
    seen: set[str] = set()
    for ask in asks:
        if ask.nothing:
            continue
        if ask.existing is None and ask.reference in seen:
            raise ask.located(
                MalformedRequest(f"{ask.reference} is written twice in one Bundle.", ask.type, "duplicate-entry")
            )
        seen.add(ask.reference)
