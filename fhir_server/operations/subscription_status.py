"""Subscription/[id]/$status: how a Subscription stands, and how many events it has had.

https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-status.html
"""

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import NotFound
from fhir_server.fhir.json import encode
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.operations.inputs import texts
from fhir_server.store.values import Stored
from fhir_server.subscriptions.payload import QUERY_STATUS, subscription_status


def status(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """A searchset with the one status; only the author of a Subscription can read it."""
    texts(interaction, services, ())
    stored, reason = own_subscription(interaction, actor, services)
    told = subscription_status(
        QUERY_STATUS,
        stored.resource(),
        base_url=services.base_url,
        content="id-only",
        count=services.reading.last_event(stored.id),
        moment=services.clock(),
    )
    entry = {"fullUrl": f"urn:uuid:{told['id']}", "resource": told, "search": {"mode": "match"}}
    link = {"relation": "self", "url": f"{services.base_url}/{stored.reference}/$status"}
    body = encode({"resourceType": "Bundle", "type": "searchset", "total": 1, "link": [link], "entry": [entry]})
    return Answer("ok", body, None, (stored,), reason)


def own_subscription(interaction: Interaction, actor: Actor, services: Services) -> tuple[Stored, str]:
    """The Subscription that is asked about, and why the actor may. Raises NotFound, the same for absent and hidden."""
    if interaction.id is None:
        raise NotFound
    sight = Sight.of(actor, services)
    return sight.readable(services.reading.read("Subscription", interaction.id))
