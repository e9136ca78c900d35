"""What the pages show, to whom, and what they never show."""

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from fhir_server.auth.users import SIGNED_IN_SCOPES
from fhir_server.demo.referral import MIA, Parties, Person, referral
from fhir_server.demo.wording import with_translations
from fhir_server.fhir import dates
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import NotFound
from fhir_server.fhir.json import Resource
from fhir_server.store.mongo.store import MongoStore
from fhir_server.viewer.caseload import GROUPS, IN_PROGRESS, OVERDUE, WAITING, portion
from fhir_server.viewer.questions import Questions
from fhir_server.viewer.routes import viewer_routes
from fhir_server.viewer.task_rows import Reading
from tests.viewer_visitor import proof_in, signed_in
from tests.world import Case, Party, World

ZONE = ZoneInfo("Europe/Brussels")


def test_the_caseload_shows_each_task_in_its_group(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    _refer(world, hosp, home, "Laat", due_in_days=-3)
    _refer(world, hosp, home, "Wacht", due_in_days=4)
    _move(home, _refer(world, hosp, home, "Bezig", due_in_days=4), "received", "accepted")
    _move(home, _refer(world, hosp, home, "Klaar", due_in_days=-9), "received", "accepted", "in-progress", "completed")

    page = signed_in(world, hosp.reference).get("/")

    names = {group: re.findall(r"Mia (\w+)</a>", _section(page, group)) for group in GROUPS}
    assert names == {"overdue": ["Laat"], "waiting": ["Wacht"], "in-progress": ["Bezig"], "ended": ["Klaar"]}
    assert "3 days late" in _text(_section(page, "overdue"))
    assert "in 4 days" in _text(_section(page, "waiting"))
    people = re.findall(r">(\w+, Mia)</a>", _section(page, "people"))
    assert people == ["Bezig, Mia", "Klaar, Mia", "Laat, Mia", "Wacht, Mia"]


def test_the_row_says_who_must_act_and_marks_the_reader(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    _refer(world, hosp, home, "Wacht", due_in_days=4)

    for reader, marked in ((hosp, False), (home, True)):
        row = _section(signed_in(world, reader.reference).get("/"), "waiting")
        assert world.operator.read(home.reference)["name"] in _text(row)
        assert ('class="own"' in row) is marked


def test_nobody_in_care_tells_the_next_step(world: World) -> None:
    page = signed_in(world, world.organization()).get("/")

    assert "Nobody is in your care yet" in _text(page.text)
    assert "As soon as an organisation refers a person" in _text(page.text)


@pytest.mark.parametrize("group", [OVERDUE, WAITING, IN_PROGRESS])
def test_a_group_of_any_size_comes_page_by_page_without_loss_or_repeat(world: World, group: str) -> None:
    hosp, home = world.hospital(), world.party()
    days = {OVERDUE: (-5, -1, -3, -2, -4), WAITING: (2, None, 0, None, 1), IN_PROGRESS: (None, 1, 0, None, None)}[group]
    made = {_refer(world, hosp, home, "Lang", due_in_days=due): due for due in days}
    for task in made if group == IN_PROGRESS else ():
        _move(home, task, "accepted")

    questions, reading = _asking(world, hosp)
    rows, start, pages = [], None, 0
    while pages == 0 or start:
        shown = portion(group, questions, reading, 2, start)
        assert shown.total == (5 if pages == 0 else None)
        rows += shown.rows
        start, pages = shown.next, pages + 1

    assert pages == 3
    assert {f"Task/{row.id}" for row in rows} == set(made)
    dues = [made[f"Task/{row.id}"] for row in rows]
    assert dues == sorted(due for due in dues if due is not None) + [None] * dues.count(None)


@pytest.mark.parametrize("start", ["x", "7.", "0.forged", "-1.", "0.a.b", "²."])
def test_a_place_in_a_list_that_no_page_wrote_is_not_there(world: World, start: str) -> None:
    answer = signed_in(world).get("/tasks/overdue", query_string={"from": start})

    assert answer.status_code == 404


def test_an_unknown_group_is_not_there(world: World) -> None:
    with pytest.raises(NotFound):
        portion("everything", *_asking(world, world.custodian), 2)
    assert signed_in(world).get("/tasks/everything").status_code == 404


def test_the_person_page_tells_plan_team_tasks_and_who_moved_them(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    _move(home, case.task, "received", "accepted", "in-progress")
    hosp_name, home_name = (world.operator.read(each.reference)["name"] for each in (hosp, home))

    page = signed_in(world).get(_address(case))

    assert page.status_code == 200
    identity = _text(page.text.partition('<header class="identity"')[2].partition("</header>")[0])
    assert re.search(r"Mia Claes .* 58 years .* Dutch .* Amyotrophic lateral sclerosis .* In force since", identity)
    assert re.search(f"ALS care plan Active .* Thuisverpleging Active .* {hosp_name}", _text(_section(page, "plan")))
    history = _text(_section(page, "tasks"))
    moves = ["Accepted to In progress", "Received to Accepted", "Requested to Received", "Requested"]
    told = [f"{move} {who}" for move, who in zip(moves, [home_name] * 3 + [hosp_name], strict=True)]
    assert re.search(".*".join(map(re.escape, told)), history), history
    team = _text(_section(page, "team"))
    for name, role in ((hosp_name, "Placed an order"), (home_name, "Carries out a task"), ("Mia Claes", "The person")):
        assert f"{name} {role}, since" in team
    assert f"Joined the care team – {home_name}" in _text(_section(page, "timeline"))


def test_who_left_the_team_is_shown_as_a_former_member(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    _move(home, case.task, "received", "accepted", "in-progress", "completed")

    team = _text(_section(signed_in(world).get(_address(case)), "team"))

    _, _, former = team.partition("Former members")
    assert world.operator.read(home.reference)["name"] in former


def test_one_day_in_the_team_is_written_once(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    _move(home, case.task, "received", "accepted", "in-progress", "completed")

    _, _, former = _text(_section(signed_in(world).get(_address(case)), "team")).partition("Former members")

    assert re.search(r"Carries out a task, \d+ \w+ \d{4}$", former), former


def test_whoever_died_is_said_to_have_died_wherever_her_name_stands(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    reader = signed_in(world, hosp.reference)
    assert "Mia Claes 58 years old" in _text(_section(reader.get("/"), "waiting"))

    assert hosp.change(case.patient, deceasedDateTime="2026-11").status == 200

    assert "Mia Claes Died" in _text(_section(reader.get("/"), "waiting"))
    assert "Died November 2026" in _text(reader.get(_address(case)).text)
    assert "years old" not in _text(reader.get("/").text) + _text(reader.get(_address(case)).text)


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
            }
        ],
    )
    assert told.status == 200, told.body

    page = _text(signed_in(world).get(_address(case)).text)

    [number] = re.findall(r"National number ([\d.-]+) Gender female Address Lindenlei 12, 9000 Gent", page)
    assert "".join(filter(str.isdigit, number)) == hosp.read(case.patient)["identifier"][0]["value"]
    assert re.fullmatch(r"\d\d\.\d\d\.\d\d-998\.\d\d", number)
    assert "Contact +32 9 000 00 01 Family doctor An Huys Contact person Els Claes dochter +32 9 000 00 03" in page
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
    told = _text(_section(reader.get(_address(case)), "tasks"))

    name = world.operator.read(home.reference)["name"]
    assert f"Notes Liefst <b>na</b> tien uur. {name}, 20 November 2026" in told
    assert "De sleutel ligt bij de buren. De dochter History" in told
    assert "Waiting for information" in told
    row = _text(_section(signed_in(world, hosp.reference).get("/"), "in-progress"))
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

    plan = _text(_section(signed_in(world).get(_address(case)), "plan"))

    assert "Gewicht houden Being worked on code 29463-7 – 60–65 kg, by March 2027" in plan


def test_what_parties_wrote_is_shown_in_the_readers_language_where_they_translated_it(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    bundle = with_translations(referral(dates.now(), MIA, Parties(hosp.reference, home.reference)))
    assert hosp.transact(bundle).status == 200

    waiting = _text(_section(signed_in(world, hosp.reference, "fr").get("/"), "waiting"))

    assert "Soins infirmiers à domicile Soins infirmiers à domicile : aide aux AVJ, deux fois par semaine" in waiting


def test_a_consent_that_is_withdrawn_is_no_longer_in_force(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    assert case.consent is not None
    reader = signed_in(world, hosp.reference)
    assert "Consent In force" in _text(reader.get(_address(case)).text)

    assert hosp.change(case.consent, status="inactive").status == 200

    assert "Consent Not in force" in _text(reader.get(_address(case)).text)


def test_an_absent_person_and_one_who_may_not_be_read_are_the_same_page(world: World) -> None:
    case = world.case(world.hospital(), world.party())
    outsider = signed_in(world, world.organization())

    hidden, absent = outsider.get(_address(case)), outsider.get("/people/no-such-person")

    assert hidden.status_code == absent.status_code == 404
    name = _address(case).removeprefix("/people/")
    assert hidden.text.replace(name, "no-such-person") == absent.text
    assert [h for h in hidden.headers if h[0] != "Content-Length"] == [
        h for h in absent.headers if h[0] != "Content-Length"
    ]


def test_nothing_of_a_hidden_person_is_on_any_page(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, Person("Geheim", "Verborgen"))
    outsider = signed_in(world, world.organization())
    pages = [outsider.get(path) for path in ("/", "/people", *(f"/tasks/{group}" for group in GROUPS), _address(case))]
    form = {"proof": proof_in(pages[0]), "name": "Verborgen"}
    pages.append(outsider.post("/people", data=form, follow_redirects=True))

    for page in pages:
        assert "Geheim" not in page.text
        assert case.task.removeprefix("Task/") not in page.text


def test_before_acceptance_an_owner_sees_the_task_and_where_the_person_lives_not_who_it_is(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    nurse = signed_in(world, home.reference)

    waiting = _section(nurse.get("/"), "waiting")

    assert "Name not visible to you" in _text(waiting)
    assert "9000 Gent" in _text(waiting)
    assert "Thuisverpleging" in _text(waiting)
    page = nurse.get(_address(case))
    assert page.status_code == 200
    assert "9000 Gent" in _text(page.text)
    assert "show once you accept" in _text(page.text)
    assert "Gender female" in _text(page.text)
    for hidden in ("Claes", "Mia", "Lindenlei", "National number", "Born", "Consent", "Care plan", "Care team"):
        assert hidden not in _text(waiting) + _text(page.text), hidden


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

    assert diagnosis in _text(signed_in(world, language=language).get(_address(case)).text)
    condition = hosp.read(case.condition)
    written = {**condition["code"], "text": "ALS, bulbair begin"}
    assert hosp.change(case.condition, code=written).status == 200
    page = _text(signed_in(world, language=language).get(_address(case)).text)
    assert "ALS, bulbair begin" in page
    assert diagnosis not in page


def test_markup_in_a_resource_is_shown_as_text(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    markup = "<script>alert('x')</script><img src=x onerror=alert(1)> \" onmouseover=\"alert(2)"
    task = _refer(world, hosp, home, "<b>Vet</b>", due_in_days=2, description=markup)
    home.move(task, "rejected", f"Reden {markup}")
    patient = hosp.read(task)["for"]["reference"]
    reader = signed_in(world, hosp.reference)

    for path in ("/", "/people", f"/people/{patient.removeprefix('Patient/')}"):
        page = reader.get(path)
        assert page.status_code == 200
        assert "&lt;b&gt;Vet&lt;/b&gt;" in page.text
        for raw in ("<script", "<img src=x", '" onmouseover="', "<b>Vet"):
            assert raw not in page.text, path


def test_a_person_is_found_by_name_without_the_name_in_the_address(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    for family in ("Zoekmaar", "Zoë, de", "Anders"):
        _refer(world, hosp, home, family, due_in_days=2)
    reader = signed_in(world, hosp.reference)

    def find(name: str) -> list[str]:
        form = {"proof": proof_in(reader.get("/people")), "name": name}
        page = reader.post("/people", data=form, follow_redirects=True)
        assert name.lower() not in page.request.full_path.lower()
        return [unescape(found) for found in re.findall(r'<a href="/people/[^"]+">([^<]+)</a>', page.text)]

    assert find("zoek") == ["Zoekmaar, Mia"]
    assert find("ZOE") == ["Zoë, de, Mia", "Zoekmaar, Mia"]
    assert find("Zoë, de") == ["Zoë, de, Mia"]
    assert find("niemand") == []


def test_what_was_sought_is_read_from_the_address_by_nobody_else_and_not_after_signing_out(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    _refer(world, hosp, home, "Zoekmaar", due_in_days=2)
    reader, other = signed_in(world, hosp.reference), signed_in(world, hosp.reference)
    found = reader.post("/people", data={"proof": proof_in(reader.get("/people")), "name": "zoek"}).location

    assert 'value="zoek"' in reader.get(found).text
    for address in (found, "/people?find=forged", "/people?find=" + "a." * 4 + "a"):
        answer = other.get(address)
        assert (answer.status_code, answer.location) == (302, "/people"), address


def test_people_come_page_by_page_in_alphabetical_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_server.viewer.routes.PAGE_ROWS", 2)
    hosp, home = world.hospital(), world.party()
    for family in ("Élan", "abts", "Zomer", "Dirks", "Évrard"):
        _refer(world, hosp, home, family, due_in_days=2)
    reader = signed_in(world, hosp.reference)

    found, path = list[str](), "/people"
    while path:
        page = reader.get(path)
        found += re.findall(r'<a href="/people/[^"]+">([^<,]+)', page.text)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = unescape(following[1]) if following else ""

    assert found == ["abts", "Dirks", "Élan", "Évrard", "Zomer"]


PAGES: list[Callable[[Case], str]] = [
    lambda case: "/",
    lambda case: "/tasks/waiting",
    lambda case: "/people",
    lambda case: _address(case),
    lambda case: "/people/nobody",
    lambda case: "/no-such-address",
    lambda case: "/sign-in",
]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_the_headers_that_protect_it(world: World, path: Callable[[Case], str]) -> None:
    hosp = world.hospital()
    case = world.case(hosp, world.party())

    headers = signed_in(world, hosp.reference).get(path(case)).headers

    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_anything_inline_or_from_elsewhere(world: World, path: Callable[[Case], str]) -> None:
    hosp = world.hospital()
    case = world.case(hosp, world.party())

    page = signed_in(world, hosp.reference).get(path(case)).text

    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", page)
    for address in re.findall(r'(?:src|href|action)="([^"]*)"', page):
        assert address.startswith(("/", "#")), address
        assert not address.startswith("//"), address


def test_the_design_is_kept_by_browsers_and_the_pages_are_not(world: World) -> None:
    client = world.app.test_client()
    style = re.search(r'rel="stylesheet" href="([^"]+)"', client.get("/sign-in").text)
    assert style

    answer = client.get(style[1], buffered=True)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=86400"
    assert "Set-Cookie" not in answer.headers


def test_looking_at_a_person_is_in_the_audit_trail(world: World) -> None:
    case = world.case(world.hospital(), world.party())

    signed_in(world).get(_address(case))

    asked = f"AuditEvent?patient={case.patient}&action=R&agent={world.custodian.reference}"
    events = world.custodian.get(asked).entries
    assert any(event["entity"][0]["what"]["reference"] == case.patient for event in events), events


def test_a_database_that_does_not_answer_is_told_in_plain_words(world: World) -> None:
    app = Flask("viewer_without_database", static_folder=None)
    gone = MongoStore("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50", "none", secret=b"none", seconds=0.2)
    app.register_blueprint(
        viewer_routes(
            replace(world.parts.services, store=gone),
            world.parts.sessions,
            time_zone=ZONE.key,
            languages=("en",),
            secure_cookies=False,
        )
    )
    client, cookie = app.test_client(), signed_in(world).get_cookie("samen_session")
    assert cookie is not None
    client.set_cookie("samen_session", cookie.value)

    answer = client.get("/")
    gone.close()

    assert answer.status_code == 503
    assert "The database does not answer. Nothing was lost." in _text(answer.text)


def _refer(
    world: World, hosp: Party, home: Party, family: str, *, due_in_days: int | None, description: str | None = None
) -> str:
    """The Task of a new referral."""
    bundle = referral(
        dates.now().astimezone(ZONE),
        replace(MIA, family=family),
        Parties(hosp.reference, home.reference),
        due_in_days=due_in_days or 0,
    )
    [task] = (entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Task")
    task.update(_described(description))
    if due_in_days is None:
        del task["restriction"]
    reply = hosp.transact(bundle)
    assert reply.status == 200, reply.body
    locations = [entry["response"]["location"] for entry in reply.body["entry"]]
    return next(found[0] for each in locations if (found := re.search(r"Task/[^/]+", each)))


def _described(description: str | None) -> Resource:
    return {"description": description} if description else {}


def _address(case: Case) -> str:
    """The address of the person's page."""
    return f"/people/{case.patient.removeprefix('Patient/')}"


def _move(party: Party, task: str, *statuses: str) -> None:
    for status in statuses:
        reply = party.move(task, status)
        assert reply.status == 200, reply.body


def _asking(world: World, party: Party) -> tuple[Questions, Reading]:
    questions = Questions(Actor(organization=party.reference, scopes=SIGNED_IN_SCOPES), world.parts.services)
    return questions, Reading("en", ZONE, questions.moment.astimezone(ZONE).date())


def _section(page: TestResponse, id: str) -> str:
    found = re.search(rf'<section[^>]* id="{id}".*?</section>', page.text, re.DOTALL)
    assert found, page.text
    return found[0]


def _text(html: str) -> str:
    """The words of a piece of a page, in order."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split()).replace(" ,", ",")
