"""Deletes that are looked at again, because what refers to such a resource takes no turn with who deletes it.

In the ledger {_id: "deletion/Type/id/version" of the tombstone, reference, version, organization, person, client}: made
in the commit of the delete, and gone with the second look.
"""

from pymongo import ASCENDING
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.ledger import beginning
from fhir_server.store.values import Deletion

DELETIONS: Document = {"_id": beginning("deletion")}
"""The condition of those that were not looked at again yet."""


def deletion_document(deletion: Deletion) -> Document:
    """The document of a deletion."""
    return {
        "_id": _key(deletion),
        "reference": deletion.reference,
        "version": deletion.version,
        "organization": deletion.organization,
        "person": deletion.person,
        "client": deletion.client_id,
    }


def deletions_in(ledger: Collection[Document]) -> list[Deletion]:
    """Those that were not looked at again yet."""
    return [
        Deletion(each["reference"], each["version"], each["organization"], each["person"], each["client"])
        for each in ledger.find(DELETIONS).sort("_id", ASCENDING)
    ]


def forget(ledger: Collection[Document], deletion: Deletion, session: ClientSession | None) -> None:
    """It was looked at."""
    ledger.delete_one({"_id": _key(deletion)}, session=session)


def _key(deletion: Deletion) -> str:
    return f"deletion/{deletion.reference}/{deletion.version}"
