"""Users: the people who sign in to the viewer."""

import re
import unicodedata
from datetime import datetime

from fhir_server.auth.clients import check_organization
from fhir_server.auth.passwords import hash_password
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.reference import parse_reference
from fhir_server.store.mongo.registry import Registry, User

ROLES = ("case-manager",)
LANGUAGES = ("nl", "fr", "de", "en")
SIGNED_IN_SCOPES = frozenset({"user/*.cruds"})

_PEOPLE = ("Practitioner", "PractitionerRole")
_USERNAME = re.compile(r"[^\s\x00-\x1f]{2,100}")


def register_user(
    registry: Registry,
    *,
    username: str,
    password: str,
    organization: str,
    person: str | None,
    name: str,
    role: str = "case-manager",
    language: str = "nl",
    now: datetime,
) -> User:
    """Register a new user. `person` is `Practitioner/3` or `PractitionerRole/3`, or None.

    Raises ValueError when a value is not what it should be, AlreadyRegistered when the user name is taken.
    """
    check_organization(organization)
    _check_person(person)
    if not _USERNAME.fullmatch(plain_username(username)):
        raise ValueError("a user name has 2 to 100 characters and no spaces")
    _check_choice("role", role, ROLES)
    _check_choice("language", language, LANGUAGES)
    user = User(
        username=plain_username(username),
        password_hash=hash_password(password),
        organization=organization,
        person=person,
        name=name,
        role=role,
        language=language,
        created=now,
    )
    registry.add_user(user)
    return user


def change_password(registry: Registry, username: str, password: str) -> bool:
    """Give a user a new password and end the user's sessions; False when none of this name may sign in."""
    user = registry.user(plain_username(username))
    if user is None or not user.active:
        return False
    known = registry.set_password(plain_username(username), hash_password(password))
    registry.end_sessions(plain_username(username))
    return known


def plain_username(typed: str) -> str:
    """The user name as it is kept: without case, outer spaces, or two ways to write one letter."""
    return unicodedata.normalize("NFKC", typed).strip().casefold()


def actor_of(user: User) -> Actor:
    """The Actor that a signed-in user is: the person, in a role, for the organisation."""
    return Actor(
        organization=user.organization,
        person=user.person,
        roles=frozenset({user.role}),
        scopes=SIGNED_IN_SCOPES,
    )


def _check_person(person: str | None) -> None:
    if person is None:
        return
    reference = parse_reference(person)
    if reference is None or reference.type not in _PEOPLE or reference.version is not None:
        raise ValueError(f"{person!r} is not a reference to a person, such as Practitioner/3")


def _check_choice(what: str, chosen: str, known: tuple[str, ...]) -> None:
    if chosen not in known:
        raise ValueError(f"{chosen!r} is no {what}: known are {', '.join(known)}")
