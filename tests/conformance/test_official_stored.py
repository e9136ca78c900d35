"""Every valid official example is taken by the import, kept whole, and given back in both formats."""

from pathlib import Path
from typing import Any

import pytest

from fhir_server.access.types import TYPES
from fhir_server.fhir.json import decode as decode_json
from fhir_server.rest.xml.decode import decode
from tests.conformance.official import EXAMPLES, examples_of, needs_examples
from tests.conformance.test_official_examples import INVALID
from tests.conformance.test_xml_stored import NOT_WRITTEN, XML, content
from tests.world import World

AT_ONCE = 50


def portions() -> list[Any]:
    """The examples of each type that clients or the operator write, so many at once."""
    found = []
    for type_name in sorted(TYPES.keys() - NOT_WRITTEN) if EXAMPLES else []:
        files = examples_of(type_name)
        starts = range(0, len(files), AT_ONCE)
        found += [pytest.param(files[start : start + AT_ONCE], id=f"{type_name}-{start}") for start in starts]
    return found or [pytest.param([], id="none")]


@needs_examples
@pytest.mark.parametrize("files", portions())
def test_every_valid_example_is_taken_and_comes_back_equal(world: World, files: list[Path]) -> None:
    refused = {}
    for file in files:
        example = decode_json(file.read_bytes())
        made = world.operator.post(example)
        if made.status != 201:
            refused[file.stem] = [issue["diagnostics"] for issue in made.issues]
            continue
        place = f"{example['resourceType']}/{made.body['id']}"
        in_json, in_xml = world.operator.get(place), world.operator.get(place, Accept=XML)
        assert content(decode_json(in_json.raw)) == content(decode(in_xml.raw)) == content(example), file.name

    assert {name: told for name, told in refused.items() if name not in INVALID} == {}
    assert {file.stem for file in files} & INVALID.keys() == refused.keys()
