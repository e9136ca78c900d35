"""A small world for tests over HTTP: the whole application, the case manager's organisation, and parties on demand."""

import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from pymongo.collection import Collection
from werkzeug.test import TestResponse

from fhir_server.app import Parts, build, web
from fhir_server.auth.clients import register_client
from fhir_server.demo.directory import CASEMANAGER, directory
from fhir_server.demo.referral import MIA, Parties, Person, referral
from fhir_server.fhir import dates
from fhir_server.fhir.actor import IMPORT, OPEN_PLANS, OPERATE
from fhir_server.fhir.json import Resource, decode, encode
from fhir_server.settings import Settings
from tests.databases import LentDatabases
from tests.run import FOLDER

EVERYTHING = "system/*.cruds"


@dataclass(frozen=True)
class Reply:
    """An HTTP response with its body as JSON; `world.check` reads it."""

    status: int
    body: Any
    headers: Mapping[str, str]
    raw: bytes

    @property
    def issues(self) -> list[Resource]:
        """The issues of an OperationOutcome."""
        assert self.body["resourceType"] == "OperationOutcome", self.body
        return list(self.body["issue"])

    @property
    def rules(self) -> set[str]:
        """The rules that an OperationOutcome names."""
        return {c["code"] for issue in self.issues for c in issue.get("details", {}).get("coding", [])}

    @property
    def paths(self) -> set[str]:
        """The element paths that an OperationOutcome names."""
        return {path for issue in self.issues for path in issue.get("expression", [])}

    @property
    def entries(self) -> list[Resource]:
        """The resources of a Bundle."""
        return [entry["resource"] for entry in self.body.get("entry", []) if "resource" in entry]


class Party:
    """An organisation with a token, speaking FHIR through Flask's client."""

    def __init__(self, client: FlaskClient, base: str, reference: str, token: str | None) -> None:
        self._client = client
        self._base = base
        self.reference = reference
        self.token = token

    def ask(self, method: str, place: str, body: Any = None, **headers: str) -> Reply:
        """One request; `If_Match="..."` becomes the header If-Match."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        data = body if isinstance(body, bytes) else encode(body) if body is not None else None
        if data is not None:
            sent.setdefault("Content-Type", "application/fhir+json")
        response: TestResponse = self._client.open(f"{self._base}/{place}", method=method, data=data, headers=sent)
        plain = "Content-Encoding" not in response.headers
        is_json = plain and bool(response.data) and "json" in response.headers.get("Content-Type", "")
        return Reply(
            response.status_code, decode(response.data) if is_json else None, dict(response.headers), response.data
        )

    def get(self, place: str, **headers: str) -> Reply:
        """GET."""
        return self.ask("GET", place, **headers)

    def post(self, resource: Resource, **headers: str) -> Reply:
        """Create."""
        return self.ask("POST", resource["resourceType"], resource, **headers)

    def put(self, resource: Resource, **headers: str) -> Reply:
        """Update."""
        return self.ask("PUT", f"{resource['resourceType']}/{resource['id']}", resource, **headers)

    def transact(self, bundle: Resource) -> Reply:
        """POST a Bundle to the base."""
        return self.ask("POST", "", bundle)

    def read(self, reference: str) -> Resource:
        """A resource that must be readable."""
        reply = self.get(reference)
        assert reply.status == 200, (reference, reply.status, reply.body)
        resource: Resource = reply.body
        return resource

    def change(self, reference: str, **elements: Any) -> Reply:
        """Read, set elements (None removes one), write back on the version that was read."""
        resource = {name: value for name, value in {**self.read(reference), **elements}.items() if value is not None}
        return self.put(resource)

    def move(self, task: str, status: str, reason: str | None = None, **elements: Any) -> Reply:
        """Move a Task."""
        told = {"statusReason": {"text": reason}} if reason else {}
        return self.change(task, status=status, **told, **elements)


@dataclass(frozen=True)
class Case:
    """What a referral made: references by type."""

    patient: str
    condition: str
    consent: str | None
    order: str
    task: str
    plan: str
    team: str


class World:
    """The application on the test run's MongoDB."""

    def __init__(self, mongo_url: str, database: str, **more: Any) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="samen-audit-", dir=os.environ.get(FOLDER))
        settings = Settings(
            mongodb_url=mongo_url,
            database=database,
            audit_folder=Path(self._folder.name),
            secure_cookies=False,
            http_endpoints=True,
            token_lifetime=86_400,
            **{"search_seconds": 12, **more},  # a busy machine may stop for longer than a search may take by itself
        )
        self.parts: Parts = build(settings)
        self.app = web(self.parts)
        self.base_path = settings.public_url.removeprefix(settings.origin)
        self.operator = self.party(EVERYTHING, IMPORT, OPERATE, organization="Organization/operator")
        [programme] = self.parts.services.programmes.values()
        reply = self.operator.transact(directory(programme))
        assert reply.status == 200, reply.body
        self.custodian = self.party(EVERYTHING, OPEN_PLANS, organization=CASEMANAGER.reference)

    def close(self) -> None:
        """Let go of the database's connections and of the audit journal."""
        self.parts.store.close()
        self.parts.registry.close()
        self._folder.cleanup()

    def audit(self) -> Collection[dict[str, Any]]:
        """The stored AuditEvents, with those of everything that was answered before."""
        self.parts.store.settle_audit()
        return self.parts.store._connection.database["AuditEvent"]

    def party(self, *scopes: str, organization: str | None = None) -> Party:
        """A party: a new organisation, or the one that is named."""
        reference = organization or self.organization()
        client, _ = register_client(
            self.parts.registry, organization=reference, scopes=scopes or (EVERYTHING,), now=dates.now()
        )
        token = self.parts.issuer.access_token(client, client.scopes, timedelta(hours=12))
        return Party(self.app.test_client(), self.base_path, reference, token)

    def organization(self) -> str:
        """A new Organization in the directory."""
        id = f"org-{uuid.uuid4().hex[:10]}"
        resource = {"resourceType": "Organization", "id": id, "active": True, "name": f"Organisation {id}"}
        assert self.operator.put(resource).status == 201
        return f"Organization/{id}"

    def hospital(self) -> Party:
        """A party that may open plans."""
        return self.party(EVERYTHING, OPEN_PLANS)

    def nobody(self) -> Party:
        """A caller without a token."""
        return Party(self.app.test_client(), self.base_path, "", None)

    def case(self, hosp: Party, home: Party, person: Person = MIA, *, with_consent: bool = True) -> Case:
        """The referral of the story, sent by `hosp` to `home`."""
        bundle = referral(dates.now(), person, Parties(hosp.reference, home.reference), with_consent=with_consent)
        reply = hosp.transact(bundle)
        assert reply.status == 200, reply.body
        made = {}
        for entry in reply.body["entry"]:
            type_name, id = entry["response"]["location"].rsplit("/_history/", 1)[0].split("/")[-2:]
            made[type_name] = f"{type_name}/{id}"
        plan = hosp.read(made["Task"])["basedOn"][0]["reference"]
        team = hosp.read(plan)["careTeam"][0]["reference"]
        return Case(
            made["Patient"], made["Condition"], made.get("Consent"), made["ServiceRequest"], made["Task"], plan, team
        )


@contextmanager
def world_apart(mongo_url: str, databases: LentDatabases) -> Iterator[World]:
    """A World on an empty database of its own."""
    with databases.lent() as name:
        made = World(mongo_url, name)
        databases.laid_out(name)
        yield made
        made.close()
