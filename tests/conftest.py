"""What every test may have: one real MongoDB for the whole run, and a database per worker in it."""

import gc
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.fhir.dates import now
from fhir_server.fhir.json import encode
from fhir_server.search.grant import Stamp
from fhir_server.store.embedded import EmbeddedMongo, NoEmbeddedMongo
from fhir_server.store.folder_lock import FolderLock
from fhir_server.store.values import Stored
from tests.databases import LentDatabases, passing_database
from tests.run import FOLDER, EndsWithItsMongo, end_in_order_when_told, new_folder, refuse_a_full_disk

if TYPE_CHECKING:
    from fhir_server.store.mongo.store import MongoStore
    from tests.world import World

TESTS = Path(__file__).parent
TYPES = (
    "Patient",
    "Task",
    "ServiceRequest",
    "CarePlan",
    "CareTeam",
    "Consent",
    "Condition",
    "Observation",
    "AuditEvent",
)
SECRET = b"a secret for tests only, never for a server"

# An example may take as long as a busy machine needs for it.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

_owned = pytest.StashKey[EmbeddedMongo]()


def embedded() -> EmbeddedMongo:
    """The MongoDB of this run: whoever starts it first owns it, the others use it."""
    return EmbeddedMongo(Path(os.environ[FOLDER]), test_commands=True)


def pytest_configure(config: pytest.Config) -> None:
    """Under xdist the controller owns the MongoDB, because it outlives its workers; they find it by its folder."""
    if "PYTEST_XDIST_WORKER" in os.environ or "SAMEN_MONGODB_URL" in os.environ:
        return
    only_unit = bool(config.args) and all("tests/unit" in argument for argument in config.args)
    if not only_unit:
        refuse_a_full_disk()
    end_in_order_when_told()
    os.environ[FOLDER] = new_folder()
    config.stash[_owned] = embedded()
    config.pluginmanager.register(EndsWithItsMongo(config.stash[_owned]))
    if getattr(config.option, "tx", None) and not only_unit:
        with suppress(NoEmbeddedMongo):  # told again, and better, by the tests that need a database
            config.stash[_owned].start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """The folder goes with the run that made it."""
    if _owned in config.stash:
        config.stash[_owned].stop()
        shutil.rmtree(os.environ.pop(FOLDER), ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: to look for garbage in it takes a third of the time, again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, object, object]:
    """The folder of a test is its marker.

    What a module makes for its tests is made once: one worker has them all. They come first, then what waits for
    processes, a minute at times, and the short ones last: no worker is to wait for another at the end.
    """
    for item in items:
        item.add_marker(item.path.relative_to(TESTS).parts[0])
        if uses_what_its_module_makes(item) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    result = yield  # xdist reads the groups, and the order becomes random
    items.sort(key=lambda item: (item.get_closest_marker("xdist_group") is None, not item.get_closest_marker("faults")))
    return result


def uses_what_its_module_makes(item: pytest.Item) -> bool:
    """Whether one of its fixtures lives as long as its module."""
    fixtures = item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
    return any(each.scope == "module" for definitions in fixtures for each in definitions)


@pytest.fixture(scope="session")
def mongo_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a real MongoDB replica set; the same for all workers of a run."""
    if "SAMEN_MONGODB_URL" in os.environ:
        yield os.environ["SAMEN_MONGODB_URL"]
    else:
        with request.config.stash.get(_owned, None) or embedded() as mongo:
            yield mongo.url


@pytest.fixture(scope="session")
def mongo_client(mongo_url: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """A client of this worker."""
    with MongoClient(mongo_url, tz_aware=True) as client:
        yield client


@pytest.fixture(scope="session")
def databases(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[LentDatabases]:
    """Databases for applications that need one of their own."""
    lending = LentDatabases(mongo_client)
    yield lending
    lending.close()


@pytest.fixture(scope="session")
def database_name(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[str]:
    """A database of this worker's own; dropped at the end."""
    with passing_database(mongo_client) as name:
        yield name


@pytest.fixture(scope="session")
def database(mongo_client: MongoClient[dict[str, Any]], database_name: str) -> Database[dict[str, Any]]:
    """The same database as the driver sees it."""
    return mongo_client[database_name]


@pytest.fixture(scope="session")
def store(mongo_url: str, database_name: str) -> Iterator["MongoStore"]:
    """A prepared store on this worker's database; tests take fresh ids, so they share it."""
    from fhir_server.store.mongo.store import MongoStore

    with MongoStore(mongo_url, database_name, secret=SECRET) as prepared:
        prepared.prepare(TYPES)
        yield prepared


@pytest.fixture
def version_of() -> Callable[..., Stored]:
    """`version_of("Task", "1", 2)` can be saved; `content` goes into the resource, the rest into its stamp."""

    def make(
        type_name: str, id: str, number: int = 1, *, content: Any = None, deleted: bool = False, **stamp: Any
    ) -> Stored:
        body = b"" if deleted else encode({"resourceType": type_name, "id": id, **(content or {})})
        method = "DELETE" if deleted else "PUT" if number > 1 else "POST"
        return Stored(type_name, id, number, now(), body, Stamp(**stamp), deleted, method)

    return make


@pytest.fixture
def failing_command(
    mongo_client: MongoClient[dict[str, Any]], database_name: str
) -> Callable[..., AbstractContextManager[None]]:
    """`with failing_command("insert", "AuditEvent", errorCode=11600):` that command fails on that collection of this
    worker's database; without a collection, narrow it by `appName`. A server has one such fail point, so one test at
    a time has it; `times` bounds the failures.
    """
    lock = FolderLock(Path(os.environ.get(FOLDER, tempfile.gettempdir())) / "failing_command.lock")

    @contextmanager
    def failing(command: str, collection: str | None = None, *, times: int | None = None, **how: Any) -> Iterator[None]:
        while not lock.acquire():
            time.sleep(0.02)
        where = {"namespace": f"{database_name}.{collection}"} if collection else {}
        data = {"failCommands": [command], **where, **how}
        mode = "alwaysOn" if times is None else {"times": times}
        try:
            mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
            yield
        finally:
            mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
            lock.release()

    return failing


@pytest.fixture(scope="session")
def world(mongo_url: str, mongo_client: MongoClient[dict[str, Any]], database_name: str) -> Iterator["World"]:
    """The whole application, as the doors see it; parties are made fresh by each test."""
    from tests.world import World

    name = f"{database_name}_w"
    made = World(mongo_url, name)
    yield made
    made.close()
    mongo_client.drop_database(name)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Garbage is not looked for meanwhile."""
    gc.disable()
    yield
    gc.enable()
