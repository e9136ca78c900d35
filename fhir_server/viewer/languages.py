"""Which language a page speaks, and the catalogues of messages it speaks from."""

from collections.abc import Callable, Sequence
from pathlib import Path

from flask import Flask
from flask_babel import Babel

SOURCE = "en"
CATALOGUES = Path(__file__).parent / "translations"
NAMES = {"nl": "Nederlands", "fr": "Français", "de": "Deutsch", "en": "English"}
"""Each language by its own name; the messages in the code are English."""

REGIONS = {"nl": "nl_BE", "fr": "fr_BE", "de": "de_BE", "en": "en_GB"}
"""Where dates are written as the pages of a language write them."""


class CataloguesMissing(RuntimeError):
    """The message catalogues were not compiled, so pages would silently speak English."""


def check_catalogues(languages: Sequence[str]) -> None:
    """Raise CataloguesMissing unless each language has its compiled catalogue."""
    missing = [
        language
        for language in languages
        if language != SOURCE and not (CATALOGUES / language / "LC_MESSAGES" / "messages.mo").exists()
    ]
    if missing:
        raise CataloguesMissing(f"The viewer's catalogues for {', '.join(missing)} are not compiled: run `make setup`.")


def speak(app: Flask, language: Callable[[], str], time_zone: str) -> None:
    """Let the pages of `app` speak the language that `language()` says, with times in `time_zone`."""
    Babel(
        app,
        default_locale=SOURCE,
        default_timezone=time_zone,
        default_translation_directories=str(CATALOGUES),
        locale_selector=lambda: REGIONS[language()],
    )
