"""The FHIR door: HTTP to interactions and back. The only reader of HTTP for FHIR."""
