"""A party of the story as a FHIR client: its own token, plain requests, and errors that say what the server said."""

from typing import Any

import requests

from fhir_server.fhir.json import Resource, decode, encode
from fhir_server.interactions.conditions import etag


class Refused(RuntimeError):
    """The server refused; `status` and the OperationOutcome's words."""

    def __init__(self, status: int, told: str) -> None:
        super().__init__(f"{status}: {told}")
        self.status = status


class FhirClient:
    """Speaks FHIR as one organisation."""

    def __init__(self, base_url: str, token: str) -> None:
        self.base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"Authorization": f"Bearer {token}", "Accept": "application/fhir+json"})

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def read(self, reference: str) -> Resource:
        """The current version of `Type/id`."""
        return self._ask("GET", reference)

    def search(self, type_name: str, **parameters: str) -> list[Resource]:
        """The matches of a search, first page."""
        bundle = self._ask("GET", type_name, params=parameters)
        return [entry["resource"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == "match"]

    def create(self, resource: Resource) -> Resource:
        """The resource as it was stored."""
        return self._ask("POST", resource["resourceType"], resource)

    def transact(self, bundle: Resource) -> dict[str, str]:
        """Send a transaction; for each type the reference of the first resource that was made."""
        answer = self._ask("POST", "", bundle)
        made: dict[str, str] = {}
        for entry in answer["entry"]:
            type_name, id = entry["response"]["location"].removeprefix(f"{self.base_url}/").split("/")[:2]
            made.setdefault(type_name, f"{type_name}/{id}")
        return made

    def change(self, reference: str, **elements: Any) -> Resource:
        """Read `reference`, set elements, write it back on the version that was read."""
        resource = {**self.read(reference), **elements}
        version = int(resource["meta"]["versionId"])
        return self._ask("PUT", reference, resource, headers={"If-Match": etag(version)})

    def delete(self, reference: str) -> None:
        """Delete `Type/id`."""
        self._ask("DELETE", reference)

    def status_of(self, reference: str) -> int:
        """The HTTP status of a read, refusals included."""
        return self._session.get(f"{self.base_url}/{reference}", timeout=30).status_code

    def _ask(
        self,
        method: str,
        place: str,
        body: Resource | None = None,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Resource:
        response = self._session.request(
            method,
            f"{self.base_url}/{place}".rstrip("/") if place else self.base_url + "/",
            params=params,
            data=encode(body) if body is not None else None,
            headers={**({"Content-Type": "application/fhir+json"} if body is not None else {}), **(headers or {})},
            timeout=60,
        )
        answer: Resource = decode(response.content) if response.content else {}
        if response.status_code >= 400:
            told = "; ".join(issue.get("diagnostics", issue["code"]) for issue in answer.get("issue", []))
            raise Refused(response.status_code, told or response.reason)
        return answer
