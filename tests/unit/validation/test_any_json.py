"""Whatever JSON arrives, the Validator answers with issues: it never fails, and never changes what it reads."""

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from minimal import minimal

from fhir_server.definitions.structures import MESSAGE_TYPES, RESOURCE_TYPES, load
from fhir_server.validation import Validator

VALIDATOR = Validator()
TYPES = sorted(RESOURCE_TYPES | MESSAGE_TYPES)
NAMES = sorted({name for type_name in TYPES for e in load().elements(type_name) for name in e.json_names()})
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=8) | st.sampled_from(["#", "2026"])
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def damaged_resources(draw: st.DrawFn) -> Any:
    """A minimal resource in which some elements were replaced by arbitrary JSON."""
    type_name = draw(st.sampled_from(TYPES))
    names = [name for e in load().elements(type_name) for name in e.json_names()]
    damage = st.dictionaries(st.sampled_from([*names, *("_" + name for name in names)]), VALUES, max_size=4)
    return minimal(type_name) | draw(damage)


@settings(deadline=None, max_examples=200)
@given(damaged_resources() | VALUES)
def test_validator_always_answers_and_changes_nothing(resource: Any) -> None:
    before = deepcopy(resource)

    issues = VALIDATOR.check(resource)

    codes = {"structure", "required", "value", "code-invalid", "invariant", "not-supported"}
    assert all(issue.code in codes for issue in issues)
    assert repr(resource) == repr(before)
