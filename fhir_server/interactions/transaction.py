"""transaction: all entries or none; batch: each for itself.

https://hl7.org/fhir/R4/http.html#transaction
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from fhir_server.access.scopes import check_scope
from fhir_server.definitions.structures import load
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.dates import instant
from fhir_server.fhir.errors import FhirError, MalformedRequest, MethodNotAllowed, TooLarge
from fhir_server.fhir.faults import logged
from fhir_server.fhir.json import Resource, decode
from fhir_server.fhir.outcome import Issue, operation_outcome
from fhir_server.interactions.bundles import response_bundle
from fhir_server.interactions.commit import Gate
from fhir_server.interactions.conditions import etag
from fhir_server.interactions.entries import Entry, read_entry
from fhir_server.interactions.gate.asks import Ask, check_structure
from fhir_server.interactions.gate.matching import condition_of
from fhir_server.interactions.patching.patches import read_patch
from fhir_server.interactions.returning import as_shown, check_part, returned_in_entry
from fhir_server.interactions.statuses import FAILED, STATUS_OF_OUTCOME, status_of
from fhir_server.interactions.update import check_id
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.store.contract import Transaction
from fhir_server.store.values import Stored
from fhir_server.validation.findings import quoted
from fhir_server.validation.implicit_rules import NOT_UNDERSTOOD, states_implicit_rules

log = logging.getLogger(__name__)

MOST_ENTRIES = 10_000
_ORDER = {"delete": 0, "create": 1, "update": 2, "patch": 3}
_NOTHING_DELETED: Resource = {"response": {"status": STATUS_OF_OUTCOME["deleted"]}}
_OWN = "each entry is decided by itself; none, or not all, could be read"

Perform = Callable[[Interaction, Actor, Services], Answer]
PerformWithin = Callable[[Transaction, Interaction, Actor, Services], Answer]


def transaction(
    interaction: Interaction, actor: Actor, services: Services, perform: Perform, perform_within: PerformWithin
) -> Answer:
    """The response Bundle, its entries in the order of the request; a read that fails undoes the writes beside it."""
    kind, raw = entries_of(interaction.resource)
    _check_around(interaction.resource)
    if len(raw) > MOST_ENTRIES:
        told = f"A Bundle has at most {MOST_ENTRIES} entries, and this one has {len(raw)}; send several."
        raise TooLarge(told, "Bundle.entry", "entries")
    if kind == "batch":
        return _batch(raw, actor, services, perform, interaction)
    entries = _entries(raw, services, lenient=interaction.lenient)
    asks = asks_of(entries, actor)
    check_structure(asks, actor, services)

    def all_of_it(tx: Transaction) -> list[Resource]:
        written = {each.ask.place: each for each in Gate(tx, actor, services).write(asks)} if asks else {}

        def response(entry: Entry) -> Resource:
            if entry.place in written:
                each = written[entry.place]
                answer = as_shown(Answer(each.outcome, each.stored.body, each.stored), entry.interaction, actor)
                return _response(answer, services, interaction.returning)
            if entry.interaction.name in _ORDER:
                return _NOTHING_DELETED
            return _performed_response(entry, _read(entry, tx, actor, services, perform_within), services, None)

        return [response(entry) for entry in entries]

    responses = services.store.transact(all_of_it)
    return Answer("ok", response_bundle("transaction-response", responses), audited=bool(entries), reason=_OWN)


def entries_of(bundle: Any) -> tuple[str, list[Any]]:
    """The type and the entries of a batch or transaction, not looked at yet. Raises MalformedRequest."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise MalformedRequest("The base takes a Bundle of type batch or transaction.", "Bundle")
    kind, entries = bundle.get("type"), bundle.get("entry", [])
    if kind not in ("batch", "transaction"):
        raise MalformedRequest("Bundle.type must be batch or transaction here.", "Bundle.type")
    if not isinstance(entries, list):
        raise MalformedRequest("Bundle.entry must be a list.", "Bundle.entry")
    return kind, entries


def _entries(raw: Sequence[Any], services: Services, *, lenient: bool) -> list[Entry]:
    """The entries of a transaction. A method that an address does not have is no fault of the base's own method."""
    try:
        entries = [read_entry(entry, position, services, lenient=lenient) for position, entry in enumerate(raw)]
    except MethodNotAllowed as error:
        raise MalformedRequest(issues=error.issues) from error
    for entry in entries:
        _check_asks_only(entry)
    return entries


def _check_around(bundle: Resource) -> None:
    """Raise MalformedRequest for an element that no Bundle has, and for implicit rules.

    The rest around the entries asks nothing; some clients fill it in as for a search, with a total and half a link.
    """
    known = {name for element in load().elements("Bundle") for name in element.json_names()} | {"resourceType"}
    unknown = next((quoted(name) for name in bundle if name.removeprefix("_") not in known), None)
    if unknown is not None:
        raise MalformedRequest(f"A Bundle has no element {unknown}.", f"Bundle.{unknown[1:-1]}", "structure")
    if states_implicit_rules(bundle):
        raise MalformedRequest(NOT_UNDERSTOOD, "Bundle.implicitRules", "implicit-rules")


