"""Bare Flask views that do the least that could be called the same thing; each says its exact reads and writes."""

import uuid
from datetime import UTC, datetime
from typing import Any, TypeAlias

from bson import Binary
from flask import Flask, Response, request
from pymongo import ASCENDING, MongoClient
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from fhir_server.settings import Settings

Document: TypeAlias = dict[str, Any]

WRITTEN = "bench_written"
HISTORY = "bench_history"
OUTBOX = "bench_outbox"
GUARDS = "bench_guards"
AUDIT = "bench_audit"
_DURABLE = WriteConcern(w="majority", j=True)


class _Lazy:
    """A database whose client is made in the process that first asks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: MongoClient[Document] | None = None

    def __call__(self) -> Database[Document]:
        if self._client is None:
            self._client = MongoClient(self._settings.mongodb_url, tz_aware=True)
        return self._client.get_database(self._settings.database, write_concern=_DURABLE)


def prepare(database: Database[Document]) -> None:
    """The collections of the bare writes; what is created has one index beside `_id`."""
    for name in (WRITTEN, HISTORY, OUTBOX, GUARDS, AUDIT):
        database.create_collection(name)
    database[WRITTEN].create_index([("patient", ASCENDING)])


def views(settings: Settings) -> Flask:
    """The application of the baselines, on the same database as ours."""
    app = Flask("baseline", static_folder=None)
    database = _Lazy(settings)

    @app.get("/readyz")
    def ready() -> Response:
        database().command("ping")
        return Response(b"{}")

    @app.get("/read/<type_name>/<id>")
    def read(type_name: str, id: str) -> Response:
        """One `find_one` by `_id`, the bytes out."""
        document = database()[type_name].find_one({"_id": id}, {"body": 1})
        return _json(bytes(document["body"])) if document else Response(status=404)

    @app.post("/create/<path:patient>")
    def create(patient: str) -> Response:
        """One `insert_one`, majority and journaled, into a collection with one index beside `_id`."""
        body = request.get_data()
        database()[WRITTEN].insert_one(_document(body, patient))
        return _json(body, 201)

    @app.post("/transaction/<path:patient>")
    def transaction(patient: str) -> Response:
        """One transaction, majority and journaled, of three inserts in three collections."""
        body = request.get_data()
        bound = database()
        with bound.client.start_session(causal_consistency=False) as session:
            session.with_transaction(
                lambda within: [
                    bound[name].insert_one(_document(body, patient), session=within)
                    for name in (WRITTEN, HISTORY, OUTBOX)
                ],
                ReadConcern("snapshot"),
                _DURABLE,
            )
        return _json(body)

    @app.put("/update/<id>")
    def update(id: str) -> Response:
        """One transaction, majority and journaled: a guard counts up, the current document is replaced, two inserts."""
        body = request.get_data()
        bound = database()

        def write(within: ClientSession) -> None:
            document = _document(body, id)
            bound[GUARDS].update_one({"_id": id}, {"$inc": {"turn": 1}}, upsert=True, session=within)
            bound[WRITTEN].replace_one({"_id": id}, {**document, "_id": id}, upsert=True, session=within)
            bound[HISTORY].insert_one(document, session=within)
            bound[AUDIT].insert_one(_document(body[:300], id), session=within)

        with bound.client.start_session(causal_consistency=False) as session:
            session.with_transaction(write, ReadConcern("snapshot"), _DURABLE)
        return _json(body)

    @app.get("/search/<path:patient>")
    def search(patient: str) -> Response:
        """One `find` of 20 in the order of an index, the stored bytes spliced into a Bundle."""
        asked = {"patient": patient, "del": False}
        found = database()["Observation"].find(asked, {"body": 1}, limit=20).sort("_id", ASCENDING)
        return _json(_spliced(found))

    return app


def _document(body: bytes, patient: str) -> Document:
    return {"_id": str(uuid.uuid4()), "v": 1, "lu": datetime.now(UTC), "patient": patient, "body": Binary(body)}


def _spliced(found: Any) -> bytes:
    entries = b",".join(b'{"resource":' + bytes(each["body"]) + b',"search":{"mode":"match"}}' for each in found)
    return b'{"resourceType":"Bundle","type":"searchset","entry":[' + entries + b"]}"


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status=status, content_type="application/fhir+json; charset=utf-8")
