"""The compartment of a person: which types are about one, and by which search parameters.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html

The table `patient_compartment.json` is made by `tools/reduce_compartments.py`.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

PATIENT = "http://hl7.org/fhir/CompartmentDefinition/patient"


@cache
def patient_compartment() -> Mapping[str, tuple[str, ...]]:
    """The types in the compartment of a Patient, each with the parameters of which one must name the person."""
    packed = files(__package__).joinpath("patient_compartment.json").read_bytes()
    return msgspec.json.decode(packed, type=dict[str, tuple[str, ...]])
