"""Elements in which nothing was wrong, so that the same one is not gone through again.

Codes and references come again and again: the category of an Observation, its person and its performer. What was wrong
with one, or what refers to something contained, which is judged with the resource around it, is never kept.
"""

from itertools import count
from typing import Any

from fhir_server.fhir.json import encode
from fhir_server.validation.findings import NONE, Check, Findings, Locals

COME_AGAIN = frozenset({"CodeableConcept", "Coding", "Reference"})
"""The datatypes of the elements that are worth it."""
_LONGEST = 512
_MOST = 2048


class Passed:
    """The elements of one set of checks that passed, as JSON; all are forgotten when they are too many."""

    def __init__(self) -> None:
        self._known: set[tuple[int, bytes]] = set()
        self._numbers = count()

    def remembering(self, check: Check) -> Check:
        """The same check of an element of a resource, which is asked once about each value that passes."""
        number = next(self._numbers)

        def check_again(value: Any, local: Locals) -> Findings:
            if type(value) is not dict and type(value) is not list:
                return check(value, local)
            key = (number, encode(value))
            if key in self._known:
                return NONE
            before = len(local)
            found = check(value, local)
            if not found and len(local) == before and len(key[1]) <= _LONGEST:
                self._keep(key)
            return found

        return check_again

    def _keep(self, key: tuple[int, bytes]) -> None:
        if len(self._known) >= _MOST:
            self._known = set()
        self._known.add(key)
