"""Clients that others wrote tell one case, from signing in to an error, and each of them sees the same.

The script stands here once in Python, for fhirpy and SMART's fhirclient, and once in `fhir_kit.mjs`, for
fhir-kit-client on Node.js; all three end with what `SEEN` says.
"""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import requests
from fhirclient.models.bundle import Bundle
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException, FHIRServer
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

from fhir_server.fhir.json import Resource
from tests.story.conftest import Stage

FHIR_KIT = os.environ.get("SAMEN_TEST_FHIR_KIT")
SCRIPT = Path(__file__).with_name("fhir_kit.mjs")
MEASURED = 5

# What every client must have seen at the end.
SEEN = {
    "created": "1",
    "read": "Peeters",
    "updated": "2",
    "stale": 412,
    "pages": [[1, 2], [3, 4], [5]],
    "transaction": ["201", "201"],
    "linked": True,
    "history": ["2", "1"],
    "everything": {"Patient": 1, "Observation": 7},
    "absent": [404, "not-found"],
    "unknown": [400, True],
}


class Client(Protocol):
    """What the script asks of a client; a refusal is told as its status and the first issue of its OperationOutcome."""

    def create(self, resource: Resource) -> Resource: ...
    def read(self, type_name: str, id: str) -> Resource: ...
    def update(self, resource: Resource, version: str) -> Resource: ...
    def pages(self, type_name: str, parameters: Mapping[str, str]) -> list[list[Resource]]: ...
    def transact(self, bundle: Resource) -> Resource: ...
    def bundle(self, place: str) -> Resource: ...
    def refusal(self, place: str) -> tuple[int, Resource]: ...
    def stale(self, resource: Resource, version: str) -> int: ...


def tell(client: Client) -> dict[str, Any]:
    """The case, and what was seen of it."""
    patient = client.create({"resourceType": "Patient", "name": [{"family": "Peeters"}]})
    id, seen = patient["id"], {"created": patient["meta"]["versionId"]}
    read = client.read("Patient", id)
    seen["read"] = read["name"][0]["family"]
    changed = {**read, "birthDate": "1961-04-05"}
    seen["updated"] = client.update(changed, "1")["meta"]["versionId"]
    seen["stale"] = client.stale({**changed, "birthDate": "1961-04-06"}, "1")
    for number in range(1, MEASURED + 1):
        client.create(observation(id, number))
    pages = client.pages("Observation", {"patient": id, "_sort": "date", "_count": "2"})
    seen["pages"] = [[each["valueInteger"] for each in page] for page in pages]
    answered = client.transact(two_linked(id))["entry"]
    seen["transaction"] = [entry["response"]["status"][:3] for entry in answered]
    first, second = (entry["response"]["location"].partition("/_history/")[0].split("/")[-1] for entry in answered)
    [member] = client.read("Observation", second)["hasMember"]
    seen["linked"] = member["reference"] == f"Observation/{first}"
    history = client.bundle(f"Patient/{id}/_history")["entry"]
    seen["history"] = [entry["resource"]["meta"]["versionId"] for entry in history]
    found = [each["resource"]["resourceType"] for each in client.bundle(f"Patient/{id}/$everything")["entry"]]
    seen["everything"] = {name: found.count(name) for name in ("Patient", "Observation")}
    status, outcome = client.refusal("Patient/nobody")
    seen["absent"] = [status, outcome["issue"][0]["code"]]
    status, outcome = client.refusal("Patient?colour=red")
    seen["unknown"] = [status, "birthdate" in outcome["issue"][0]["diagnostics"]]
    return seen


