"""The composition root: settings -> store, programmes, services -> the Flask application and the delivery worker."""

import logging
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from importlib.resources.abc import Traversable

from flask import Flask, Response, jsonify
from werkzeug.middleware.proxy_fix import ProxyFix

from fhir_server.access.labels import JUDGED, label_of
from fhir_server.access.types import PERSONS, TYPES
from fhir_server.audit.pseudonyms import named, without
from fhir_server.auth.authenticator import Authenticator, Trust, trust_in
from fhir_server.auth.local_issuer import LocalIssuer
from fhir_server.auth.routes import token_routes
from fhir_server.auth.sessions import Sessions
from fhir_server.care.programme_documents import UnreadableProgramme, programme_from
from fhir_server.care.programmes import Programme
from fhir_server.fhir import dates
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.ids import new_id
from fhir_server.fhir.json import NotJson, decode
from fhir_server.fhir.reference import parse_reference
from fhir_server.interactions.second_looks import SecondLooks
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.words import Services
from fhir_server.operations.table import PERFORMERS
from fhir_server.rest.routes import fhir_application
from fhir_server.rest.web import Web
from fhir_server.settings import Settings
from fhir_server.shipped import programme_packs
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.delivery.queue import queue_in
from fhir_server.store.mongo.indexing.reindexing import Reindexing
from fhir_server.store.mongo.registry import Registry
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.purges import Forgetting
from fhir_server.subscriptions import worker
from fhir_server.subscriptions.topics import check_subscription
from fhir_server.validation.validator import Validator
from fhir_server.viewer.routes import viewer_routes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What an application is made of; a test or a command may use the parts without the web."""

    settings: Settings
    store: MongoStore
    registry: Registry
    services: Services
    issuer: LocalIssuer
    authenticator: Authenticator
    sessions: Sessions


def build(settings: Settings) -> Parts:
    """The parts, on the database that `settings.mongodb_url` names; collections and indexes are made when missing."""
    registry = Registry(Connection(settings.mongodb_url, settings.database))
    registry.prepare()
    secret = registry.secret("cursors", os.urandom(32))
    store = MongoStore(
        settings.mongodb_url,
        settings.database,
        secret=secret,
        search_seconds=settings.search_seconds,
        full_text=settings.full_text,
        reading_audit=settings.audit_reads,
        journal=settings.journal_folder,
        forgetting=Forgetting(PERSONS, named, without),
    )
    store.prepare(sorted(TYPES))
    store.label(JUDGED, label_of)
    issuer = LocalIssuer(
        registry, issuer=settings.origin, audience=settings.public_url, lifetime=settings.token_life, clock=dates.now
    )
    services = Services(
        store=store,
        validator=Validator(),
        programmes=programmes(),
        base_url=settings.public_url,
        secret=secret,
        clock=dates.now,
        new_id=new_id,
        check_subscription=lambda resource, imports: check_subscription(
            resource, http_endpoints=settings.http_endpoints, imports=imports
        ),
        max_deletes=settings.max_deletes,
        referential_integrity=settings.referential_integrity,
        full_text=frozenset(settings.full_text),
        software_version=version("samen"),
        operations=PERFORMERS,
    )
    return Parts(
        settings,
        store,
        registry,
        services,
        issuer,
        Authenticator(_trusted(settings, issuer), dates.now),
        Sessions(registry, lifetime=settings.session_life, clock=dates.now),
    )


def programmes() -> Mapping[str, Programme]:
    """The programme packs that travel with the code, by id."""
    return programmes_in(programme_packs())


def programmes_in(packs: Iterable[Traversable]) -> Mapping[str, Programme]:
    """The programmes of these folders, by id.

    Raises UnreadableProgramme, which names the file in each line, also when two have the same id.
    """
    found: dict[str, Programme] = {}
    for pack in packs:
        place = pack / "programme.json"
        try:
            programme = programme_from(decode(place.read_bytes()))
        except NotJson as error:
            raise UnreadableProgramme(f"{place} is not JSON: {error}") from error
        except UnreadableProgramme as error:
            raise UnreadableProgramme("\n".join(f"{place}: {each}" for each in str(error).splitlines())) from error
        if programme.id in found:
            raise UnreadableProgramme(f"{place}: another folder holds the programme {programme.id!r} already")
        found[programme.id] = programme
    return found


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application: FHIR, the token endpoint, the viewer, and two addresses that say how the server is."""
    parts = build(settings or Settings.read(os.environ))
    gathered = (sorted(TYPES), JUDGED, label_of)
    threading.Thread(target=parts.store.gather, args=gathered, name="gathering", daemon=True).start()
    parts.store.look_after_audit()
    return web(parts)


