"""What the person agreed to: when a plan's members may see the chart, and who may not.

https://hl7.org/fhir/R4/consent.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_server.care.intervals import ALWAYS, BEGINNING, FOREVER, Intervals, common, joined, without
from fhir_server.care.moves import Move
from fhir_server.care.parties import AUTHOR, CUSTODIAN, MEMBER, SUBJECT, Directory
from fhir_server.care.provisions import (
    DENY,
    EVERYONE,
    PERMIT,
    decisions,
    denied_in_words,
    in_force,
    opens_the_chart,
    rejected_parties,
)
from fhir_server.fhir.dates import time_range
from fhir_server.fhir.errors import Forbidden
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import reference_to

RECORDERS = (SUBJECT, AUTHOR, CUSTODIAN, MEMBER)
_WIDENERS = (SUBJECT, CUSTODIAN, MEMBER)


@dataclass(frozen=True)
class Decision:
    """`permit` or `deny` for one party (None: everyone), in the half-open time from `start` to `end`.

    `stated` is when a permit begins by its `provision.period`, whenever it was recorded.
    """

    party: str | None
    word: str
    start: datetime
    end: datetime = FOREVER
    stated: datetime = BEGINNING


@dataclass(frozen=True)
class ConsentState:
    """What one Consent decided over time."""

    reference: str
    decided: tuple[Decision, ...] = ()


def consent_state(consent: Resource, moves: Iterable[Move], directory: Directory) -> ConsentState:
    """What the Consent decided over time, from the log of its moves; its `provision.period` bounds every permit.

    Where the log does not know it, as it stands now, since its own `dateTime`. A permit that goes on in the log is left
    out when the Consent as it stands permits nothing: it was logged when fewer things were taken as limits.
    """
    item = reference_to(consent)
    logged = sorted((move for move in moves if move.item == item), key=lambda move: (move.version, move.at))
    if not logged:
        start = _recorded(consent)
        return _bounded(consent, [Decision(who, word, start) for who, word in decisions(consent, directory).items()])
    spans = [_spans(who, logged, _recorded(consent)) for who in {move.owner for move in logged}]
    opens = in_force(consent) and opens_the_chart(consent)
    kept = [each for spanned in spans for each in spanned if opens or each.word == DENY or each.end < FOREVER]
    return _bounded(consent, kept)


def permitted(consents: Sequence[ConsentState], who: str) -> Intervals:
    """When the person's consents let `who` in; a deny outweighs every permit."""
    permits = joined((d.start, d.end) for d in _speaking_of(consents, who, PERMIT))
    return without(permits, joined((d.start, d.end) for d in _speaking_of(consents, who, DENY)))


def stated_start(consents: Sequence[ConsentState], who: str, now: datetime) -> datetime:
    """When what lets `who` in at `now` begins, as the person stated it: no clock that runs ahead makes that earlier."""
    permits = [d.stated for d in _speaking_of(consents, who, PERMIT) if d.start <= now < d.end]
    return min(permits, default=BEGINNING)


def not_refused(consents: Sequence[ConsentState], who: str) -> Intervals:
    """When a party may stay that needs no consent to begin with.

    Until the first refusal or withdrawal, and whenever a consent permits.
    """
    permits = permitted(consents, who)
    denies = joined((d.start, d.end) for d in _speaking_of(consents, who, DENY))
    ends = [end for _, end in permits] + [start for start, _ in denies]
    until_asked: Intervals = ((BEGINNING, min(ends)),) if ends else ALWAYS
    return joined((*without(until_asked, denies), *permits))


def refused(consents: Iterable[Resource], moves: Iterable[Move], who: str, directory: Directory, now: datetime) -> bool:
    """Whether the person said no to `who`.

    That is a denial of everybody or of that party, or a rejected consent that would have let it in, while no other one
    does or will. To withdraw a consent is not to refuse, and neither is what only closes in doubt: nothing is ended by
    a slip.
    """
    known, logged = list(consents), list(moves)
    denied = {party for consent in known for party in denied_in_words(consent, directory)}
    if denied & {EVERYONE, who}:
        return True
    rejected = {party for consent in known for party in rejected_parties(consent, directory)}
    if not rejected & {EVERYONE, who}:
        return False
    agreed = permitted([consent_state(consent, logged, directory) for consent in known], who)
    return not any(now < end for _, end in agreed)


def check_recorder(roles: frozenset[str]) -> None:
    """Refuse a Consent from whoever would let itself in. Raises Forbidden (`consent-recorder`).

    Only the person, the plan's author, its custodian and its active members record one.
    """
    if not roles.intersection(RECORDERS):
        raise Forbidden(
            "A consent is recorded by the person, or by somebody who already takes part in the plan.",
            "Consent.patient",
            "consent-recorder",
        )


def check_widening(before: Resource, after: Resource, roles: frozenset[str], directory: Directory) -> None:
    """Refuse a change that lets in more than the Consent did, unless it is made by the person or somebody who is in.

    Whoever recorded a Consent may always narrow or withdraw it. Raises Forbidden (`consent-recorder`).
    """
    if _lets_in_more(before, after, directory) and not roles.intersection(_WIDENERS):
        raise Forbidden(
            "Only the person, the plan's custodian or an active member lets in more than this consent did; "
            "you may narrow or withdraw it.",
            "Consent.provision",
            "consent-recorder",
        )


def _lets_in_more(before: Resource, after: Resource, directory: Directory) -> bool:
    old, new = decisions(before, directory), decisions(after, directory)
    permits = any(word == PERMIT and old.get(who) != PERMIT for who, word in new.items())
    lifted = any(word == DENY and new.get(who) != DENY for who, word in old.items())
    return permits or lifted or (PERMIT in new.values() and _period(before) != _period(after))


def _spans(who: str | None, logged: Sequence[Move], recorded: datetime) -> list[Decision]:
    """The decisions about one party, from the log; what stood before the first logged move began when recorded."""
    steps = [move for move in logged if move.owner == who]
    words = [steps[0].from_status, *(step.to_status for step in steps)]
    starts = [min(recorded, steps[0].at), *(step.at for step in steps)]
    ends = [*starts[1:], FOREVER]
    return [
        Decision(who, word, start, max(start, end))
        for word, start, end in zip(words, starts, ends, strict=True)
        if word in (PERMIT, DENY)
    ]


def _period(consent: Resource) -> tuple[datetime, datetime]:
    period = consent.get("provision", {}).get("period", {})
    start = time_range(period["start"])[0] if "start" in period else BEGINNING
    return start, time_range(period["end"])[1] if "end" in period else FOREVER


def _bounded(consent: Resource, found: Iterable[Decision]) -> ConsentState:
    start, end = _period(consent)
    kept = [d for d in found if d.word != PERMIT]
    kept += [
        Decision(d.party, d.word, first, last, start)
        for d in found
        if d.word == PERMIT
        for first, last in common(((d.start, d.end),), ((start, end),))
    ]
    return ConsentState(reference_to(consent), tuple(sorted(kept, key=lambda d: (d.start, d.party or "", d.word))))


def _recorded(consent: Resource) -> datetime:
    stated = consent.get("dateTime") or consent.get("meta", {}).get("lastUpdated")
    return time_range(stated)[0] if stated else BEGINNING


def _speaking_of(consents: Sequence[ConsentState], who: str, word: str) -> list[Decision]:
    return [d for state in consents for d in state.decided if d.party in (EVERYONE, who) and d.word == word]
