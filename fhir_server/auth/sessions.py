"""Signing in to the viewer, staying signed in, signing out; and proof that a form came from the session's own page."""

import hmac
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from fhir_server.auth.clients import hash_of
from fhir_server.auth.passwords import hash_password, is_password, needs_new_hash
from fhir_server.auth.throttle import Throttle
from fhir_server.auth.users import actor_of, plain_username
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import FhirError, Forbidden, Unavailable
from fhir_server.store.mongo.entrances import USER
from fhir_server.store.mongo.registry import Registry, Session, User


class SignInRefused(FhirError):
    """Nobody was signed in."""

    code = "login"


class WrongCredentials(SignInRefused):
    """The user name or the password is wrong; which of them is not said."""


class TooManyAttempts(SignInRefused):
    """Too many failures of this user or from this address; the right password does not help before the wait is over."""

    code = "throttled"


class Sessions:
    """Sign-in sessions. The browser holds 256 random bits, the database their hash, who it is and until when."""

    def __init__(self, registry: Registry, *, lifetime: timedelta, clock: Callable[[], datetime]) -> None:
        self._registry = registry
        self._throttle = Throttle(registry)
        self._clock = clock
        self.lifetime = lifetime

    def sign_in(self, username: str, password: str, address: str) -> str:
        """The id of a new session, to be kept in a cookie and nowhere else.

        `address` is the network address of the person's machine. Raises WrongCredentials or TooManyAttempts; both
        take as long for a user who does not exist.
        """
        now, username = self._clock(), plain_username(username)
        if not self._throttle.admits(username, address, now):
            raise TooManyAttempts("Too many attempts to sign in; wait a quarter of an hour.")
        user = self._registry.user(username)
        matches = is_password(password, user.password_hash if user else None)
        if user is None or not matches or not user.active:
            raise WrongCredentials("The user name or the password is wrong.")
        self._throttle.forgive(username, address, now)
        if needs_new_hash(user.password_hash):
            self._registry.set_password(username, hash_password(password))
        session_id = self._open(user, now)
        with suppress(Unavailable):
            self._registry.entrances.note(USER, username, now)
        return session_id

    def actor_of_session(self, session_id: str | None) -> tuple[Actor, User] | None:
        """Who the session speaks for; None when it has ended, expired, was never there, or the user is inactive."""
        if not session_id:
            return None
        session = self._registry.session(hash_of(session_id), self._clock())
        user = self._registry.user(session.username) if session else None
        return (actor_of(user), user) if user and user.active else None

    def sign_out(self, session_id: str) -> None:
        """End the session; what the browser holds is worth nothing from now on."""
        self._registry.end_session(hash_of(session_id))

    def _open(self, user: User, now: datetime) -> str:
        session_id = secrets.token_urlsafe(32)
        self._registry.add_session(Session(hash_of(session_id), user.username, now, now + self.lifetime))
        return session_id


def csrf_token(session_id: str) -> str:
    """What every form of the session carries. It follows from the session's id and does not reveal it.

    Before sign-in any random value of 256 bits in a cookie takes the place of the session's id.
    """
    return hmac.new(session_id.encode(), b"csrf", "sha256").hexdigest()


def check_csrf(session_id: str | None, presented: str | None) -> None:
    """Raise Forbidden unless `presented` is the session's own `csrf_token`."""
    if not session_id or not presented or not presented.isascii():
        raise Forbidden("The form carries no proof that it came from this site; load the page again.")
    if not hmac.compare_digest(csrf_token(session_id), presented):
        raise Forbidden("The form belongs to another sign-in session; load the page again.")
