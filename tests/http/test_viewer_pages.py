"""What the pages show, to whom, and what they never show."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from fhir_server.auth.users import SIGNED_IN_SCOPES
from fhir_server.demo.referral import MIA, Parties, Person, referral
from fhir_server.fhir import dates
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import NotFound
from fhir_server.fhir.json import Resource
from fhir_server.store.mongo.store import MongoStore
from fhir_server.viewer.caseload import GROUPS, IN_PROGRESS, OVERDUE, WAITING, portion
from fhir_server.viewer.questions import Questions
from fhir_server.viewer.routes import viewer_routes
from fhir_server.viewer.task_rows import Reading
from tests.viewer_visitor import address_of, proof_in, section_of, signed_in, words_of
from tests.world import Case, Party, World

ZONE = ZoneInfo("Europe/Brussels")


def test_the_caseload_shows_each_task_in_its_group(world: World) -> None:
    hosp, home, begun = world.hospital(), world.party(), _today()
    _refer(world, hosp, home, "Laat", due_in_days=-3)
    _refer(world, hosp, home, "Wacht", due_in_days=4)
    _move(home, _refer(world, hosp, home, "Bezig", due_in_days=4), "received", "accepted")
    _move(home, _refer(world, hosp, home, "Klaar", due_in_days=-9), "received", "accepted", "in-progress", "completed")

    page = signed_in(world, hosp.reference).get("/")

    names = {group: re.findall(r"Mia (\w+)</a>", section_of(page, group)) for group in GROUPS}
    assert names == {"overdue": ["Laat"], "waiting": ["Wacht"], "in-progress": ["Bezig"], "ended": ["Klaar"]}
    late, waiting = (words_of(section_of(page, group)) for group in ("overdue", "waiting"))
    passed = {0, (_today() - begun).days}  # a midnight between a referral and the page makes one day
    assert any(f" {3 + days} days late" in late for days in passed), late
    assert any(f" in {4 - days} days" in waiting for days in passed), waiting
    people = re.findall(r">(\w+, Mia)</a>", section_of(page, "people"))
    assert people == ["Bezig, Mia", "Klaar, Mia", "Laat, Mia", "Wacht, Mia"]


def test_the_row_says_who_must_act_and_marks_the_reader(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    _refer(world, hosp, home, "Wacht", due_in_days=4)

    for reader, marked in ((hosp, False), (home, True)):
        row = section_of(signed_in(world, reader.reference).get("/"), "waiting")
        assert world.operator.read(home.reference)["name"] in words_of(row)
        assert ('class="own"' in row) is marked


def test_nobody_in_care_tells_the_next_step(world: World) -> None:
    page = signed_in(world, world.organization()).get("/")

    assert "Nobody is in your care yet" in words_of(page.text)
    assert "As soon as an organisation refers a person" in words_of(page.text)


@pytest.mark.parametrize("group", [OVERDUE, WAITING, IN_PROGRESS])
def test_a_group_of_any_size_comes_page_by_page_without_loss_or_repeat(world: World, group: str) -> None:
    hosp, home = world.hospital(), world.party()
    days = {OVERDUE: (-5, -1, -3, -2, -4), WAITING: (2, None, 0, None, 1), IN_PROGRESS: (None, 1, 0, None, None)}[group]
    now = dates.now()
    made = {_refer(world, hosp, home, "Lang", due_in_days=due, now=now): due for due in days}
    for task in made if group == IN_PROGRESS else ():
        _move(home, task, "accepted")

    questions, reading = _asking(world, hosp)
    reading = replace(reading, today=now.astimezone(ZONE).date())  # the day of the referrals, though it may be over
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


def test_nothing_of_a_hidden_person_is_on_any_page(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, Person("Geheim", "Verborgen"))
    outsider = signed_in(world, world.organization())
    pages = [
        outsider.get(path) for path in ("/", "/people", *(f"/tasks/{group}" for group in GROUPS), address_of(case))
    ]
    form = {"proof": proof_in(pages[0]), "name": "Verborgen"}
    pages.append(outsider.post("/people", data=form, follow_redirects=True))

    for page in pages:
        assert "Geheim" not in page.text
        assert case.task.removeprefix("Task/") not in page.text


def test_before_acceptance_an_owner_sees_the_task_and_where_the_person_lives_not_who_it_is(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    nurse = signed_in(world, home.reference)

    waiting = section_of(nurse.get("/"), "waiting")

    assert "Name not visible to you" in words_of(waiting)
    assert "9000 Gent" in words_of(waiting)
    assert "Thuisverpleging" in words_of(waiting)
    page = nurse.get(address_of(case))
    assert page.status_code == 200
    assert "9000 Gent" in words_of(page.text)
    assert "show once you accept" in words_of(page.text)
    assert "Gender female" in words_of(page.text)
    for hidden in ("Claes", "Mia", "Lindenlei", "National number", "Born", "Consent", "Care plan", "Care team"):
        assert hidden not in words_of(waiting) + words_of(page.text), hidden


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
    lambda case: address_of(case),
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

    signed_in(world).get(address_of(case))

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
    assert "The database does not answer. Nothing was lost." in words_of(answer.text)


def _refer(
    world: World,
    hosp: Party,
    home: Party,
    family: str,
    *,
    due_in_days: int | None,
    description: str | None = None,
    now: datetime | None = None,
) -> str:
    """The Task of a new referral."""
    bundle = referral(
        (now or dates.now()).astimezone(ZONE),
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


def _move(party: Party, task: str, *statuses: str) -> None:
    for status in statuses:
        reply = party.move(task, status)
        assert reply.status == 200, reply.body


def _today() -> date:
    return dates.now().astimezone(ZONE).date()


def _asking(world: World, party: Party) -> tuple[Questions, Reading]:
    questions = Questions(Actor(organization=party.reference, scopes=SIGNED_IN_SCOPES), world.parts.services)
    return questions, Reading("en", ZONE, questions.moment.astimezone(ZONE).date())
