"""Who did what when, for one person: Tasks, orders, consents, results and the team in one line of time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l

from fhir_server.fhir.dates import local, time_range
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import reference_to
from fhir_server.viewer.care_teams import TeamShown
from fhir_server.viewer.consents import consent_word
from fhir_server.viewer.questions import Questions
from fhir_server.viewer.task_moves import TaskMove, Writers, named_by, writer_shown
from fhir_server.viewer.task_rows import Party, TaskRow, party_shown
from fhir_server.viewer.texts import is_vague, order_text, value_text
from fhir_server.viewer.words import Word

EVENTS_SHOWN = 60

_TOLD: dict[str, tuple[str, tuple[str, ...], Any]] = {
    "ServiceRequest": ("order", ("authoredOn",), _l("Order placed")),
    "Consent": ("consent", ("dateTime",), None),
    "Observation": ("result", ("effectiveDateTime", "effectiveInstant", "issued"), _l("Result recorded")),
    "Procedure": ("result", ("performedDateTime", "performedPeriod"), _l("Care given")),
}


@dataclass(frozen=True)
class Event:
    """Something that happened.

    `kind` is a style (task, order, consent, result, team), `what` what it is about, `did` what was done; a Task's move
    also has its statuses. Only the day is known of what is not `timed`; of
    what is `vague` only the month or year, as it is stated.
    """

    at: datetime
    kind: str
    what: str
    did: Any
    who: Party | None = None
    before: Word | None = None
    after: Word | None = None
    note: str = ""
    timed: bool = True
    vague: str = ""

    def day(self, zone: ZoneInfo) -> date:
        """The reader's day on which it happened."""
        return local(self.at, zone).date() if self.timed else self.at.date()


def of_task(row: TaskRow, moves: Iterable[TaskMove]) -> Iterator[Event]:
    """The moves of a Task."""
    for move in moves:
        if move.moved:
            did = _l("Task moved") if move.before else _l("Task created")
            yield Event(move.at, "task", row.what, did, move.who, move.before, move.after, move.reason)
        elif move.new_owner:
            yield Event(move.at, "task", row.what, _l("Task handed over"), move.who, note=move.new_owner.name)


def of_team(team: TeamShown) -> Iterator[Event]:
    """Who joined and who left; the person was there from the beginning."""
    for member in (*team.members, *team.former):
        if member.since and not member.person:
            yield Event(member.since, "team", member.party.name, _l("Joined the care team"))
    for member in team.former:
        if member.until:
            yield Event(member.until, "team", member.party.name, _l("Left the care team"))


def of_records(
    resources: Iterable[Resource], written_by: Writers, questions: Questions, language: str, about: str
) -> Iterator[Event]:
    """Orders, consents and what was found or done, each at its own time, or when it was recorded."""
    found = [resource for resource in resources if resource["resourceType"] in _TOLD]
    writer = {reference_to(each): written_by.get(f"{reference_to(each)}/_history/1") for each in found}
    actors = [each.get("reference", "") for resource in found for each in _performers(resource)]
    known = questions.directory((*actors, *named_by(filter(None, writer.values()))), about)
    own = questions.actor.parties
    for resource in found:
        kind, moments, did = _TOLD[resource["resourceType"]]
        stated = _stated(resource, moments)
        performers = [party_shown(element, known, own, language) for element in _performers(resource)]
        yield Event(
            at=time_range(stated)[0],
            kind=kind,
            what=order_text(resource, language),
            did=did or consent_word(resource, lambda named: questions.directory([named]).get(named)),
            who=next(iter(performers), None) or writer_shown(writer[reference_to(resource)], known, own),
            note=value_text(resource, language) if resource["resourceType"] == "Observation" else "",
            timed="T" in stated,
            vague=stated if is_vague(stated) else "",
        )


def newest_days(events: Iterable[Event], zone: ZoneInfo, count: int = EVENTS_SHOWN) -> list[tuple[date, list[Event]]]:
    """The last `count` events by the reader's day, newest first."""
    newest_first = sorted(events, key=lambda event: (event.day(zone), not event.vague, event.at), reverse=True)[:count]
    return [
        (day, list(of_day))
        for (day, _vague), of_day in groupby(newest_first, lambda event: (event.day(zone), event.vague))
    ]


def _stated(resource: Resource, moments: Iterable[str]) -> str:
    """When it happened as the resource states it, else when it was last written here."""
    stated = next((resource[element] for element in moments if element in resource), None)
    if isinstance(stated, dict):
        stated = stated.get("end") or stated.get("start")
    return str(stated or resource["meta"]["lastUpdated"])


def _performers(resource: Resource) -> list[Resource]:
    if resource["resourceType"] == "ServiceRequest":
        return [resource["requester"]] if "requester" in resource else []
    return [each.get("actor", each) for each in resource.get("performer", [])]
