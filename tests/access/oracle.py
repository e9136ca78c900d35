"""What must come, said without asking `access/`: by class of type and kind of actor.

A resource belongs to one plan (see `circle.py`). A type or an interaction that has no row here fails
`test_oracle_is_complete.py`: who adds one says here who may do what with it.
"""

from collections.abc import Mapping

from tests.access.actors import (
    AUTHOR,
    CUSTODIAN,
    ELSEWHERE,
    FORMER,
    KINDS,
    MEMBER,
    NOBODY,
    OFFERED,
    OPERATOR,
    WAITING,
)

PLAN, TEAM, TASK, ORDER, CONSENT, GOAL = "plan", "team", "task", "order", "consent", "goal"
PERSON, CHART, OWNED, OWNED_LIST, ROLES, OPEN, AUDIT = (
    "person",
    "chart",
    "owned",
    "owned about a person",
    "open, stated by clients",
    "open, stated by the operator",
    "audit",
)

CLASSES: Mapping[str, str] = {
    PLAN: "CarePlan",
    TEAM: "CareTeam",
    TASK: "Task",
    ORDER: "ServiceRequest",
    CONSENT: "Consent",
    GOAL: "Goal",
    PERSON: "Patient",
    CHART: """
        AllergyIntolerance Appointment Claim Communication CommunicationRequest Condition DetectedIssue Device
        DeviceRequest DeviceUseStatement DiagnosticReport DocumentReference Encounter EpisodeOfCare ExplanationOfBenefit
        Flag ImagingStudy Immunization MeasureReport MedicationRequest MedicationStatement NutritionOrder Observation
        Procedure Provenance QuestionnaireResponse RelatedPerson RequestGroup RiskAssessment
    """,
    OWNED: "Subscription Binary Group",
    OWNED_LIST: "List",
    ROLES: "Practitioner PractitionerRole Questionnaire",
    OPEN: """
        Organization Location HealthcareService Endpoint PlanDefinition ActivityDefinition Measure Library ValueSet
        CodeSystem ConceptMap StructureDefinition SearchParameter OperationDefinition CapabilityStatement NamingSystem
    """,
    AUDIT: "AuditEvent",
}
CLASS_OF: Mapping[str, str] = {name: kind for kind, names in CLASSES.items() for name in names.split()}

EVERYBODY = frozenset(KINDS) - {NOBODY}
INSIDE = frozenset({MEMBER, AUTHOR, CUSTODIAN})

SEES: Mapping[str, frozenset[str]] = {
    PLAN: INSIDE | {FORMER},
    TEAM: INSIDE | {FORMER},
    TASK: INSIDE | {OFFERED, WAITING},
    ORDER: INSIDE | {OFFERED, WAITING},
    CONSENT: INSIDE,
    GOAL: INSIDE,
    PERSON: INSIDE | {ELSEWHERE},
    CHART: INSIDE,
    OWNED: frozenset({AUTHOR}),
    OWNED_LIST: frozenset({AUTHOR}),
    ROLES: EVERYBODY,
    OPEN: EVERYBODY,
    AUDIT: frozenset({CUSTODIAN}),
}
# Who sees a part of it, by id alone: who is asked for care sees of the person what the programme names.
GLIMPSES: Mapping[str, frozenset[str]] = {PERSON: frozenset({OFFERED})}
CHANGES: Mapping[str, frozenset[str]] = {
    PLAN: INSIDE,
    TEAM: frozenset({CUSTODIAN}),
    TASK: frozenset({AUTHOR, OFFERED, CUSTODIAN, WAITING}),
    ORDER: frozenset({AUTHOR}),
    CONSENT: frozenset({AUTHOR, CUSTODIAN}),
    GOAL: INSIDE,
    PERSON: frozenset({AUTHOR}),
    CHART: frozenset({AUTHOR}),
    OWNED: frozenset({AUTHOR}),
    OWNED_LIST: frozenset({AUTHOR}),
    ROLES: frozenset({AUTHOR, OPERATOR}),
    OPEN: frozenset({OPERATOR}),
    AUDIT: frozenset(),
}
DELETES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(CLASSES, frozenset()),
    OWNED: frozenset({AUTHOR}),
    OWNED_LIST: frozenset({AUTHOR}),
    ROLES: frozenset({OPERATOR}),
    OPEN: frozenset({OPERATOR}),
}
# Who creates one that is about the person; the import scope is not asked what it refers to.
CREATES: Mapping[str, frozenset[str]] = {
    PLAN: frozenset({OPERATOR}),
    TEAM: frozenset({OPERATOR}),
    TASK: INSIDE | {OPERATOR},
    ORDER: INSIDE | {ELSEWHERE, OPERATOR},
    CONSENT: INSIDE | {ELSEWHERE, OPERATOR},
    GOAL: INSIDE | {ELSEWHERE, OPERATOR},
    PERSON: EVERYBODY,
    CHART: INSIDE | {ELSEWHERE, OPERATOR},
    OWNED: EVERYBODY,
    OWNED_LIST: INSIDE | {ELSEWHERE, OPERATOR},
    ROLES: EVERYBODY,
    OPEN: frozenset({OPERATOR}),
    AUDIT: frozenset(),
}
# Who reads all that a new resource of the class refers to, and so is told 403 and not 422 when it may not create it.
REACHES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys((PLAN, TEAM, TASK, CONSENT, ORDER, GOAL, CHART, OWNED_LIST), INSIDE | {ELSEWHERE}),
    **dict.fromkeys((PERSON, OWNED, ROLES, OPEN, AUDIT), EVERYBODY),
    TASK: INSIDE,
}

