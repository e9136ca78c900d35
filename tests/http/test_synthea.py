"""The operator loads what Synthea wrote: whole, once, and as it was."""

import hashlib
import os
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pymongo import MongoClient
from pymongo.collection import Collection

from fhir_server.auth.clients import register_client
from fhir_server.cli import main
from fhir_server.fhir import dates
from fhir_server.fhir.actor import IMPORT
from fhir_server.fhir.json import Resource, decode, encode
from fhir_server.fhir.reference import rewrite_references
from tests.world import EVERYTHING, World

FOLDER = Path(os.environ.get("SAMEN_TEST_SYNTHEA", Path(__file__).parents[3] / "shared" / "data" / "synthea"))

pytestmark = [
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no folder {FOLDER}; SAMEN_TEST_SYNTHEA names another"),
    pytest.mark.xdist_group("synthea"),
]


class Loader:
    """`fhir-server load` on a database of its own."""

    def __init__(self, mongo_url: str, database: str) -> None:
        self.world = World(mongo_url, database)
        self._environment = {
            "SAMEN_MONGODB_URL": mongo_url,
            "SAMEN_DATABASE": database,
            "SAMEN_SECURE_COOKIES": "false",
        }

    def client(self, *scopes: str) -> str:
        """The id of a new client of the operator."""
        client, _ = register_client(
            self.world.parts.registry, organization="Organization/operator", scopes=scopes, now=dates.now()
        )
        return client.id

    def load(self, folder: Path, client: str, *options: str) -> Result:
        """Run the command."""
        asked = ["load", str(folder), "--client", client, *options]
        return CliRunner(env=self._environment).invoke(main, asked)

    def all(self, type_name: str) -> dict[str, Resource]:
        """Every resource of a type by its reference, page by page."""
        found: list[Resource] = []
        place: str | None = f"{type_name}?_count=200"
        while place:
            reply = self.world.operator.get(place)
            assert reply.status == 200, reply.body
            found += reply.entries
            following = [link["url"] for link in reply.body["link"] if link["relation"] == "next"]
            place = following[0].removeprefix(self.world.parts.services.base_url + "/") if following else None
        return {f"{type_name}/{each['id']}": each for each in found}


@pytest.fixture(scope="module")
def events(loader: Loader, mongo_client: MongoClient[dict[str, Any]], database_name: str) -> Collection[Any]:
    """The audit of the loader's database."""
    return mongo_client[f"{database_name}_l"]["AuditEvent"]


