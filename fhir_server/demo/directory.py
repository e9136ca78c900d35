"""The invented organisations of the demo, and the services that a case manager is found by."""

from dataclasses import dataclass

from fhir_server.care.programmes import Programme
from fhir_server.demo.identifiers import CBE, NIHDI, cbe, identifier, nihdi
from fhir_server.fhir.json import Resource


@dataclass(frozen=True)
class Party:
    """An organisation of the story: its short name, id, name, place and what its client may do."""

    key: str
    id: str
    name: str
    city: str
    number: str
    scopes: tuple[str, ...] = ("system/*.cruds",)

    @property
    def reference(self) -> str:
        """`Organization/id`."""
        return f"Organization/{self.id}"


HOSP = Party(
    "hosp", "demo-uz-aan-de-leie", "UZ aan de Leie", "Gent", "09990101", ("system/*.cruds", "samen/open-plans")
)
HOME = Party("home", "demo-thuiszorg-de-linde", "Thuiszorg De Linde", "Gent", "09990202")
CASEMANAGER = Party(
    "casemanager",
    "demo-als-steunpunt",
    "ALS-Steunpunt België",
    "Leuven",
    "09990303",
    ("system/*.cruds", "samen/open-plans"),
)
OUT = Party(
    "out", "demo-kliniek-elders", "Kliniek Elders", "Brugge", "09990404", ("system/*.cruds", "samen/open-plans")
)
OPERATOR = Party(
    "operator",
    "demo-samen",
    "Samen (operator)",
    "Brussel",
    "09990505",
    ("system/*.cruds", "samen/import", "samen/operate"),
)
PARTIES = (HOSP, HOME, CASEMANAGER, OUT, OPERATOR)

CASE_MANAGER = "demo-lotte-peeters"
REGIONS = {"BE-VLG": ("Vlaanderen", "nl"), "BE-WAL": ("Wallonie", "fr"), "BE-BRU": ("Brussel - Bruxelles", "nl")}


def directory(programme: Programme) -> Resource:
    """The transaction Bundle that an operator loads first: organisations, the case manager, her services by region."""
    resources = [_organization(party) for party in PARTIES]
    resources.append(
        {
            "resourceType": "Practitioner",
            "id": CASE_MANAGER,
            "active": True,
            "name": [{"use": "official", "family": "Peeters", "given": ["Lotte"]}],
            "communication": [{"coding": [{"system": "urn:ietf:bcp:47", "code": "nl"}]}],
        }
    )
    for code, (name, language) in REGIONS.items():
        resources += _service_in(programme, code, name, language)
    return {"resourceType": "Bundle", "type": "transaction", "entry": [_put(resource) for resource in resources]}


def _organization(party: Party) -> Resource:
    return {
        "resourceType": "Organization",
        "id": party.id,
        "identifier": [identifier(CBE, cbe(party.number)), identifier(NIHDI, nihdi(party.number[2:]))],
        "active": True,
        "name": party.name,
        "address": [{"city": party.city, "country": "BE"}],
    }


def _service_in(programme: Programme, region: str, name: str, language: str) -> list[Resource]:
    place = f"demo-region-{region.lower()}"
    languages = [language] if region != "BE-BRU" else ["nl", "fr"]
    return [
        {
            "resourceType": "Location",
            "id": place,
            "identifier": [identifier("urn:iso:std:iso:3166:-2", region)],
            "status": "active",
            "name": name,
            "mode": "instance",
        },
        {
            "resourceType": "HealthcareService",
            "id": f"demo-case-management-{region.lower()}",
            "active": True,
            "providedBy": {"reference": CASEMANAGER.reference},
            "type": [programme.service_type.concept()],
            "name": f"ALS case management, {name}",
            "coverageArea": [{"reference": f"Location/{place}"}],
            "communication": [{"coding": [{"system": "urn:ietf:bcp:47", "code": code}]} for code in languages],
        },
    ]


def _put(resource: Resource) -> Resource:
    address = f"{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": f"urn:samen:{address}", "resource": resource, "request": {"method": "PUT", "url": address}}
