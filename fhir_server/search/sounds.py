"""How words sound, for names as they are heard in Dutch, French, German and English: alike ones have the same key.

A word is respelt by the rules below, from first to last. The consonants of what is left make the key, with O for a
rounded vowel between them; of the other vowels A says that one begins the word, or ends it, unless that is an e. So
Janssens, Jansens and Janssen are JNSN, Meyer, Maier and Meijer MR, Renault, Renaud and Reno RNO. Letters of other
scripts stand for themselves. docs/decisions/0029-a-key-of-our-own-for-how-names-sound.md says why, with figures.
Whoever changes a rule counts `FORM` up in fingerprints.py: what is stored must then be indexed anew.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import groupby

from fhir_server.search.folding import fold

MOST_WORDS = 32
LONGEST_RUN = 4

_SPELLINGS = (
    (r"(?<=au)l?[dtx]s?$|(?<=oi)[dstx]$|(?<=ou)x$|(?<=qu|rg)es$", ""),  # Renault, Dubois, Leroux, Jacques
    (r"(?<=n)c(?=oi)", "s"),  # Francois
    (r"(?<=q)u|(?<=g)u(?=[eiy])", ""),  # Dominique, Guy
    (r"^geo", "jo"),  # George
    (r"tsj|tch", "ts"),
    (r"^ch(?=[aeiouy])|sch|s[hjz]|[cs]c(?=[eiy])|c(?=[eiy])|^x", "s"),  # Charlotte, Schmidt, Celine, Xavier
    (r"(?<=[lnr])t?ze?$|(?<=[lnr])tz", "s"),  # Schulz, Schultze
    (r"z", "s"),
    (r"ph|pf", "f"),  # Stephan, Pfeiffer
    (r"bv", "v"),  # Lefebvre
    (r"dj", "j"),
    (r"x", "ks"),  # Hendrix
    (r"[cq]|(?<=.)g", "k"),
    (r"ij|(?<=a)j(?=e)|(?<=[aeiou])j(?![aeiou])", "i"),  # Thijs, Majer
    (r"^[iy](?=[aou])|^y(?=e)", "j"),  # Yannick
    (r"y", "i"),
    (r"h", ""),
    (r"(?<=u)w", ""),  # Bauwens
    (r"(?<=[aeo])w(?![aeiou])", "u"),  # Brown
    (r"[vw]", "f"),
    (r"(?<=.)d", "t"),  # Dupond
    (r"(?<=.)b", "p"),
    (r"e+$", ""),  # De Jonghe
)
_RULES = tuple((re.compile(pattern), instead) for pattern, instead in _SPELLINGS)
_VOWELS = frozenset("aeiou")
_ROUNDED = frozenset("ou")
_SON = re.compile(r"(?<=[^aeious])s+$")
"""The s of Janssens, Peeters and Hendrickx, which is often given or left; not that of a short name such as Hans."""
_SHORT = 4


def keys_of(text: str) -> list[str]:
    """The keys of all words of a name, and of up to four of them in one, since De Smet may be written Desmedt."""
    words = words_of(text)[:MOST_WORDS]
    runs = ("".join(words[at:end]) for at in range(len(words)) for end in range(at + 1, _end(words, at)))
    return list(dict.fromkeys(key_of(run) for run in runs))


def groups_of(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Every way to take together folded words that stand beside each other, each as the keys that a name must have."""
    if not words:
        return [()]
    found = [
        (key_of("".join(words[:end])), *rest) for end in range(1, _end(words, 0)) for rest in groups_of(words[end:])
    ]
    return list(dict.fromkeys(found))


def words_of(text: str) -> list[str]:
    """The words of a name, folded; what only marks a letter is none."""
    return fold("".join(each for each in text if unicodedata.category(each) != "Lm")).split()


@lru_cache(maxsize=8192)
def key_of(word: str) -> str:
    """The key of one folded word, which is never empty."""
    spelt = word
    for rule, instead in _RULES:
        spelt = rule.sub(instead, spelt)
    long, key = _key(spelt), _key(_SON.sub("", spelt))
    return (key if len(long) >= _SHORT else long) or word


def _key(spelt: str) -> str:
    sounds = [(vowel, "".join(letters)) for vowel, letters in groupby(spelt, _VOWELS.__contains__)]
    return "".join(
        _vowel(letters, at_an_edge=at in {0, len(sounds) - 1}) if vowel else _consonants(letters)
        for at, (vowel, letters) in enumerate(sounds)
    )


def _vowel(letters: str, *, at_an_edge: bool) -> str:
    if not _ROUNDED.isdisjoint(letters):
        return "O"
    return "A" if at_an_edge else ""


def _consonants(letters: str) -> str:
    return "".join(letter for letter, _ in groupby(letters.upper()))


def _end(words: tuple[str, ...] | list[str], at: int) -> int:
    return min(at + LONGEST_RUN, len(words)) + 1
