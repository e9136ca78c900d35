"""A real Chromium, and a ward: the application on a port of its own, with people in every state of care."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pymongo import MongoClient
from werkzeug.serving import make_server

from fhir_server.app import web
from fhir_server.demo.cases import LATE, UNDER_WAY, WAITING
from fhir_server.demo.directory import HOME, HOSP, OUT
from fhir_server.demo.referral import MIA, Parties, Person, referral
from fhir_server.demo.story import BODY_WEIGHT
from fhir_server.demo.wording import with_translations
from fhir_server.fhir import dates
from fhir_server.fhir.actor import OPEN_PLANS
from tests.viewer_visitor import PASSWORD, new_user
from tests.world import EVERYTHING, Party, World

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIETLY = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What a page is to show it shows in a moment, and on a busy machine later.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)
# The viewer reckons its days here.
ZONE = ZoneInfo("Europe/Brussels")
MARKUP = "<script>document.title='taken'</script><b>Zwaar</b> & \"druk\""


@dataclass(frozen=True)
class Ward:
    """The running viewer with its people: patients and Tasks by the family name of the person."""

    url: str
    world: World
    clock: Callable[[], datetime]
    patients: dict[str, str]
    tasks: dict[str, str]

    def person(self, family: str) -> str:
        """The address of a person's page."""
        return f"{self.url}/people/{self.patients[family].removeprefix('Patient/')}"


@pytest.fixture(scope="session")
def ward_of_a_day(
    mongo_url: str, mongo_client: MongoClient[dict[str, Any]], database_name: str
) -> Iterator[Callable[[date], Ward]]:
    """The ward whose Tasks are late, or soon due, on that day."""
    made: dict[date, Ward] = {}
    with ExitStack() as opened:

        def of_day(day: date) -> Ward:
            if day not in made:
                made[day] = opened.enter_context(_opened(mongo_url, mongo_client, f"{database_name}_b{len(made)}", day))
            return made[day]

        yield of_day


@pytest.fixture
def ward(ward_of_a_day: Callable[[date], Ward]) -> Ward:
    """The ward of today; a test that goes on past midnight keeps it, the next one has another."""
    return ward_of_a_day(dates.now().astimezone(ZONE).date())


def _clock_of(day: date) -> Callable[[], datetime]:
    """A clock that stays in the day; one of its last hour is an hour slow, so that there is time for the stories."""
    end = datetime.combine(day + timedelta(days=1), time(), ZONE).astimezone(UTC)
    slow = timedelta(hours=1) if end - dates.now() < timedelta(hours=1) else timedelta()
    return lambda: min(dates.now() - slow, end - timedelta(milliseconds=1))


@contextmanager
def _opened(mongo_url: str, mongo_client: MongoClient[dict[str, Any]], name: str, day: date) -> Iterator[Ward]:
    """A server on loopback, told the stories of its people through the FHIR interface."""
    world, clock = World(mongo_url, name), _clock_of(day)
    world.app = web(replace(world.parts, services=replace(world.parts.services, clock=clock)))
    server = make_server("127.0.0.1", 0, world.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield _with_people(Ward(f"http://127.0.0.1:{server.port}", world, clock, {}, {}))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        world.close()
        mongo_client.drop_database(name)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    found = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if found is None:
        pytest.skip("no Chromium: install one, on Debian or Ubuntu with `apt install chromium`")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=list(_QUIETLY), timeout=2 * PATIENCE)
        yield launched
        launched.close()


@pytest.fixture
def visitor(browser: Browser, ward: Ward) -> Iterator[Callable[..., Page]]:
    """`visitor(language="fr", width=390)` is somebody with a browser of her own; scripts are off unless asked for."""
    with ExitStack() as open_contexts:

        def visit(language: str = "en", width: int = 1280, *, scripts: bool = False, **options: Any) -> Page:
            context: BrowserContext = browser.new_context(
                base_url=ward.url,
                locale=language,
                viewport={"width": width, "height": 900},
                java_script_enabled=scripts,
                reduced_motion="reduce",
                **options,
            )
            context.set_default_timeout(PATIENCE)
            open_contexts.callback(context.close)
            return context.new_page()

        yield visit


@pytest.fixture
def case_manager(visitor: Callable[..., Page], ward: Ward) -> Callable[..., Page]:
    """`case_manager(language="fr")` is signed in at the organisation that keeps the plans, and sees the caseload."""

    def enter(language: str = "en", width: int = 1280, **options: Any) -> Page:
        page = visitor(language, width, **options)
        sign_in(page, new_user(ward.world, language=language))
        is_in(page)
        return page

    return enter


def sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    """Fill in the form and send it."""
    page.goto("/sign-in")
    page.locator("#username").fill(username)
    page.locator("#password").fill(password)
    page.locator("main button").click()