def observation(patient: str, number: int, **more: Any) -> Resource:
    """The measurement of a day."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "9279-1"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": f"2026-03-0{number}",
        "valueInteger": number,
        **more,
    }


def two_linked(patient: str) -> Resource:
    """A transaction of two measurements, the second of which refers to the first."""
    urls = [f"urn:uuid:{uuid.uuid4()}" for _ in range(2)]
    resources = [observation(patient, 6), observation(patient, 7, hasMember=[{"reference": urls[0]}])]
    entries = [
        {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": "Observation"}}
        for url, resource in zip(urls, resources, strict=True)
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def signed_in(stage: Stage) -> str:
    """A token from the token endpoint, as any client fetches one."""
    party = stage.credentials["parties"]["hosp"]
    answer = requests.post(
        party["token_endpoint"],
        data={"grant_type": "client_credentials"},
        auth=(party["client_id"], party["client_secret"]),
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


class Fhirpy:
    """https://github.com/beda-software/fhir-py"""

    def __init__(self, base: str, token: str) -> None:
        self._base, self._authorization = base, f"Bearer {token}"
        self._client = self._with()

    def _with(self, **headers: str) -> SyncFHIRClient:
        return SyncFHIRClient(self._base, authorization=self._authorization, extra_headers=headers or None)

    def create(self, resource: Resource) -> Resource:
        made = self._client.resource(resource["resourceType"], **resource)
        made.save()
        return dict(made.serialize())

    def read(self, type_name: str, id: str) -> Resource:
        return dict(self._client.reference(type_name, id).to_resource().serialize())

    def update(self, resource: Resource, version: str) -> Resource:
        changed = self._with(**{"If-Match": f'W/"{version}"'}).resource(resource["resourceType"], **resource)
        changed.save()
        return dict(changed.serialize())

    def stale(self, resource: Resource, version: str) -> int:
        with pytest.raises(MultipleResourcesFound):  # so fhirpy calls each 412
            self.update(resource, version)
        return 412

    def pages(self, type_name: str, parameters: Mapping[str, str]) -> list[list[Resource]]:
        every = [dict(each) for each in self._client.resources(type_name).search(**parameters).fetch_all()]
        size = int(parameters["_count"])
        return [every[start : start + size] for start in range(0, len(every), size)]

    def transact(self, bundle: Resource) -> Resource:
        return dict(self._client.execute("", "post", data=bundle))

    def bundle(self, place: str) -> Resource:
        return dict(self._client.execute(place, "get"))

    def refusal(self, place: str) -> tuple[int, Resource]:
        path, _, query = place.partition("?")
        with pytest.raises((OperationOutcome, ResourceNotFound)) as refused:
            self._client.execute(path, "get", params=dict([query.split("=")]) if query else None)
        if isinstance(refused.value, ResourceNotFound):
            return 404, json.loads(str(refused.value))
        return 400, refused.value.resource


class Smart:
    """https://github.com/smart-on-fhir/client-py, with its models of R4: what they refuse to read is no R4."""

    _MODELS: Mapping[str, Any] = {"Patient": Patient, "Observation": Observation}

    def __init__(self, base: str, token: str) -> None:
        self._server = FHIRServer(None, base_uri=f"{base}/")
        self._server.session.headers["Authorization"] = f"Bearer {token}"
        assert self._server.capabilityStatement.fhirVersion == "4.0.1"

    def create(self, resource: Resource) -> Resource:
        made = self._MODELS[resource["resourceType"]](resource).create(self._server)
        return dict(made)

    def read(self, type_name: str, id: str) -> Resource:
        return dict(self._MODELS[type_name].read(id, self._server).as_json())

    def update(self, resource: Resource, version: str) -> Resource:
        self._server.session.headers["If-Match"] = f'W/"{version}"'
        try:
            return dict(self._MODELS[resource["resourceType"]](resource).update(self._server))
        finally:
            del self._server.session.headers["If-Match"]

    def stale(self, resource: Resource, version: str) -> int:
        with pytest.raises(requests.HTTPError) as refused:
            self.update(resource, version)
        assert refused.value.response is not None
        return refused.value.response.status_code

    def pages(self, type_name: str, parameters: Mapping[str, str]) -> list[list[Resource]]:
        search = self._MODELS[type_name].where(dict(parameters))
        return [[e.resource.as_json() for e in bundle.entry] for bundle in search.perform_iter(self._server)]

    def transact(self, bundle: Resource) -> Resource:
        return dict(Bundle(bundle).create(self._server))

    def bundle(self, place: str) -> Resource:
        return dict(Bundle.read_from(place, self._server).as_json())

    def refusal(self, place: str) -> tuple[int, Resource]:
        with pytest.raises((FHIRNotFoundException, requests.HTTPError)) as refused:
            self._server.request_json(place)
        response = refused.value.response
        return response.status_code, response.json()


@pytest.mark.parametrize("kind", [Fhirpy, Smart])
def test_a_client_of_others_tells_a_case(stage: Stage, kind: type[Any]) -> None:
    assert tell(kind(stage.base, signed_in(stage))) == SEEN


@pytest.mark.skipif(
    FHIR_KIT is None or shutil.which("node") is None,
    reason="needs Node.js and fhir-kit-client: make conformance installs the client by npm (Debian: apt install npm)",
)
def test_a_client_for_node_tells_the_same_case(stage: Stage) -> None:
    party = stage.credentials["parties"]["hosp"]
    asked = {"base": stage.base, "endpoint": party["token_endpoint"], "id": party["client_id"]}
    told = subprocess.run(
        ["node", str(SCRIPT), str(FHIR_KIT), json.dumps({**asked, "secret": party["client_secret"]})],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == SEEN
