"""Where the demo's organisations are notified: a small HTTP receiver on loopback that keeps what it heard."""

import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fhir_server.fhir.json import NotJson, Resource, decode

_LARGEST = 1_000_000


class Receiver:
    """Keeps notification Bundles by party; the last part of the path says which party is told."""

    def __init__(self) -> None:
        self._heard: dict[str, list[Resource]] = defaultdict(list)
        self._news = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._answering())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True, name="receiver").start()

    def endpoint(self, party: str) -> str:
        """The address at which a party is notified."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{party}"

    def heard(self, party: str) -> list[Resource]:
        """The Bundles that a party got, in the order of their arrival."""
        with self._news:
            return list(self._heard[party])

    def wait_for(self, party: str, focus: str, times: int = 1, seconds: float = 20.0) -> list[Resource]:
        """The notifications that a party got about `Type/id`, as soon as they are `times`; fewer when time ran out."""
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                found = [bundle for bundle in self._heard[party] if focus_of(bundle).endswith(f"/{focus}")]
                left = deadline - time.monotonic()
                if len(found) >= times or left <= 0:
                    return found
                self._news.wait(left)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _answering(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length", "0")), _LARGEST)
                try:
                    bundle = decode(self.rfile.read(length))
                except NotJson:
                    self.send_error(400)
                    return
                receiver._keep(self.path.strip("/"), bundle)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: the story says what was heard."""

        return Answering

    def _keep(self, party: str, bundle: Resource) -> None:
        with self._news:
            self._heard[party].append(bundle)
            self._news.notify_all()


def focus_of(bundle: Resource) -> str:
    """The absolute address that a notification is about; empty for a handshake."""
    status = bundle["entry"][0]["resource"]
    for parameter in status.get("parameter", []):
        for part in parameter.get("part", []):
            if part.get("name") == "focus":
                return str(part["valueReference"]["reference"])
    return ""


def subscription(endpoint: str) -> Resource:
    """The Subscription of a party to all that it takes part in, told by address alone."""
    content = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content"
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "To hear of what we take part in",
        "criteria": "https://samen.example/fhir/SubscriptionTopic/party-to-instance",
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": content, "valueCode": "id-only"}]},
        },
    }
