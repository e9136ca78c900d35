"""The story's own words in the four languages of its readers: written in Dutch, with FHIR's translations beside them.

https://hl7.org/fhir/R4/extension-translation.html
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.fhir.json import Resource

_TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
_WORDS: Mapping[str, Mapping[str, str]] = {
    "Thuisverpleging": {"fr": "Soins infirmiers à domicile", "de": "Häusliche Krankenpflege", "en": "Home nursing"},
    "Thuisverpleging: hulp bij ADL, tweemaal per week": {
        "fr": "Soins infirmiers à domicile\N{NO-BREAK SPACE}: aide aux AVJ, deux fois par semaine",
        "de": "Häusliche Krankenpflege: Hilfe im Alltag, zweimal pro Woche",
        "en": "Home nursing: help with daily activities, twice a week",
    },
    "Lichaamsgewicht": {"fr": "Poids corporel", "de": "Körpergewicht", "en": "Body weight"},
    "Verrichte zorg": {"fr": "Soins dispensés", "de": "Geleistete Pflege", "en": "Care given"},
}


def with_translations(resource: Resource) -> Resource:
    """The resource or Bundle, with the translations of each text of the story beside that text."""
    translated: Resource = _translated(resource)
    return translated


def _translated(value: Any) -> Any:
    if isinstance(value, list):
        return [_translated(each) for each in value]
    if not isinstance(value, dict):
        return value
    beside = {
        f"_{name}": _translations(text) for name, text in value.items() if isinstance(text, str) and text in _WORDS
    }
    return {name: _translated(inner) for name, inner in value.items()} | beside


def _translations(text: str) -> Resource:
    return {"extension": [_translation(language, words) for language, words in _WORDS[text].items()]}


def _translation(language: str, words: str) -> Resource:
    parts = [{"url": "lang", "valueCode": language}, {"url": "content", "valueString": words}]
    return {"url": _TRANSLATION, "extension": parts}
