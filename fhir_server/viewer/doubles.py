"""Records that may be about the same person: those with the same national identifier, as far as the reader sees them.

Whoever creates a record is not told that the person is known already. Whoever keeps both plans sees both records, and
is proposed to have them linked; somebody who sees one of them learns nothing of the other.
"""

from collections.abc import Collection
from dataclasses import dataclass

from fhir_server.fhir.json import Resource
from fhir_server.search.escaping import literally
from fhir_server.viewer.questions import Questions
from fhir_server.viewer.texts import name_of

MOST = 5


@dataclass(frozen=True)
class Double:
    """Another record with the same national identifier."""

    id: str
    name: str
    birth_date: str


def doubles(person: Resource, questions: Questions, systems: Collection[str]) -> tuple[Double, ...]:
    """At most `MOST` other records with an identifier of one of `systems` that this person has."""
    own = [each for each in person.get("identifier", []) if each.get("system") in systems and each.get("value")]
    if not own:
        return ()
    asked = ",".join(f"{literally(each['system'])}|{literally(each['value'])}" for each in own)
    found = questions.search("Patient", ("identifier", asked), ("_count", str(MOST + 1))).matches
    others = [each for each in found if each["id"] != person["id"]]
    return tuple(Double(each["id"], name_of(each), each.get("birthDate", "")) for each in others[:MOST])
