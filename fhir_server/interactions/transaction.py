"""transaction: all entries or none; batch: each for itself.

https://hl7.org/fhir/R4/http.html#transaction
"""

from collections.abc import Callable
from typing import Any

from fhir_server.access.scopes import check_scope
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.dates import instant
from fhir_server.fhir.errors import FhirError, MalformedRequest
from fhir_server.fhir.json import Resource, decode
from fhir_server.fhir.outcome import operation_outcome
from fhir_server.interactions.asks import Ask
from fhir_server.interactions.bundles import response_bundle
from fhir_server.interactions.commit import Written, commit
from fhir_server.interactions.conditions import etag
from fhir_server.interactions.entries import Entry, read_entry
from fhir_server.interactions.statuses import STATUS_OF_OUTCOME, status_of
from fhir_server.interactions.update import check_id
from fhir_server.interactions.words import Answer, Interaction, Services

_ORDER = {"delete": 0, "create": 1, "update": 2}

Perform = Callable[[Interaction, Actor, Services], Answer]


def transaction(interaction: Interaction, actor: Actor, services: Services, perform: Perform) -> Answer:
    """The response Bundle, its entries in the order of the request."""
    kind, raw = _entries_of(interaction.resource)
    if kind == "batch":
        return _batch(raw, actor, services, perform)
    entries = [read_entry(entry, position, services) for position, entry in enumerate(raw)]
    for entry in entries:
        _check_scope(entry, actor)
    writes = sorted((e for e in entries if e.interaction.name in _ORDER), key=lambda e: _ORDER[e.interaction.name])
    asks = [_ask(entry) for entry in writes]
    written = dict(zip((entry.place for entry in writes), commit(asks, actor, services) if asks else [], strict=True))
    responses = [
        _written_response(written[entry.place], services)
        if entry.place in written
        else _performed_response(perform(entry.interaction, actor, services), services)
        for entry in entries
    ]
    return Answer("ok", response_bundle("transaction-response", responses), audited=True)


def _check_scope(entry: Entry, actor: Actor) -> None:
    try:
        check_scope(actor, entry.interaction.name, entry.interaction.type)
    except FhirError as error:
        raise error.below(entry.place) from error


def _batch(raw: list[Any], actor: Actor, services: Services, perform: Perform) -> Answer:
    responses = []
    for position, entry in enumerate(raw):
        try:
            read = read_entry(entry, position, services)
            responses.append(_performed_response(perform(read.interaction, actor, services), services))
        except FhirError as error:
            responses.append({"response": {"status": status_of(error), "outcome": operation_outcome(error.issues)}})
    return Answer("ok", response_bundle("batch-response", responses), audited=True)


def _entries_of(bundle: Any) -> tuple[str, list[Any]]:
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise MalformedRequest("The base takes a Bundle of type batch or transaction.", "Bundle")
    kind, entries = bundle.get("type"), bundle.get("entry", [])
    if kind not in {"batch", "transaction"}:
        raise MalformedRequest(f"Bundle.type is batch or transaction here; it was {kind!r}.", "Bundle.type")
    if not isinstance(entries, list):
        raise MalformedRequest("Bundle.entry is a list.", "Bundle.entry")
    return kind, entries


def _ask(entry: Entry) -> Ask:
    asked = entry.interaction
    if asked.name == "update":
        try:
            check_id(asked.resource, asked.type or "", asked.id or "")
        except FhirError as error:
            raise error.below(f"{entry.place}.resource") from error
    return Ask(
        asked.name,
        asked.type or "",
        asked.id,
        asked.resource,
        asked.if_match,
        asked.if_none_exist,
        entry.full_url or (f"{asked.type}/{asked.id}" if asked.id else None),
        entry.place,
    )


def _written_response(written: Written, services: Services) -> Resource:
    return _response(Answer(written.outcome, None, written.stored), services)


def _performed_response(answer: Answer, services: Services) -> Resource:
    entry = _response(answer, services)
    if answer.body is not None and answer.outcome == "ok":
        return {"resource": decode(answer.body), **entry}
    return entry


def _response(answer: Answer, services: Services) -> Resource:
    response: Resource = {"status": STATUS_OF_OUTCOME[answer.outcome]}
    if answer.stored is not None:
        stored = answer.stored
        response["location"] = f"{services.base_url}/{stored.reference}/_history/{stored.version}"
        response["etag"] = etag(stored.version)
        response["lastModified"] = instant(stored.last_updated)
    return {"response": response}
