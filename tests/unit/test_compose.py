"""docker-compose.yml: an installation without a secret in it, and without a way in but nginx."""

import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
MEMBERS = ["mongo1", "mongo2", "mongo3"]
SERVERS = ["server1", "server2"]
LASTING = [*MEMBERS, *SERVERS, "worker", "nginx"]


NO_WAY_OUT = {name: "http://127.0.0.1:9" for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")}


class Ready(BaseHTTPRequestHandler):
    """A server that is ready."""

    def do_GET(self) -> None:
        """200, whatever is asked."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as docker reads it, anchors and merges resolved."""
    document: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    return document


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    """Its services by name."""
    found: dict[str, Any] = compose["services"]
    return found


def test_installation_is_three_members_two_servers_a_worker_and_nginx(services: dict[str, Any]) -> None:
    assert set(services) == {*LASTING, "mongo-set"}


@pytest.mark.parametrize("name", LASTING)
def test_every_lasting_service_is_watched_and_comes_back(services: dict[str, Any], name: str) -> None:
    assert services[name]["healthcheck"]["test"]
    assert services[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", [*SERVERS, "worker"])
def test_no_server_or_worker_is_the_first_process_of_its_container(services: dict[str, Any], name: str) -> None:
    assert services[name]["init"] is True


@pytest.mark.parametrize("name", [*LASTING, "mongo-set"])
def test_every_container_is_read_only_and_gives_up_its_privileges(services: dict[str, Any], name: str) -> None:
    assert services[name]["read_only"] is True
    assert services[name]["cap_drop"] == ["ALL"]
    assert services[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", [*LASTING, "mongo-set"])
def test_no_log_grows_without_bound(services: dict[str, Any], name: str) -> None:
    assert services[name]["logging"] == {"driver": "local", "options": {"max-size": "50m", "max-file": "20"}}


def test_only_nginx_can_be_reached_from_outside(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]


def test_databases_are_on_a_network_that_leads_nowhere(compose: dict[str, Any]) -> None:
    assert compose["networks"]["database"]["internal"] is True
    assert all(compose["services"][name]["networks"] == ["database"] for name in MEMBERS)
    assert "database" not in compose["services"]["nginx"]["networks"]


@pytest.mark.parametrize("name", MEMBERS)
def test_each_member_of_the_set_has_its_own_data_and_asks_for_the_key(services: dict[str, Any], name: str) -> None:
    start = services[name]["entrypoint"][-1]
    assert f"{name}:/data/db" in services[name]["volumes"]
    assert "--replSet samen" in start
    assert "--keyFile /tmp/mongo_key" in start
    assert "--slowOpSampleRate 0" in start, "its log repeats nothing of what was asked and stored"


def test_set_is_made_once_of_all_its_members_before_anything_uses_it(services: dict[str, Any]) -> None:
    once = services["mongo-set"]
    assert once["command"] == [f"{member}:27017" for member in MEMBERS]
    assert once["restart"] == "no"
    assert set(once["depends_on"]) == set(MEMBERS)
    for name in [*SERVERS, "worker"]:
        assert services[name]["depends_on"]["mongo-set"]["condition"] == "service_completed_successfully"


def test_servers_and_worker_are_one_image_with_different_commands(services: dict[str, Any]) -> None:
    assert {services[name]["image"] for name in [*SERVERS, "worker"]} == {"samen:local"}
    assert services["server1"]["command"] == services["server2"]["command"] == ["serve"]
    assert services["worker"]["command"] == ["worker"]


def test_number_of_workers_outlasts_the_next_start(services: dict[str, Any]) -> None:
    """One that `--scale` gave is taken back by every later `up` that does not repeat it."""
    assert services["worker"]["scale"] == "${WORKER_COUNT:-1}"


def seconds(service: dict[str, Any]) -> int:
    """How long Docker lets it end by itself."""
    return int(service["stop_grace_period"].removesuffix("s"))


def test_nginx_may_answer_what_it_was_asked_before_it_ends(services: dict[str, Any]) -> None:
    """It ends before the servers, and waits for them as long as they may take."""
    assert seconds(services["nginx"]) >= max(seconds(services[name]) for name in SERVERS)


def test_set_is_joined_by_a_script_of_the_image_that_every_user_may_read(services: dict[str, Any]) -> None:
    """Mounted from a checkout that was made under umask 077, it is not readable inside."""
    place = services["mongo-set"]["entrypoint"][-1]
    image = (REPOSITORY / "Dockerfile").read_text()
    assert "volumes" not in services["mongo-set"]
    assert f"RUN install -D --mode=0644 deploy/replica_set.py {place}\n" in image
    assert "!deploy/replica_set.py" in (REPOSITORY / ".dockerignore").read_text().splitlines()


def test_folders_of_the_image_are_as_private_as_compose_asks(services: dict[str, Any]) -> None:
    """A tmpfs takes the mode of the folder that it covers, whatever is asked of it."""
    image = (REPOSITORY / "Dockerfile").read_text()
    made = re.search(r"--directory --mode=0700 --owner=samen --group=samen (.+)", image)
    assert made is not None
    assert set(made[1].split()) == {"/var/lib/samen", "/var/lib/samen-audit"}
    assert any(mount.startswith("/var/lib/samen:") and "mode=0700" in mount for mount in services["worker"]["tmpfs"])


def test_image_is_built_by_one_service_alone_and_sought_nowhere_else(services: dict[str, Any]) -> None:
    """Builds of several services run at once, and of two that export one tag one may fail with `already exists`."""
    assert [name for name, service in services.items() if "build" in service] == ["mongo-set"]
    ours = [service for service in services.values() if service["image"] == "samen:local"]
    assert {service.get("pull_policy") for service in ours} == {"never"}


def test_servers_are_ready_only_when_they_say_so(services: dict[str, Any]) -> None:
    for name in SERVERS:
        assert "/readyz" in " ".join(services[name]["healthcheck"]["test"])


def test_health_is_asked_without_the_proxy_that_docker_may_hand_to_containers(services: dict[str, Any]) -> None:
    for name in SERVERS:
        assert "ProxyHandler({})" in services[name]["healthcheck"]["test"][-1]
    asked = services["nginx"]["healthcheck"]["test"]
    assert asked[asked.index("--noproxy") + 1] == "*"


def test_servers_say_that_they_are_ready_whatever_proxy_the_environment_names(services: dict[str, Any]) -> None:
    """The very line of the file, asked of a server that answers, and of none."""
    asked = services["server1"]["healthcheck"]["test"]
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        line = asked[-1].replace(":8080", f":{server.server_port}")
        ready = subprocess.run([sys.executable, "-c", line], env={**os.environ, **NO_WAY_OUT}, capture_output=True)
        server.shutdown()
    gone = subprocess.run([sys.executable, "-c", line], capture_output=True)
    assert (ready.returncode, gone.returncode) == (0, 1), ready.stderr


def test_worker_is_healthy_only_while_it_works(services: dict[str, Any]) -> None:
    assert services["worker"]["healthcheck"]["test"] == ["CMD", "fhir-server", "worker", "--check"]


def test_files_that_are_mounted_or_built_from_exist(services: dict[str, Any]) -> None:
    mounted = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())}
    ours = {path for path in mounted if path.startswith("./")} - {"./deploy/certificates"}
    assert ours == {"./deploy/nginx.conf"}
    assert all((REPOSITORY / path).is_file() for path in {*ours, "Dockerfile"})


def test_each_server_keeps_its_audit_journal_on_a_disk_of_its_own(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    folder = re.search(r"SAMEN_AUDIT_FOLDER=(\S+)", (REPOSITORY / "Dockerfile").read_text())
    assert folder is not None
    volumes = [services[name]["volumes"] for name in SERVERS]
    assert volumes == [[f"audit{number}:{folder[1]}"] for number in (1, 2)]
    assert {"audit1", "audit2"} <= compose["volumes"].keys()


def test_nginx_sends_to_each_server_and_writes_no_query_into_its_log() -> None:
    nginx = (REPOSITORY / "deploy" / "nginx.conf").read_text()
    assert sorted(re.findall(r"^\s+server (\w+):8080 ", nginx, re.MULTILINE)) == SERVERS
    log = re.search(r"log_format plain (.*);", nginx)
    assert log is not None
    assert not re.search(r"\$(request|request_uri|args|query_string|http_\w+)\b", log[1])


def test_nginx_passes_on_no_header_that_the_servers_would_take_for_another() -> None:
    """WSGI has one name for X_Forwarded_For and X-Forwarded-For."""
    nginx = (REPOSITORY / "deploy" / "nginx.conf").read_text()
    assert re.findall(r"underscores_in_headers (\w+);", nginx) == ["off"]
    assert "ignore_invalid_headers" not in nginx, "it is on unless it is told otherwise"


def test_nginx_replaces_every_header_that_the_servers_believe() -> None:
    """Without it a caller's own X-Forwarded-Host or -For would be taken for nginx's word."""
    nginx = (REPOSITORY / "deploy" / "nginx.conf").read_text()
    application = (REPOSITORY / "fhir_server" / "app.py").read_text()
    believed = set(re.findall(r"\bx_(for|proto|host|port|prefix)=settings", application))
    assert believed
    replaced = {name.lower() for name in re.findall(r"proxy_set_header X-Forwarded-(\w+) ", nginx)}
    assert believed <= replaced


def test_image_runs_as_nobody_of_importance_and_checks_every_hash() -> None:
    image = (REPOSITORY / "Dockerfile").read_text()
    last_stage = image[image.rindex("\nFROM ") :]
    assert "\nUSER 10001\n" in last_stage
    assert all("--require-hashes" in line for line in image.splitlines() if "--requirement" in line)
    assert "fiftyone" not in (REPOSITORY / "requirements.lock").read_text()


def test_no_secret_stands_in_a_file_of_the_repository(compose: dict[str, Any]) -> None:
    text = (REPOSITORY / "docker-compose.yml").read_text()
    assert not re.search(r"(password|secret|token)\w*\s*[:=]\s*[\"']?[A-Za-z0-9+/]{8,}", text, re.IGNORECASE)
    assert compose["secrets"] == {"mongo_key": {"file": "deploy/secrets/mongo_key"}}
    ignored = (REPOSITORY / ".gitignore").read_text().split()
    assert {".env", "deploy/secrets/", "deploy/certificates/"} <= set(ignored)
