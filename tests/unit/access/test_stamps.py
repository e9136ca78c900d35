"""Which readers a resource carries."""

from datetime import UTC, datetime, timedelta

import pytest

from fhir_server.access.stamps import Offer, admitted, by_what_they_show, offer_reader, readers, widest
from fhir_server.search.grant import FOREVER, Grant, Reader, Stamp, admits, first_that_admits

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
HOSP, HOME, CMO = "Organization/hosp", "Organization/home", "Organization/cmo"


def _offer(status: str, ended_at: datetime | None = None, task: str = "Task/1") -> Offer:
    return Offer(task, "ServiceRequest/1", HOME, status, ended_at)


@pytest.mark.parametrize("status", ["requested", "received", "accepted", "in-progress", "on-hold", "ready"])
def test_an_owner_reads_its_open_task_without_end(status: str) -> None:
    assert offer_reader(_offer(status), YEAR) == Reader(HOME, until=FOREVER)


def test_a_draft_shows_its_owner_nothing() -> None:
    assert offer_reader(_offer("draft"), YEAR) is None


@pytest.mark.parametrize("status", ["rejected", "cancelled", "completed", "failed", "entered-in-error"])
def test_an_owner_reads_its_ended_task_for_a_time(status: str) -> None:
    assert offer_reader(_offer(status, NOON), YEAR) == Reader(HOME, until=NOON + YEAR)


def test_an_ended_task_whose_end_is_not_known_shows_its_owner_nothing() -> None:
    assert offer_reader(_offer("completed"), YEAR) is None


def test_a_task_without_owner_offers_nothing() -> None:
    assert offer_reader(Offer("Task/1", None, None, "requested", None), YEAR) is None


@pytest.mark.parametrize(
    ("type_name", "reference", "expected"),
    [
        ("CarePlan", "CarePlan/1", {CMO, "Organization/former"}),
        ("CareTeam", "CareTeam/1", {CMO, "Organization/former"}),
        ("Task", "Task/1", {CMO, HOSP, HOME}),
        ("Task", "Task/2", {CMO, HOSP}),
        ("ServiceRequest", "ServiceRequest/1", {CMO, HOSP, HOME}),
        ("ServiceRequest", "ServiceRequest/2", {CMO, HOSP}),
        ("Goal", "Goal/1", {CMO, HOSP}),
        ("Consent", "Consent/1", {CMO, HOSP}),
    ],
)
def test_members_read_all_former_members_plan_and_team_owners_their_task_and_its_order(
    type_name: str, reference: str, expected: set[str]
) -> None:
    author = None if type_name in {"CarePlan", "CareTeam"} else HOSP
    former = [Reader("Organization/former", until=NOON + YEAR)]

    showing = by_what_they_show([_offer("requested")])

    found = readers(admitted(type_name, author, [Reader(CMO)], former), showing.get(reference, ()), YEAR)

    assert {reader.party for reader in found} == expected


@pytest.mark.parametrize("until", [NOON, NOON + YEAR, NOON + 2 * YEAR, FOREVER])
@pytest.mark.parametrize("status", ["requested", "completed"])
def test_an_owner_who_is_a_member_reads_its_task_as_long_as_either_lets_it(until: datetime, status: str) -> None:
    offer, member = _offer(status, NOON), Reader(HOME, until=until)
    own = offer_reader(offer, YEAR)
    assert own is not None

    assert readers(admitted("Task", HOSP, [member], []), [offer], YEAR) == widest([Reader(HOSP), member, own])


def test_of_two_periods_the_one_that_covers_the_other_is_kept() -> None:
    short, long = Reader(HOME, until=NOON), Reader(HOME)

    assert widest([short, long]) == widest([long, short]) == (long,)


def test_periods_that_do_not_cover_each_other_are_both_kept() -> None:
    early, late = Reader(HOME, until=NOON), Reader(HOME, start=NOON + YEAR)

    assert set(widest([early, late])) == {early, late}


@pytest.mark.parametrize(
    ("moment", "shown"), [(NOON - timedelta(seconds=1), False), (NOON, True), (NOON + YEAR, False)]
)
def test_a_reader_is_admitted_from_its_start_until_before_its_end(moment: datetime, shown: bool) -> None:
    stamp = Stamp(readers=(Reader(HOME, NOON, NOON + YEAR),))

    assert admits(Grant("", readers=(HOME,)), stamp, moment) is shown


def test_a_grant_without_any_condition_admits_nothing() -> None:
    assert not admits(Grant("nothing stated"), Stamp(author=HOSP, readers=(Reader(HOSP),), plans=("1",)), NOON)


def test_the_first_grant_that_admits_gives_the_reason() -> None:
    stamp = Stamp(author=HOSP, plans=("1",))
    grants = [Grant("member", plans=("2",)), Grant("author", authors=(HOSP,)), Grant("open", everyone=True)]

    found = first_that_admits(grants, stamp, NOON)

    assert found is not None
    assert found.reason == "author"
    assert first_that_admits([], stamp, NOON) is None


def test_only_what_is_for_everyone_is_shown_to_everyone() -> None:
    grant = Grant("open", everyone=True)

    assert admits(grant, Stamp(audience="everyone"), NOON)
    assert not admits(grant, Stamp(), NOON)
