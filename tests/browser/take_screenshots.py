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
    _take(doorway, "sign-in-nl")
    for language, width in (("en", 1280), ("nl", 390), ("fr", 1280), ("de", 390)):
        page = case_manager(language, width)
        _take(page, f"caseload-{language}-{width}")
        page.goto(ward.person("Claes"))
        _take(page, f"person-{language}-{width}")
    page = case_manager("en", color_scheme="dark")
    _take(page, "caseload-en-dark")


def _take(page: Page, name: str) -> None:
    width, height = page.viewport_size["width"], 1000 if page.viewport_size["width"] > 600 else 1400  # type: ignore[index]
    clip = {"x": 0, "y": 0, "width": width, "height": height}
    page.set_viewport_size({"width": width, "height": height})
    page.screenshot(path=PICTURES / f"{name}.png", clip=clip)  # type: ignore[arg-type]
