"""Whom a team lets in: the readers that the members, those who wait and those who left make."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_server.care.care_team import ACTIVE, COMING, ENDED, PENDING, Member, Team
from fhir_server.care.consents import ConsentState, not_refused, permitted, stated_start
from fhir_server.care.intervals import ALWAYS, covers
from fhir_server.care.parties import SUBJECT, Directory, party_of
from fhir_server.care.programmes import Programme
from fhir_server.care.tasks import fulfils
from fhir_server.fhir.json import Resource
from fhir_server.search.grant import BEGINNING, FOREVER, Reader

ASKED = frozenset({"requested", "received"})
"""The statuses in which a Task waits for its owner's word."""


@dataclass(frozen=True)
class Admission:
    """Whom a circle lets in, and how far.

    `members` read all of the plan while their period lasts, `former` the plan and the team for a time. `pending` are
    engaged, but wait for the person's consent and read nothing by it.
    """

    members: tuple[Reader, ...]
    former: tuple[Reader, ...]
    pending: tuple[str, ...]


def admission(
    team: Team, consents: Sequence[ConsentState], author: str, programme: Programme, now: datetime
) -> Admission:
    """The admission that follows from a team.

    A period that has begun is admitted from its beginning on, whatever the clock says: the clocks of two servers may
    differ by more than a request takes. What the person stated begins when it does, and ends, by itself.
    """

    def begins(member: Member) -> datetime:
        free = SUBJECT in member.roles or member.party == author
        return BEGINNING if free else _begun(member.party, consents, programme, now)

    active, pending = team.parties(ACTIVE), team.parties(PENDING)
    members = [Reader(m.party, begins(m), m.end or FOREVER) for m in team.members if m.state == ACTIVE]
    members += [Reader(m.party, m.start, m.end or FOREVER) for m in team.members if m.state == COMING]
    left = [
        Reader(m.party, until=m.end + programme.read_after_end)
        for m in team.members
        if m.state == ENDED and m.end is not None and m.party not in (*active, *pending)
        if _still_agreed(m.party, consents, author, programme, now)
    ]
    latest = {reader.party: reader for reader in sorted(left, key=lambda reader: reader.until)}
    return Admission(tuple(members), tuple(latest[who] for who in sorted(latest)), pending)


def offered(
    tasks: Iterable[Resource],
    consents: Sequence[ConsentState],
    others: Collection[str],
    programme: Programme,
    directory: Directory,
    now: datetime,
) -> tuple[Reader, ...]:
    """Who is asked to care and sees what the programme names of the person: owners of Tasks not accepted yet.

    `others` are the parties that are in, or kept out. Where the programme requires consent, it bounds this as well.
    """
    if not programme.offer_demographics:
        return ()
    asked = {party_of(task, "owner", directory) for task in tasks if fulfils(task) and task["status"] in ASKED}
    return tuple(
        Reader(who, _begun(who, consents, programme, now) if start <= now else start, end)
        for who in sorted(who for who in asked if who and who not in others)
        for start, end in (permitted(consents, who) if programme.consent_required else ALWAYS)
        if now < end
    )


def _begun(who: str, consents: Sequence[ConsentState], programme: Programme, now: datetime) -> datetime:
    """From when on what has begun lets somebody in."""
    return stated_start(consents, who, now) if programme.consent_required else BEGINNING


def _still_agreed(who: str, consents: Sequence[ConsentState], author: str, programme: Programme, now: datetime) -> bool:
    """A person who withdrew her consent is read by nobody who only was a member once."""
    if not programme.consent_required:
        return True
    agreed = not_refused(consents, who) if who == author else permitted(consents, who)
    return covers(agreed, now)
