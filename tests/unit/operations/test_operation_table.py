"""The tables of operations agree: what has an address is performed, and what is performed has an address."""

import pytest

from fhir_server.access.scopes import allows
from fhir_server.definitions.operations import OPERATIONS
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import MethodNotAllowed, NotFound, UnknownType
from fhir_server.interactions.addressing import ADDRESSES, Place, allowed_methods, resolve
from fhir_server.operations.table import PERFORMERS


def test_each_operation_with_an_address_is_defined_and_performed() -> None:
    addressed = {address.interaction for address in ADDRESSES if "$" in address.path}

    assert addressed == set(OPERATIONS) == set(PERFORMERS)


def test_each_operation_of_a_type_has_its_scope() -> None:
    everything = Actor(organization="Organization/1", scopes=frozenset({"system/*.cruds"}))
    nothing = Actor(organization="Organization/1", scopes=frozenset({"system/*.d"}))
    for address in ADDRESSES:
        if address.interaction in OPERATIONS and "{type}" in address.path:
            assert allows(everything, address.interaction, "Patient")
            assert not allows(nothing, address.interaction, "Patient")


def test_an_operation_stands_at_the_types_that_have_it() -> None:
    assert resolve("GET", "/Patient/1/$everything") == Place("Patient-everything", "Patient", "1")
    assert resolve("POST", "/CarePlan/1/$everything") == Place("CarePlan-everything", "CarePlan", "1")
    assert resolve("GET", "/$versions") == Place("CapabilityStatement-versions")
    for path in (
        "/Task/1/$everything",
        "/Patient/$everything",
        "/Patient/1/$other",
        "/$everything",
        "/Patient/$versions",
    ):
        with pytest.raises(NotFound):
            resolve("GET", path)
        assert allowed_methods(path) == []


def test_the_methods_of_an_operation_are_told() -> None:
    assert allowed_methods("/Patient/1/$meta") == ["GET", "HEAD", "POST"]
    with pytest.raises(MethodNotAllowed):
        resolve("GET", "/Patient/$validate")
    with pytest.raises(UnknownType):
        resolve("POST", "/Nothing/$validate")


@pytest.mark.parametrize("path", ["/Patient/1/Xeverything", "/Patient/1/", "/Patientx1x$everything"])
def test_a_dollar_is_a_dollar(path: str) -> None:
    with pytest.raises(NotFound):
        resolve("GET", path)
