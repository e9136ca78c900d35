"""A sealed text is good for one question, and no other text is as good as it."""

import string

import pytest

from fhir_server.store.signed import signed, unsigned

SECRET, QUESTION = b"a secret of these tests", b"a question"
STRANGE = ("\0", " ", ".", "=", "==", "!", "+", "/", "é")


def body_of(text: str) -> bytes | None:
    return unsigned(text, QUESTION, SECRET, longest=1000)


@pytest.mark.parametrize("body", [b"", b"1", b"12", b"123", b"1234"])
def test_a_body_has_one_text_alone(body: bytes) -> None:
    text = signed(body, QUESTION, SECRET)

    others = [text[:-1] + last for last in string.ascii_letters + string.digits + "-_" if last != text[-1]]
    others += [text[:at] + each + text[at:] for each in STRANGE for at in (0, 9, len(text) - 1, len(text))]
    others += [f"{text}{more}" for more in ("=A", "====AAAA", "A")]

    assert body_of(text) == body
    assert [other for other in others if body_of(other) is not None] == []


def test_a_text_is_good_for_its_question_its_secret_and_its_length() -> None:
    text = signed(b"1234", QUESTION, SECRET)

    assert unsigned(text, b"another question", SECRET, longest=1000) is None
    assert unsigned(text, QUESTION, b"another secret", longest=1000) is None
    assert unsigned(text, QUESTION, SECRET, longest=len(text) - 1) is None
    assert unsigned(text, QUESTION, SECRET, longest=len(text)) == b"1234"
