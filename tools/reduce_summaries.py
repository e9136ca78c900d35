"""Reduce R4's StructureDefinitions to fhir_server/definitions/summaries.json: what `_summary` and `_elements` keep.

    python tools/reduce_summaries.py FOLDER

FOLDER holds the unpacked npm package hl7.fhir.r4.examples 4.0.1 (its folder `package`). For each resource type that
this server stores or makes a statement of, the table holds the paths of its own elements that are part of a summary,
without the type, and the names of its modifier elements. A path below one that is no part of a summary is left out.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fhir_server.definitions.structures import RESOURCE_TYPES

TOLD = {"TerminologyCapabilities"}
TABLE = Path(__file__).resolve().parent.parent / "fhir_server" / "definitions" / "summaries.json"


def row(definition: dict[str, Any]) -> dict[str, list[str]]:
    """The summary's paths and the modifiers of one type."""
    elements = [each for each in definition["snapshot"]["element"] if "." in each["path"]]
    kept: list[str] = []
    for element in elements:
        path = element["path"].partition(".")[2]
        parent = path.rpartition(".")[0]
        if element.get("isSummary") and (not parent or parent in kept):
            kept.append(path)
    top = [each for each in elements if each["path"].count(".") == 1]
    return {
        "summary": sorted(path.removesuffix("[x]") for path in kept),
        "modifiers": sorted(
            each["path"].partition(".")[2].removesuffix("[x]") for each in top if each.get("isModifier")
        ),
    }


def main(folder: Path) -> None:
    table = {}
    for type_name in sorted(RESOURCE_TYPES | TOLD):
        definition = json.loads((folder / f"StructureDefinition-{type_name}.json").read_bytes())
        table[type_name] = row(definition)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(each)}" for name, each in table.items())
    TABLE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"{len(table)} types")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
