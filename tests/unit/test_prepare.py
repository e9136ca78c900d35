"""deploy/prepare: what docker-compose.yml needs and git never sees, made once and kept private."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
MEMBERS = ["mongo1", "mongo2", "mongo3"]


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """What an operator copies to a machine, before the first command."""
    shutil.copytree(
        REPOSITORY / "deploy",
        tmp_path / "deploy",
        ignore=shutil.ignore_patterns("secrets", "certificates", "__pycache__"),
    )
    for name in ["docker-compose.yml", "Dockerfile"]:
        shutil.copy(REPOSITORY / name, tmp_path / name)
    return tmp_path


def prepare(installation: Path, *host: str) -> subprocess.CompletedProcess[str]:
    """Run deploy/prepare there."""
    return subprocess.run([installation / "deploy" / "prepare", *host], capture_output=True, text=True, timeout=60)


def test_prepare_makes_each_file_that_compose_names_and_keeps_it_private(installation: Path) -> None:
    compose: dict[str, Any] = yaml.safe_load((installation / "docker-compose.yml").read_text())
    assert prepare(installation, "plans.hospital.example").returncode == 0

    named = [file for service in compose["services"].values() for file in service.get("env_file", ())]
    named += [secret["file"] for secret in compose["secrets"].values()]
    named += ["deploy/certificates/server.crt", "deploy/certificates/server.key"]
    for name in named:
        assert (installation / name).stat().st_mode & 0o077 == 0, name
    settings = (installation / "deploy/secrets/samen.env").read_text()
    assert "SAMEN_BASE_URL=https://plans.hospital.example/fhir\n" in settings
    assert all(f"{member}:27017" in settings for member in MEMBERS)


def test_prepare_keeps_what_is_there(installation: Path) -> None:
    prepare(installation)
    secrets = {path: path.read_bytes() for path in (installation / "deploy" / "secrets").iterdir()}

    prepare(installation, "elsewhere.example")

    assert secrets == {path: path.read_bytes() for path in (installation / "deploy" / "secrets").iterdir()}


def test_prepare_refuses_what_is_not_a_host(installation: Path) -> None:
    refused = prepare(installation, "https://plans.hospital.example/fhir")
    assert refused.returncode == 1
    assert "not a host name" in refused.stderr
    assert not (installation / "deploy" / "secrets").exists()


def test_docker_compose_accepts_the_file(installation: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode != 0:
        pytest.skip("docker with its compose plugin is not installed here")
    prepare(installation)
    checked = subprocess.run([docker, "compose", "config", "--quiet"], cwd=installation, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
