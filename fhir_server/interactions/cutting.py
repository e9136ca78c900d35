"""What is about somebody else, or about several, and refers to a person who is purged: it stays, the reference goes."""

from collections.abc import Callable
from typing import Any

MASKED = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}


def cut(value: Any, gone: Callable[[str], bool]) -> Any:
    """`value` with every Reference whose target is `gone` replaced by one that says that it is withheld.

    Its display and identifier go with it: they tell who it was.
    """
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and gone(reference):
            return MASKED
        return {name: cut(child, gone) for name, child in value.items()}
    if isinstance(value, list):
        return [cut(child, gone) for child in value]
    return value
