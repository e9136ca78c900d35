"""Every resource type: its class, whose it is, and what clients may do with it.

One table, read by the gate, by searches, by the CapabilityStatement and by the leak matrix of the tests.
"""

from dataclasses import dataclass

COORDINATION = "coordination"
CHART = "chart"
PARTY_OWNED = "party-owned"
DIRECTORY = "directory"
DEFINITION = "definition"
SERVER_ONLY = "server-only"

CLIENTS = "clients"
OPERATOR = "operator"
NOBODY = "nobody"
AUTHOR = "author"
PARTIES = "parties"


@dataclass(frozen=True)
class TypeRule:
    """What the server knows of a type.

    `patient` is the element that names the person; `chain` are the elements whose targets lead to the plan.
    `creates`, `updates`, `deletes` say who may: clients, the author, the parties that `care/` names, the operator.
    """

    kind: str
    patient: str | None = None
    chain: tuple[str, ...] = ()
    creates: str = CLIENTS
    updates: str = AUTHOR
    deletes: str = OPERATOR


_CHAIN = ("basedOn", "partOf", "focus", "encounter", "target")


def _chart(patient: str, *chain: str) -> TypeRule:
    return TypeRule(CHART, patient, chain or _CHAIN)


def _directory(creates: str = OPERATOR, updates: str = OPERATOR) -> TypeRule:
    return TypeRule(DIRECTORY, creates=creates, updates=updates)


def _definition(creates: str = OPERATOR, updates: str = OPERATOR) -> TypeRule:
    return TypeRule(DEFINITION, creates=creates, updates=updates)


TYPES: dict[str, TypeRule] = {
    "CarePlan": TypeRule(COORDINATION, "subject", creates=OPERATOR, updates=PARTIES),
    "CareTeam": TypeRule(COORDINATION, "subject", creates=OPERATOR, updates=PARTIES),
    "Task": TypeRule(COORDINATION, "for", ("basedOn", "partOf", "focus"), updates=PARTIES),
    "ServiceRequest": TypeRule(COORDINATION, "subject", ("basedOn", "replaces"), updates=PARTIES),
    "Consent": TypeRule(COORDINATION, "patient", updates=PARTIES),
    "Goal": TypeRule(COORDINATION, "subject", updates=PARTIES),
    "Patient": TypeRule(CHART, updates=AUTHOR),
    "RelatedPerson": _chart("patient"),
    "EpisodeOfCare": _chart("patient"),
    "Encounter": _chart("subject"),
    "Condition": _chart("subject"),
    "Observation": _chart("subject"),
    "Procedure": _chart("subject"),
    "RiskAssessment": _chart("subject"),
    "QuestionnaireResponse": _chart("subject"),
    "Communication": _chart("subject"),
    "CommunicationRequest": _chart("subject"),
    "Appointment": _chart("participant.actor"),
    "DocumentReference": _chart("subject"),
    "NutritionOrder": _chart("patient"),
    "DeviceRequest": _chart("subject"),
    "DeviceUseStatement": _chart("subject"),
    "Device": _chart("patient"),
    "MedicationRequest": _chart("subject"),
    "MedicationStatement": _chart("subject"),
    "AllergyIntolerance": _chart("patient"),
    "Immunization": _chart("patient"),
    "DiagnosticReport": _chart("subject"),
    "RequestGroup": _chart("subject"),
    "Flag": _chart("subject"),
    "DetectedIssue": _chart("patient"),
    "MeasureReport": _chart("subject"),
    "Provenance": _chart("target"),
    "Claim": _chart("patient"),
    "ExplanationOfBenefit": _chart("patient"),
    "ImagingStudy": _chart("subject"),
    "Subscription": TypeRule(PARTY_OWNED, deletes=AUTHOR),
    "Binary": TypeRule(PARTY_OWNED, deletes=AUTHOR),
    "List": TypeRule(PARTY_OWNED, "subject", deletes=AUTHOR),
    "Group": TypeRule(PARTY_OWNED, deletes=AUTHOR),
    "Organization": _directory(),
    "Location": _directory(),
    "HealthcareService": _directory(),
    "Endpoint": _directory(),
    "Practitioner": _directory(CLIENTS, AUTHOR),
    "PractitionerRole": _directory(CLIENTS, AUTHOR),
    "Questionnaire": _definition(CLIENTS, AUTHOR),
    "PlanDefinition": _definition(),
    "ActivityDefinition": _definition(),
    "Measure": _definition(),
    "Library": _definition(),
    "ValueSet": _definition(),
    "CodeSystem": _definition(),
    "ConceptMap": _definition(),
    "StructureDefinition": _definition(),
    "SearchParameter": _definition(),
    "OperationDefinition": _definition(),
    "CapabilityStatement": _definition(),
    "NamingSystem": _definition(),
    "AuditEvent": TypeRule(SERVER_ONLY, creates=NOBODY, updates=NOBODY, deletes=NOBODY),
}

VERSIONED_UPDATE = frozenset({"CarePlan", "CareTeam", "Goal", "Task", "ServiceRequest"})


PERSONS = frozenset(name for name, rule in TYPES.items() if rule.kind in {COORDINATION, CHART, PARTY_OWNED})
"""The types whose resources may belong to a person, and go with it."""


def stamped_with_readers(type_name: str) -> bool:
    """Whether stored resources of the type carry the parties that their circle admits."""
    return TYPES[type_name].kind == COORDINATION or type_name == "Patient"