def is_in(page: Page) -> None:
    """Wait for the page that follows, until all of it stands there as its style has it."""
    page.locator(".sign-out").wait_for()
    page.wait_for_load_state()


def _with_people(ward: Ward) -> Ward:
    world = ward.world
    hosp = world.party(EVERYTHING, OPEN_PLANS, organization=HOSP.reference)
    home = world.party(EVERYTHING, organization=HOME.reference)
    _refer(ward, hosp, LATE, due_in_days=-3)
    _move(home, ward.tasks["Aerts"], "received", "accepted", "in-progress")
    _refer(ward, hosp, Person("Nele", "Maes", "female", 47, "Brugge", "8000", serial="999"), due_in_days=-1)
    _refer(ward, hosp, WAITING, due_in_days=5)
    _refer(ward, hosp, UNDER_WAY, due_in_days=1)
    _move(home, ward.tasks["Lambert"], "received", "accepted")
    _refer(ward, hosp, Person("Rik", "Wouters", "male", 64, "Antwerpen", "2018"), due_in_days=9)
    home.move(ward.tasks["Wouters"], "rejected", "Geen plaats voor eind volgende maand")
    _refer(ward, hosp, Person("Jan", "Dewulf", "male", 71, "Leuven", "3000", serial="000"), description=MARKUP)
    _refer(ward, hosp, MIA)
    _move(home, ward.tasks["Claes"], "received", "accepted", "in-progress")
    _care_for_mia(ward, hosp, home)
    return ward


def _refer(ward: Ward, hosp: Party, person: Person, *, due_in_days: int = 7, description: str | None = None) -> None:
    bundle = with_translations(referral(ward.clock().astimezone(ZONE), person, Parties(), due_in_days=due_in_days))
    for entry in bundle["entry"]:
        if description and entry["resource"]["resourceType"] == "Task":
            entry["resource"]["description"] = description
            del entry["resource"]["_description"]
    reply = hosp.transact(bundle)
    assert reply.status == 200, reply.body
    found = [re.search(r"((Patient|Task)/[^/]+)/_history", e["response"]["location"]) for e in reply.body["entry"]]
    made = {match[2]: match[1] for match in found if match}
    ward.patients[person.family], ward.tasks[person.family] = made["Patient"], made["Task"]


def _move(party: Party, task: str, *statuses: str) -> None:
    for status in statuses:
        reply = party.move(task, status)
        assert reply.status == 200, reply.body


def _care_for_mia(ward: Ward, hosp: Party, home: Party) -> None:
    """A goal, a visit with its result, a completed Task, and a second order that waits for another organisation."""
    patient, task = ward.patients["Claes"], ward.tasks["Claes"]
    plan = hosp.read(task)["basedOn"][0]["reference"]
    goal = hosp.post(
        {
            "resourceType": "Goal",
            "lifecycleStatus": "active",
            "achievementStatus": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/goal-achievement", "code": "improving"}]
            },
            "description": {"text": "Thuis blijven wonen, met hulp bij het wassen"},
            "subject": {"reference": patient},
            "target": [
                {"measure": {"text": "bezoeken per week"}, "detailQuantity": {"value": 2}, "dueDate": "2027-03-01"}
            ],
        }
    )
    assert goal.status == 201, goal.body
    assert ward.world.custodian.change(plan, goal=[{"reference": f"Goal/{goal.body['id']}"}]).status == 200
    visit = home.post(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": with_translations({"coding": [BODY_WEIGHT], "text": "Lichaamsgewicht"}),
            "subject": {"reference": patient},
            "effectiveDateTime": dates.instant(ward.clock()),
            "performer": [{"reference": HOME.reference}],
            "valueQuantity": {"value": 61.5, "unit": "kg"},
        }
    )
    assert visit.status == 201, visit.body
    _move(home, task, "completed")
    _order_speech_therapy(hosp, patient, plan, ward.clock())


def _order_speech_therapy(hosp: Party, patient: str, plan: str, moment: datetime) -> None:
    order = hosp.post(
        {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "code": {"text": "Logopedie"},
            "subject": {"reference": patient},
            "basedOn": [{"reference": plan}],
            "authoredOn": dates.instant(moment),
            "requester": {"reference": hosp.reference},
        }
    )
    assert order.status == 201, order.body
    task = hosp.post(
        {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "priority": "urgent",
            "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
            "focus": {"reference": f"ServiceRequest/{order.body['id']}"},
            "for": {"reference": patient},
            "basedOn": [{"reference": plan}],
            "requester": {"reference": hosp.reference},
            "owner": {"reference": OUT.reference},
            "restriction": {"period": {"end": moment.astimezone(ZONE).date().isoformat()}},
        }
    )
    assert task.status == 201, task.body
