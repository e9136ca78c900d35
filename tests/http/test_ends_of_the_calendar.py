"""What lasts for ever, as clients write it, and what begins before all: stored, searched, shown, never a failure."""

import pytest

from tests.http.finding import finds, stored
from tests.http.test_searching import observation
from tests.minimal import minimal
from tests.viewer_visitor import address_of, section_of, signed_in, words_of
from tests.world import Party, World

EVER = ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59.9999999Z")
BEFORE = "0001-01-01T00:00:00+01:00"


@pytest.mark.parametrize("ever", EVER)
def test_what_is_dated_to_the_end_of_time_is_found_there(hosp: Party, patient: str, ever: str) -> None:
    made = stored(hosp, observation(patient, effectiveDateTime=ever))

    assert finds(hosp, made, "date", "9999")
    assert finds(hosp, made, "date", "gt2026")
    assert finds(hosp, made, "date", ever.replace("+", "%2B"))
    assert not finds(hosp, made, "date", "lt2026")


def test_what_is_dated_before_the_first_year_is_found_at_its_beginning(hosp: Party, patient: str) -> None:
    made = stored(hosp, observation(patient, effectiveDateTime=BEFORE))

    assert finds(hosp, made, "date", "lt1900")
    assert finds(hosp, made, "date", "0001-01-01")


@pytest.mark.parametrize("moment", [*EVER, BEFORE.replace("+", "%2B"), "9999", "0001"])
def test_questions_to_the_ends_of_the_calendar_are_answered(hosp: Party, moment: str) -> None:
    patient = hosp.post(minimal("Patient")).body["id"]

    for prefix in ("", "gt", "lt", "ge", "le", "sa", "eb", "ap", "ne"):
        assert hosp.get(f"Patient?_id={patient}&_lastUpdated={prefix}{moment}").status == 200
    for place in ("$everything?_since", "$everything?start", "$everything?end", "_history?_since", "_history?_at"):
        assert hosp.get(f"Patient/{patient}/{place}={moment}").status == 200


def test_an_entry_may_ask_for_what_changed_since_the_ends_of_the_calendar(hosp: Party) -> None:
    patient = hosp.post(minimal("Patient")).body["id"]
    asked = [
        {"request": {"method": "GET", "url": f"Patient/{patient}", "ifModifiedSince": moment}}
        for moment in (*EVER, BEFORE)
    ]

    reply = hosp.transact({"resourceType": "Bundle", "type": "batch", "entry": asked})

    assert [entry["response"]["status"][:3] for entry in reply.body["entry"]] == ["304", "304", "304", "200"]


@pytest.mark.parametrize("ever", EVER)
def test_pages_of_the_viewer_show_what_lasts_for_ever(world: World, ever: str) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    assert case.consent is not None
    assert hosp.change(case.task, restriction={"period": {"end": ever}}).status == 200
    permit = {"type": "permit", "period": {"start": BEFORE, "end": ever}}
    assert hosp.change(case.consent, provision=permit).status == 200
    for moment in (ever, BEFORE):
        plan = hosp.read(case.task)["basedOn"][0]
        made = observation(case.patient, effectiveDateTime=moment, basedOn=[plan])
        assert hosp.post(made).status == 201

    reader = signed_in(world, hosp.reference)
    page = reader.get(address_of(case))

    assert page.status_code == reader.get("/").status_code == 200
    assert "31 December 9999" in words_of(section_of(page, "timeline"))
    assert "Consent In force" in words_of(page.text)


@pytest.mark.parametrize("element", ["start", "end"])
def test_a_consent_to_the_end_of_time_lets_plans_be_opened(world: World, element: str) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    assert case.consent is not None

    changed = hosp.change(case.consent, dateTime=EVER[1], provision={"type": "permit", "period": {element: EVER[1]}})

    assert changed.status == 200
    assert hosp.get(case.plan).status == hosp.get(case.team).status == 200
