"""A care team as its members and its former members, and whether the person's consent is in force."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_server.care.consents import consent_state, permitted
from fhir_server.care.intervals import FOREVER
from fhir_server.care.programmes import Programme
from fhir_server.fhir.dates import time_range
from fhir_server.fhir.json import Resource
from fhir_server.viewer.questions import Questions
from fhir_server.viewer.task_rows import Party, party_shown
from fhir_server.viewer.words import roles_of


@dataclass(frozen=True)
class MemberShown:
    """One period of one member; `person` is true for the person whom the plan is for."""

    party: Party
    roles: tuple[str, ...]
    since: datetime | None
    until: datetime | None
    person: bool = False


@dataclass(frozen=True)
class TeamShown:
    """The members now, and those whose period has ended, latest first."""

    name: str
    members: tuple[MemberShown, ...] = ()
    former: tuple[MemberShown, ...] = ()


@dataclass(frozen=True)
class ConsentShown:
    """Whether the reader's organisation is permitted to see the chart now, since when and until when.

    `recorded` is false when nobody recorded any consent.
    """

    in_force: bool
    recorded: bool
    since: datetime | None = None
    until: datetime | None = None


def team_shown(
    team: Resource, questions: Questions, programmes: Sequence[Programme], language: str, about: str
) -> TeamShown:
    """The team, with names as far as they may be read."""
    participants = [each for each in team.get("participant", []) if "member" in each]
    known = questions.directory((each["member"].get("reference", "") for each in participants), about)
    shown = [_member(each, known, questions, programmes, language, about) for each in participants]
    shown = [member for member in shown if member.since is None or member.since <= questions.moment]
    former = [member for member in shown if member.until and member.until <= questions.moment]
    return TeamShown(
        str(team.get("name", "")),
        tuple(member for member in shown if member not in former),
        tuple(sorted(former, key=lambda member: member.until or questions.moment, reverse=True)),
    )


def consent_shown(consents: Iterable[Resource], questions: Questions) -> ConsentShown:
    """What the person's consents say of the reader's organisation now; the rule is that of `care.consents`."""
    found = list(consents)
    states = [consent_state(consent, (), lambda ref: questions.directory([ref]).get(ref)) for consent in found]
    for start, end in permitted(states, questions.actor.author):
        if start <= questions.moment < end:
            return ConsentShown(True, True, start, None if end == FOREVER else end)
    return ConsentShown(False, bool(found))


def _member(
    participant: Resource,
    known: dict[str, Resource],
    questions: Questions,
    programmes: Sequence[Programme],
    language: str,
    about: str,
) -> MemberShown:
    period = participant.get("period", {})
    return MemberShown(
        party=party_shown(participant["member"], known, questions.actor.parties, language) or Party(""),
        roles=tuple(roles_of(participant, programmes, language)),
        since=time_range(period["start"])[0] if period.get("start") else None,
        until=time_range(period["end"])[0] if period.get("end") else None,
        person=participant["member"].get("reference") == about,
    )
