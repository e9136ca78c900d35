"""What is wrong with bytes that are no JSON is said in words that lead their sender to it."""

import pytest

from fhir_server.fhir.json import NotJson, decode


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark; leave that out"),
        ("{}".encode("utf-16"), "it is not in UTF-8"),
        (b'{"family": "\xe9"}', "it is not in UTF-8"),
        (b"[" * 100_000, "it is nested too deep"),
        (b'{"value": 1e99999999999999999999}', "it holds a number that no computer keeps"),
        (b'{"family": "a', "it ends too early"),
        (b'{"family": "\\ud83d\\ude00', "it ends too early"),
        (b'{"family": "\\ud83d"}', "half of a character stands alone as \\u escape"),
        (b'{"active": True}', "invalid character (byte 11)"),
    ],
)
def test_a_fault_is_told_in_words_of_its_sender(body: bytes, told: str) -> None:
    with pytest.raises(NotJson) as raised:
        decode(body)

    assert str(raised.value) == told
