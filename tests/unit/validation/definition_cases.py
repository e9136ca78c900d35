"""For each invariant of Bundles, questionnaires and definitions: (path, key, what keeps it, what breaks it)."""


def _item(kind: str, **others: object) -> dict[str, object]:
    return {"linkId": "1", "type": kind, **others}


BUNDLES = [
    ("Bundle", "bdl-1", {"type": "searchset", "total": 1}, {"type": "collection", "total": 1}),
    ("Bundle", "bdl-2", {"type": "searchset", "entry": [{"search": {}}]}, {"type": "batch", "entry": [{"search": {}}]}),
    ("Bundle", "bdl-3", {"type": "batch", "entry": [{"request": {}}]}, {"type": "batch", "entry": [{}]}),
    ("Bundle", "bdl-3", {"type": "collection", "entry": [{}]}, {"type": "collection", "entry": [{"request": {}}]}),
    ("Bundle", "bdl-4", {"type": "history", "entry": [{"response": {}}]}, {"type": "batch-response", "entry": [{}]}),
    (
        "Bundle",
        "bdl-7",
        {"entry": [{"fullUrl": "urn:a"}, {"fullUrl": "urn:a", "resource": {"meta": {"versionId": "2"}}}]},
        {"entry": [{"fullUrl": "urn:a"}, {"fullUrl": "urn:a"}]},
    ),
    (
        "Bundle",
        "bdl-9",
        {"type": "document", "identifier": {"system": "urn:x", "value": "1"}},
        {"type": "document", "identifier": {"value": "1"}},
    ),
    ("Bundle", "bdl-10", {"type": "document", "timestamp": "2026"}, {"type": "document"}),
    (
        "Bundle",
        "bdl-11",
        {"type": "document", "entry": [{"resource": {"resourceType": "Composition"}}]},
        {"type": "document", "entry": [{"resource": {"resourceType": "Task"}}]},
    ),
    (
        "Bundle",
        "bdl-12",
        {"type": "message", "entry": [{"resource": {"resourceType": "MessageHeader"}}]},
        {"type": "message"},
    ),
    ("Bundle.entry", "bdl-5", {"request": {}}, {"fullUrl": "urn:a"}),
    ("Bundle.entry", "bdl-8", {"fullUrl": "https://x/Task/1"}, {"fullUrl": "https://x/Task/1/_history/2"}),
    ("Parameters.parameter", "inv-1", {"valueCode": "x"}, {"valueCode": "x", "resource": {}}),
    ("Parameters.parameter", "inv-1", {"part": [{}]}, {"name": "x"}),
]

QUESTIONNAIRES = [
    (
        "Questionnaire",
        "que-2",
        {"item": [_item("group", item=[{"linkId": "2"}])]},
        {"item": [_item("group", item=[{"linkId": "1"}])]},
    ),
    ("Questionnaire.item", "que-1", _item("group", item=[{}]), _item("group")),
    ("Questionnaire.item", "que-1", _item("display"), _item("display", item=[{}])),
    ("Questionnaire.item", "que-3", _item("string", code=[{}]), _item("display", code=[{}])),
    (
        "Questionnaire.item",
        "que-4",
        _item("choice", answerOption=[{}]),
        _item("choice", answerOption=[{}], answerValueSet="a"),
    ),
    ("Questionnaire.item", "que-5", _item("choice", answerOption=[{}]), _item("boolean", answerOption=[{}])),
    ("Questionnaire.item", "que-6", _item("string", required=True), _item("display", repeats=False)),
    ("Questionnaire.item", "que-8", _item("string", initial=[{}]), _item("group", initial=[{}])),
    ("Questionnaire.item", "que-9", _item("string", readOnly=True), _item("display", readOnly=True)),
    ("Questionnaire.item", "que-10", _item("text", maxLength=5), _item("date", maxLength=5)),
    ("Questionnaire.item", "que-11", _item("choice", initial=[{}]), _item("choice", initial=[{}], answerOption=[{}])),
    ("Questionnaire.item", "que-12", _item("text", enableWhen=[{}]), _item("text", enableWhen=[{}, {}])),
    ("Questionnaire.item", "que-13", _item("text", repeats=True, initial=[{}, {}]), _item("text", initial=[{}, {}])),
    (
        "Questionnaire.item.enableWhen",
        "que-7",
        {"operator": "exists", "answerBoolean": False},
        {"operator": "exists", "answerString": "x"},
    ),
    ("QuestionnaireResponse.item", "qrs-1", {"item": [{}]}, {"item": [{}], "answer": [{}]}),
]

