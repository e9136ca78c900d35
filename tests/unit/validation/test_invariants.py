"""Every error invariant of R4 for the supported types is held, and each is seen to hold and to break."""

from typing import Any

import care_cases
import datatype_cases
import definition_cases
import profile_cases
import pytest

from fhir_server.definitions.structures import MESSAGE_TYPES, RESOURCE_TYPES, load
from fhir_server.validation.invariants import HELD_ELSEWHERE, INVARIANTS

CASES = [*datatype_cases.CASES, *care_cases.CASES, *definition_cases.CASES, *profile_cases.CASES]
OURS = {"samen-1"}


def holds(path: str, key: str, element: dict[str, Any]) -> bool:
    return all(invariant.holds(element) for invariant in INVARIANTS[path] if invariant.key == key)


@pytest.mark.parametrize(("path", "key", "right", "wrong"), CASES, ids=[f"{case[1]}-{case[0]}" for case in CASES])
def test_invariant_holds_for_what_is_right_and_breaks_for_what_is_wrong(
    path: str, key: str, right: dict[str, Any], wrong: dict[str, Any]
) -> None:
    assert holds(path, key, right)
    assert not holds(path, key, wrong)


def test_every_invariant_has_a_case() -> None:
    held = {(path, invariant.key) for path, invariants in INVARIANTS.items() for invariant in invariants}

    assert held == {(path, key) for path, key, _, _ in CASES}


def test_every_error_invariant_of_the_supported_types_is_held() -> None:
    structures = load()
    stated = {
        (path, key)
        for type_name in reachable_types()
        for path in structures.paths(type_name)
        for key in structures.invariants(path)
        if key not in HELD_ELSEWHERE
    }

    held = {(path, i.key) for path, invariants in INVARIANTS.items() for i in invariants if i.key not in OURS}

    # ctm-1 and the sdf rules of snapshot and differential are judged where all that they need is in sight.
    keys_held, keys_stated = {key for _, key in held}, {key for _, key in stated}
    assert keys_stated - keys_held == set()
    assert keys_held - keys_stated == set()


def reachable_types() -> set[str]:
    structures, reached, waiting = load(), set[str](), sorted(RESOURCE_TYPES | MESSAGE_TYPES)
    while waiting:
        type_name = waiting.pop()
        if type_name in reached or type_name in structures.primitives or type_name[0] == "#" or type_name == "Resource":
            continue
        reached.add(type_name)
        waiting += [t for path in structures.paths(type_name) for e in structures.elements(path) for t in e.types]
    return reached