_OF_ONE = {
    "update": (CHANGES, 200),
    "patch": (CHANGES, 200),
    "delete": (DELETES, 204),
    "Resource-meta-add": (CHANGES, 200),
    "Resource-meta-delete": (CHANGES, 200),
}
_READS = (
    "read",
    "vread",
    "history-instance",
    "Resource-meta",
    "Resource-validate",
    "Patient-everything",
    "CarePlan-everything",
    "Subscription-status",
    "Subscription-events",
)
_OPEN = (
    "search-type",
    "search-system",
    "history-type",
    "history-system",
    "transaction",
    "capabilities",
    "CapabilityStatement-versions",
)
_OPERATORS = ("explain",)  # for the scope samen/operate, which the operator alone has
INTERACTIONS = (*_READS, *_OF_ONE, *_OPEN, *_OPERATORS, "create")
# Operations that few types have, by what stands at their path; at any other type there is no such address.
ONLY_OF: Mapping[str, frozenset[str]] = {
    "CapabilityStatement-versions": frozenset({"CapabilityStatement"}),
    "Patient-everything": frozenset({"Patient", "CarePlan"}),
    "CarePlan-everything": frozenset({"Patient", "CarePlan"}),
    "Subscription-status": frozenset({"Subscription"}),
    "Subscription-events": frozenset({"Subscription"}),
}


def may_see(kind: str, type_name: str) -> bool:
    """Whether an actor of this kind sees the resource of the type in its circle."""
    return kind in SEES[CLASS_OF[type_name]]


def may_glimpse(kind: str, type_name: str) -> bool:
    """Whether an actor of this kind sees a part of the resource, where it may not see the whole."""
    return kind in GLIMPSES.get(CLASS_OF[type_name], ()) and not may_see(kind, type_name)


def expected(interaction: str, kind: str, type_name: str) -> int:
    """The status that `interaction` on the circle's resource of the type must have for an actor of this kind."""
    if kind == NOBODY:
        return 401
    if type_name and type_name not in ONLY_OF.get(interaction, {type_name}):
        return 404
    if interaction in _OPERATORS:
        return 200 if kind == OPERATOR else 403
    if interaction in _OPEN:
        return 200
    named = CLASS_OF[type_name]
    if interaction == "create":
        return 201 if kind in CREATES[named] else 403 if kind in REACHES[named] | {OPERATOR} else 422
    if interaction == "read" and may_glimpse(kind, type_name):
        return 200
    if kind not in SEES[named]:
        return 404
    if interaction in _READS:
        return 200
    allowed, done = _OF_ONE[interaction]
    return done if kind in allowed[named] else 403
