"""Signing in to the viewer, staying signed in, signing out, and forms that are not ours."""

import re
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from fhir_server.auth.sessions import Sessions
from fhir_server.fhir import dates
from fhir_server.fhir.json import decode
from fhir_server.viewer.routes import viewer_routes
from tests.viewer_visitor import PASSWORD, new_user, proof_in, sign_in
from tests.world import World


def test_the_right_password_opens_the_caseload(world: World) -> None:
    client = world.app.test_client()

    answer = sign_in(client, new_user(world))

    assert (answer.status_code, answer.location) == (302, "/")
    assert client.get("/").status_code == 200


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(world: World) -> None:
    answer = sign_in(world.app.test_client(), new_user(world))

    [cookie] = [each for each in answer.headers.getlist("Set-Cookie") if each.startswith("samen_session=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Max-Age=36000" in cookie
    assert "Domain" not in cookie


def test_over_https_the_cookies_are_secure_and_bound_to_the_host(world: World) -> None:
    client = _app(world, secure_cookies=True).test_client()

    answer = sign_in(client, new_user(world), base_url="https://localhost")

    assert answer.status_code == 302
    cookies = [each for each in answer.headers.getlist("Set-Cookie") if "Max-Age=0" not in each]
    assert cookies
    assert all(each.startswith("__Host-samen_") and "Secure" in each for each in cookies)


def test_a_wrong_password_is_refused_in_one_sentence_that_does_not_say_what_was_wrong(world: World) -> None:
    username = new_user(world)
    wrong = sign_in(world.app.test_client(), username, "not the password at all", address="192.0.2.1")
    unknown = sign_in(world.app.test_client(), "nobody-of-that-name", "not the password at all", address="192.0.2.1")

    assert wrong.status_code == unknown.status_code == 403
    assert _alert(wrong) == _alert(unknown) == "The user name or the password is not right. Please try again."
    assert "not the password at all" not in wrong.text
    assert not _session_cookies(wrong)


def test_after_five_failures_the_right_password_must_wait(world: World) -> None:
    # Stands still, so that no new quarter of an hour begins meanwhile; in the next one, so that what is counted is not
    # tidied away because this one ends.
    moment = dates.now() + timedelta(minutes=15)
    sessions = Sessions(world.parts.registry, lifetime=timedelta(hours=1), clock=lambda: moment)
    username, client = new_user(world), _app(world, sessions=sessions).test_client()
    for _ in range(5):
        assert sign_in(client, username, "not the password at all", address="192.0.2.2").status_code == 403

    answer = sign_in(client, username, address="192.0.2.2")

    assert answer.status_code == 429
    assert "Wait a quarter of an hour" in _alert(answer)
    assert not _session_cookies(answer)


def test_a_sign_in_form_from_elsewhere_is_refused(world: World) -> None:
    username = new_user(world)
    form = {"username": username, "password": PASSWORD}
    client, stranger = world.app.test_client(), world.app.test_client()
    client.get("/sign-in")

    without = client.post("/sign-in", data=form)
    foreign = client.post("/sign-in", data={**form, "proof": proof_in(stranger.get("/sign-in"))})
    never_visited = world.app.test_client().post("/sign-in", data={**form, "proof": proof_in(client.get("/sign-in"))})

    for answer in (without, foreign, never_visited):
        assert answer.status_code == 403
        assert not _session_cookies(answer)


@pytest.mark.parametrize("path", ["/sign-out", "/language", "/people"])
def test_no_form_of_a_session_works_without_its_proof(world: World, path: str) -> None:
    client = world.app.test_client()
    sign_in(client, new_user(world))

    without = client.post(path, data={"language": "fr", "name": "a"})
    of_another = client.post(path, data={"proof": proof_in(world.app.test_client().get("/sign-in"))})

    assert without.status_code == of_another.status_code == 403
    assert client.get("/").status_code == 200
    assert 'lang="en"' in client.get("/").text


def test_signing_out_ends_the_session_for_whoever_kept_the_cookie(world: World) -> None:
    client, thief = world.app.test_client(), world.app.test_client()
    sign_in(client, new_user(world))
    cookie = client.get_cookie("samen_session")
    assert cookie is not None
    thief.set_cookie("samen_session", cookie.value)
    assert thief.get("/").status_code == 200

    answer = client.post("/sign-out", data={"proof": proof_in(client.get("/"))})

    assert answer.status_code == 200
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert client.get_cookie("samen_session") is None
    assert thief.get("/").status_code == 302


def test_signing_out_needs_a_form(world: World) -> None:
    client = world.app.test_client()
    sign_in(client, new_user(world))

    assert client.get("/sign-out").location == "/sign-in"
    assert client.get("/").status_code == 200


def test_every_page_but_the_doorway_asks_to_sign_in(world: World) -> None:
    doorway = {"viewer.sign_in_form", "viewer.static"}
    pages = [
        re.sub(r"<[^>]+>", "some", rule.rule)
        for rule in world.app.url_map.iter_rules()
        if rule.endpoint.startswith("viewer.") and rule.endpoint not in doorway and "GET" in (rule.methods or ())
    ]

    assert len(pages) >= 4
    for page in pages:
        answer = world.app.test_client().get(page)
        assert (answer.status_code, (answer.location or "").partition("?")[0]) == (302, "/sign-in"), page


def test_after_signing_in_the_page_that_was_asked_comes(world: World) -> None:
    client = world.app.test_client()
    asked = client.get("/tasks/overdue?from=0.abc")
    form = client.get(asked.location, headers={"Accept-Language": "en"})
    assert "Sign in to see the page that you asked for." in form.text
    wanted = unescape(re.search(r'name="next" value="([^"]*)"', form.text)[1])  # type: ignore[index]

    answer = sign_in(client, new_user(world), following=wanted)

    assert answer.location == "/tasks/overdue?from=0.abc"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:1", "\thttps://e", "people"]
)
def test_signing_in_never_sends_to_another_site(world: World, elsewhere: str) -> None:
    client = world.app.test_client()

    answer = sign_in(client, new_user(world), following=elsewhere)

    assert answer.location == "/"


def test_signing_in_its_refusal_and_signing_out_are_in_the_audit_trail(
    world: World,
) -> None:
    client, stranger, username = world.app.test_client(), world.app.test_client(), new_user(world)
    before = {each["_id"] for each in world.audit().find({}, {"_id": 1})}

    sign_in(client, username)
    sign_in(stranger, username, "not the password at all", address="192.0.2.3")
    client.post("/sign-out", data={"proof": proof_in(client.get("/people/nobody"))})

    events = [decode(bytes(each["body"])) for each in world.audit().find({"_id": {"$nin": list(before)}})]
    told = sorted((e["subtype"][0]["code"], e["outcome"], "who" in e["agent"][0]) for e in events)
    assert told == [("read", "4", True), ("sign-in", "0", True), ("sign-in", "4", False), ("sign-out", "0", True)]


def test_a_form_larger_than_any_of_ours_is_refused(world: World) -> None:
    client = world.app.test_client()

    answer = client.post(
        "/sign-in",
        data={"username": "a" * 100_000, "proof": proof_in(client.get("/sign-in"))},
        headers={"Accept-Language": "fr"},
    )

    assert answer.status_code == 413
    assert "Rien n’a été modifié." in answer.text


def test_after_a_wrong_password_another_language_keeps_the_page_that_was_asked(world: World) -> None:
    client = world.app.test_client()

    refused = sign_in(client, new_user(world), "not the password", following="/tasks/overdue")

    assert refused.status_code == 403
    back = unescape(re.search(r'name="back" value="([^"]*)"', refused.text)[1])  # type: ignore[index]
    assert back == "/sign-in?next=%2Ftasks%2Foverdue"


@pytest.mark.parametrize("address", ["/sign-out", "/language"])
def test_the_address_of_a_form_loaded_again_leads_to_a_page(world: World, address: str) -> None:
    client = world.app.test_client()

    answer = client.get(address, follow_redirects=True, headers={"Accept-Language": "en"})

    assert answer.status_code == 200
    assert "<h1>Sign in</h1>" in answer.text


def _app(world: World, *, secure_cookies: bool = False, sessions: Sessions | None = None) -> Flask:
    app = Flask("viewer_alone", static_folder=None)
    app.register_blueprint(
        viewer_routes(
            world.parts.services,
            sessions or world.parts.sessions,
            time_zone="Europe/Brussels",
            languages=("en", "nl"),
            secure_cookies=secure_cookies,
        )
    )
    return app


def _alert(answer: TestResponse) -> str:
    found = re.search(r'role="alert".*?<p>(.*?)</p>', answer.text, re.DOTALL)
    assert found, answer.text
    return unescape(found[1])


def _session_cookies(answer: TestResponse) -> list[str]:
    return [
        each for each in answer.headers.getlist("Set-Cookie") if "samen_session=" in each and "Max-Age=0" not in each
    ]