def _check_asks_only(entry: Entry) -> None:
    """Raise MalformedRequest for an operation that may write: it would not be undone with the others."""
    if entry.sends:
        told = "Of the operations, a transaction holds those that are asked by GET; send the others in a batch."
        raise MalformedRequest(told, f"{entry.place}.request.url")


def asks_of(entries: Sequence[Entry], actor: Actor) -> list[Ask]:
    """The writes among the entries in the order that R4 gives them, when the actor's token allows every entry."""
    for entry in entries:
        _located(entry, lambda asked: check_scope(actor, asked.name, asked.type))
        _located(entry, check_part)
    writes = [entry for entry in entries if entry.interaction.name in _ORDER]
    return [_ask(entry) for entry in sorted(writes, key=lambda entry: _ORDER[entry.interaction.name])]


def _located(entry: Entry, step: Callable[[Interaction], Any], below: str = "") -> Any:
    """What the step gives for an entry's interaction; its refusal is told with the entry's place."""
    try:
        return step(entry.interaction)
    except FhirError as error:
        raise error.below(entry.place + below) from error


def _read(entry: Entry, tx: Transaction, actor: Actor, services: Services, perform_within: PerformWithin) -> Answer:
    answer: Answer = _located(entry, lambda asked: perform_within(tx, asked, actor, services))
    return answer


def _batch(raw: list[Any], actor: Actor, services: Services, perform: Perform, asked: Interaction) -> Answer:
    """Each entry is recorded by itself; the batch is, when it has none or holds some that could not be read or at which
    the server failed."""
    responses, performed, failed = [], 0, False
    for position, entry in enumerate(raw):
        try:
            read = read_entry(entry, position, services, lenient=asked.lenient)
            performed += 1
            answer = perform(read.interaction, actor, services)
            responses.append(_performed_response(read, answer, services, asked.returning))
        except FhirError as error:
            responses.append({"response": {"status": status_of(error), "outcome": operation_outcome(error.issues)}})
        except Exception as error:
            # The entries before it are stored: a failure of the whole would say that nothing was.
            failed = True
            responses.append(_failed(f"Bundle.entry[{position}]", logged(error, log)))
    audited = bool(raw) and performed == len(raw) and not failed
    return Answer("ok", response_bundle("batch-response", responses), audited=audited, reason=_OWN)


def _failed(place: str, support_id: str) -> Resource:
    """The answer to one entry at which the server failed, as the page of a failure has it."""
    told = f"The server failed at this entry; the others stand. Quote {support_id} when you report it."
    return {"response": {"status": FAILED, "outcome": operation_outcome([Issue("exception", told, place)])}}


def _ask(entry: Entry) -> Ask:
    asked = entry.interaction
    condition = _located(entry, condition_of) if asked.name != "create" else None
    if asked.name == "update" and asked.id is not None:
        _located(entry, lambda update: check_id(update.resource, update.type or "", update.id or ""), ".resource")
    return Ask(
        asked.name,
        asked.type or "",
        asked.id,
        None if asked.name == "patch" else asked.resource,
        asked.if_match,
        asked.if_none_exist,
        entry.full_url or (f"{asked.type}/{asked.id}" if asked.id else None),
        entry.place,
        patch=_located(entry, lambda it: read_patch(it.resource), ".resource") if asked.name == "patch" else None,
        condition=condition,
        if_none_match=asked.if_none_match if asked.name != "create" else None,
    )


def _performed_response(entry: Entry, answer: Answer, services: Services, returning: str | None) -> Resource:
    response = _response(answer, services, returning)
    if answer.body is not None and answer.outcome == "ok" and not entry.head:
        return {**_found(decode(answer.body), answer.stored, services), **response}
    return response


def _found(resource: Resource, stored: Stored | None, services: Services) -> Resource:
    """A resource in a response, with the address that it has here; what an operation made up has none."""
    if stored is None or (resource["resourceType"], resource.get("id")) != (stored.type, stored.id):
        return {"resource": resource}
    return {"fullUrl": f"{services.base_url}/{stored.reference}", "resource": resource}


def _response(answer: Answer, services: Services, returning: str | None) -> Resource:
    response: Resource = {"status": STATUS_OF_OUTCOME[answer.outcome]}
    if answer.stored is not None:
        stored = answer.stored
        response["location"] = f"{services.base_url}/{stored.reference}/_history/{stored.version}"
        response["etag"] = etag(stored.version)
        response["lastModified"] = instant(stored.last_updated)
    resource, outcome = returned_in_entry(answer, returning)
    response |= {"outcome": outcome} if outcome else {}
    return {**(_found(resource, answer.stored, services) if resource else {}), "response": response}
