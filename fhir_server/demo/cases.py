"""A few more people, so that the case manager's list is not empty: late, waiting, under way, without consent."""

from fhir_server.demo.client import FhirClient
from fhir_server.demo.referral import Person, referral
from fhir_server.demo.wording import with_translations
from fhir_server.fhir.dates import instant, now

HEROINES = (
    Person("Mia", "Claes"),
    Person("Rik", "Wouters", "male", 64, "Antwerpen", "2018"),
    Person("Nele", "Maes", "female", 47, "Brugge", "8000", serial="999"),
    Person("Jan", "Dewulf", "male", 71, "Leuven", "3000", serial="000"),
)
LATE = Person("Jef", "Aerts", "male", 69, "Kortrijk", "8500", serial="999")
WAITING = Person("Amina", "El Idrissi", "female", 52, "Brussel", "1000", "fr", serial="999")
UNDER_WAY = Person("Luc", "Lambert", "male", 61, "Namur", "5000", "fr", serial="999")
NO_CONSENT = Person("Greta", "Schmitz", "female", 66, "Eupen", "4700", "de", serial="999")


def add_cases(hosp: FhirClient, home: FhirClient) -> int:
    """Refer four more people; how many."""
    late = _refer(hosp, LATE, due_in_days=-3)
    _move(home, late["Task"], "received", "accepted")
    _refer(hosp, WAITING, due_in_days=5)
    under_way = _refer(hosp, UNDER_WAY, due_in_days=14)
    _move(home, under_way["Task"], "received", "accepted", "in-progress")
    _refer(hosp, NO_CONSENT, with_consent=False)
    return 4


def _refer(hosp: FhirClient, person: Person, *, due_in_days: int = 7, with_consent: bool = True) -> dict[str, str]:
    asked = referral(now(), person, with_consent=with_consent, due_in_days=due_in_days)
    return hosp.transact(with_translations(asked))


def _move(client: FhirClient, task: str, *statuses: str) -> None:
    for status in statuses:
        client.change(task, status=status, lastModified=instant(now()))
