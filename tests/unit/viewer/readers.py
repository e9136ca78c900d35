"""Somebody who reads in one of the languages of the viewer, in Brussels."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from fhir_server.viewer.languages import speak


@contextmanager
def reading(language: str) -> Iterator[None]:
    """Whatever is made into text meanwhile is in `language`."""
    app = Flask("reading", static_folder=None)
    speak(app, lambda: language, "Europe/Brussels")
    with app.test_request_context():
        yield
