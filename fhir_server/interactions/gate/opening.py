"""How a circle opens: a Task that asks to fulfil an order, in no plan yet, opens one when a programme takes it in."""

from collections.abc import Iterable

from fhir_server.access.carrying import READ_BEFORE_ACCEPTANCE
from fhir_server.access.grants import is_circle_kind
from fhir_server.access.types import TYPES
from fhir_server.care.asking import check_new_task
from fhir_server.care.order_states import check_to_be_done
from fhir_server.care.parties import party, party_of
from fhir_server.care.plans import open_plan, opens_plan
from fhir_server.care.programmes import Programme, enrols
from fhir_server.care.routing import route
from fhir_server.care.tasks import focus, fulfils
from fhir_server.fhir.actor import OPEN_PLANS, Actor
from fhir_server.fhir.errors import Forbidden, InvalidWorkflow
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import reference_to
from fhir_server.interactions.gate.working_set import Pending, WorkingSet
from fhir_server.interactions.words import Services
from fhir_server.search.escaping import literally
from fhir_server.search.grant import Reader
from fhir_server.search.parse import parse
from fhir_server.store.values import Circle

_TAKEN_UP = tuple(name for name in TYPES if is_circle_kind(name) and name not in {"Patient", "CarePlan", "CareTeam"})
_MOST = 500


class Opening:
    """Opens the plans that one write calls for."""

    def __init__(self, working: WorkingSet, actor: Actor, services: Services) -> None:
        self.working = working
        self.actor = actor
        self.services = services
        self.opened: dict[str, Circle] = {}

    def place(self, reference: str, pending: Pending) -> None:
        """Give a new Task its plan: the one that it lies in, one opened in this write, or a new one."""
        task = pending.after or {}
        self.check(task)
        patient = task["for"]["reference"]
        if not pending.plans:
            plan = next((circle.plan for circle in self.opened.values() if circle.patient == patient), None)
            self.working.place(reference, (plan or self._open(reference, task, patient),))
        plans = self.working.pending[reference].plans
        after = self.working.pending[reference].after or {}
        if "basedOn" not in after and len(plans) == 1:
            self.working.rewrite(reference, {**after, "basedOn": [{"reference": f"CarePlan/{plans[0]}"}]})

    def check(self, task: Resource) -> None:
        """What is asked of a new Task, and again of a draft that changes."""
        check_new_task(task)
        self._check_order(task)

    def _check_order(self, task: Resource) -> None:
        """Nobody is asked for what is not to be done, nor for an order that contains what is hidden until acceptance.

        Such an order can only have been imported: a client that writes one is refused.
        """
        asked = self.working.resource(focus(task)) if fulfils(task) else None
        if asked is not None:
            check_to_be_done(asked, [task], "Task.focus")
        order = self.working.stored(focus(task)) if focus(task) not in self.working.pending else None
        if order is not None and order.type in READ_BEFORE_ACCEPTANCE and order.stamp.label:
            told = f"{focus(task)} contains what nobody sees before acceptance; store that by itself and refer to it."
            raise InvalidWorkflow(told, "Task.focus", "contained-clinical")

    def _open(self, reference: str, task: Resource, patient: str) -> str:
        """Open a plan for the Task; its id."""
        if not opens_plan(task):
            raise InvalidWorkflow("The Task lies in no plan; name the plan with basedOn.", "Task.basedOn", "no-plan")
        if OPEN_PLANS not in self.actor.scopes:
            raise Forbidden(
                "Your organisation may not open plans; name the plan with basedOn.", "Task.basedOn", "open-plans"
            )
        self.working.tx.guard(patient)
        order = self.working.resource(focus(task)) or {}
        person = self.working.resource(patient) or {}
        programme = self._programme(patient, order)
        requester = party_of(task, "requester", self.working.resource) or self.actor.author
        custodian = self._custodian(programme, person)
        ids = (self.services.new_id(), self.services.new_id())
        plan, team, based = open_plan(task, order, person, programme, requester, custodian, ids, self.working.moment)
        circle = Circle(ids[0], patient, programme.id, requester, custodian, ids[1], (Reader(requester),))
        self.opened[ids[0]] = circle
        for resource in (plan, team):
            self.working.put(reference_to(resource), Pending(None, resource, (ids[0],), None, "POST", consequence=True))
        self.working.rewrite(reference, based)
        self.working.take_up(ids[0], patient, self.actor.author)
        self.working.tx.take_up(ids[0], patient, self.actor.author, _TAKEN_UP, READ_BEFORE_ACCEPTANCE)
        return ids[0]

    def _programme(self, patient: str, order: Resource) -> Programme:
        """The programme whose enrolment rule takes the person in."""
        conditions = list(self._conditions(patient))
        for programme in self.services.programmes.values():
            if enrols(programme, conditions, [order]):
                return programme
        raise InvalidWorkflow(
            "No programme takes this person in: neither an active Condition that you may read nor the order's "
            "reasonCode carries a code of one. Name a plan with basedOn, or state the condition.",
            "Task.basedOn",
            "not-enrolled",
        )

    def _conditions(self, patient: str) -> Iterable[Resource]:
        for pending in self.working.pending.values():
            after = pending.after or {}
            if after.get("resourceType") == "Condition" and after.get("subject", {}).get("reference") == patient:
                yield after
        query = parse(
            "Condition", [("patient", patient)], base_url=self.services.base_url, default_count=_MOST, max_count=_MOST
        )
        grants = self.working.sight.grants("Condition", patient)
        for stored in self.working.tx.search(query, grants, self.working.moment).matches:
            if stored.reference not in self.working.pending:
                yield stored.resource()

    def _custodian(self, programme: Programme, person: Resource) -> str:
        """The case manager's organisation for this person, found by language and region."""
        coding = programme.service_type
        asked = [("service-type", f"{literally(coding.system)}|{literally(coding.code)}")]
        query = parse("HealthcareService", asked, base_url=self.services.base_url, default_count=_MOST, max_count=_MOST)
        grants = self.working.sight.grants("HealthcareService")
        services = [s.resource() for s in self.working.tx.search(query, grants, self.working.moment).matches]
        areas = {
            area["reference"] for service in services for area in service.get("coverageArea", []) if "reference" in area
        }
        locations = {ref: found.resource() for ref, found in self.working.tx.read_many(areas).items()}
        service = route(programme, person, services, locations)
        if service is None:
            raise InvalidWorkflow(
                "No case manager was found for this person's language and region; the directory needs a "
                f"HealthcareService of the type {coding.code} that covers them.",
                "Task.for",
                "no-case-manager",
            )
        return party(reference_to(service), self.working.resource)
