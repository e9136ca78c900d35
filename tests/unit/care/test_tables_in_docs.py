"""The tables of `docs/care-coordination.md` say what the code does."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from fhir_server.care import order_states, plans, task_states
from fhir_server.care.care_team import ROLES
from fhir_server.care.elements import ELEMENTS
from fhir_server.care.rules import RULES

PAGE = (Path(__file__).parents[3] / "docs" / "care-coordination.md").read_text("utf-8")


def section(heading: str) -> str:
    """The text under one heading."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no heading {heading!r}"
    return found[1]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under one heading, without its head."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def coded(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("preset", task_states.PRESETS)
def test_task_transitions_are_as_documented(preset: str) -> None:
    table = task_states.PRESETS[preset]
    documented: dict[tuple[str | None, str], set[str]] = {}
    sub_task_only: set[str] = set()
    for origin, target, by in rows(f"Preset: {preset}"):
        every = [status for status in task_states.STATUSES if status != "entered-in-error"]
        origins = [None] if origin.startswith("new") else every if origin == "any" else coded(origin)
        for step in [(start, end) for start in origins for end in coded(target)]:
            documented.setdefault(step, set()).update(by.split(", "))
        if "sub-task" in origin:
            sub_task_only.update(coded(target))

    assert documented == {step: set(parties) for step, parties in table.steps.items()}
    assert sub_task_only == table.sub_task_only


def test_every_preset_is_documented() -> None:
    assert set(re.findall(r"^### Preset: (.+)$", PAGE, re.MULTILINE)) == set(task_states.PRESETS)


def test_statuses_that_need_a_reason_are_as_documented() -> None:
    named = set(coded(section("Statuses that say why"))) - {"Task.statusReason.text"}

    assert named == task_states.REASON_REQUIRED


@pytest.mark.parametrize(
    ("heading", "steps"), [("Order transitions", order_states.STEPS), ("Plan transitions", plans.STEPS)]
)
def test_order_and_plan_transitions_are_as_documented(
    heading: str, steps: Mapping[str | None, tuple[str, ...]]
) -> None:
    documented = {
        None if origin == "new" else coded(origin)[0]: tuple(coded(target)) for origin, target in rows(heading)
    }

    assert documented == {origin: targets for origin, targets in steps.items() if targets}


def test_elements_are_as_documented() -> None:
    table = rows("Who may change which element")
    documented = {(kind, state, role): set(coded(elements)) for kind, state, role, elements in table}

    assert documented == _elements_in_code()


def _elements_in_code() -> dict[tuple[str, str, str], set[str]]:
    found = {}
    for kind, rule in ELEMENTS.items():
        states = {"open": rule.changed, "draft": rule.drafted or {}, "ended": rule.ended or {}}
        for state, by_role in states.items():
            found.update({(kind, state, role): set(elements) for role, elements in by_role.items()})
        if rule.server_owned:
            found[kind, "any", "server"] = set(rule.server_owned)
    return found


def test_the_roles_of_a_team_are_as_documented() -> None:
    assert {coded(row[0])[0] for row in rows("Who is in the team")} == set(ROLES)


def test_the_statuses_that_keep_a_member_are_as_documented() -> None:
    by_role = {coded(row[0])[0]: row for row in rows("Who is in the team")}

    assert set(coded(by_role["requester"][1])) == order_states.OPEN
    assert set(coded(by_role["owner"][2])) == task_states.CONFERS_MEMBERSHIP


def test_rules_are_documented_in_their_order() -> None:
    assert [coded(row[0])[0] for row in rows("What follows from a write")] == [rule.__name__ for rule in RULES]
