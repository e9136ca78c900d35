"""Is it well formed? Structure, formats, bindings, reference targets, narrative, invariants of R4, all errors at once.

https://hl7.org/fhir/R4/validation.html
"""

from fhir_server.validation.validator import Validator

__all__ = ["Validator"]
