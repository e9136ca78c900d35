"""What is returned of a write, as `Prefer: return=` asks: the resource, an OperationOutcome, or neither.

https://hl7.org/fhir/R4/http.html#ops
"""

from dataclasses import replace

from fhir_server.access.scopes import shows_the_written
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.json import Resource, decode, encode
from fhir_server.fhir.outcome import Issue, operation_outcome
from fhir_server.interactions.subsets import part_asked, part_of
from fhir_server.interactions.words import Answer, Interaction

REPRESENTATION, MINIMAL, OUTCOME = "representation", "minimal", "OperationOutcome"

WRITTEN = {
    "created": "was created",
    "updated": "was updated",
    "unchanged": "already had this content",
    "existing": "existed already",
}
_RETURNED = frozenset({"create", "update", "patch"})


def check_part(interaction: Interaction) -> None:
    """Raise MalformedRequest for a part of what is written that cannot be shown, before anything is stored."""
    if interaction.parameters and interaction.type is not None and interaction.name in _RETURNED:
        part_asked([interaction.type], interaction.parameters)


def as_shown(answer: Answer, interaction: Interaction, actor: Actor) -> Answer:
    """The answer; that to a write cut as it asks, or bare when the scopes of the actor do not let it read the type."""
    shows = interaction.type is None or shows_the_written(actor, interaction.name, interaction.type)
    if not shows:
        return replace(answer, body=None)
    if interaction.parameters and answer.stored is not None and is_written(answer):
        return replace(answer, body=part_of(answer.stored, interaction.parameters))
    return answer


def returned(answer: Answer, preference: str | None) -> bytes | None:
    """The body of an answer; the resource unless a write's caller prefers something else."""
    if not is_written(answer) or preference not in {MINIMAL, OUTCOME}:
        return answer.body
    return encode(told(answer)) if preference == OUTCOME else None


def returned_in_entry(answer: Answer, preference: str | None) -> tuple[Resource | None, Resource | None]:
    """The resource and the outcome in a Bundle's response to a write; neither unless its caller prefers one."""
    if not is_written(answer) or answer.stored is None:
        return None, None
    resource = decode(answer.body) if preference == REPRESENTATION and answer.body is not None else None
    return resource, told(answer) if preference == OUTCOME else None


def is_written(answer: Answer) -> bool:
    """Whether the answer is to a write that leaves a resource."""
    return answer.outcome in WRITTEN and answer.stored is not None


def told(answer: Answer) -> Resource:
    """An OperationOutcome that says what became of the write."""
    stored = answer.stored
    text = f"{stored.reference} {WRITTEN[answer.outcome]}; version {stored.version}." if stored else ""
    return operation_outcome([Issue("informational", text, severity="information")])
