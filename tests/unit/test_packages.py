"""The wheel: built from what a fresh clone holds, it carries its data and works without a network or a checkout."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SOURCES = ["fhir_server", "profiles", "mappings", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE"]
NOT_SOURCES = shutil.ignore_patterns("__pycache__", "*.mo", "*.pyc", ".*")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git keeps of the package: nothing compiled, nothing built."""
    folder = tmp_path_factory.mktemp("clone")
    for name in SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=NOT_SOURCES)
        else:
            shutil.copy(source, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built once by the tools of the environment and by nothing from a network."""
    folder = tmp_path_factory.mktemp("wheel")
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir", "--disable-pip-version-check"]
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", *offline, "--wheel-dir", folder, clone],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = folder.glob("samen-*.whl")
    return found


@pytest.fixture(scope="module")
def carried(wheel: Path) -> set[str]:
    """The names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files_below(folder: Path) -> list[Path]:
    """Every file that a clone holds below a folder."""
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


@pytest.mark.xdist_group("wheel")
@pytest.mark.parametrize("name", ["profiles", "mappings"])
def test_wheel_carries_every_file_of_the_data_folders(clone: Path, carried: set[str], name: str) -> None:
    expected = {f"fhir_server/{path.relative_to(clone).as_posix()}" for path in files_below(clone / name)}
    assert expected
    assert expected <= carried


@pytest.mark.xdist_group("wheel")
def test_wheel_carries_every_file_of_the_package_and_each_compiled_catalogue(clone: Path, carried: set[str]) -> None:
    files = files_below(clone / "fhir_server")
    expected = {path.relative_to(clone).as_posix() for path in files}
    expected |= {path.with_suffix(".mo").relative_to(clone).as_posix() for path in files if path.suffix == ".po"}
    assert expected <= carried


@pytest.mark.xdist_group("wheel")
def test_wheel_carries_no_tests_and_nothing_of_the_machine(carried: set[str]) -> None:
    assert {name.split("/")[0] for name in carried} <= {"fhir_server", next(iter(dist_info(carried)))}


def dist_info(carried: set[str]) -> set[str]:
    """The one folder of metadata."""
    return {name.split("/")[0] for name in carried if ".dist-info/" in name}


@pytest.mark.xdist_group("wheel")
def test_installed_wheel_knows_its_definitions_programmes_and_commands(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)

    question = """
import json, sys
import fhir_server
from fhir_server.cli import main
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.shipped import folder
from fhir_server.validation import Validator
print(json.dumps({
    "from": fhir_server.__file__,
    "commands": sorted(main.commands),
    "types": len(RESOURCE_TYPES),
    "packs": sorted(pack.name for pack in (folder("profiles") / "programmes").iterdir() if pack.is_dir()),
    "complains": len(Validator().check({"resourceType": "Task", "status": "bogus"})) > 0,
}))
"""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    asked = subprocess.run(
        [sys.executable, "-c", question], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )

    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert answer["from"].startswith(str(site))
    assert {"serve", "worker", "demo"} <= set(answer["commands"])
    assert "als-be" in answer["packs"]
    assert answer["types"] > 50
    assert answer["complains"]
