"""The circles that one transaction has read or written: its snapshot does not change, so none is read twice."""

from collections.abc import Sequence

from fhir_server.store.values import Circle


class CirclesWithin:
    """Circles as they stand in one transaction, what it wrote before what it read."""

    def __init__(self) -> None:
        self._circles: dict[str, Circle] = {}
        self._people: dict[str, set[str]] = {}

    def put(self, circle: Circle | None) -> Circle | None:
        """Keep what was written, or read for the first time; given back as it came."""
        if circle is not None:
            self._circles[circle.plan] = circle
            if circle.patient in self._people:
                self._people[circle.patient].add(circle.plan)
        return circle

    def put_about(self, patient: str, stored: Sequence[Circle]) -> list[Circle]:
        """Keep all that the database has about a person; how they stand here, by plan."""
        written = {circle.plan for circle in self._circles.values() if circle.patient == patient}
        for circle in stored:
            self._circles.setdefault(circle.plan, circle)
        self._people[patient] = written | {circle.plan for circle in stored}
        return [self._circles[plan] for plan in sorted(self._people[patient])]

    def circle(self, plan: str) -> Circle | None:
        """The plan's circle, when it is known."""
        return self._circles.get(plan)

    def about(self, patient: str) -> list[Circle] | None:
        """Every circle about the person, by plan; None while that was not asked."""
        plans = self._people.get(patient)
        return None if plans is None else [self._circles[plan] for plan in sorted(plans)]

    def those(self, plans: Sequence[str] | None) -> list[Circle] | None:
        """The circles of these plans, by plan; None unless all of them are known."""
        if plans is None or not all(plan in self._circles for plan in plans):
            return None
        return [self._circles[plan] for plan in sorted(set(plans))]
