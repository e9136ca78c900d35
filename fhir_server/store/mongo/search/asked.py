"""What a search asks for, as MongoDB is asked: AuditEvents also by what is kept apart from them."""

from dataclasses import replace

from pymongo.client_session import ClientSession
from pymongo.database import Database

from fhir_server.search.query import Query
from fhir_server.store.mongo.audit.kinds import known_kinds
from fhir_server.store.mongo.audit.pages import pages_asked, terms_in
from fhir_server.store.mongo.documents import AUDIT_EVENTS, Document
from fhir_server.store.mongo.logic import Filter
from fhir_server.store.mongo.search.queries import query_filter


def asked_filter(database: Database[Document], query: Query, session: ClientSession | None) -> Filter:
    """The documents that the query asks for, whoever asks; AuditEvents also by what their kinds stand for, and by what
    they name of a page."""
    asked = query_filter(query)
    if query.type != AUDIT_EVENTS:
        return asked
    pages = pages_asked(database, terms_in(asked), session)
    return replace(known_kinds(database, session), pages=pages).widened(asked)
