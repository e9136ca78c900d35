"""The one entrance of the hall: an interaction and an actor in, an answer out, and its AuditEvent kept first."""

from collections.abc import Callable
from dataclasses import replace

from fhir_server.access.scopes import check_scope
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import FhirError, Unavailable
from fhir_server.interactions.audit_asked import asks_of_audit_inside
from fhir_server.interactions.capabilities import capabilities
from fhir_server.interactions.create import create
from fhir_server.interactions.delete import delete
from fhir_server.interactions.histories import histories
from fhir_server.interactions.history import history
from fhir_server.interactions.patch import patch
from fhir_server.interactions.read import read
from fhir_server.interactions.returning import as_shown, check_part
from fhir_server.interactions.search import search
from fhir_server.interactions.search_several import search_several
from fhir_server.interactions.telling import refusals, tellings
from fhir_server.interactions.transaction import transaction
from fhir_server.interactions.update import update
from fhir_server.interactions.vread import vread
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.store.contract import Transaction

Performer = Callable[[Interaction, Actor, Services], Answer]


def perform(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """The answer to `interaction`.

    A read, a search and a refusal are recorded before they are answered; a write's AuditEvent is in its own commit.
    Raises a FhirError when refused, Unavailable when it cannot be recorded.
    """
    try:
        check_scope(actor, interaction.name, interaction.type)
        check_part(interaction)
        if asks_of_audit_inside(interaction):
            services.store.settle_audit()
        with services.store.defined():
            answer = _performer(interaction, services)(interaction, actor, services)
    except Unavailable:
        raise
    except FhirError as error:
        record_refusal(interaction, actor, services, error)
        raise
    if not answer.audited:
        _record(interaction, actor, services, answer)
    return as_shown(answer, interaction, actor)


def record_refusal(interaction: Interaction, actor: Actor | None, services: Services, error: FhirError) -> None:
    """Keep the AuditEvents of a refusal, so that who keeps the plan that was asked about reads of it."""
    for told in refusals(interaction, actor, services, error):
        services.store.record_reading(*told)


def perform_within(tx: Transaction, interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """The answer to a read or search inside a transaction: it sees the writes, and its AuditEvent is in the commit."""
    check_scope(actor, interaction.name, interaction.type)
    answer = _performer(interaction, services)(interaction, actor, replace(services, within=tx))
    for told in tellings(interaction, actor, replace(services, within=tx), answer):
        tx.record([told.event], told.stamp)
    return answer


def _performer(interaction: Interaction, services: Services) -> Performer:
    return PERFORMERS.get(interaction.name) or services.operations[interaction.name]


def _record(interaction: Interaction, actor: Actor, services: Services, answer: Answer) -> None:
    for told in tellings(interaction, actor, services, answer):
        services.store.record_reading(*told)


def _bundle(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    return transaction(interaction, actor, services, perform, perform_within)


PERFORMERS: dict[str, Performer] = {
    "capabilities": capabilities,
    "read": read,
    "vread": vread,
    "history-instance": history,
    "history-type": histories,
    "history-system": histories,
    "search-type": search,
    "search-system": search_several,
    "create": create,
    "update": update,
    "patch": patch,
    "delete": delete,
    "transaction": _bundle,
}
