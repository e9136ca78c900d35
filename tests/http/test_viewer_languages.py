"""The viewer in four languages: which one is spoken, and that nothing is left untranslated."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from babel.support import Translations

from fhir_server import viewer
from fhir_server.auth.users import LANGUAGES
from fhir_server.definitions.structures import load
from fhir_server.viewer import words
from fhir_server.viewer.languages import CATALOGUES, SOURCE, CataloguesMissing, check_catalogues
from tests.viewer_visitor import new_user, proof_in, sign_in, signed_in
from tests.world import World

VIEWER = Path(viewer.__file__).parent
TRANSLATED = [language for language in LANGUAGES if language != SOURCE]
KEYWORDS = {
    "_": None,
    "_l": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "lazy_pgettext": ((1, "c"), 2),
}
SIGN_IN = {"nl": "Aanmelden", "fr": "Se connecter", "de": "Anmelden", "en": "Sign in"}


@pytest.mark.parametrize(
    ("accepted", "spoken"),
    [
        ("nl", "nl"),
        ("fr-BE,fr;q=0.9,nl;q=0.5", "fr"),
        ("de-AT", "de"),
        ("en-GB", "en"),
        ("ja, de;q=0.3, fr;q=0.2", "de"),
        ("ja", "nl"),
        ("", "nl"),
    ],
)
def test_the_browser_chooses_the_language_of_the_doorway(world: World, accepted: str, spoken: str) -> None:
    page = world.app.test_client().get("/sign-in", headers={"Accept-Language": accepted}).text

    assert f'<html lang="{spoken}">' in page
    assert f"<h1>{SIGN_IN[spoken]}</h1>" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_whoever_signs_in_is_spoken_to_in_her_own_language(world: World, language: str) -> None:
    page = signed_in(world, language=language).get("/", headers={"Accept-Language": "en"}).text

    assert f'<html lang="{language}">' in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_can_be_chosen_on_every_page_and_stays(world: World, language: str) -> None:
    client = signed_in(world, language="de" if language != "de" else "fr")
    page = client.get("/people")

    chosen = client.post("/language", data={"proof": proof_in(page), "language": language, "back": "/people"})

    assert (chosen.status_code, chosen.location) == (302, "/people")
    assert f'<html lang="{language}">' in client.get("/people").text
    assert f'value="{language}" lang="{language}" aria-current="true"' in client.get("/").text


def test_a_language_is_chosen_before_signing_in_and_kept_after(world: World) -> None:
    client = world.app.test_client()
    client.post("/language", data={"proof": proof_in(client.get("/sign-in")), "language": "fr", "back": "/sign-in"})

    sign_in(client, new_user(world, language="nl"))

    assert '<html lang="fr">' in client.get("/").text


def test_an_unknown_language_changes_nothing(world: World) -> None:
    client = signed_in(world, language="fr")

    answer = client.post("/language", data={"proof": proof_in(client.get("/")), "language": "xx", "back": "//evil"})

    assert answer.location == "/"
    assert '<html lang="fr">' in client.get("/").text


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_is_translated(language: str) -> None:
    catalogue = _catalogue(language)
    missing = [str(message) for message in _messages() if not _whole(catalogue.get(*_key(message)))]

    assert missing == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_translation_is_left_of_a_message_that_is_gone(language: str) -> None:
    used = {_key(message) for message in _messages()}

    assert [_key(message) for message in _catalogue(language) if message.id and _key(message) not in used] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_keep_the_names_that_are_filled_in(language: str) -> None:
    for message in _catalogue(language):
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        for text in _strings(message) if message.id else ():
            assert _names(text) == _names(ids[-1]), text


def test_no_line_of_french_begins_with_its_punctuation() -> None:
    """A colon, semicolon, question or exclamation mark follows a space that is not broken."""
    texts = [text for message in _catalogue("fr") if message.id for text in _strings(message)]

    assert [text for text in texts if re.search(r" [:;?!]|[^\s\N{NO-BREAK SPACE}][;?!]", text)] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_compiled_catalogue_is_the_written_one(language: str) -> None:
    compiled = Translations.load(str(CATALOGUES), [language])

    for message in _catalogue(language):
        if message.id and not message.pluralizable:
            spoken = compiled.pgettext(message.context, message.id) if message.context else compiled.gettext(message.id)
            assert spoken == message.string, "run `make setup`"


def test_a_missing_catalogue_is_told_before_any_page_speaks() -> None:
    with pytest.raises(CataloguesMissing, match="for tlh are not compiled"):
        check_catalogues(["nl", "tlh"])


@pytest.mark.parametrize(
    ("known", "element"),
    [
        (words.TASK_STATUSES, "Task.status"),
        (words.ORDER_STATUSES, "ServiceRequest.status"),
        (words.PLAN_STATUSES, "CarePlan.status"),
        (words.ACTIVITY_STATUSES, "CarePlan.activity.detail.status"),
        (words.GOAL_STATUSES, "Goal.lifecycleStatus"),
        (words.GENDERS, "Patient.gender"),
    ],
)
def test_every_status_of_fhir_has_a_word(known: dict[str, words.Word], element: str) -> None:
    assert set(known) == set(_codes(element))


def _codes(path: str) -> list[str]:
    """The codes that FHIR requires of an element."""
    holder, _, name = path.rpartition(".")
    [value_set] = [element.value_set for element in load().elements(holder) if element.name == name]
    assert value_set
    return [code for codes in (load().codes(value_set) or {}).values() for code in codes]


def _catalogue(language: str) -> Catalog:
    return read_po(BytesIO((CATALOGUES / language / "LC_MESSAGES" / "messages.po").read_bytes()), locale=language)


def _messages() -> Iterator[Message]:
    """Every message of the code and the templates."""
    methods = [("**.py", "python"), ("**/templates/**.html", "jinja2.ext:babel_extract")]
    for _, _, ids, _, context in extract_from_dir(str(VIEWER), methods, keywords=KEYWORDS):
        yield Message(ids, context=context)


def _key(message: Message) -> tuple[str, str | None]:
    return (message.id[0] if isinstance(message.id, tuple) else message.id), message.context


def _strings(message: Message) -> tuple[str, ...]:
    return message.string if isinstance(message.string, tuple) else (message.string,)


def _whole(message: Message | None) -> bool:
    if message is None or message.fuzzy:
        return False
    strings = _strings(message)
    return all(strings) and len(strings) == (2 if isinstance(message.id, tuple) else 1)


def _names(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", text)) | {name for _, name, _, _ in Formatter().parse(text) if name}
