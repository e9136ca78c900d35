"""What the parties noted on a Task: the words, who wrote them and when.

https://hl7.org/fhir/R4/datatypes.html#Annotation
"""

from dataclasses import dataclass

from fhir_server.fhir.json import Resource
from fhir_server.viewer.questions import Questions
from fhir_server.viewer.task_rows import Party, party_shown


@dataclass(frozen=True)
class Note:
    """An Annotation; `who` is None and `stated` empty where it does not say."""

    text: str
    who: Party | None
    stated: str


def notes_shown(task: Resource, questions: Questions, about: str) -> tuple[Note, ...]:
    """The Task's notes in their order, with the names of their authors as far as they may be read."""
    notes: list[Resource] = task.get("note", [])
    known = questions.directory((note.get("authorReference", {}).get("reference", "") for note in notes), about)
    return tuple(Note(note.get("text", ""), _author(note, known, questions), note.get("time", "")) for note in notes)


def _author(note: Resource, known: dict[str, Resource], questions: Questions) -> Party | None:
    if note.get("authorString"):
        return Party(note["authorString"])
    return party_shown(note.get("authorReference"), known, questions.actor.parties, "")
