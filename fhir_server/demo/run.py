"""The whole demo: a database of its own, server and worker, the story, and then it stays until Ctrl-C."""

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
from rich.console import Console

from fhir_server.app import Parts, build
from fhir_server.demo.cases import HEROINES, add_cases
from fhir_server.demo.client import FhirClient
from fhir_server.demo.credentials import credentials, read_file, write_file
from fhir_server.demo.directory import HOSP, directory
from fhir_server.demo.processes import running
from fhir_server.demo.receiver import Receiver, subscription
from fhir_server.demo.story import Cast, tell
from fhir_server.fhir.json import Resource, encode
from fhir_server.settings import Settings
from fhir_server.store.embedded import EmbeddedMongo, NoEmbeddedMongo

DATABASE = "demo"
FILE = "demo.json"
STORIES = "stories"
_LONGEST_REST = 0.5  # seconds; a signal that comes just as a rest begins is seen when it ends


class DemoRefused(RuntimeError):
    """The demo cannot run here; the message says what to do."""


def run(settings: Settings, *, stay: bool = True, say: Callable[[str], None] | None = None) -> None:
    """Run the demo with these settings; with `stay` until it is interrupted, else only the story.

    KeyboardInterrupt and SystemExit, as signals raise them, end it in order at any moment, and pass.
    """
    say = say or Console(highlight=False, soft_wrap=True).print
    _check_port(settings)
    settings = replace(settings, database=DATABASE, http_endpoints=True, secure_cookies=False)
    settings.data.mkdir(parents=True, exist_ok=True)
    say("Samen: starting a MongoDB of its own, the server and the worker ...")
    with _database(settings) as mongo:
        settings = replace(settings, mongodb_url=mongo.url)
        parts = build(settings)
        try:
            _perform(parts, say, stay=stay)
        finally:
            parts.store.close()
            parts.registry.close()


def _database(settings: Settings) -> EmbeddedMongo:
    try:
        return EmbeddedMongo(settings.mongodb_folder).start()
    except NoEmbeddedMongo as missing:
        raise DemoRefused(f"{missing} (For `fhir-server serve`: the demo takes no database but its own.)") from missing


def reset(settings: Settings) -> bool:
    """Forget the demo's data; False when there were none. Raises DemoRefused while the demo runs."""
    if not settings.data.exists():
        return False
    if EmbeddedMongo(settings.mongodb_folder).served:
        raise DemoRefused(f"The demo runs on the data in {settings.data}: end it first (Ctrl-C where it runs).")
    for name in ("mongodb", "logs", "audit"):
        shutil.rmtree(settings.data / name, ignore_errors=True)
    (settings.data / FILE).unlink(missing_ok=True)
    return True


def _perform(parts: Parts, say: Callable[[str], None], *, stay: bool) -> None:
    settings = parts.settings
    path = settings.data / FILE
    earlier = read_file(path)
    content = credentials(parts, earlier)
    stories = int(earlier.get(STORIES, 0)) if "parties" in earlier else 0
    logs = settings.data / "logs"
    logs.mkdir(exist_ok=True)
    receiver = Receiver()
    try:
        with running(_environment(settings), f"{settings.origin}/readyz", logs), _saying_so(say):
            clients = {key: FhirClient(content["fhir"], party["token"]) for key, party in content["parties"].items()}
            _prepare(parts, clients, receiver)
            made = tell(_cast(clients, receiver), say, HEROINES[stories % len(HEROINES)])
            if stories == 0:
                say(f"{HOSP.name} referred {add_cases(clients['hosp'], clients['home'])} more people.")
            write_file(path, _readable({**content, STORIES: stories + 1, "story": made}))
            _farewell(content, path, say)
            if stay:
                while True:
                    time.sleep(_LONGEST_REST)
    finally:
        receiver.close()


@contextmanager
def _saying_so(say: Callable[[str], None]) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        say("Ending ...")
        raise


def _prepare(parts: Parts, clients: dict[str, FhirClient], receiver: Receiver) -> None:
    """The operator loads the directory; the hospital, the nurses and the case manager subscribe anew."""
    [programme] = parts.services.programmes.values()
    clients["operator"].transact(directory(programme))
    for key in ("hosp", "home", "casemanager"):
        for known in clients[key].search("Subscription"):
            clients[key].delete(f"Subscription/{known['id']}")
        clients[key].create(subscription(receiver.endpoint(key)))


def _cast(clients: dict[str, FhirClient], receiver: Receiver) -> Cast:
    return Cast(clients["hosp"], clients["home"], clients["casemanager"], clients["out"], receiver.wait_for)


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "SAMEN_MONGODB_URL": settings.mongodb_url,
        "SAMEN_DATABASE": settings.database,
        "SAMEN_DATA": str(settings.data),
        "SAMEN_BASE_URL": settings.public_url,
        "SAMEN_HOST": settings.host,
        "SAMEN_PORT": str(settings.port),
        "SAMEN_HTTP_ENDPOINTS": "true",
        "SAMEN_SECURE_COOKIES": "false",
    }


def _farewell(content: Resource, path: Path, say: Callable[[str], None]) -> None:
    user = content["users"][0]
    say("")
    say(f"FHIR      {content['fhir']}")
    say(f"Viewer    {content['viewer']}    sign in as {user['username']} with the password {user['password']}")
    say(f"Tokens    {path} (yours alone; valid for 12 hours)")
    say("It runs until Ctrl-C.")


def _readable(content: Resource) -> bytes:
    return msgspec.json.format(encode(content), indent=2) + b"\n"


def _check_port(settings: Settings) -> None:
    if _listening(settings):
        raise DemoRefused(f"Port {settings.port} is taken; choose another: make demo PORT={settings.port + 1}")


def _listening(settings: Settings) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((settings.host, settings.port)) == 0