def web(parts: Parts) -> Flask:
    """The Flask application of `parts`."""
    settings = parts.settings
    app = Web("fhir_server", static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # whoever asks is not led elsewhere
    # Of the other addresses; FHIR's see to it themselves.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body + 1
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies, x_host=settings.proxies)  # type: ignore[method-assign]
    base_path = settings.public_url.removeprefix(settings.origin)
    app.mount = base_path
    app.mounted = fhir_application(parts.services, parts.authenticator.authenticate, settings.max_body, base_path)
    app.register_blueprint(token_routes(parts.registry, parts.issuer))
    app.register_blueprint(
        viewer_routes(
            parts.services,
            parts.sessions,
            time_zone=settings.time_zone,
            languages=settings.languages,
            secure_cookies=settings.secure_cookies,
        )
    )
    _add_health(app, parts)
    return app


def run_worker(settings: Settings, stop: threading.Event | None = None) -> None:
    """Deliver notifications, index by new search parameters, settle the audit of the dead, look at deletes again, until
    told to end."""
    parts = build(settings)
    indexing = Reindexing(Connection(settings.mongodb_url, settings.database), full_text=settings.full_text)
    ending = stop or threading.Event()
    looks = SecondLooks(parts.services)
    beside = (("indexing", indexing.keep_up), ("audit", parts.store.keep_audit_settled), ("deletes", looks.keep_up))
    for name, keep_up in beside:
        threading.Thread(target=keep_up, args=(ending,), name=name, daemon=True).start()
    worker.main(
        parts.store,
        queue_in(Connection(settings.mongodb_url, settings.database).database),
        base_url=settings.public_url,
        may_read=lambda party, reference: may_read(parts.services, party, reference),
        http_endpoints=settings.http_endpoints,
        kept=settings.event_life,
        stop=stop,
    )


def worker_seen(settings: Settings) -> datetime | None:
    """When a worker of this machine last gave a sign of life; None when none did within a day."""
    connection = Connection(settings.mongodb_url, settings.database)
    try:
        return queue_in(connection.database).heartbeats.last(dates.now())
    finally:
        connection.close()


def may_read(services: Services, party: str, reference: str) -> bool:
    """Whether a party may read `Type/id` at this moment; asked again for each notification that is delivered."""
    parsed = parse_reference(reference)
    if parsed is None:
        return False
    actor = Actor(organization=party if party.startswith("Organization/") else None, person=_person(party))
    stored = services.store.read(parsed.type, parsed.id)
    if stored is None:
        return False
    sight = Sight.of(actor, services)
    return sight.reason_to_read(stored) is not None


def _person(party: str) -> str | None:
    return None if party.startswith("Organization/") else party


def _trusted(settings: Settings, issuer: LocalIssuer) -> dict[str, Trust]:
    """The issuers whose tokens are believed, by their names: this server's own, and those of the settings."""
    others = {other.issuer: trust_in(other, dates.now) for other in settings.issuers}
    return {issuer.issuer: issuer.trust(), **others}


def _add_health(app: Flask, parts: Parts) -> None:
    """`/livez` says that the process answers, `/readyz` that its database does too."""

    @app.get("/livez")
    def livez() -> Response:
        return jsonify({"status": "here"})

    @app.get("/readyz")
    def readyz() -> tuple[Response, int]:
        try:
            parts.store.read("Organization", "readiness")
        except FhirError:
            return jsonify({"status": "the database does not answer"}), 503
        return jsonify({"status": "ready"}), 200
