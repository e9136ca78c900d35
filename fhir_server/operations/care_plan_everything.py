"""CarePlan/[id]/$everything: the plan with its team, its people, goals, orders, Tasks, and all that came of them.

An operation of this server's own, after the pattern of Patient/$everything.
"""

from fhir_server.access.grants import is_circle_kind
from fhir_server.access.types import COORDINATION, TYPES
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import NotFound
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.operations.gathering import Fetched, answer_of, everything, wish_of

_FIRST = ("CarePlan", "CareTeam", "Patient", "RelatedPerson")
_OF_A_PLAN = [name for name in TYPES if is_circle_kind(name) and name not in _FIRST]
ORDER = (*_FIRST, *sorted(_OF_A_PLAN, key=lambda name: (TYPES[name].kind != COORDINATION, name)))


def care_plan_everything(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """A page of all that lies in the plan: plan and team first, then what was asked and agreed, then the chart."""
    wish = wish_of(interaction, services, ORDER)
    if interaction.id is None:
        raise NotFound
    sight = Sight.of(actor, services)
    plan, reason = sight.readable(services.reading.read("CarePlan", interaction.id))

    def fetch(type_name: str, cursor: str | None, count: int) -> Fetched:
        if type_name == "CarePlan":
            return [plan] if wish.is_new(plan) else [], None
        grants = sight.grants(type_name, plans=(plan.id,))
        found = services.reading.lying_in(
            plan.id, type_name, grants, sight.moment, after=cursor, since=wish.since, count=count + 1
        )
        return found[:count], found[count - 1].id if len(found) > count else None

    page = everything(plan, wish, ORDER, fetch, sight, services)
    return answer_of(plan, reason, wish, page, services)
