"""The words of FHIR: references, bundles, outcomes, changes, actors, errors. No policy, no input or output."""
