"""load: a transaction Bundle of the operator's import scope, each content once.

That it was loaded is told by an AuditEvent in the same commit, under the hash of its content. So a load that was cut
off goes on where it ended, two that run at once do not load twice, and the audit says who loaded what.
"""

from dataclasses import dataclass
from typing import Any

from fhir_server.audit.events import Occurrence, audit_event
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import Forbidden, MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.interactions.commit import Gate
from fhir_server.interactions.entries import read_entry
from fhir_server.interactions.gate.asks import Ask, check_structure
from fhir_server.interactions.transaction import asks_of, entries_of
from fhir_server.interactions.words import Services
from fhir_server.search.grant import Grant, Stamp
from fhir_server.search.parse import parse
from fhir_server.store.contract import Transaction

CONTENT = "https://samen.example/fhir/NamingSystem/loaded-content"

# The author of the AuditEvents that tell of loads: no party has this name, so only `load` itself finds them by it.
_BOOK = "loads"


@dataclass(frozen=True)
class Loaded:
    """What became of a Bundle: how many resources it wrote; `already` when its content had been loaded before."""

    resources: int = 0
    already: bool = False


def load(bundle: Any, content: str, actor: Actor, services: Services, *, again: bool = False) -> Loaded:
    """Write all entries of a transaction Bundle, or none when its `content` was loaded before, unless `again`.

    `content` is the hash of the bytes that the Bundle was read from. Raises FhirError with the place of each fault.
    """
    if not actor.imports:
        raise Forbidden("Only the operator's import scope loads Bundles.", rule="scope")
    asks = _asks(bundle, actor, services)
    check_structure(asks, actor, services)

    def once(tx: Transaction) -> Loaded:
        tx.guard(f"load:{content}")
        if not again and _is_loaded(content, tx, services):
            return Loaded(already=True)
        written = Gate(tx, actor, services).write(asks)
        tx.record([_event(content, actor, services)], Stamp(author=_BOOK))
        return Loaded(len(written))

    return services.store.transact(once)


def _asks(bundle: Any, actor: Actor, services: Services) -> list[Ask]:
    kind, raw = entries_of(bundle)
    if kind != "transaction":
        raise MalformedRequest("A Bundle that is loaded is a transaction, so that it is loaded whole.", "Bundle.type")
    entries = [read_entry(entry, position, services) for position, entry in enumerate(raw)]
    asks = asks_of(entries, actor)
    if len(asks) < len(entries):
        raise MalformedRequest("A Bundle that is loaded holds creates, updates and deletes only.", "Bundle.entry")
    return asks


def _is_loaded(content: str, tx: Transaction, services: Services) -> bool:
    asked = [("entity:identifier", f"{CONTENT}|{content}")]
    query = parse("AuditEvent", asked, base_url=services.base_url, default_count=1)
    return bool(tx.search(query, [Grant("what was loaded", authors=(_BOOK,))], services.clock()).matches)


def _event(content: str, actor: Actor, services: Services) -> Resource:
    event = audit_event(services.new_id(), services.clock(), actor, Occurrence("transaction", reason="import scope"))
    loaded: Resource = {"what": {"identifier": {"system": CONTENT, "value": content}}}
    return {**event, "entity": [loaded, *event.get("entity", [])]}
