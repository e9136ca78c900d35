"""A name stands once in a JSON object: what says it twice is found with its place, and nothing else is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.json import NotJson, decode, decode_sent
from fhir_server.fhir.repeats import repeated

TEXTS = st.text(alphabet='ab:"\\{}[], \n\u00e9\U0001f600', max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


def written(value: Any, space: str, *, escaped: bool) -> str:
    """A value as JSON with `space` around everything, colons as escapes when asked."""
    if isinstance(value, dict):
        members = [f"{written(n, '', escaped=escaped)}{space}:{space}{written(v, space, escaped=escaped)}" for n, v in value.items()]  # fmt: skip # noqa: E501
        return f"{{{space}{f',{space}'.join(members)}{space}}}"
    if isinstance(value, list):
        return f"[{space}{f',{space}'.join(written(each, space, escaped=escaped) for each in value)}{space}]"
    text = json.dumps(value, ensure_ascii=False)
    return text.replace(":", "\\u003a") if escaped and isinstance(value, str) else text


@given(VALUES, st.sampled_from(["", " ", "\n\t"]), st.booleans())
def test_what_says_nothing_twice_is_read_as_ever(value: Any, space: str, escaped: bool) -> None:
    body = written(value, space, escaped=escaped).encode()

    assert decode_sent(body) == decode(body) == value


@given(st.lists(st.tuples(TEXTS, VALUES), min_size=1, max_size=4), VALUES, st.sampled_from(["", " "]), st.booleans())
def test_a_name_that_stands_twice_is_always_found(
    members: list[tuple[str, Any]], again: Any, space: str, escaped: bool
) -> None:
    """The last name once more, with any other value, below a list: whatever its colons and escapes."""
    members = [*members, (members[-1][0], again)]
    inner = ",".join(
        f"{written(name, '', escaped=escaped)}{space}:{space}{written(value, space, escaped=escaped)}"
        for name, value in members
    )
    body = f'{{"resourceType":"Patient","name":[1,{{{inner}}}]}}'.encode()

    with pytest.raises(NotJson) as refused:
        decode_sent(body)

    assert "twice" in str(refused.value)
    assert (refused.value.path or "").startswith("Patient.name[1].")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"resourceType":"Patient","id":"a","id":"a"}', ("id", "Patient.id")),
        (b'{"resourceType":"Patient","resourceType":"Group"}', ("resourceType", "Patient.resourceType")),
        (
            b'{"resourceType":"Patient","name":[{"family":"x","f\\u0061mily":"y"}]}',
            ("family", "Patient.name[0].family"),
        ),
        (b'{"a":1, "a" : "\\u003a"}', ("a", "a")),
        (b'{"a":{},"a":{"b":1}}', ("a", "a")),
        (b'[{"b":1},{"b":1}]', None),
        (b'{"a":1,"A":1}', None),
    ],
)
def test_the_place_of_the_repeat_is_told(body: bytes, found: tuple[str, str] | None) -> None:
    assert repeated(body) == found
    if found is None:
        assert decode_sent(body) == json.loads(body)
    else:
        with pytest.raises(NotJson) as refused:
            decode_sent(body)
        assert refused.value.path == found[1]
