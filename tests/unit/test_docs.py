"""The documents speak of what is there: links resolve, and no page names a thing that is gone."""

import os
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from fhir_server.cli import main
from fhir_server.settings import Settings, variable

REPOSITORY = Path(__file__).parents[2]
NOT_OURS = {".venv", ".venv-lock", ".git", "var", "dist", "node_modules", ".pytest_cache", ".hypothesis"}
# History may name what is gone.
HISTORY = {"CHANGELOG.md", "docs/decisions"}
ROOMS = r"(?:fhir_server|docs|tests|tools|bench|deploy|profiles|mappings|\.ci)/"
MADE_WHILE_RUNNING = {"deploy/secrets", "deploy/certificates"}
# Variables of the tests and of the compose file, not of the server.
OTHER_VARIABLES = {"SAMEN_TEST_R4_EXAMPLES", "SAMEN_TEST_SYNTHEA", "SAMEN_TEST_R4_XML", "SAMEN_TEST_FHIR_KIT"}


def pages() -> Iterator[Path]:
    """Every document of the repository."""
    found: list[Path] = []
    for folder, folders, names in os.walk(REPOSITORY):
        # Not gone into at all: others make and remove folders there at this moment.
        folders[:] = [name for name in folders if name not in NOT_OURS]
        found += [Path(folder, name) for name in names if name.endswith(".md")]
    yield from sorted(found)


def name_of(page: Path) -> str:
    """The page as it is called in the repository."""
    return page.relative_to(REPOSITORY).as_posix()


def is_history(page: Path) -> bool:
    """Whether the page tells of the past."""
    return any(name_of(page).startswith(part) for part in HISTORY)


ALL_PAGES = [pytest.param(page, id=name_of(page)) for page in pages()]
PRESENT_PAGES = [pytest.param(page, id=name_of(page)) for page in pages() if not is_history(page)]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ +(.+?) *$", without_examples(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_examples(text: str) -> str:
    """The text without its fenced blocks, where a # is no heading and a bracket no link."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def words_of_code(text: str) -> list[str]:
    """What a page sets as code: between backticks, in fences, or indented by four."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4,}(.+)$", text, re.MULTILINE)
    return [*re.findall(r"`([^`\n]+)`", text), *"\n".join(fenced).splitlines(), *indented]


def commands(text: str, program: str) -> set[str]:
    """The commands of `program` that a page's code calls."""
    called = re.compile(rf"(?:^|[\s/'\"=]){program} +((?!-)[a-z][a-z-]*)")
    return {found for code in words_of_code(text) for found in called.findall(code)}


def make_targets() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"^([a-z][a-z-]*):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


def linked(page: Path) -> Iterator[Path]:
    """The documents that a page links to."""
    for target in re.findall(r"\]\(([^)\s#]+)", without_examples(page.read_text())):
        there = (page.parent / target).resolve()
        yield there / "README.md" if there.is_dir() else there


def test_every_document_is_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [REPOSITORY / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md" and page.is_file():
            reached.add(page)
            waiting += linked(page)

    assert [name_of(page) for page in pages() if page not in reached] == []


def test_the_index_of_the_documents_names_each_of_their_pages() -> None:
    indexes = [page for page in pages() if page.name == "README.md" and page.is_relative_to(REPOSITORY / "docs")]
    for index in indexes:
        of_the_folder = {page for page in index.parent.glob("*.md") if page != index}
        assert of_the_folder - set(linked(index)) == set(), name_of(index)


@pytest.mark.parametrize("page", ALL_PAGES)
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", without_examples(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name_of(page)} links to {target}, which is not there"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there.read_text()), f"{name_of(page)} links to {target}: there is no such heading"


@pytest.mark.parametrize("page", PRESENT_PAGES)
def test_files_that_are_named_exist(page: Path) -> None:
    for code in re.findall(r"`([^`\n]+)`", page.read_text()):
        if not re.fullmatch(ROOMS + r"[\w./-]+", code):
            continue
        made = any(code.startswith(folder) for folder in MADE_WHILE_RUNNING)
        assert made or (REPOSITORY / code).exists(), f"{name_of(page)} names {code}, which is not there"


@pytest.mark.parametrize("page", PRESENT_PAGES)
def test_commands_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    assert commands(text, "fhir-server") <= set(main.commands)
    assert commands(text, "make") <= make_targets()


@pytest.mark.parametrize("page", PRESENT_PAGES)
def test_settings_that_are_named_exist(page: Path) -> None:
    known = {variable(known.name) for known in fields(Settings)} | OTHER_VARIABLES
    assert set(re.findall(r"\bSAMEN_[A-Z0-9_]+\b", page.read_text())) <= known


def test_commands_that_the_makefile_the_image_and_the_compose_file_call_exist() -> None:
    called = re.findall(r"fhir-server\s+([a-z][a-z-]+)", (REPOSITORY / "Makefile").read_text())
    for name in ["Dockerfile", "docker-compose.yml"]:
        called += re.findall(r"(?i)(?:cmd|command:) \[\"?([a-z-]+)\"?\]", (REPOSITORY / name).read_text())
        called += re.findall(r"fhir-server, ([a-z-]+)", (REPOSITORY / name).read_text())
    assert len(called) >= 4
    assert set(called) <= set(main.commands)


def test_makefile_explains_every_target_that_a_person_calls() -> None:
    text = (REPOSITORY / "Makefile").read_text()
    called = set(re.findall(r"^\.PHONY: (\S+)", text, re.MULTILINE))
    explained = set(re.findall(r"^([a-z][a-z-]*):.*## \S", text, re.MULTILINE))
    assert called == explained == make_targets()


def test_readme_stays_one_page() -> None:
    text = (REPOSITORY / "README.md").read_text()
    assert len(text.splitlines()) <= 80
    assert len(text.split()) <= 700


def promises() -> list[tuple[str, str]]:
    """What docs/promises.md promises, each with what it says that holds it."""
    lines = (REPOSITORY / "docs" / "promises.md").read_text().splitlines()
    rows = [re.split(r"(?<!\\)\|", line.strip("| ")) for line in lines if line.startswith("| ") and "](" in line]
    return [(promise.strip(), held) for promise, held, _ in rows]


@pytest.mark.parametrize(("promise", "held"), promises())
def test_each_promise_is_held_by_tests_that_exist(promise: str, held: str) -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", held)
    assert len(named) == held.count("`") / 2 > 0, f"{promise}: {held}"
    for file, name in named:
        [found] = (REPOSITORY / "tests").rglob(file)
        assert re.search(rf"^def {name}\(", found.read_text(), re.MULTILINE), f"{file} has no {name}"


def test_every_promise_has_its_row_once() -> None:
    made = [promise for promise, _ in promises()]
    text = (REPOSITORY / "docs" / "promises.md").read_text()

    assert len(set(made)) == len(made) > 90
    assert text.count("::") == sum(held.count("::") for _, held in promises())


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    folder = REPOSITORY / "docs" / "decisions"
    decisions = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [int(name[:4]) for name in decisions] == list(range(1, len(decisions) + 1))
    index = (folder / "README.md").read_text()
    assert [name for name in decisions if f"]({name})" not in index] == []


def test_decisions_have_their_four_parts() -> None:
    for decision in (REPOSITORY / "docs" / "decisions").glob("[0-9]*.md"):
        text = decision.read_text()
        parts = [part for part in ("Context", "Decision", "Figures", "Consequences") if f"**{part}" in text]
        assert len(parts) == 4, f"{decision.name} has only {parts}"
