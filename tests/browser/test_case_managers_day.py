"""The case manager's day in a real browser, with scripts switched off: every page works without them."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from fhir_server.demo.directory import OUT
from tests.browser.conftest import MARKUP, Ward, is_in, sign_in
from tests.viewer_visitor import PASSWORD, new_user

pytestmark = pytest.mark.xdist_group("browser")


def test_she_signs_in_and_sees_first_what_is_late(visitor: Callable[..., Page], ward: Ward) -> None:
    page = visitor("en")
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in$"))
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

    sign_in(page, new_user(ward.world))

    expect(page).to_have_title("Caseload · Samen")
    headings = ("Overdue", "Waiting", "In", "Recently", "People")
    expect(page.locator("main section h2")).to_have_text([re.compile(rf"^\s*{word}\b") for word in headings])
    late = page.locator("#overdue tbody tr")
    expect(late).to_have_count(2)
    expect(late.nth(0)).to_contain_text("Jef Aerts")
    expect(late.nth(0)).to_contain_text("3 days late")
    expect(late.nth(1)).to_contain_text("1 day late")


def test_each_count_leads_to_its_list(case_manager: Callable[..., Page]) -> None:
    page = case_manager("en")

    for group in ("overdue", "waiting", "in-progress", "ended"):
        tile = page.locator(f".count-{group} a")
        counted = int(tile.locator(".number").inner_text())
        tile.click()
        expect(page).to_have_url(re.compile(f"#{group}$"))
        expect(page.locator(f"#{group} tbody tr")).to_have_count(counted)


def test_she_opens_a_person_and_reads_who_did_what(case_manager: Callable[..., Page], ward: Ward) -> None:
    page = case_manager("en")

    page.locator("#waiting").get_by_role("link", name="Mia Claes").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Mia Claes")
    expect(page.locator(".identity")).to_contain_text("58 years")
    expect(page.locator(".identity")).to_contain_text("In force")
    expect(page.locator("#plan")).to_contain_text("Thuis blijven wonen")
    expect(page.locator("#plan")).to_contain_text("Improving")
    expect(page.locator("#team")).to_contain_text("Former members")
    task = page.locator("#tasks article", has_text="Home nursing")
    expect(task.locator(".moves")).to_be_hidden()
    task.locator("summary").click()
    expect(task.locator(".moves li")).to_have_count(5)
    expect(task.locator(".moves li").first).to_contain_text("In progress to Completed")
    expect(task.locator(".moves li").first).to_contain_text("Thuiszorg De Linde")
    expect(page.locator("#timeline")).to_contain_text("61.5 kg")


def test_a_task_in_the_caseload_leads_to_the_same_task_of_the_person(
    case_manager: Callable[..., Page], ward: Ward
) -> None:
    page = case_manager("en")

    page.locator("#overdue").get_by_role("link", name="Home nursing").first.click()

    id = ward.tasks["Aerts"].removeprefix("Task/")
    expect(page).to_have_url(re.compile(f"#task-{id}$"))
    expect(page.locator(f"#task-{id}")).to_contain_text("3 days late")


def test_she_finds_a_person_by_the_first_letters_of_a_name(case_manager: Callable[..., Page]) -> None:
    page = case_manager("en")
    page.get_by_role("link", name="People").click()

    page.get_by_label("Find a person by name").fill("el idr")
    page.get_by_role("button", name="Find").click()

    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("El Idrissi, Amina")
    assert not re.search(r"el(\W|%20)+idr", page.url, re.IGNORECASE)
    page.locator("tbody a").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Amina El Idrissi")
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_label("Find a person by name")).to_have_value("el idr")
    page.get_by_role("link", name="Show everybody").click()
    expect(page.locator("tbody tr")).to_have_count(len(_everybody()))


def test_she_reads_in_another_language_after_one_click(case_manager: Callable[..., Page]) -> None:
    page = case_manager("en")

    page.get_by_role("button", name="Français").click()

    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(page.locator("#overdue")).to_contain_text("3 jours de retard")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.locator("#overdue")).to_contain_text("3 Tage überfällig")
    page.get_by_role("button", name="Nederlands").click()
    expect(page.locator("#overdue")).to_contain_text("3 dagen te laat")


def test_she_follows_a_whole_case_by_keyboard_alone(visitor: Callable[..., Page], ward: Ward) -> None:
    """Signs in, sees what is late, opens the Task and its person, reads the plan and the history, signs out."""
    page = visitor("en")
    page.goto("/sign-in")
    expect(page.locator("#username")).to_be_focused()

    page.keyboard.type(new_user(ward.world))
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_title("Caseload · Samen")
    is_in(page)
    _go_to(page, page.get_by_role("link", name="2 Overdue"))
    _go_to(page, page.locator("#overdue").get_by_role("link", name="Home nursing").first)
    expect(page.get_by_role("heading", level=1)).to_have_text("Jef Aerts")
    task = page.locator(f"#task-{ward.tasks['Aerts'].removeprefix('Task/')}")
    expect(task.locator("h3")).to_be_in_viewport()
    _go_to(page, task.locator("summary"))
    expect(task.locator(".moves")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(task.locator(".moves")).to_be_visible()
    _go_to(page, page.locator(".sections").get_by_role("link", name="Care plan"), backwards=True)
    expect(page.locator("#plan h2")).to_be_in_viewport()
    _go_to(page, page.locator("#plan").get_by_role("link", name="Task Home nursing"))
    expect(task.locator("h3")).to_be_in_viewport()
    _go_to(page, page.get_by_role("button", name="Sign out"), backwards=True)

    expect(page.locator("[role=status]")).to_have_text("You have signed out.")
    expect(page.locator("#username")).to_be_focused()


def test_after_a_wrong_password_she_types_it_again_at_once(visitor: Callable[..., Page], ward: Ward) -> None:
    page = visitor("en")
    sign_in(page, new_user(ward.world), "not the password")

    expect(page.locator("#password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")

    expect(page).to_have_title("Caseload · Samen")


def test_after_signing_out_the_back_button_shows_nothing(case_manager: Callable[..., Page], ward: Ward) -> None:
    page = case_manager("en")
    page.goto(ward.person("Claes"))

    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("[role=status]")).to_have_text("You have signed out.")
    page.go_back()

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("Mia Claes")


def test_a_stranger_with_the_address_gets_the_page_for_nothing(visitor: Callable[..., Page], ward: Ward) -> None:
    page = visitor("en")
    sign_in(page, new_user(ward.world, OUT.reference))
    is_in(page)

    page.goto(ward.person("Aerts"))

    expect(page.get_by_role("heading", level=1)).to_have_text("This page is not there")
    expect(page.locator("body")).not_to_contain_text("Aerts")


def test_markup_in_a_task_is_text_also_where_scripts_run(case_manager: Callable[..., Page], ward: Ward) -> None:
    page = case_manager("en", scripts=True)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.goto(ward.person("Dewulf"))

    expect(page).to_have_title("Jan Dewulf · Samen")
    expect(page.locator("#tasks")).to_contain_text(MARKUP)
    assert complaints == []


def test_on_paper_there_is_the_person_and_no_navigation(case_manager: Callable[..., Page], ward: Ward) -> None:
    page = case_manager("en", color_scheme="dark")
    page.goto(ward.person("Claes"))

    page.emulate_media(media="print")

    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("#plan")).to_be_visible()
    for part in (".site", ".site-footer", ".sections"):
        expect(page.locator(part)).to_be_hidden()
    assert (
        page.locator("body").evaluate("it => getComputedStyle(it.parentElement).backgroundColor")
        == "rgb(255, 255, 255)"
    )


def _everybody() -> list[str]:
    return ["Aerts", "Claes", "Dewulf", "El Idrissi", "Lambert", "Maes", "Wouters"]


def _go_to(page: Page, control: Locator, *, backwards: bool = False) -> None:
    """Press Tab until the control has the focus, which must be seen, then Enter."""
    for _ in range(60):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if control.evaluate("it => it === document.activeElement"):
            break
    expect(control).to_be_focused()
    expect(control).to_be_in_viewport()
    page.keyboard.press("Enter")
