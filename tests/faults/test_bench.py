"""The bench measures: it is run as one would run it, only shorter. How fast anything is, is no promise of a test."""

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def run_bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


def test_rows_are_measured_beside_a_bare_view_or_published_rates_and_the_figures_are_kept(
    mongo_url: str, tmp_path: Path
) -> None:
    """In one run, since every run begins its database afresh."""
    ran = run_bench(
        "--quick",
        *("--only", "read", "--only", "peer", "--only", "worklist", "--only", "organisation"),
        *("--tasks", "400"),
        *("--rounds", "1"),
        *("--seconds", "1"),  # in less, a busy machine may answer nothing, and nothing has no ratio
        *("--data", str(tmp_path)),
        SAMEN_MONGODB_URL=mongo_url,
        SAMEN_WORKERS="1",
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "one find_one" in ran.stdout
    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert [figure["row"] for figure in figures[:4]] == ["read", "read", "read", "peer"]
    for figure in figures:
        assert 0 <= figure["ratio"]["least"] <= figure["ratio"]["median"] <= figure["ratio"]["greatest"]
    assert {"worklist", "organisation"} <= {figure["row"] for figure in figures}
    told = {figure["what"].rpartition(", ")[0]: figure for figure in figures if figure["row"] == "peer"}
    assert told["search 20 Tasks of a patient"]["against"] == "506/s published, of another day"
    assert {"create Task", "create Observation", "update Task", "transaction of 10 x create Task"} <= told.keys()


def test_help_names_the_rows_and_shows_examples() -> None:
    told = run_bench("--help").stdout
    for row in (
        "read",
        "create",
        "task",
        "note",
        "transaction",
        "search",
        "peer",
        "synthea",
        "worklist",
        "organisation",
        "memory",
        "start",
    ):
        assert row in told
    assert "python -m bench --quick --only read" in told
