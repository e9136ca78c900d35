"""Whatever is sent, the answer is never a fault of the server."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.access.types import TYPES
from fhir_server.definitions.structures import load
from fhir_server.fhir.json import encode
from tests.minimal import minimal
from tests.world import Party, World

STRUCTURES = load()
NAMES = {
    type_name: sorted({name for element in STRUCTURES.elements(type_name) for name in element.json_names()})
    for type_name in TYPES
}
TEXTS = st.one_of(
    st.text(max_size=12), st.sampled_from(["Patient/1", "2026-01-01", "final", "#a", "urn:uuid:1", "\x00"])
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["reference", "coding", "system", "code", "value", "identifier", "url", "extension", "start"]
            )
            | st.text(max_size=6),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
ANY_TYPE = st.sampled_from(sorted(TYPES))
unhurried = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    """A small valid resource with some of its elements replaced by anything."""
    type_name = draw(ANY_TYPE)
    changed = draw(st.dictionaries(st.sampled_from(NAMES[type_name]), VALUES, max_size=3))
    return {**minimal(type_name), **changed}


@st.composite
def entries(draw: st.DrawFn) -> Any:
    """An entry of a Bundle, mostly with the shape of one."""
    type_name = draw(ANY_TYPE)
    methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"])
    urls = st.sampled_from([type_name, f"{type_name}/1", f"{type_name}?_id=1", "metadata", ""])
    request = st.fixed_dictionaries(
        {"method": methods | VALUES, "url": urls | VALUES},
        optional={"ifMatch": VALUES, "ifNoneExist": VALUES, "ifNoneMatch": VALUES},
    )
    shape = st.fixed_dictionaries({"request": request}, optional={"resource": resources() | VALUES, "fullUrl": VALUES})
    return draw(shape | VALUES)


def operations() -> st.SearchStrategy[Any]:
    """Operations of a JSON Patch, many of them possible."""
    pointers = st.sampled_from(["", "/name", "/name/0", "/name/-", "/name/0/family", "/id", "/meta", "x", "/a~2"])
    names = st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "explode"])
    return st.fixed_dictionaries({"op": names, "path": pointers}, optional={"value": VALUES, "from": pointers | VALUES})


@pytest.fixture(scope="module")
def hosp(world: World) -> Party:
    """A hospital."""
    return world.hospital()


@unhurried
@given(resource=resources())
def test_any_resource_is_stored_or_refused(world: World, hosp: Party, resource: dict[str, Any]) -> None:
    place = resource["resourceType"]
    for party in (hosp, world.operator):
        assert party.ask("POST", place, resource).status < 500
        assert party.ask("PUT", f"{place}/any", {**resource, "id": "any"}).status < 500


@unhurried
@given(body=VALUES)
def test_any_json_is_refused_or_stored(hosp: Party, body: Any) -> None:
    for place in ("Patient", ""):
        assert hosp.ask("POST", place, encode(body)).status < 500


@unhurried
@given(patch=VALUES | st.lists(operations(), max_size=3))
def test_any_patch_is_refused_or_done(hosp: Party, patch: Any) -> None:
    made = hosp.post(minimal("Patient", name=[{"family": "Maes"}])).body["id"]
    for kind in ("application/json-patch+json", "application/fhir+json"):
        assert hosp.ask("PATCH", f"Patient/{made}", encode(patch), Content_Type=kind).status < 500
    parameters = {"resourceType": "Parameters", "parameter": patch}
    assert hosp.ask("PATCH", f"Patient/{made}", encode(parameters)).status < 500


@unhurried
@given(
    path=st.text(max_size=30) | st.from_regex(r"Patient(\.[a-z]{2,6}|\[\d\]|\.where\([a-z =']*\)){0,4}", fullmatch=True)
)
def test_any_path_of_a_patch_is_refused_or_followed(hosp: Party, path: str) -> None:
    made = hosp.post(minimal("Patient", name=[{"family": "Maes"}])).body["id"]
    part = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path}]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}
    assert hosp.ask("PATCH", f"Patient/{made}", encode(parameters)).status < 500


@unhurried
@given(body=st.binary(max_size=200))
def test_any_bytes_are_refused(hosp: Party, body: bytes) -> None:
    assert 400 <= hosp.ask("POST", "Patient", body).status < 500


@unhurried
@given(kind=st.sampled_from(["batch", "transaction"]), listed=st.lists(entries(), max_size=4))
def test_any_bundle_is_answered(hosp: Party, kind: str, listed: list[Any]) -> None:
    assert hosp.ask("POST", "", {"resourceType": "Bundle", "type": kind, "entry": listed}).status < 500


@unhurried
@given(
    type_name=ANY_TYPE,
    name=st.text(max_size=8)
    | st.sampled_from(["_id", "_lastUpdated", "_sort", "_count", "_include", "_cursor", "code"]),
    value=st.text(max_size=20),
)
def test_any_search_is_answered(hosp: Party, type_name: str, name: str, value: str) -> None:
    asked = f"{quote(name, errors='surrogatepass')}={quote(value, errors='surrogatepass')}"
    assert hosp.get(f"{type_name}?{asked}").status < 500


@unhurried
@given(header=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30))
def test_any_condition_is_answered(hosp: Party, header: str) -> None:
    flag = minimal("Patient")
    for name in ("If_None_Exist", "If_Match", "If_None_Match", "Prefer", "Accept", "Content_Type", "Authorization"):
        assert hosp.ask("POST", "Patient", flag, **{name: header}).status < 500
        assert hosp.ask("PUT", "Patient/any", {**flag, "id": "any"}, **{name: header}).status < 500
