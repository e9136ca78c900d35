"""The server's own writes to a Subscription: active after the handshake, error with its reason, off at its end.

Each is a version of its own, with an AuditEvent that names the server.
"""

from datetime import datetime

from fhir_server.audit.events import SERVER, Occurrence, audit_event
from fhir_server.fhir.change import as_version, time_of_version
from fhir_server.fhir.ids import new_id
from fhir_server.fhir.json import Resource, encode
from fhir_server.search.grant import Stamp
from fhir_server.store.contract import Store, Transaction
from fhir_server.store.values import Stored


def settle(
    store: Store, subscription: str, *, version: int, status: str, reason: str | None, moment: datetime
) -> int | None:
    """Give the Subscription that stands at `version` a new version with `status`, and with `reason` as its `error`.

    Returns the new version, or None when the client changed or deleted it meanwhile: then its wish goes first.
    """

    def write(transaction: Transaction) -> int | None:
        stored = transaction.read("Subscription", subscription)
        if stored is None or stored.deleted or stored.version != version:
            return None
        updated = time_of_version(moment, stored.last_updated)
        resource = _settled(stored.resource(), version + 1, status, reason, updated)
        transaction.save(
            Stored(
                type="Subscription",
                id=subscription,
                version=version + 1,
                last_updated=updated,
                body=encode(resource),
                stamp=stored.stamp,
                method="PUT",
            )
        )
        told = Occurrence("update", [f"Subscription/{subscription}/_history/{version + 1}"], reason=f"status {status}")
        transaction.record([audit_event(new_id(), moment, SERVER, told)], Stamp())
        return version + 1

    return store.transact(write)


def _settled(resource: Resource, version: int, status: str, reason: str | None, moment: datetime) -> Resource:
    settled = {**as_version(resource, version, moment), "status": status}
    settled.pop("error", None)
    return settled | ({"error": reason} if reason else {})
