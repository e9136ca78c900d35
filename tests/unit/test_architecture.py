"""The house keeps its plan: imports go downwards only, rules stay pure, names are the field's."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "fhir_server"
DOORS = {"app", "auth", "cli", "demo", "rest", "settings", "viewer"}
NAMELESS = {"utils", "util", "helpers", "helper", "manager", "handler", "service", "services", "common", "base", "misc"}


def test_import_contracts_of_pyproject_hold() -> None:
    contracts = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert contracts.returncode == 0, contracts.stdout + contracts.stderr


def test_no_room_behind_the_doors_escapes_the_contract_on_flask() -> None:
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = {
        module.removeprefix("fhir_server.")
        for contract in contracts
        if "flask" in contract.get("forbidden_modules", ())
        for module in contract["source_modules"]
    }
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms - DOORS <= held


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [path for path in PACKAGE.rglob("*.py") if path.stem in NAMELESS] == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(REPOSITORY))
        for path in PACKAGE.rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_a_docstring_begins_with_a_whole_sentence() -> None:
    broken = [
        f"{path.relative_to(REPOSITORY)}: {first}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        for first, _, more in [(ast.get_docstring(node) or "").partition("\n\n")]
        if more and first[-1] not in ".:?`"
    ]
    assert broken == []


def test_rules_read_no_clock() -> None:
    clock = re.compile(r"\b(datetime\.now|datetime\.utcnow|date\.today|time\.time|uuid4|getenv|os\.environ)\b")
    rooms = [PACKAGE / "care", PACKAGE / "access"]
    reading = [
        f"{path.relative_to(REPOSITORY)}: {found[0]}"
        for room in rooms
        for path in room.rglob("*.py")
        for found in [clock.search(path.read_text())]
        if found
    ]
    assert reading == []


def test_the_map_of_the_rooms_names_no_file_that_is_gone() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", page))
    there = [path.as_posix() for room in (PACKAGE, REPOSITORY / "tests") for path in room.rglob("*.py")]

    assert {"addressing.py", "writing/ahead.py"} <= named
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in there)] == []


def test_no_two_test_files_share_a_name() -> None:
    """pytest imports test files by their name alone."""
    names = Counter(path.name for path in (REPOSITORY / "tests").rglob("test_*.py"))

    assert [name for name, count in names.items() if count > 1] == []
