"""The pages for signing in and out, and for choosing a language."""

from flask import Blueprint, Response, g, make_response, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from fhir_server.audit.events import Occurrence, audit_event
from fhir_server.auth.sessions import Sessions, SignInRefused, TooManyAttempts
from fhir_server.fhir.actor import Actor
from fhir_server.interactions.perform import record_refusal
from fhir_server.interactions.words import Interaction, Services
from fhir_server.search.grant import Stamp
from fhir_server.viewer.visits import ForeignForm, Visits, local_path

SIGN_IN, SIGN_OUT = "sign-in", "sign-out"
SIGN_IN_PATH = "/sign-in"


def add_signing_in(pages: Blueprint, services: Services, sessions: Sessions, visits: Visits) -> None:
    """Add the pages. Signing in, being refused and signing out are in the audit trail like every interaction."""

    @pages.get(SIGN_IN_PATH)
    def sign_in_form() -> AnyResponse:
        if visits.signed_in():
            return redirect("/")
        asked = local_path(request.args.get("next")) != "/"
        return make_response(_form(notice=_("Sign in to see the page that you asked for.") if asked else ""))

    @pages.post(SIGN_IN_PATH)
    def sign_in() -> AnyResponse:
        try:
            visits.check_proof()
        except ForeignForm:
            return make_response(
                _form(_("This page was open for too long, or the browser keeps no cookies. Please sign in again.")), 403
            )
        try:
            session_id = sessions.sign_in(
                request.form.get("username", ""), request.form.get("password", ""), request.remote_addr or ""
            )
        except SignInRefused as refusal:
            record_refusal(Interaction(SIGN_IN), None, services, refusal)
            return make_response(_form(_words(refusal)), 429 if isinstance(refusal, TooManyAttempts) else 403)
        found = sessions.actor_of_session(session_id)
        _record(SIGN_IN, found[0] if found else None, services)
        answer = redirect(local_path(request.form.get("next")))
        visits.open_session(answer, session_id)  # type: ignore[arg-type]
        return answer

    @pages.get("/sign-out")
    @pages.get("/language")
    def address_of_a_form() -> AnyResponse:
        # Where a form's answer stays in the address bar: whoever loads it again asks for a page, and changes nothing.
        return redirect(SIGN_IN_PATH)

    @pages.post("/sign-out")
    def sign_out() -> AnyResponse:
        signed_in, session_id = visits.signed_in(), visits.session_id
        if signed_in and session_id:
            visits.check_proof()
            sessions.sign_out(session_id)
            _record(SIGN_OUT, signed_in[0], services)
        g.signed_in = None
        answer = make_response(_form(notice=_("You have signed out.")))
        visits.close_session(answer)
        answer.headers["Clear-Site-Data"] = '"cache"'
        return answer

    @pages.post("/language")
    def choose_language() -> AnyResponse:
        visits.check_proof()
        answer: Response = redirect(local_path(request.form.get("back")))  # type: ignore[assignment]
        visits.choose_language(answer, request.form.get("language", ""))
        return answer


def _form(problem: str = "", notice: str = "") -> str:
    asked = request.form.get("next") or request.args.get("next")
    return render_template(
        "viewer/sign_in.html",
        problem=problem,
        notice=notice,
        next=local_path(asked),
        username=request.form.get("username", "") if problem else "",
    )


def _words(refusal: SignInRefused) -> str:
    if isinstance(refusal, TooManyAttempts):
        return str(_("There were too many attempts to sign in. Wait a quarter of an hour, then try again."))
    return str(_("The user name or the password is not right. Please try again."))


def _record(interaction: str, actor: Actor | None, services: Services) -> None:
    event = audit_event(services.new_id(), services.clock(), actor, Occurrence(interaction))
    services.store.record_reading(event, Stamp())
