"""For each invariant of coordination, people and the chart: (path, key, what keeps it, what breaks it)."""

from decimal import Decimal

UCUM = "http://unitsofmeasure.org"
IN_ERROR = {
    name: {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{name}", "code": "entered-in-error"}]}
    for name in ("allergyintolerance-verification", "condition-ver-status")
}
RESOLVED = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "resolved"}]}
ACTIVE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}
CODE, OTHER = ({"coding": [{"system": "http://loinc.org", "code": code}]} for code in ("85354-9", "8480-6"))
HOME = {"reference": "Organization/home"}


def _scope(code: str) -> dict[str, object]:
    return {"scope": {"coding": [{"system": "something", "code": code}]}}


CASES = [
    *[
        (type_name, "samen-1", {"status": "active", "intent": "order"}, {"_status": {"id": "x"}, "intent": "order"})
        for type_name in ("CarePlan", "ServiceRequest", "Task")
    ],
    ("CarePlan.activity", "cpl-3", {"reference": {}}, {"reference": {}, "detail": {}}),
    (
        "CareTeam.participant",
        "ctm-1",
        {"member": {"reference": "Practitioner/1"}, "onBehalfOf": HOME},
        {"member": {"reference": "https://samen.example/fhir/Patient/1"}, "onBehalfOf": HOME},
    ),
    (
        "CareTeam.participant",
        "ctm-1",
        {"member": {"display": "unknown"}, "onBehalfOf": HOME},
        {"member": {"type": "Patient"}, "onBehalfOf": HOME},
    ),
    (
        "CareTeam",
        "ctm-1",
        {
            "contained": [{"resourceType": "Practitioner", "id": "p"}],
            "participant": [{"member": {"reference": "#p"}, "onBehalfOf": HOME}],
        },
        {
            "contained": [{"resourceType": "RelatedPerson", "id": "p"}],
            "participant": [{"member": {"reference": "#p"}, "onBehalfOf": HOME}],
        },
    ),
    ("ServiceRequest", "prr-1", {"orderDetail": [{}], "code": {}}, {"orderDetail": [{}]}),
    (
        "Task",
        "inv-1",
        {"authoredOn": "2026-01-01T09:00:00Z", "lastModified": "2026-01-01T09:00:00Z"},
        {"authoredOn": "2026-01-01T09:00:00Z", "lastModified": "2026-01-01T09:00:00+01:00"},
    ),
    ("Task", "inv-1", {"authoredOn": "2026-01-01"}, {"authoredOn": "2026-01-02", "lastModified": "2026-01-01"}),
    ("RequestGroup.action", "rqg-1", {"resource": {}}, {"resource": {}, "action": [{}]}),
    ("RequestGroup.action", "rqg-1", {"action": [{}]}, {"title": "x"}),
    ("Patient.contact", "pat-1", {"name": {}}, {"gender": "female"}),
    ("Organization", "org-1", {"name": "Home"}, {"active": True}),
    ("Organization", "org-2", {"address": [{"use": "work"}]}, {"address": [{"use": "work"}, {"use": "home"}]}),
    ("Organization", "org-3", {"telecom": [{"use": "work"}]}, {"telecom": [{"use": "home"}]}),
    ("AllergyIntolerance", "ait-1", {"clinicalStatus": {}}, {"verificationStatus": ACTIVE}),
    (
        "AllergyIntolerance",
        "ait-2",
        {"verificationStatus": IN_ERROR["allergyintolerance-verification"]},
        {"verificationStatus": IN_ERROR["allergyintolerance-verification"], "clinicalStatus": {}},
    ),
    ("Appointment", "app-2", {"start": "2026", "end": "2026"}, {"start": "2026"}),
    ("Appointment", "app-3", {"status": "proposed"}, {"status": "booked"}),
    (
        "Appointment",
        "app-4",
        {"status": "cancelled", "cancelationReason": {}},
        {"status": "booked", "cancelationReason": {}},
    ),
    ("Appointment.participant", "app-1", {"actor": {}}, {"status": "accepted"}),
    ("AuditEvent.entity", "sev-1", {"name": "x"}, {"name": "x", "query": "AAAA"}),
    (
        "Condition",
        "con-4",
        {"abatementAge": {}, "clinicalStatus": RESOLVED},
        {"abatementAge": {}, "clinicalStatus": ACTIVE},
    ),
    (
        "Condition",
        "con-5",
        {"verificationStatus": IN_ERROR["condition-ver-status"]},
        {"verificationStatus": IN_ERROR["condition-ver-status"], "clinicalStatus": ACTIVE},
    ),
    ("Condition.stage", "con-1", {"summary": {}}, {"type": {}}),
    ("Condition.evidence", "con-2", {"detail": [{}]}, {"id": "x"}),
    ("Consent", "ppc-1", {"policyRule": {}}, {"status": "active"}),
    ("Consent", "ppc-2", {**_scope("patient-privacy"), "patient": {}}, _scope("patient-privacy")),
    ("Consent", "ppc-3", {**_scope("research"), "patient": {}}, _scope("research")),
    ("Consent", "ppc-4", {**_scope("adr"), "patient": {}}, _scope("adr")),
    ("Consent", "ppc-5", {**_scope("treatment"), "patient": {}}, _scope("treatment")),
    ("Goal.target", "gol-1", {"detailString": "x", "measure": {}}, {"detailString": "x"}),
    ("Group", "grp-1", {"actual": True, "member": [{}]}, {"actual": False, "member": [{}]}),
    ("Immunization.education", "imm-1", {"reference": "urn:x"}, {"presentationDate": "2026"}),
    ("List", "lst-1", {"entry": [{}]}, {"entry": [{}], "emptyReason": {}}),
    (
        "List",
        "lst-2",
        {"mode": "changes", "entry": [{"deleted": True}]},
        {"mode": "working", "entry": [{"deleted": True}]},
    ),
    (
        "List",
        "lst-3",
        {"mode": "working", "entry": [{"date": "2026"}]},
        {"mode": "changes", "entry": [{"date": "2026"}]},
    ),
    ("Observation", "obs-6", {"valueString": "x"}, {"valueString": "x", "dataAbsentReason": {}}),
    (
        "Observation",
        "obs-7",
        {"code": CODE, "valueString": "x", "component": [{"code": OTHER}]},
        {"code": CODE, "valueString": "x", "component": [{"code": OTHER}, {"code": CODE}]},
    ),
    ("Observation.referenceRange", "obs-3", {"text": "normal"}, {"type": {}}),
    (
        "RiskAssessment.prediction",
        "ras-1",
        {"probabilityRange": {"low": {"code": "%", "system": UCUM}}},
        {"probabilityRange": {"low": {"value": 3}}},
    ),
    (
        "RiskAssessment.prediction",
        "ras-2",
        {"probabilityDecimal": Decimal("100.0")},
        {"probabilityDecimal": Decimal("100.1")},
    ),
]
