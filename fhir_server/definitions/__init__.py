"""The facts of FHIR R4 as compact tables that travel in the wheel; `tools/` reduces them from HL7's packages."""
