"""What the hospital sends: one transaction with the person, the diagnosis, her consent, the order and the Task."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fhir_server.care.tasks import TASK_CODES
from fhir_server.demo.directory import HOME, HOSP
from fhir_server.demo.identifiers import SSIN, identifier, ssin
from fhir_server.fhir.dates import instant
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import rewrite_references

SNOMED = "http://snomed.info/sct"
ALS = {"system": SNOMED, "code": "86044005", "display": "Amyotrophic lateral sclerosis"}
NURSING = {"system": SNOMED, "code": "9632001", "display": "Nursing procedure"}


@dataclass(frozen=True)
class Person:
    """An invented person: name, gender, age in years, where she lives, which language she speaks."""

    given: str
    family: str
    gender: str = "female"
    age: int = 58
    city: str = "Gent"
    postal_code: str = "9000"
    language: str = "nl"
    serial: str = "998"

    def born(self, today: date) -> date:
        """The birth date that makes the person `age` years old since some weeks."""
        then = today - timedelta(days=40)
        return then.replace(year=then.year - self.age, day=min(then.day, 28))


MIA = Person("Mia", "Claes")


@dataclass(frozen=True)
class Parties:
    """Who asks and who is asked, as references; the demo's own by default."""

    requester: str = HOSP.reference
    owner: str = HOME.reference


def referral(
    now: datetime,
    person: Person = MIA,
    parties: Parties = Parties(),
    *,
    with_consent: bool = True,
    due_in_days: int = 7,
) -> Resource:
    """The Bundle of step 1; without the Consent, nobody but the requester gets to see the chart yet."""
    entries = [
        ("patient", _patient(person, now.date())),
        ("condition", _condition(now)),
        *([("consent", consent("urn:uuid:patient", now, parties.requester))] if with_consent else []),
        ("order", _order(now, parties)),
        ("task", _task(now, parties, due_in_days)),
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [_post(*entry) for entry in entries]}
    return _with_urns(bundle)


def consent(patient: str, now: datetime, organization: str) -> Resource:
    """The person's Consent to share with the care team."""
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0", "display": "Consent Document"}]}],
        "patient": {"reference": patient},
        "dateTime": instant(now),
        "organization": [{"reference": organization}],
        "policyRule": {"text": "Shared with the members of the care team, for as long as they take part."},
        "provision": {"type": "permit"},
    }


def _patient(person: Person, today: date) -> Resource:
    born = person.born(today)
    return {
        "resourceType": "Patient",
        "identifier": [identifier(SSIN, ssin(born, person.serial))],
        "active": True,
        "name": [{"use": "official", "family": person.family, "given": [person.given]}],
        "gender": person.gender,
        "birthDate": born.isoformat(),
        "address": [
            {
                "use": "home",
                "line": ["Lindenlei 12"],
                "city": person.city,
                "postalCode": person.postal_code,
                "country": "BE",
            }
        ],
        "communication": [
            {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": person.language}]}, "preferred": True}
        ],
    }


def _condition(now: datetime) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    return {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"system": system, "code": "active"}]},
        "code": {"coding": [ALS]},
        "subject": {"reference": "urn:uuid:patient"},
        "recordedDate": (now - timedelta(days=9)).date().isoformat(),
    }


def _order(now: datetime, parties: Parties) -> Resource:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"coding": [NURSING], "text": "Thuisverpleging"},
        "subject": {"reference": "urn:uuid:patient"},
        "authoredOn": instant(now),
        "requester": {"reference": parties.requester},
        "performer": [{"reference": parties.owner}],
        "occurrencePeriod": {"start": now.date().isoformat()},
    }


def _task(now: datetime, parties: Parties, due_in_days: int) -> Resource:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK_CODES, "code": "fulfill"}]},
        "description": "Thuisverpleging: hulp bij ADL, tweemaal per week",
        "focus": {"reference": "urn:uuid:order"},
        "for": {"reference": "urn:uuid:patient"},
        "authoredOn": instant(now),
        "lastModified": instant(now),
        "requester": {"reference": parties.requester},
        "owner": {"reference": parties.owner},
        "restriction": {"period": {"end": (now.date() + timedelta(days=due_in_days)).isoformat()}},
    }


def _post(name: str, resource: Resource) -> Resource:
    return {
        "fullUrl": f"urn:uuid:{name}",
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"]},
    }


def _with_urns(bundle: Resource) -> Resource:
    """The Bundle with a real uuid in place of each speaking name."""
    real = {entry["fullUrl"]: f"urn:uuid:{uuid.uuid4()}" for entry in bundle["entry"]}
    for entry in bundle["entry"]:
        entry["fullUrl"] = real[entry["fullUrl"]]
    rewritten: Resource = rewrite_references(bundle, lambda reference: real.get(reference, reference))
    return rewritten
