"""The hall: one file per FHIR interaction, all entered through `perform`; writes go through `commit`, the gate."""
