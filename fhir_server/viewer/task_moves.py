"""The history of a Task as its moves: who moved it from which status to which, when and why."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import parse_reference
from fhir_server.viewer.questions import Questions, Version
from fhir_server.viewer.task_rows import Party, party_shown
from fhir_server.viewer.texts import name_of, reason_of
from fhir_server.viewer.words import TASK_STATUSES, Word

HISTORY_SHOWN = 50
_WRITES_SHOWN = "500"

Writers = Mapping[str, Resource]


@dataclass(frozen=True)
class TaskMove:
    """One change of a Task. `before` and `after` are the same word when its status stayed; `new_owner` took it over."""

    at: datetime
    who: Party | None
    before: Word | None
    after: Word
    moved: bool
    reason: str
    new_owner: Party | None = None


def writers(questions: Questions, about: str, references: Sequence[str]) -> Writers:
    """Who wrote which version, by `Type/id/_history/n`, as far as the audit trail is open to the reader.

    It says the reference of the organisation, and of the person where one signed in.
    """
    if not references:
        return {}
    found = questions.search(
        "AuditEvent",
        ("patient", about),
        ("entity", ",".join(references)),
        ("action", "C,U"),
        ("_sort", "-date"),
        ("_count", _WRITES_SHOWN),
    )
    return {
        reference: agent
        for event in found.matches
        for agent in event.get("agent", [])[:1]
        for entity in event.get("entity", [])
        if "/_history/" in (reference := entity.get("what", {}).get("reference", ""))
    }


def task_moves(
    reference: str, versions: Sequence[Version], written_by: Writers, questions: Questions, language: str
) -> list[TaskMove]:
    """The moves of a Task between its versions, newest first; its creation is one of them."""
    oldest_first = sorted(versions, key=lambda version: version.number)
    known = questions.directory(_named(oldest_first, written_by.values()))
    own = questions.actor.parties
    moves = [
        _move(before.content if before else None, after, written_by, reference, known, own, language)
        for before, after in zip([None, *oldest_first[:-1]], oldest_first, strict=True)
        if after.content and (before or after.number == 1)
    ]
    return moves[::-1]


def _move(
    before: Resource | None,
    version: Version,
    written_by: Writers,
    reference: str,
    known: dict[str, Resource],
    own: Collection[str],
    language: str,
) -> TaskMove:
    after = version.content or {}
    old_status = before["status"] if before else None
    moved = old_status != after["status"]
    handed_over = before is not None and before.get("owner") != after.get("owner")
    return TaskMove(
        at=version.at,
        who=writer_shown(written_by.get(f"{reference}/_history/{version.number}"), known, own),
        before=TASK_STATUSES[old_status] if old_status else None,
        after=TASK_STATUSES[after["status"]],
        moved=moved,
        reason=reason_of(after, language) if moved else "",
        new_owner=party_shown(after.get("owner"), known, own, language) if handed_over else None,
    )


def writer_shown(agent: Resource | None, known: dict[str, Resource], own: Collection[str]) -> Party | None:
    """The organisation that wrote, behind the person who signed in for it where there was one."""
    if agent is None:
        return None
    who, beside = str(agent.get("who", {}).get("reference", "")), str(agent.get("altId", ""))
    acted_for = beside if parse_reference(beside) else who
    names = [name_of(known[each]) for each in dict.fromkeys((who, acted_for)) if each in known]
    return Party(", ".join(filter(None, names)), acted_for in own)


def _named(versions: Iterable[Version], agents: Iterable[Resource]) -> list[str]:
    owners = [(version.content or {}).get("owner", {}).get("reference", "") for version in versions]
    return [reference for reference in (*owners, *named_by(agents)) if reference]


def named_by(agents: Iterable[Resource]) -> list[str]:
    """The references by which agents of AuditEvents name persons and organisations."""
    return [name for agent in agents for name in (agent.get("who", {}).get("reference", ""), agent.get("altId", ""))]
