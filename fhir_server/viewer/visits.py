"""Who is looking: the sign-in session and the language, each in a cookie; and proof that a form is our own.

Cookies are for this site only, out of reach of scripts, over https only unless the setting for development says so.
"""

import re
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import Response, g, request

from fhir_server.auth.sessions import Sessions, check_csrf, csrf_token
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import Forbidden
from fhir_server.store.mongo.registry import User

_A_YEAR = 365 * 24 * 3600
_LOCAL_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]*")


class ForeignForm(Exception):
    """A form came in that is not one of ours for this browser, or no longer."""


class Visits:
    """Reads and writes the cookies; what one request found out is kept for it."""

    def __init__(self, sessions: Sessions, *, languages: Sequence[str], secure: bool) -> None:
        self._sessions = sessions
        self._languages = tuple(languages)
        self._secure = secure
        # A browser keeps a __Host- cookie to this very host and to https; without https it would refuse it.
        self._prefix = "__Host-" if secure else ""

    def signed_in(self) -> tuple[Actor, User] | None:
        """The person whose session the browser holds."""
        if "signed_in" not in g:
            g.signed_in = self._sessions.actor_of_session(self.session_id)
        found: tuple[Actor, User] | None = g.signed_in
        return found

    @property
    def session_id(self) -> str | None:
        """What the browser holds of a session, whether or not it is still worth something."""
        return request.cookies.get(self._name("session"))

    def language(self) -> str:
        """The language chosen here, else that of the person, else the best that the browser accepts."""
        chosen = request.cookies.get(self._name("language"))
        if chosen in self._languages:
            return str(chosen)
        signed_in = self.signed_in()
        if signed_in and signed_in[1].language in self._languages:
            return signed_in[1].language
        return request.accept_languages.best_match(self._languages) or self._languages[0]

    def proof(self) -> str:
        """What every form of the page carries; the visit's cookie follows with the answer where there is no session."""
        return csrf_token(self._identity() or self._new_visit())

    def check_proof(self) -> None:
        """Raise ForeignForm unless the form that came in is one of ours, for this browser."""
        try:
            check_csrf(self._identity(), request.form.get("proof"))
        except Forbidden as refusal:
            raise ForeignForm from refusal

    def open_session(self, answer: Response, session_id: str) -> None:
        """Let the browser hold a new session."""
        answer.delete_cookie(self._name("visit"), secure=self._secure, httponly=True, samesite="Lax")
        self._set(answer, "session", session_id, int(self._sessions.lifetime.total_seconds()))

    def close_session(self, answer: Response) -> None:
        """Let the browser forget the session."""
        answer.delete_cookie(self._name("session"), secure=self._secure, httponly=True, samesite="Lax")

    def choose_language(self, answer: Response, language: str) -> None:
        """Keep the choice of a language for a year; an unknown one changes nothing."""
        if language in self._languages:
            self._set(answer, "language", language, _A_YEAR)

    def keep_visit(self, answer: Response) -> None:
        """Send the visit's cookie when this request began one."""
        if "new_visit" in g:
            self._set(answer, "visit", g.new_visit, None)

    def _identity(self) -> str | None:
        """What proofs are made from: the living session, else the visit before sign-in."""
        return self.session_id if self.signed_in() else request.cookies.get(self._name("visit"))

    def _new_visit(self) -> str:
        if "new_visit" not in g:
            g.new_visit = secrets.token_urlsafe(32)
        visit: str = g.new_visit
        return visit

    def _set(self, answer: Response, name: str, value: str, seconds: int | None) -> None:
        answer.set_cookie(
            self._name(name), value, max_age=seconds, secure=self._secure, httponly=True, samesite="Lax", path="/"
        )

    def _name(self, name: str) -> str:
        return f"{self._prefix}samen_{name}"


def local_path(asked: str | None) -> str:
    """`asked` when it is a path on this site, else the start page: a form must not send anybody elsewhere."""
    if asked and _LOCAL_PATH.fullmatch(asked) and not urlsplit(asked).netloc:
        return asked
    return "/"
