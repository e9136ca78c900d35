"""Documents of MongoDB put together as bytes, for who makes many that are nearly alike.

A document is the elements of its fields between its length and a zero byte; an element is a byte for its type, the name
of the field and the value.

https://bsonspec.org/spec.html
"""

from collections.abc import Collection
from struct import Struct

_int32 = Struct("<i").pack
_PLACES = tuple(b"\x02%d\x00" % place for place in range(4096))
"""How the elements of an array of texts begin: an array is a document whose names are the places 0, 1, 2 ..."""

MOST_TEXTS = len(_PLACES)
"""An array holds at most so many texts."""

long_value = Struct("<q").pack
"""The value, without its field, of a time or of a whole number of 64 bits."""


def document(elements: bytes) -> bytes:
    """A document of these elements."""
    return b"%b%b\x00" % (_int32(len(elements) + 5), elements)


def text_element(name: bytes, text: bytes | None) -> bytes:
    """A field that holds a text, or null."""
    return b"\x0a%b\x00" % name if text is None else b"\x02%b\x00%b%b\x00" % (name, _int32(len(text) + 1), text)


def binary_element(name: bytes, data: bytes) -> bytes:
    """A field that holds bytes."""
    return b"\x05%b\x00%b\x00%b" % (name, _int32(len(data)), data)


def array_element(name: bytes, elements: bytes) -> bytes:
    """A field that holds an array, whose elements are given as `texts_from` makes them."""
    return b"\x04%b\x00%b" % (name, document(elements))


def texts_from(texts: Collection[bytes], first: int = 0) -> bytes:
    """Texts as elements of an array, from its place `first` on."""
    places = _PLACES[first : first + len(texts)]
    return b"".join([b"%b%b%b\x00" % (at, _int32(len(each) + 1), each) for at, each in zip(places, texts, strict=True)])


def elements_of(document: bytes) -> bytes:
    """The elements of a document that was encoded, as `document` takes them."""
    return document[4:-1]
