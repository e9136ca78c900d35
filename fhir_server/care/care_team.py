"""Who is in: the team of a plan as a pure function of the log of moves, the consents and the custodian's actions.

The same facts give the same team, whatever their order and however often it is computed.
https://hl7.org/fhir/R4/careteam.html
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from fhir_server.care.consents import ConsentState, not_refused, permitted
from fhir_server.care.intervals import ALWAYS, FOREVER, Intervals, common, covers, joined, without
from fhir_server.care.moves import Move
from fhir_server.care.order_states import OPEN as OPEN_ORDER
from fhir_server.care.parties import CUSTODIAN, MEMBER, OWNER, REQUESTER, SUBJECT
from fhir_server.care.programmes import Programme
from fhir_server.care.task_states import CONFERS_MEMBERSHIP
from fhir_server.fhir.dates import instant
from fhir_server.fhir.json import Resource

ACTIVE = "active"
PENDING = "pending"
COMING = "coming"
ENDED = "ended"
REMOVE = "remove"
ADMIT = "admit"
ROLES = (SUBJECT, CUSTODIAN, REQUESTER, OWNER, MEMBER)


@dataclass(frozen=True)
class CustodianAction:
    """The custodian removed a member for cause (until it admits it again), or admitted a party without a Task."""

    party: str
    action: str
    at: datetime


@dataclass(frozen=True)
class Member:
    """One uninterrupted period of one party; `roles` are all that it held in it, in the order of `ROLES`.

    `pending`: engaged since `start`, but the person's consent is missing, so it is no participant. `coming`: the
    consent begins at `start`, which lies ahead. `end` is None while it is open, and may lie ahead when the consent has
    an end.
    """

    party: str
    roles: tuple[str, ...]
    state: str
    start: datetime
    end: datetime | None = None


@dataclass(frozen=True)
class Team:
    """All periods of all members, the person first, then by start."""

    members: tuple[Member, ...]

    def parties(self, *states: str) -> tuple[str, ...]:
        """The parties that have a period in one of `states`, each once."""
        return tuple(dict.fromkeys(member.party for member in self.members if member.state in states))


_Engagements = Mapping[str, Mapping[str, Intervals]]


def team(
    moves: Iterable[Move],
    consents: Sequence[ConsentState],
    custodian_actions: Iterable[CustodianAction],
    author: str,
    subject: str,
    custodian: str,
    *,
    consent_required: bool,
    started: datetime,
    now: datetime,
) -> Team:
    """The team of a plan that `started` then, as it stands at `now`, with every former period.

    The person and the custodian are always in; a requester while an order of its own is open; an owner from the
    acceptance of a Task of somebody else until its end. What is entered in error never counted. When consent is
    required it bounds every period but the person's own; the plan's author needs none until the person refuses or
    withdraws. A removed party stays out until it is admitted again.
    """
    actions = sorted(custodian_actions, key=lambda action: (action.at, action.action))
    engaged = _engagements(moves, actions, subject, custodian, started)
    members: list[Member] = []
    for who, by_role in engaged.items():
        allowed = _allowed(who, consents, author, subject, custodian) if consent_required else ALWAYS
        barred = () if who in (subject, custodian) else _barred(who, actions)
        members += _periods(who, by_role, allowed, barred, now)
    return Team(tuple(sorted(members, key=lambda m: (m.party != subject, m.start, m.party, m.state))))


def removed(custodian_actions: Iterable[CustodianAction], now: datetime) -> frozenset[str]:
    """The parties that the custodian keeps out at `now`."""
    actions = sorted(custodian_actions, key=lambda action: (action.at, action.action))
    return frozenset(who for who in {action.party for action in actions} if covers(_barred(who, actions), now))


def participants(team: Team, programme: Programme) -> list[Resource]:
    """The `CareTeam.participant` elements: every period, also one that is to begin, with the programme's words for the
    roles. So what the team says stays true when a period begins or ends by itself.
    """
    return [_participant(member, programme) for member in team.members if member.state != PENDING]


def _engagements(
    moves: Iterable[Move], actions: Iterable[CustodianAction], subject: str, custodian: str, started: datetime
) -> _Engagements:
    """When each party had a reason to be in, by role; consent and removals are not asked here."""
    spans: dict[str, dict[str, list[tuple[datetime, datetime]]]] = defaultdict(lambda: defaultdict(list))
    spans[subject][SUBJECT].append((started, FOREVER))
    spans[custodian][CUSTODIAN].append((started, FOREVER))
    for item in _by_item(moves):
        for who, role, start, end in _engagements_of(item):
            spans[who][role].append((start, end))
    for who, start, end in _admissions(actions):
        spans[who][MEMBER].append((start, end))
    return {who: {role: joined(found) for role, found in by_role.items()} for who, by_role in spans.items()}


def _by_item(moves: Iterable[Move]) -> list[list[Move]]:
    items: dict[str, list[Move]] = defaultdict(list)
    for move in moves:
        items[move.item].append(move)
    return [found if _is_in_order(found) else sorted(set(found), key=_place) for found in items.values()]


def _is_in_order(moves: Sequence[Move]) -> bool:
    """Whether each move comes after the one before it; the log is asked often, and is so as a rule."""
    return all(one.version < other.version for one, other in pairwise(moves))


def _place(move: Move) -> tuple[int, datetime, str, str]:
    return move.version, move.at, move.to_status, move.actor


def _engagements_of(item: Sequence[Move]) -> list[tuple[str, str, datetime, datetime]]:
    """The (party, role, start, end) that the moves of one Task or order confer."""
    if item[-1].to_status == "entered-in-error":
        return []
    found = []
    open_since: Move | None = None
    for move in item:
        if open_since is None and _begins(move):
            open_since = move
        elif open_since is not None and not _continues(move):
            found.append((open_since, move.at))
            open_since = None
    if open_since is not None:
        found.append((open_since, FOREVER))
    return [(who, role, begin.at, end) for begin, end in found for who, role in _conferred(begin)]


def _begins(move: Move) -> bool:
    """An order engages once it is open; a Task by its acceptance alone, if it asked for a fulfilment by then."""
    return move.confers and move.to_status == "accepted" if move.kind == "task" else _continues(move)


def _continues(move: Move) -> bool:
    return move.to_status in {"task": CONFERS_MEMBERSHIP, "order": OPEN_ORDER}.get(move.kind, frozenset())


def _conferred(begin: Move) -> list[tuple[str, str]]:
    if begin.kind == "order":
        return [(begin.requester, REQUESTER)] if begin.requester else []
    return [(begin.owner, OWNER)] if begin.owner and begin.owner != begin.requester else []


def _admissions(actions: Iterable[CustodianAction]) -> list[tuple[str, datetime, datetime]]:
    return [(who, *span) for who, span in _between(actions, ADMIT, REMOVE)]


def _barred(who: str, actions: Iterable[CustodianAction]) -> Intervals:
    return joined(span for party, span in _between(actions, REMOVE, ADMIT) if party == who)


def _between(actions: Iterable[CustodianAction], first: str, then: str) -> list[tuple[str, tuple[datetime, datetime]]]:
    """For each party the spans from each action `first` to the next action `then`."""
    since: dict[str, datetime] = {}
    spans = []
    for action in actions:
        if action.action == first:
            since.setdefault(action.party, action.at)
        elif action.action == then and action.party in since:
            spans.append((action.party, (since.pop(action.party), action.at)))
    return spans + [(who, (start, FOREVER)) for who, start in since.items()]


def _allowed(who: str, consents: Sequence[ConsentState], author: str, subject: str, custodian: str) -> Intervals:
    if who == subject:
        return ALWAYS
    return not_refused(consents, who) if who == author != custodian else permitted(consents, who)


def _periods(
    who: str, by_role: Mapping[str, Intervals], allowed: Intervals, barred: Intervals, now: datetime
) -> list[Member]:
    engaged = without(joined(span for spans in by_role.values() for span in spans), barred)
    admitted = common(engaged, allowed)
    found = [
        Member(who, _held(by_role, start, end), _state(start, end, now), start, None if end == FOREVER else end)
        for start, end in admitted
    ]
    if covers(engaged, now) and not covers(admitted, now):
        waiting = next((start, end) for start, end in without(engaged, admitted) if start <= now < end)
        found.append(Member(who, _held(by_role, *waiting), PENDING, waiting[0]))
    return found


def _state(start: datetime, end: datetime, now: datetime) -> str:
    return COMING if now < start else ACTIVE if now < end else ENDED


def _held(by_role: Mapping[str, Intervals], start: datetime, end: datetime) -> tuple[str, ...]:
    return tuple(role for role in ROLES if any(a < end and start < b for a, b in by_role.get(role, ())))


def _participant(member: Member, programme: Programme) -> Resource:
    period = {"start": instant(member.start)}
    if member.end is not None:
        period["end"] = instant(member.end)
    return {
        "role": [programme.role(role) for role in member.roles],
        "member": {"reference": member.party},
        "period": period,
    }