@pytest.fixture(scope="module")
def loader(mongo_url: str, mongo_client: MongoClient[dict[str, Any]], database_name: str) -> Iterator[Loader]:
    """A loader, its database gone at the end."""
    made = Loader(mongo_url, f"{database_name}_l")
    yield made
    made.world.close()
    mongo_client.drop_database(f"{database_name}_l")


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A folder with copies of two files, changed so that their content is new."""
    for name in ("patient-01.json", "patient-22.json"):
        bundle = {"id": uuid.uuid4().hex, **decode((FOLDER / name).read_bytes())}
        (tmp_path / name).write_bytes(encode(bundle))
    return tmp_path


def test_the_bundles_load_whole_and_read_back_as_they_were(loader: Loader) -> None:
    bundles = [decode(file.read_bytes()) for file in sorted(FOLDER.glob("*.json"))]
    sent = sum((labelled(_by_full_url(bundle)) for bundle in bundles), Counter())
    types = sorted({entry["resource"]["resourceType"] for bundle in bundles for entry in bundle["entry"]})
    before = {reference for type_name in types for reference in loader.all(type_name)}

    result = loader.load(FOLDER, loader.client(EVERYTHING, IMPORT))

    assert result.exit_code == 0, result.output
    assert f"files loaded: {len(bundles)}, with {sent.total()} resources" in result.output
    stored = {reference: each for type_name in types for reference, each in loader.all(type_name).items()}
    assert labelled({reference: each for reference, each in stored.items() if reference not in before}) == sent


def test_what_was_loaded_is_not_loaded_twice_unless_again_is_said(loader: Loader, few: Path) -> None:
    client = loader.client(EVERYTHING, IMPORT)
    first = loader.load(few, client)
    (few / "patient-22.json").unlink()

    second, third = loader.load(few, client), loader.load(few, client, "--again")

    assert "files loaded: 2" in first.output
    assert second.output.endswith("files loaded: 0, with 0 resources\nfiles that had been loaded before: 1\n")
    assert "files loaded: 1" in third.output
    assert "before" not in third.output
    assert {first.exit_code, second.exit_code, third.exit_code} == {0}


def test_a_refused_file_leaves_nothing_and_the_others_are_loaded(loader: Loader, few: Path) -> None:
    bundle = decode((few / "patient-22.json").read_bytes())
    bundle["entry"][3]["resource"]["status"] = "no-such-status"
    family = uuid.uuid4().hex
    bundle["entry"][0]["resource"]["name"] = [{"family": family}]
    (few / "patient-22.json").write_bytes(encode(bundle))
    (few / "patient-23.json").write_bytes(b'{"resourceType": "Bundle"')
    (few / "patient-24.json").write_bytes(encode({"resourceType": "Bundle", "type": "collection"}))
    (few / "patient-25.json").mkdir()
    (few / "patient-26.json").symlink_to(few / "nowhere.json")

    result = loader.load(few, loader.client(EVERYTHING, IMPORT))

    assert result.exit_code == 1
    assert "files loaded: 1" in result.output
    assert "Bundle.entry[3].resource.status: " in result.output
    assert "patient-23.json:\n  Bundle: The file is not JSON" in result.output
    assert "patient-24.json:\n  Bundle.type: " in result.output
    assert "patient-25.json:\n  Bundle: The file cannot be read: Is a directory" in result.output
    assert "patient-26.json:\n  Bundle: The file cannot be read: No such file" in result.output
    assert "files refused: 5 of 6" in result.output
    assert loader.world.operator.get(f"Patient?family={family}").entries == []


def test_each_resource_that_is_loaded_is_in_the_audit(loader: Loader, few: Path, events: Collection[Any]) -> None:
    client = loader.client(EVERYTHING, IMPORT)

    resources = int(re.search(r"with (\d+) resources", loader.load(few, client).output)[1])  # type: ignore[index]

    told = [decode(document["body"]) for document in events.find()]
    of_this_load = [event for event in told if event["agent"][0].get("altId") == client]
    assert len(of_this_load) == resources + 2
    assert [event["entity"][0]["what"]["identifier"]["value"][:7] for event in of_this_load if _of_a_file(event)] == [
        "sha256:",
        "sha256:",
    ]


def test_a_client_without_the_import_scope_loads_nothing(loader: Loader, few: Path) -> None:
    result = loader.load(few, loader.client(EVERYTHING))

    assert result.exit_code == 1
    assert "samen/import" in result.output


def test_an_unknown_client_loads_nothing(loader: Loader, few: Path) -> None:
    result = loader.load(few, "client-of-nobody")

    assert result.exit_code == 1
    assert "there is no client client-of-nobody" in result.output


def test_a_folder_without_bundles_is_a_mistake(loader: Loader, tmp_path: Path) -> None:
    result = loader.load(tmp_path, loader.client(EVERYTHING, IMPORT))

    assert result.exit_code == 1
    assert "no files *.json" in result.output


def labelled(resources: dict[str, Resource]) -> Counter[bytes]:
    """The exact bytes of each resource without id and meta, its references replaced by what they point to."""
    labels = {name: hashlib.sha256(_plain(each, lambda _: "*")).hexdigest() for name, each in resources.items()}
    return Counter(_plain(each, lambda reference: labels.get(reference, reference)) for each in resources.values())


def _plain(resource: Resource, target_of: Callable[[str], str]) -> bytes:
    kept = {name: value for name, value in resource.items() if name not in {"id", "meta"}}
    return encode(rewrite_references(kept, target_of))


def _by_full_url(bundle: Resource) -> dict[str, Resource]:
    return {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}


def _of_a_file(event: Resource) -> bool:
    return "identifier" in event["entity"][0].get("what", {})
