"""Texts that a client gives back as they are, such as cursors: sealed, so that nobody can make one up or read it.

A cursor may name what its bearer does not read, such as a hidden version that a page of a history ended on. The same
body is always the same text.

https://www.rfc-editor.org/rfc/rfc5297
"""

import base64
import binascii
import hashlib
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV


def signed(body: bytes, question: bytes, secret: bytes) -> str:
    """`body` as a text for an address, good for this question alone."""
    return _text(_seal(secret).encrypt(body, [question]))


def unsigned(text: str, question: bytes, secret: bytes, *, longest: int) -> bytes | None:
    """The body that was signed for this question; None for any other text, and for one longer than `longest`."""
    try:
        sent = base64.urlsafe_b64decode(text[:longest].encode("ascii") + b"=" * (-len(text) % 4))
        # Base 64 is read with strange characters in it, and with some others at its end, as if they were not there.
        return _seal(secret).decrypt(sent, [question]) if _text(sent) == text else None
    except (binascii.Error, UnicodeEncodeError, InvalidTag):
        return None


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


@lru_cache(maxsize=4)
def _seal(secret: bytes) -> AESSIV:
    """The cipher for what a secret seals, with a key for this use alone."""
    return AESSIV(hashlib.sha512(b"texts that a client gives back " + secret).digest())
