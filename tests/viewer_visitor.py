"""Somebody who visits the viewer through Flask's client: users, signing in, forms, and what a page says."""

import re
import uuid
from html import unescape

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_server.auth.users import register_user
from fhir_server.demo.directory import CASEMANAGER
from fhir_server.fhir import dates
from tests.world import Case, World

PASSWORD = "vier woorden en een uil"


def new_user(
    world: World, organization: str = CASEMANAGER.reference, language: str = "en", name: str = "Lotte Peeters"
) -> str:
    """The user name of a new user of an organisation, whose password is PASSWORD."""
    username = f"user-{uuid.uuid4().hex[:10]}"
    register_user(
        world.parts.registry,
        username=username,
        password=PASSWORD,
        organization=organization,
        person=None,
        name=name,
        language=language,
        now=dates.now(),
    )
    return username


def signed_in(world: World, organization: str = CASEMANAGER.reference, language: str = "en") -> FlaskClient:
    """The client of a new user who has signed in."""
    client = world.app.test_client()
    assert sign_in(client, new_user(world, organization, language)).status_code == 302
    return client


def sign_in(
    client: FlaskClient,
    username: str,
    password: str = PASSWORD,
    *,
    following: str = "",
    address: str = "127.0.0.1",
    base_url: str = "http://localhost",
) -> TestResponse:
    """Fetch the form, fill it in, send it; `address` is where the visitor's machine is."""
    form = client.get("/sign-in", base_url=base_url)
    return client.post(
        "/sign-in",
        data={"proof": proof_in(form), "username": username, "password": password, "next": following},
        environ_overrides={"REMOTE_ADDR": address},
        headers={"Accept-Language": "en"},
        base_url=base_url,
    )


def proof_in(page: TestResponse) -> str:
    """The proof that the forms of a page carry."""
    found = re.search(r'name="proof" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found[1]


def address_of(case: Case) -> str:
    """The address of the page of a case's person."""
    return f"/people/{case.patient.removeprefix('Patient/')}"


def section_of(page: TestResponse, id: str) -> str:
    """The section of a page that has this id."""
    found = re.search(rf'<section[^>]* id="{id}".*?</section>', page.text, re.DOTALL)
    assert found, page.text
    return found[0]


def words_of(html: str) -> str:
    """The words of a piece of a page, in order."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split()).replace(" ,", ",")
