"""Patient/[id]/$everything: a person's record, as far as the caller may read it.

https://hl7.org/fhir/R4/operation-patient-everything.html
"""

from fhir_server.access.types import COORDINATION, SERVER_ONLY, TYPES
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.dates import instant
from fhir_server.fhir.errors import NotFound
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.operations.gathering import Fetched, answer_of, everything, wish_of
from fhir_server.search.parse import parse

_ABOUT_A_PERSON = [name for name, rule in TYPES.items() if rule.patient is not None]
ORDER = ("Patient", *sorted(_ABOUT_A_PERSON, key=lambda name: (TYPES[name].kind != COORDINATION, name)))
# Who read what is no part of the record; it is shown when it is asked for by name.
_BY_NAME = tuple(name for name, rule in TYPES.items() if rule.kind == SERVER_ONLY)


def patient_everything(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """A page of all that is about the person: the person first, plans and orders, then the chart."""
    wish = wish_of(interaction, services, ORDER, _BY_NAME)
    if interaction.id is None:
        raise NotFound
    sight = Sight.of(actor, services)
    patient, reason = sight.readable(services.reading.read("Patient", interaction.id))

    def fetch(type_name: str, cursor: str | None, count: int) -> Fetched:
        if type_name == "Patient":
            return [patient] if wish.is_new(patient) else [], None
        asked = [("patient", patient.reference)]
        asked += [("_lastUpdated", f"ge{instant(wish.since)}")] if wish.since else []
        asked += [("_cursor", cursor)] if cursor else []
        query = parse(type_name, asked, base_url=services.base_url, default_count=count, max_count=count)
        page = services.reading.search(query, sight.grants(type_name, patient.reference), sight.moment)
        return page.matches, page.next

    order = (*ORDER, *(name for name in _BY_NAME if name in wish.types))
    page = everything(patient, wish, order, fetch, sight, services)
    return answer_of(patient, reason, wish, page, services)
