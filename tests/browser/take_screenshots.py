"""Takes the pictures of `docs/screenshots` anew: `.venv/bin/pytest -n 0 tests/browser/take_screenshots.py`."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.conftest import Ward

PICTURES = Path(__file__).parents[2] / "docs" / "screenshots"


def test_take_the_pictures(case_manager: Callable[..., Page], visitor: Callable[..., Page], ward: Ward) -> None:
    PICTURES.mkdir(exist_ok=True)
    doorway = visitor("nl")
    doorway.goto("/sign-in")
    _take(doorway, "sign-in-nl", 620)
    wide, phone = case_manager("en"), case_manager("nl", 390)
    _take(wide, "caseload-en", 850)
    _take(phone, "caseload-nl-phone", 1200)
    _take(case_manager("de", color_scheme="dark"), "caseload-de-dark", 760)
    french = case_manager("fr")
    french.goto(ward.person("Claes"))
    _take(french, "person-fr", 1200)
    phone.goto(ward.person("Claes"))
    _take(phone, "person-nl-phone", 1200)


def _take(page: Page, name: str, height: int) -> None:
    size = page.viewport_size
    assert size
    page.set_viewport_size({"width": size["width"], "height": height})
    page.screenshot(path=PICTURES / f"{name}.png")
