"""The official examples of every type that is stored go in by XML, are kept whole, and come out in both formats."""

from typing import Any

import pytest

from fhir_server.access.types import TYPES
from fhir_server.fhir.json import decode as decode_json
from fhir_server.rest.xml.decode import decode
from fhir_server.rest.xml.encode import encode
from tests.conformance.official import examples_of, needs_examples
from tests.conformance.test_xml_examples import exactly
from tests.world import World

XML = "application/fhir+xml"
NOT_WRITTEN = {"AuditEvent"}
# There are a thousand value sets and the like: of those, some spread over all.
ENOUGH = 100
SET_BY_THE_SERVER = {"id", "meta"}


def content(resource: dict[str, Any]) -> Any:
    """What the sender said, with every digit."""
    return exactly({name: value for name, value in resource.items() if name not in SET_BY_THE_SERVER})


def told(outcome: dict[str, Any]) -> list[str]:
    """What a refusal says, in whichever order."""
    return sorted(issue["diagnostics"] for issue in outcome["issue"])


@needs_examples
@pytest.mark.parametrize("type_name", sorted(TYPES.keys() - NOT_WRITTEN))
def test_official_examples_are_stored_from_xml_or_refused_as_in_json(world: World, type_name: str) -> None:
    every = examples_of(type_name)
    assert every, f"there are no examples of {type_name}"
    files = every[:: len(every) // ENOUGH + 1]

    for file in files:
        example = decode_json(file.read_bytes())
        made = world.operator.ask("POST", type_name, encode(example), Content_Type=XML, Accept=XML)
        if made.status != 201:
            refused = world.operator.post(example)
            assert (made.status, told(decode(made.raw))) == (refused.status, told(refused.body)), file.name
            continue
        place = f"{type_name}/{decode(made.raw)['id']}"
        in_json, in_xml = world.operator.get(place), world.operator.get(place, Accept=XML)
        assert content(decode_json(in_json.raw)) == content(decode(in_xml.raw)) == content(example), file.name
