"""Of a request that was answered nothing is left that only the garbage collector could find.

What lies in a circle stays until it looks, a hundred requests later: megabytes then go through the caches of the
processor instead of kilobytes, and everything takes longer.
"""

import io
import weakref

import pytest
from werkzeug.test import create_environ

from fhir_server.fhir.json import encode
from tests.http.resources import own
from tests.world import Party


class _Body(io.BytesIO):
    """A body that can be asked whether it is still there."""


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    ("method", "place", "status"),
    [
        ("GET", "{patient}", "200"),
        ("GET", "Observation?patient={patient}", "200"),
        ("GET", "{patient}/_history", "200"),
        ("GET", "Patient/unknown", "404"),
        ("GET", "Patient?unknown=1", "400"),
        ("POST", "Observation", "201"),
        ("POST", "", "200"),
    ],
)
def test_nothing_of_a_request_outlives_its_answer(
    hosp: Party, patient: str, method: str, place: str, status: str
) -> None:
    observation = own(hosp, "Observation") | {"subject": {"reference": patient}}
    entry = {"resource": observation, "request": {"method": "POST", "url": "Observation"}}
    sent = observation if place else {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    body = _Body(encode(sent) if method == "POST" else b"")
    environ = create_environ(
        f"/fhir/{place.format(patient=patient)}",
        method=method,
        input_stream=body,
        content_length=len(body.getvalue()),
        content_type="application/fhir+json",
        headers={"Authorization": f"Bearer {hosp.token}"},
    )
    told: list[str] = []

    def begin(status: str, *_: object) -> None:
        told.append(status)

    left = weakref.ref(body)

    answered = hosp._client.application.wsgi_app(environ, begin)

    assert b"".join(answered)
    del answered, body, environ
    assert told[0].startswith(status)
    assert left() is None
