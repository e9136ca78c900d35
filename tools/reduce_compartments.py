"""Reduce R4's CompartmentDefinition of the Patient to fhir_server/definitions/patient_compartment.json.

    python tools/reduce_compartments.py FOLDER

FOLDER holds the unpacked npm package hl7.fhir.r4.examples 4.0.1 (its folder `package`). For each stored type that is in
the compartment the table names the parameters that lead to the person: those of R4, and `patient` where the type has
it, which R4 leaves out for some (a Task about the person).
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.definitions.structures import RESOURCE_TYPES

TABLE = Path(__file__).resolve().parent.parent / "fhir_server" / "definitions" / "patient_compartment.json"


def main(folder: Path) -> None:
    definition = json.loads((folder / "CompartmentDefinition-patient.json").read_bytes())
    official = {each["code"]: each.get("param", []) for each in definition["resource"]}
    table = {}
    for type_name in sorted(RESOURCE_TYPES):
        served = [code for code, each in parameters_of(type_name).items() if each.type == "reference"]
        leading = [code for code in served if code == "patient" or code in official.get(type_name, ())]
        if leading:
            table[type_name] = sorted(leading)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(codes)}" for name, codes in table.items())
    TABLE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"{len(table)} types")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
