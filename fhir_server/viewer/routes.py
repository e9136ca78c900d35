"""The addresses of the viewer. A page never decides a rule: it asks the interactions as the person who signed in."""

import hashlib
import logging
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, g, make_response, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import NotFound as NoSuchAddress
from werkzeug.wrappers import Response as AnyResponse

from fhir_server.auth.sessions import Sessions
from fhir_server.fhir.errors import FhirError, Gone, MalformedRequest, NotFound, Unavailable
from fhir_server.interactions.words import Services
from fhir_server.viewer.caseload import GROUPS, portion
from fhir_server.viewer.languages import NAMES, check_catalogues, speak
from fhir_server.viewer.people import people
from fhir_server.viewer.person import person_shown
from fhir_server.viewer.protection import protect
from fhir_server.viewer.questions import Questions
from fhir_server.viewer.sealing import seal, unseal
from fhir_server.viewer.signing_in import SIGN_IN_PATH, add_signing_in
from fhir_server.viewer.task_rows import Reading
from fhir_server.viewer.texts import date_shown, day_shown, is_vague, time_shown
from fhir_server.viewer.visits import ForeignForm, Visits

log = logging.getLogger(__name__)

OVERVIEW_ROWS = 8
OVERVIEW_PEOPLE = 12
PAGE_ROWS = 50

_STATIC = Path(__file__).parent / "static"
_LARGEST_FORM = 16 * 1024
_LONGEST_NAME = 100


class SignInFirst(Exception):
    """The page is for people who signed in."""


def viewer_routes(
    services: Services, sessions: Sessions, *, time_zone: str, languages: Sequence[str], secure_cookies: bool
) -> Blueprint:
    """The blueprint `viewer`, to be mounted at the root. Raises CataloguesMissing when a catalogue is not compiled."""
    check_catalogues(languages)
    zone = ZoneInfo(time_zone)
    visits = Visits(sessions, languages=languages, secure=secure_cookies)
    pages = Blueprint(
        "viewer", __name__, template_folder="templates", static_folder="static", static_url_path="/static"
    )
    pages.record_once(lambda state: speak(state.app, visits.language, time_zone))  # type: ignore[arg-type]
    _add_words(pages, visits, languages)
    _add_pages(pages, services, visits, zone)
    add_signing_in(pages, services, sessions, visits)
    _add_refusals(pages, visits)

    @pages.before_request
    def limit_forms() -> None:
        request.max_content_length = _LARGEST_FORM

    @pages.after_request
    def finish(answer: Response) -> Response:
        visits.keep_visit(answer)
        return protect(answer, is_file=request.endpoint == "viewer.static")

    return pages


def _add_words(pages: Blueprint, visits: Visits, languages: Sequence[str]) -> None:
    """What every template may use, also that of an address which is not the viewer's."""
    offered = {language: NAMES[language] for language in languages}

    @pages.app_context_processor
    def for_every_page() -> dict[str, object]:
        signed_in = visits.signed_in()
        return {
            "user": signed_in[1] if signed_in else None,
            "language": visits.language(),
            "languages": offered,
            "proof": visits.proof,
            "file": _file,
        }

    pages.app_template_filter("day")(day_shown)
    pages.app_template_filter("date_shown")(date_shown)
    pages.app_template_filter("time_shown")(time_shown)
    pages.app_template_test("vague")(is_vague)


