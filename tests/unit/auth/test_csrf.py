"""A form proves that it came from the session's own page."""

import pytest

from fhir_server.auth.sessions import check_csrf, csrf_token
from fhir_server.fhir.errors import Forbidden


def test_a_form_of_the_own_session_is_taken() -> None:
    check_csrf("session", csrf_token("session"))


def test_the_token_does_not_reveal_the_session() -> None:
    assert "session" not in csrf_token("session")


@pytest.mark.parametrize(
    ("session", "presented"),
    [
        ("session", None),
        ("session", ""),
        ("session", "session"),
        ("session", csrf_token("another")),
        ("session", "é"),
        (None, csrf_token("session")),
        ("", csrf_token("")),
    ],
)
def test_any_other_form_is_refused(session: str | None, presented: str | None) -> None:
    with pytest.raises(Forbidden):
        check_csrf(session, presented)
