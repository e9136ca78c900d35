"""For each invariant of StructureDefinition and ElementDefinition: (path, key, what keeps it, what breaks it)."""


def _elements(*elements: dict[str, object], view: str = "snapshot", **others: object) -> dict[str, object]:
    return {"type": "Task", "kind": "resource", view: {"element": list(elements)}, **others}


TASK, STATUS = {"id": "Task", "path": "Task"}, {"id": "Task.status", "path": "Task.status"}
HL7 = "http://hl7.org/fhir/StructureDefinition/x"

CASES = [
    ("StructureDefinition", "sdf-1", _elements(TASK, STATUS), _elements(TASK, STATUS, STATUS)),
    (
        "StructureDefinition",
        "sdf-3",
        _elements({"definition": "x", "min": 0, "max": "*"}),
        _elements({"min": 0, "max": "*"}),
    ),
    ("StructureDefinition", "sdf-4", {"abstract": True}, {"abstract": False}),
    ("StructureDefinition", "sdf-5", {"type": "Extension", "context": [{}]}, {"type": "Extension"}),
    ("StructureDefinition", "sdf-6", {"differential": {}}, {"kind": "resource"}),
    ("StructureDefinition", "sdf-8", _elements(TASK, STATUS), _elements(TASK, {"path": "Goal.x"})),
    (
        "StructureDefinition",
        "sdf-8a",
        _elements(STATUS, view="differential"),
        _elements({"path": "Goal"}, view="differential"),
    ),
    ("StructureDefinition", "sdf-8b", _elements({**TASK, "base": {}}), _elements(TASK)),
    ("StructureDefinition", "sdf-9", _elements(TASK), _elements({**TASK, "label": "x"})),
    ("StructureDefinition", "sdf-10", _elements({"binding": {"valueSet": "x"}}), _elements({"binding": {}})),
    ("StructureDefinition", "sdf-11", _elements(TASK), _elements(STATUS)),
    ("StructureDefinition", "sdf-14", _elements(TASK), _elements({"path": "Task"})),
    ("StructureDefinition", "sdf-15", _elements(TASK), _elements({**TASK, "type": [{}]})),
    (
        "StructureDefinition",
        "sdf-15a",
        _elements(TASK, view="differential"),
        _elements({**TASK, "type": [{}]}, view="differential"),
    ),
    ("StructureDefinition", "sdf-16", _elements(TASK, STATUS), _elements(TASK, TASK)),
    ("StructureDefinition", "sdf-17", _elements(TASK, view="differential"), _elements(TASK, TASK, view="differential")),
    (
        "StructureDefinition",
        "sdf-18",
        {"type": "Extension", "contextInvariant": ["x"]},
        {"type": "Task", "contextInvariant": ["x"]},
    ),
    (
        "StructureDefinition",
        "sdf-19",
        _elements({"type": [{"code": "Period"}]}, url=HL7),
        _elements({"type": [{"code": "a b"}]}, url=HL7),
    ),
    (
        "StructureDefinition",
        "sdf-20",
        _elements(TASK, view="differential"),
        _elements({**TASK, "slicing": {}}, view="differential"),
    ),
    (
        "StructureDefinition",
        "sdf-21",
        _elements({"defaultValueCode": "x"}, view="differential", derivation="specialization"),
        _elements({"defaultValueCode": "x"}, view="differential", derivation="constraint"),
    ),
    (
        "StructureDefinition",
        "sdf-22",
        _elements({"defaultValueCode": "x"}),
        _elements({"defaultValueCode": "x"}, url=HL7),
    ),
    ("StructureDefinition", "sdf-23", _elements(TASK), _elements({**TASK, "sliceName": "x"})),
    ("StructureDefinition.mapping", "sdf-2", {"name": "x"}, {"identity": "x"}),
    ("ElementDefinition.slicing", "eld-1", {"description": "x"}, {"rules": "open"}),
    ("ElementDefinition", "eld-2", {"min": 1, "max": "*"}, {"min": 2, "max": "1"}),
    ("ElementDefinition", "eld-3", {"max": "1"}, {"max": "many"}),
    (
        "ElementDefinition.type",
        "eld-4",
        {"code": "Reference", "aggregation": ["bundled"]},
        {"code": "code", "aggregation": ["bundled"]},
    ),
    ("ElementDefinition", "eld-5", {"contentReference": "#x"}, {"contentReference": "#x", "type": [{}]}),
    ("ElementDefinition", "eld-5", {"fixedCode": "x"}, {"contentReference": "#x", "fixedCode": "x"}),
    ("ElementDefinition", "eld-6", {"fixedCode": "x", "type": [{}]}, {"fixedCode": "x", "type": [{}, {}]}),
    ("ElementDefinition", "eld-7", {"patternCode": "x", "type": [{}]}, {"patternCode": "x", "type": [{}, {}]}),
    ("ElementDefinition", "eld-8", {"patternCode": "x"}, {"patternCode": "x", "fixedCode": "x"}),
    ("ElementDefinition.binding", "eld-12", {"valueSet": "urn:x"}, {"valueSet": "x"}),
    ("ElementDefinition", "eld-13", {"type": [{"code": "a"}, {"code": "b"}]}, {"type": [{"code": "a"}, {"code": "a"}]}),
    ("ElementDefinition", "eld-14", {"constraint": [{"key": "a"}]}, {"constraint": [{"key": "a"}, {"key": "a"}]}),
    ("ElementDefinition", "eld-15", {"meaningWhenMissing": "x"}, {"meaningWhenMissing": "x", "defaultValueCode": "x"}),
    ("ElementDefinition", "eld-16", {"sliceName": "a/b@c"}, {"sliceName": "a b"}),
    (
        "ElementDefinition.type",
        "eld-17",
        {"code": "canonical", "targetProfile": ["x"]},
        {"code": "code", "targetProfile": ["x"]},
    ),
    ("ElementDefinition", "eld-18", {"isModifier": True, "isModifierReason": "x"}, {"isModifier": True}),
    ("ElementDefinition", "eld-19", {"path": "Task.value[x]"}, {"path": ".status"}),
    ("ElementDefinition", "eld-22", {"sliceIsConstraining": True, "sliceName": "x"}, {"sliceIsConstraining": True}),
]
