"""What the page of a person shows: plan, team, Tasks and who moved them, how to reach the person, what was agreed."""

import re
from zoneinfo import ZoneInfo

import pytest

from fhir_server.demo.referral import MIA, Parties, referral
from fhir_server.demo.wording import with_translations
from fhir_server.fhir import dates
from fhir_server.viewer.person import OPEN_TASKS_SHOWN
from tests.access.circle import asked, made, order, task
from tests.viewer_visitor import address_of, section_of, signed_in, words_of
from tests.world import Party, World

CONTACT_ROLES = "http://terminology.hl7.org/CodeSystem/v2-0131"
ZONE = ZoneInfo("Europe/Brussels")


def test_the_person_page_tells_plan_team_tasks_and_who_moved_them(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    _move(home, case.task, "received", "accepted", "in-progress")
    hosp_name, home_name = (world.operator.read(each.reference)["name"] for each in (hosp, home))

    page = signed_in(world).get(address_of(case))

    assert page.status_code == 200
    identity = words_of(page.text.partition('<header class="identity"')[2].partition("</header>")[0])
    assert re.search(r"Mia Claes .* 58 years .* Dutch .* Amyotrophic lateral sclerosis .* In force since", identity)
    assert re.search(
        f"ALS care plan Active .* Thuisverpleging Active .* {hosp_name}", words_of(section_of(page, "plan"))
    )
    history = words_of(section_of(page, "tasks"))
    moves = ["Accepted to In progress", "Received to Accepted", "Requested to Received", "Requested"]
    told = [f"{move} {who}" for move, who in zip(moves, [home_name] * 3 + [hosp_name], strict=True)]
    assert re.search(".*".join(map(re.escape, told)), history), history
    team = words_of(section_of(page, "team"))
    for name, role in ((hosp_name, "Placed an order"), (home_name, "Carries out a task"), ("Mia Claes", "The person")):
        assert f"{name} {role}, since" in team
    assert f"Joined the care team – {home_name}" in words_of(section_of(page, "timeline"))


def test_who_left_the_team_is_shown_as_a_former_member(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    _move(home, case.task, "received", "accepted", "in-progress", "completed")

    team = words_of(section_of(signed_in(world).get(address_of(case)), "team"))

    _, _, former = team.partition("Former members")
    assert world.operator.read(home.reference)["name"] in former


def test_one_day_in_the_team_is_written_once(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    _move(home, case.task, "received", "accepted", "in-progress", "completed")

    _, _, former = words_of(section_of(signed_in(world).get(address_of(case)), "team")).partition("Former members")

    participants = hosp.read(case.team)["participant"]
    [period] = [each["period"] for each in participants if each["member"]["reference"] == home.reference]
    days = {dates.time_range(moment)[0].astimezone(ZONE).date() for moment in period.values()}
    written = " – ".join([r"\d+ \w+ \d{4}"] * len(days))  # two when a midnight passed between joining and leaving
    assert re.search(rf"Carries out a task, {written}$", former), former


def test_whoever_died_is_said_to_have_died_wherever_her_name_stands(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    reader = signed_in(world, hosp.reference)
    assert "Mia Claes 58 years old" in words_of(section_of(reader.get("/"), "waiting"))

    assert hosp.change(case.patient, deceasedDateTime="2026-11").status == 200

    assert "Mia Claes Died" in words_of(section_of(reader.get("/"), "waiting"))
    assert "Died November 2026" in words_of(reader.get(address_of(case)).text)
    assert "years old" not in words_of(reader.get("/").text) + words_of(reader.get(address_of(case)).text)


def test_a_date_is_shown_as_precisely_as_it_was_stated(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    procedure = {
        "resourceType": "Procedure",
        "status": "completed",
        "code": {"text": "Gastrostomy"},
        "subject": {"reference": case.patient},
        "performedDateTime": "2025",
    }
    made(hosp, procedure)
    ordered = made(
        hosp,
        order(
            hosp, case.patient, basedOn=[{"reference": case.plan}], code={"text": "Wheelchair"}, authoredOn="2026-10"
        ),
    )
    made(hosp, task(hosp, home, case.patient, ordered, basedOn=[{"reference": case.plan}]))

    page = signed_in(world).get(address_of(case))

    plan = words_of(section_of(page, "plan"))
    assert re.search(r"Wheelchair Active Order placed by .*, October 2026", plan), plan
    happened = words_of(section_of(page, "timeline"))
    assert re.search(r" 2025 .*Gastrostomy", happened), happened
    assert "January 1, 2025" not in happened


def test_every_order_of_a_plan_is_shown_and_what_is_left_out_is_said(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    at_first = signed_in(world).get(address_of(case)).text
    for _ in range(OPEN_TASKS_SHOWN):
        asked(hosp, home, case)

    page = signed_in(world).get(address_of(case))

    placed = words_of(section_of(page, "plan")).count("Order placed by")
    assert placed == len(hosp.read(case.plan)["activity"]) == OPEN_TASKS_SHOWN + 1
    for told in ("Not all tasks are shown", "Not everything that happened is shown"):
        assert told in page.text
        assert told not in at_first


def test_the_person_page_says_how_to_reach_and_identify_the_person(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    doctor = world.operator.post({"resourceType": "Practitioner", "name": [{"family": "Huys", "given": ["An"]}]})
    assert doctor.status == 201, doctor.body
    told = hosp.change(
        case.patient,
        telecom=[
            {"system": "phone", "value": "+32 9 000 00 01"},
            {"system": "phone", "value": "+32 9 000 00 02", "use": "old"},
            {"system": "url", "value": "https://mia.example"},
        ],
        generalPractitioner=[{"reference": f"Practitioner/{doctor.body['id']}"}],
        contact=[
            {
                "name": {"given": ["Els"], "family": "Claes"},
                "relationship": [{"text": "dochter"}],
                "telecom": [{"system": "phone", "value": "+32 9 000 00 03"}],
            },
            {
                "name": {"given": ["Jan"], "family": "Claes"},
                "relationship": [{"coding": [{"system": CONTACT_ROLES, "code": "C"}]}],
            },
        ],
    )
    assert told.status == 200, told.body

    page = words_of(signed_in(world).get(address_of(case)).text)

    [number] = re.findall(r"National number ([\d.-]+) Gender female Address Lindenlei 12, 9000 Gent", page)
    assert "".join(filter(str.isdigit, number)) == hosp.read(case.patient)["identifier"][0]["value"]
    assert re.fullmatch(r"\d\d\.\d\d\.\d\d-998\.\d\d", number)
    assert "Contact +32 9 000 00 01 Family doctor An Huys Contact person Els Claes dochter +32 9 000 00 03" in page
    assert "Contact person Jan Claes emergency contact" in page
    assert "mia.example" not in page


def test_what_the_parties_noted_on_a_task_is_read_with_who_and_when(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    _move(home, case.task, "received", "accepted")
    notes = [
        {
            "authorReference": {"reference": home.reference},
            "time": "2026-11-20T10:00:00+01:00",
            "text": "Liefst <b>na</b> tien uur.",
        },
        {"authorString": "De dochter", "text": "De sleutel ligt bij de buren."},
    ]
    asking = {"coding": [{"code": "awaiting-information"}]}
    assert home.change(case.task, note=notes, businessStatus=asking).status == 200

    reader = signed_in(world)
    told = words_of(section_of(reader.get(address_of(case)), "tasks"))

    name = world.operator.read(home.reference)["name"]
    assert f"Notes Liefst <b>na</b> tien uur. {name}, 20 November 2026" in told
    assert "De sleutel ligt bij de buren. De dochter History" in told
    assert "Waiting for information" in told
    row = words_of(section_of(signed_in(world, hosp.reference).get("/"), "in-progress"))
    assert row.endswith("Accepted Waiting for information"), row


def test_a_goal_shows_what_is_to_be_reached(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    weight = {"low": {"value": 60, "unit": "kg"}, "high": {"value": 65, "unit": "kg"}}
    goal = hosp.post(
        {
            "resourceType": "Goal",
            "lifecycleStatus": "active",
            "description": {"text": "Gewicht houden"},
            "subject": {"reference": case.patient},
            "target": [{"measure": {"coding": [{"code": "29463-7"}]}, "detailRange": weight, "dueDate": "2027-03"}],
        }
    )
    assert goal.status == 201, goal.body
    assert world.custodian.change(case.plan, goal=[{"reference": f"Goal/{goal.body['id']}"}]).status == 200

    plan = words_of(section_of(signed_in(world).get(address_of(case)), "plan"))

    assert "Gewicht houden Being worked on code 29463-7 – 60–65 kg, by March 2027" in plan


def test_what_parties_wrote_is_shown_in_the_readers_language_where_they_translated_it(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    bundle = with_translations(referral(dates.now(), MIA, Parties(hosp.reference, home.reference)))
    assert hosp.transact(bundle).status == 200

    waiting = words_of(section_of(signed_in(world, hosp.reference, "fr").get("/"), "waiting"))

    assert "Soins infirmiers à domicile Soins infirmiers à domicile : aide aux AVJ, deux fois par semaine" in waiting


def test_a_consent_that_is_withdrawn_is_no_longer_in_force(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    assert case.consent is not None
    reader = signed_in(world, hosp.reference)
    assert "Consent In force" in words_of(reader.get(address_of(case)).text)

    assert hosp.change(case.consent, status="inactive").status == 200

    assert "Consent Not in force" in words_of(reader.get(address_of(case)).text)


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("nl", "Toestemming met beperkingen geregistreerd: geeft nergens inzage in"),
        ("fr", "Consentement limité enregistré : ne donne accès à rien"),
        ("de", "Eingeschränkte Einwilligung erfasst: gewährt keine Einsicht"),
        ("en", "Consent with limits recorded: opens nothing"),
    ],
)
def test_a_consent_that_permits_nothing_is_not_said_to_be_given(world: World, language: str, told: str) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    assert case.consent is not None
    research = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HRESCH"}

    limited = hosp.change(case.consent, provision={"type": "permit", "purpose": [research]})

    assert limited.status == 200, limited.body
    page = signed_in(world, hosp.reference, language).get(address_of(case))
    assert told in words_of(section_of(page, "timeline"))


def test_an_absent_person_and_one_who_may_not_be_read_are_the_same_page(world: World) -> None:
    case = world.case(world.hospital(), world.party())
    outsider = signed_in(world, world.organization())

    hidden, absent = outsider.get(address_of(case)), outsider.get("/people/no-such-person")

    assert hidden.status_code == absent.status_code == 404
    name = address_of(case).removeprefix("/people/")
    assert hidden.text.replace(name, "no-such-person") == absent.text
    assert [h for h in hidden.headers if h[0] != "Content-Length"] == [
        h for h in absent.headers if h[0] != "Content-Length"
    ]


@pytest.mark.parametrize(
    ("language", "diagnosis"),
    [
        ("nl", "Amyotrofe laterale sclerose"),
        ("fr", "Sclérose latérale amyotrophique"),
        ("de", "Amyotrophe Lateralsklerose"),
        ("en", "Amyotrophic lateral sclerosis"),
    ],
)
def test_the_diagnosis_of_the_programme_is_named_in_the_readers_language(
    world: World, language: str, diagnosis: str
) -> None:
    hosp = world.hospital()
    case = world.case(hosp, world.party())

    assert diagnosis in words_of(signed_in(world, language=language).get(address_of(case)).text)
    condition = hosp.read(case.condition)
    written = {**condition["code"], "text": "ALS, bulbair begin"}
    assert hosp.change(case.condition, code=written).status == 200
    page = words_of(signed_in(world, language=language).get(address_of(case)).text)
    assert "ALS, bulbair begin" in page
    assert diagnosis not in page


def _move(party: Party, task: str, *statuses: str) -> None:
    for status in statuses:
        reply = party.move(task, status)
        assert reply.status == 200, reply.body
