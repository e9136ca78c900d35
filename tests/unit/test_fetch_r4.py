"""What make conformance fetches: once, outside the repository, and with a word when it cannot."""

import os
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "fetch_r4.py"


def fetch(cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the tool where there is no npm."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAMEN_TEST_")}
    nothing = {"PATH": str(cache / "nothing"), "SAMEN_TEST_CACHE": str(cache)}
    return subprocess.run(
        [sys.executable, str(TOOL)],
        env={**kept, **nothing, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


def test_what_was_fetched_before_is_found_without_npm(tmp_path: Path) -> None:
    for name in ("hl7.fhir.r4.examples-4.0.1/package", "hl7.fhir.r4.corexml-4.0.1/package"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "fhir-kit-client-1.9.2" / "node_modules").mkdir(parents=True)

    told = fetch(tmp_path).stdout.splitlines()

    assert told == [
        f"export SAMEN_TEST_R4_EXAMPLES={tmp_path}/hl7.fhir.r4.examples-4.0.1/package",
        f"export SAMEN_TEST_R4_XML={tmp_path}/hl7.fhir.r4.corexml-4.0.1/package",
        f"export SAMEN_TEST_FHIR_KIT={tmp_path}/fhir-kit-client-1.9.2",
    ]


def test_without_npm_it_says_what_is_missing_and_sets_nothing(tmp_path: Path) -> None:
    ran = fetch(tmp_path)

    assert ran.stdout == ""
    assert [
        name for name in ("r4.examples", "r4.corexml", "fhir-kit-client", "apt install npm") if name not in ran.stderr
    ] == []


def test_a_folder_that_is_named_is_left_as_it_is(tmp_path: Path) -> None:
    ran = fetch(tmp_path, SAMEN_TEST_R4_EXAMPLES="/elsewhere")

    assert "SAMEN_TEST_R4_EXAMPLES" not in ran.stdout
    assert "r4.examples" not in ran.stderr
