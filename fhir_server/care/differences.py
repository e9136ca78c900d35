"""What a coordination resource says otherwise than before, by its top-level elements."""

from typing import Any

from fhir_server.fhir.json import Resource
from fhir_server.validation.narrative import told_by

# Implicit rules are refused by the validator: what was stored with them before may be written without.
NOT_COMPARED = frozenset({"resourceType", "id", "meta", "implicitRules"})


def changed_elements(before: Resource, after: Resource) -> tuple[str, ...]:
    """The names of the top-level elements that differ, in the order of the alphabet; meta is not asked.

    A narrative that is only written down otherwise, by another program, is the same one.
    A plan's activities count as two elements: `activity.reference` (orders) and `activity.detail` (written in place).
    """
    old, new = _compared(before), _compared(after)
    return tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))


def _compared(resource: Resource) -> dict[str, Any]:
    elements: dict[str, Any] = {}
    for name, value in resource.items():
        if name in NOT_COMPARED or name.lstrip("_") in NOT_COMPARED:
            continue
        elements.setdefault(name.lstrip("_"), {})[name] = value
    if "div" in resource.get("text", ()):
        elements["text"] = {"text": {**resource["text"], "div": told_by(resource["text"]["div"])}}
    if resource["resourceType"] == "CarePlan":
        activities = resource.get("activity", [])
        elements.pop("activity", None)
        elements["activity.reference"] = [activity for activity in activities if "reference" in activity]
        elements["activity.detail"] = [activity for activity in activities if "reference" not in activity]
    return elements
