"""docs/access.md says of every type what the table says."""

import re
from pathlib import Path

from fhir_server.access.types import TYPES

PAGE = Path(__file__).parents[3] / "docs" / "access.md"


def test_the_page_lists_every_type_with_its_class_and_who_may_write_it() -> None:
    rows = re.findall(r"^\| ([a-z-]+) \| ([A-Z][A-Za-z, ]+) \| (\w+) \| (\w+) \| (\w+) \|$", PAGE.read_text(), re.M)
    told = {
        name: (kind, creates, updates, deletes)
        for kind, names, creates, updates, deletes in rows
        for name in names.split(", ")
    }

    assert told == {name: (rule.kind, rule.creates, rule.updates, rule.deletes) for name, rule in TYPES.items()}