TERMINOLOGY = [
    ("CodeSystem", "csd-1", {"concept": [{"code": "a"}]}, {"concept": [{"code": "a", "concept": [{"code": "a"}]}]}),
    (
        "ConceptMap.group.element.target",
        "cmd-1",
        {"equivalence": "narrower", "comment": "x"},
        {"equivalence": "inexact"},
    ),
    ("ConceptMap.group.unmapped", "cmd-2", {"mode": "fixed", "code": "x"}, {"mode": "fixed"}),
    ("ConceptMap.group.unmapped", "cmd-3", {"mode": "other-map", "url": "x"}, {"mode": "other-map"}),
    ("ValueSet.compose.include", "vsd-1", {"system": "urn:x"}, {"version": "1"}),
    ("ValueSet.compose.include", "vsd-2", {"system": "urn:x", "concept": [{}]}, {"valueSet": ["x"], "concept": [{}]}),
    ("ValueSet.compose.include", "vsd-3", {"filter": [{}]}, {"filter": [{}], "concept": [{}]}),
    ("ValueSet.expansion.contains", "vsd-6", {"display": "x"}, {"abstract": True}),
    ("ValueSet.expansion.contains", "vsd-9", {"abstract": True}, {"display": "x"}),
    ("ValueSet.expansion.contains", "vsd-10", {"code": "x", "system": "urn:x"}, {"code": "x"}),
]

STATEMENTS = [
    ("CapabilityStatement", "cpb-1", {"rest": [{}]}, {"kind": "instance"}),
    ("CapabilityStatement", "cpb-2", {"software": {}}, {"kind": "instance"}),
    (
        "CapabilityStatement",
        "cpb-3",
        {"kind": "instance", "messaging": [{"endpoint": [{}]}]},
        {"kind": "capability", "messaging": [{"endpoint": [{}]}]},
    ),
    (
        "CapabilityStatement",
        "cpb-7",
        {"document": [{"profile": "a", "mode": "producer"}, {"profile": "a", "mode": "consumer"}]},
        {"document": [{"profile": "a", "mode": "producer"}, {"profile": "a", "mode": "producer"}]},
    ),
    ("CapabilityStatement", "cpb-14", {"kind": "instance", "implementation": {}}, {"kind": "instance"}),
    ("CapabilityStatement", "cpb-15", {"kind": "capability", "software": {}}, {"kind": "capability"}),
    ("CapabilityStatement", "cpb-16", {"kind": "requirements"}, {"kind": "requirements", "software": {}}),
    (
        "CapabilityStatement.rest",
        "cpb-9",
        {"resource": [{"type": "Task"}]},
        {"resource": [{"type": "Task"}, {"type": "Task"}]},
    ),
    (
        "CapabilityStatement.rest.resource",
        "cpb-12",
        {"searchParam": [{"name": "_id"}]},
        {"searchParam": [{"name": "_id"}, {"name": "_id"}]},
    ),
    ("SearchParameter", "spd-1", {"xpath": "x", "xpathUsage": "normal"}, {"xpath": "x"}),
    ("SearchParameter", "spd-2", {"type": "reference", "chain": ["x"]}, {"type": "token", "chain": ["x"]}),
    ("OperationDefinition.parameter", "opd-1", {"part": [{}]}, {"name": "x"}),
    (
        "OperationDefinition.parameter",
        "opd-2",
        {"searchType": "token", "type": "string"},
        {"searchType": "token", "type": "uri"},
    ),
    (
        "OperationDefinition.parameter",
        "opd-3",
        {"targetProfile": ["x"], "type": "canonical"},
        {"targetProfile": ["x"], "type": "uri"},
    ),
    (
        "NamingSystem",
        "nsd-1",
        {"kind": "root", "uniqueId": [{"type": "oid"}]},
        {"kind": "root", "uniqueId": [{"type": "uuid"}]},
    ),
    (
        "NamingSystem",
        "nsd-2",
        {"uniqueId": [{"type": "uri", "preferred": True}, {"type": "uri"}]},
        {"uniqueId": [{"type": "uri", "preferred": True}, {"type": "uri", "preferred": True}]},
    ),
    ("Measure", "mea-1", {"group": [{"stratifier": [{"code": {}}]}]}, {"group": [{"stratifier": [{"id": "x"}]}]}),
    ("MeasureReport", "mrp-1", {"type": "summary", "group": [{}]}, {"type": "data-collection", "group": [{}]}),
    (
        "MeasureReport",
        "mrp-2",
        {"group": [{"stratifier": [{"stratum": [{"value": {}}]}]}]},
        {"group": [{"stratifier": [{"stratum": [{"value": {}, "component": [{}]}]}]}]},
    ),
]

CASES = BUNDLES + QUESTIONNAIRES + TERMINOLOGY + STATEMENTS