def _add_pages(pages: Blueprint, services: Services, visits: Visits, zone: ZoneInfo) -> None:
    programmes = tuple(services.programmes.values())

    def asking() -> tuple[Questions, Reading]:
        signed_in = visits.signed_in()
        if signed_in is None:
            raise SignInFirst
        questions = Questions(signed_in[0], services)
        return questions, Reading(visits.language(), zone, questions.moment.astimezone(zone).date())

    @pages.get("/")
    def caseload() -> str:
        questions, reading = asking()
        groups = [portion(group, questions, reading, OVERVIEW_ROWS) for group in GROUPS]
        listed = people(questions, reading, programmes, OVERVIEW_PEOPLE)
        return render_template("viewer/caseload.html", groups=groups, people=listed, reading=reading, here="caseload")

    @pages.get("/tasks/<group>")
    def tasks(group: str) -> str:
        questions, reading = asking()
        start = request.args.get("from")
        shown = portion(group, questions, reading, PAGE_ROWS, start)
        return render_template("viewer/tasks.html", group=shown, start=start, reading=reading, here="caseload")

    @pages.get("/people")
    def everybody() -> AnyResponse:
        questions, reading = asking()
        start, sealed = request.args.get("from"), request.args.get("find")
        name = unseal(sealed, visits.session_id or "") if sealed else ""
        if name is None:
            return redirect("/people")
        listed = people(questions, reading, programmes, PAGE_ROWS, start=start, name=name)
        page = render_template("viewer/people.html", people=listed, start=start, name=name, here="people")
        return make_response(page)

    @pages.post("/people")
    def find() -> AnyResponse:
        # The name of a person stands sealed in the address, which browsers remember and proxies write down; and the
        # answer has an address, so that going back from a person leads to what was found.
        asking()
        visits.check_proof()
        name = request.form.get("name", "").strip()[:_LONGEST_NAME]
        sealed = {"find": seal(name, visits.session_id or "")} if name else {}
        return redirect("/people" + ("?" + urlencode(sealed) if sealed else ""), HTTPStatus.SEE_OTHER)

    @pages.get("/people/<id>")
    def person(id: str) -> str:
        questions, reading = asking()
        shown = person_shown(id, questions, reading, programmes)
        return render_template("viewer/person.html", shown=shown, reading=reading, zone=zone, here="people")


def _add_refusals(pages: Blueprint, visits: Visits) -> None:
    """Every refusal is a page in plain sentences; what may not be read is the same page as what is not there."""

    @pages.errorhandler(SignInFirst)
    def sign_in_first(_: SignInFirst) -> AnyResponse:
        wanted = request.full_path.rstrip("?") if request.method == "GET" else request.path
        return redirect(SIGN_IN_PATH + ("?" + urlencode({"next": wanted}) if wanted != "/" else ""))

    @pages.errorhandler(NotFound)
    @pages.errorhandler(Gone)
    @pages.errorhandler(MalformedRequest)
    def not_found(_: FhirError) -> AnyResponse:
        return _refusal("not_found", HTTPStatus.NOT_FOUND)

    @pages.errorhandler(ForeignForm)
    def foreign_form(_: ForeignForm) -> AnyResponse:
        return _refusal("foreign_form", HTTPStatus.FORBIDDEN)

    @pages.errorhandler(Unavailable)
    def unavailable(_: Unavailable) -> AnyResponse:
        g.setdefault("signed_in", None)  # the page is not to ask the database again
        return _refusal("unavailable", HTTPStatus.SERVICE_UNAVAILABLE)

    @pages.errorhandler(FhirError)
    @pages.errorhandler(Exception)
    def failed(error: Exception) -> AnyResponse:
        if isinstance(error, HTTPException):
            return _refusal("failed", HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR))
        log.error("a page failed", exc_info=error)
        return _refusal("failed", HTTPStatus.INTERNAL_SERVER_ERROR)

    @pages.app_errorhandler(NoSuchAddress)
    def no_such_address(_: NoSuchAddress) -> AnyResponse:
        answer = _refusal("not_found", HTTPStatus.NOT_FOUND)
        visits.keep_visit(answer)
        return protect(answer, is_file=False)


def _refusal(kind: str, status: HTTPStatus) -> Response:
    return make_response(render_template("viewer/refusal.html", kind=kind, here=""), status)


@cache
def _file(name: str) -> str:
    """The address of a file of the design; it changes with the content, so that no browser keeps an old one."""
    digest = hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
