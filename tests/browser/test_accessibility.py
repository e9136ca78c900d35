"""Usable by everybody: axe finds nothing, the keyboard reaches everything, a phone shows it all."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from fhir_server.demo.directory import OUT
from tests.browser.conftest import Ward, is_in, sign_in
from tests.viewer_visitor import new_user

pytestmark = pytest.mark.xdist_group("browser")

LANGUAGES = ("nl", "fr", "de", "en")
STANDARDS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
LOOKS = [
    *(pytest.param(language, {"width": 1280}, id=language) for language in LANGUAGES),
    pytest.param("nl", {"width": 390}, id="phone"),
    pytest.param("fr", {"width": 1280, "color_scheme": "dark"}, id="dark"),
]


@pytest.mark.parametrize(("language", "look"), LOOKS)
def test_axe_finds_nothing_on_any_page(
    case_manager: Callable[..., Page], ward: Ward, language: str, look: dict[str, Any]
) -> None:
    page = case_manager(language, scripts=True, **look)
    pages = ["/", "/tasks/overdue", "/tasks/ended", "/people", ward.person("Claes"), ward.person("Maes"), "/people/x"]

    found = {address: _findings(page, address) for address in pages}

    assert {address: findings for address, findings in found.items() if findings} == {}


@pytest.mark.parametrize(("language", "width"), [("nl", 1280), ("de", 390)])
def test_axe_finds_nothing_before_an_organisation_accepts(
    visitor: Callable[..., Page], ward: Ward, language: str, width: int
) -> None:
    """The page of a person of whom the reader sees where she lives, and not who she is."""
    page = visitor(language, width, scripts=True)
    sign_in(page, new_user(ward.world, OUT.reference, language))
    is_in(page)

    found = {address: _findings(page, address) for address in ("/", ward.person("Claes"))}

    expect(page.get_by_text("9000 Gent")).to_be_visible()
    expect(page.get_by_text("Claes")).to_have_count(0)
    assert {address: findings for address, findings in found.items() if findings} == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing_on_the_doorway(visitor: Callable[..., Page], language: str) -> None:
    page = visitor(language, scripts=True)

    assert _findings(page, "/sign-in") == []
    page.locator("#username").fill("nobody")
    page.locator("#password").fill("not the password at all")
    page.locator("main button").click()
    expect(page.locator("[role=alert]")).to_be_visible()
    page.wait_for_load_state()
    assert _findings(page) == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_runs_out_of_the_page_sideways(case_manager: Callable[..., Page], ward: Ward, width: int) -> None:
    page = case_manager("de", width)

    for address in ("/", "/people", ward.person("Claes"), ward.person("Dewulf")):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


@pytest.mark.parametrize("language", ["nl", "fr", "de"])
def test_on_a_phone_the_head_of_the_page_is_two_lines(visitor: Callable[..., Page], ward: Ward, language: str) -> None:
    page = visitor(language, 360)
    sign_in(page, new_user(ward.world, language=language, name="Marie-Christine Vandenbroucke-Van den Eynde"))
    is_in(page)

    tops = {
        part: page.locator(part).bounding_box() for part in (".brand", ".main-nav", ".user-name", ".sign-out button")
    }

    middles = {part: box["y"] + box["height"] / 2 for part, box in tops.items() if box}
    assert abs(middles[".brand"] - middles[".main-nav"]) < 8, middles
    assert abs(middles[".user-name"] - middles[".sign-out button"]) < 24, middles


def test_on_a_phone_each_value_carries_its_label(case_manager: Callable[..., Page]) -> None:
    page = case_manager("en", 390)
    row = page.locator("#overdue tbody tr").first

    label = row.locator("td").nth(1).evaluate("cell => getComputedStyle(cell, '::before').content")

    assert label == '"Who must act"'
    expect(row.get_by_role("link", name="Jef Aerts")).to_be_visible()


def test_the_first_key_press_offers_to_skip_to_the_content(case_manager: Callable[..., Page]) -> None:
    page = case_manager("en")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")

    expect(page.locator("main a").first).to_be_focused()


def test_every_control_is_reached_by_tab_in_reading_order_with_a_visible_focus(
    case_manager: Callable[..., Page],
) -> None:
    page = case_manager("en")
    controls = page.locator("a[href], button, input:not([type=hidden]), summary")

    for number in range(controls.count()):
        page.keyboard.press("Tab")
        control = controls.nth(number)
        expect(control).to_be_focused()
        assert control.evaluate("it => getComputedStyle(it).outlineStyle") != "none", number


def test_what_has_the_focus_is_not_hidden_beneath_the_name_of_the_person(
    case_manager: Callable[..., Page], ward: Ward
) -> None:
    page = case_manager("en")
    page.goto(ward.person("Claes"))
    page.locator("footer button").last.focus()
    assert page.evaluate("scrollY") > 0
    bar = page.locator(".identity h1")

    for control in reversed(page.locator(".columns a[href], .columns summary").all()):
        page.keyboard.press("Shift+Tab")
        while page.evaluate("document.activeElement.closest('.columns') === null"):
            page.keyboard.press("Shift+Tab")
        expect(control).to_be_focused()
        box, above = control.bounding_box(), bar.bounding_box()
        assert box is not None
        assert above is not None
        assert box["y"] >= above["y"] + above["height"]


def test_a_control_is_large_enough_to_be_hit(case_manager: Callable[..., Page], ward: Ward) -> None:
    page = case_manager("en", 390)

    for address in ("/", ward.person("Claes")):
        page.goto(address)
        for control in page.locator("button, input:not([type=hidden]), nav a, summary, th a").all():
            box = control.bounding_box()
            assert box is not None
            assert box["height"] >= 24, control.text_content()
            assert box["width"] >= 24, control.text_content()


def test_what_happened_when_is_readable_by_machines(case_manager: Callable[..., Page], ward: Ward) -> None:
    page = case_manager("nl")
    page.goto(ward.person("Claes"))

    for moment in page.locator("time").all():
        assert (moment.get_attribute("datetime") or "")[:2] == "20"


def _findings(page: Page, address: str | None = None) -> list[str]:
    """What axe finds, each with the element; nothing is switched off."""
    if address:
        page.goto(address)
    rules = {"runOnly": {"type": "tag", "values": list(STANDARDS)}, "rules": {"target-size": {"enabled": True}}}
    found = Axe().run(page, options=rules).response
    assert len(found["passes"]) > 10
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
