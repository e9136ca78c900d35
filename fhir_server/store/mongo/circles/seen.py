"""The circles of people as this process saw them last: guesses, to be proved by whatever question goes by them."""

import threading
from collections.abc import Sequence

from fhir_server.store.values import Circle

MOST_PEOPLE = 2000
MOST_OF_ONE = 20


class SeenCircles:
    """All circles about a patient, for those who were asked about last; of people with very many, nothing."""

    def __init__(self, most: int = MOST_PEOPLE) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._seen: dict[str, list[Circle]] = {}

    def about(self, patient: str) -> list[Circle] | None:
        """What was seen last; None when nothing was."""
        return self._seen.get(patient)

    def keep(self, patient: str, circles: Sequence[Circle]) -> None:
        """Remember all circles about the patient, and forget whom nobody asked about for longest."""
        with self._lock:
            self._seen.pop(patient, None)
            if len(circles) <= MOST_OF_ONE:
                self._seen[patient] = list(circles)
            if len(self._seen) > self._most:
                del self._seen[next(iter(self._seen))]
