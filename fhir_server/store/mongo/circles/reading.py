"""Questions about circles, asked of MongoDB."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from pymongo import ASCENDING

from fhir_server.store.mongo.answering import Answering
from fhir_server.store.mongo.circles.documents import circle_from, keeping
from fhir_server.store.mongo.connection import MoreToCome, asking
from fhir_server.store.mongo.documents import CIRCLES, Document, admitted
from fhir_server.store.values import Circle

_FEW = 50


class CircleReading(Answering):
    """Who is in which plan."""

    def circle(self, plan: str) -> Circle | None:
        """The plan's circle."""
        with asking(self._seconds):
            document = self._collection(CIRCLES).find_one({"_id": plan}, session=self._session)
        return circle_from(document) if document else None

    def circles(
        self,
        *,
        parties: Sequence[str],
        patient: str | None = None,
        plans: Sequence[str] | None = None,
        moment: datetime,
        limit: int,
    ) -> list[Circle]:
        """Circles that have one of `parties` as a member at `moment`, by plan, narrowed to a patient or to plans."""
        narrowed: Document = {}
        if patient is not None:
            narrowed["patient"] = patient
        if plans is not None:
            narrowed["_id"] = plans[0] if len(plans) == 1 else {"$in": list(plans)}
        if patient is not None or (plans is not None and len(plans) <= _FEW):
            # So few that judging them here costs less than choosing among the indexes there.
            found = self._found_circles(narrowed)
            if self._seen_circles is not None and patient is not None and plans is None:
                self._seen_circles.keep(patient, found)
            return [each for each in found if each.admits(parties, moment)][:limit]
        return self._found_circles({"members": admitted(list(parties), moment), **narrowed}, limit)

    def circles_in(self, plans: Sequence[str]) -> list[Circle]:
        """The circles of these plans, those that have one, by plan."""
        return self._found_circles({"_id": {"$in": list(plans)}})

    def keepers(self, plans: Sequence[str], moment: datetime) -> dict[str, str]:
        """Who keeps each of these plans that has a circle; MongoDB says it, since whole circles take long to decode."""
        if self._session is None and plans:
            named = {"find": CIRCLES, "filter": {"_id": {"$in": list(plans)}}, "projection": {"by": keeping(moment)}}
            with asking(self._seconds), suppress(MoreToCome):
                found = self._connection.first_batch({**named, "batchSize": len(plans) + 1})
                return {each["_id"]: each["by"] for each in found}
        return {circle.plan: circle.keeper(moment) for circle in self.circles_in(plans)} if plans else {}

    def plans_kept(self, parties: Sequence[str], moment: datetime, limit: int) -> list[str]:
        """The plans that the parties keep, as one document: whole circles take long to decode."""
        kept = {"members": admitted(list(parties), moment), "custodian": {"$in": list(parties)}}
        together = {"$group": {"_id": None, "plans": {"$push": "$_id"}}}
        with asking(self._seconds):
            circles = self._collection(CIRCLES)
            found = circles.aggregate([{"$match": kept}, {"$limit": limit}, together], session=self._session)
            return [plan for each in found for plan in each["plans"]]

    def circles_about(self, patient: str) -> list[Circle]:
        """Every circle about the patient, by plan."""
        return self._found_circles({"patient": patient})

    def _found_circles(self, condition: Document, limit: int = 0) -> list[Circle]:
        with asking(self._seconds):
            documents = self._few_circles(condition) if not limit else None
            if documents is None:
                found = self._collection(CIRCLES).find(condition, session=self._session, limit=limit)
                documents = list(found.sort("_id", ASCENDING) if limit else found)
        return sorted(map(circle_from, documents), key=lambda circle: circle.plan)

    def _few_circles(self, condition: Document) -> list[Document] | None:
        """The circles asked together with other threads; None when they are not asked so, or are too many for that."""
        if self._session is not None or len(condition) != 1:
            return None
        match condition:
            case {"patient": patient}:
                return self._asked_together().circles_about(patient)
            case {"_id": {"$in": plans}}:
                return self._asked_together().circles_of(plans)
            case {"_id": plan}:
                return self._asked_together().circles_of([plan])
        return None
