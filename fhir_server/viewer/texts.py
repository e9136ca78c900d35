"""FHIR datatypes as a person reads them: names, concepts, quantities, ages.

https://hl7.org/fhir/R4/datatypes.html
"""

import re
from datetime import date, datetime
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton
from babel.numbers import get_decimal_symbol
from flask_babel import format_date, format_time, get_locale, get_timezone
from flask_babel import gettext as _

from fhir_server.fhir.dates import local, time_range
from fhir_server.fhir.json import Resource

_TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
_FIRST_IN_FRENCH = re.compile(r"\b1(?= [^\W\d])")
_NAME_USES = ("usual", "official", None, "temp", "nickname", "anonymous", "maiden", "old")


def person_name(person: Resource) -> str:
    """The name that a person goes by, such as `An Peeters`; empty when none is known."""
    name = _human_name(person)
    return str(name.get("text") or " ".join([*name.get("given", []), name.get("family", "")]).strip())


def place_of(person: Resource) -> str:
    """Where the person lives: postal code and municipality."""
    addresses = person.get("address", [])
    home: Resource = next((each for each in addresses if each.get("use") == "home"), next(iter(addresses), {}))
    return " ".join(home[name] for name in ("postalCode", "city") if home.get(name))


def sorted_name(person: Resource) -> str:
    """The name as an alphabetical list writes it, such as `Peeters, An`."""
    name = _human_name(person)
    given = " ".join(name.get("given", []))
    return ", ".join(part for part in (name.get("family"), given) if part) or person_name(person)


def name_of(resource: Resource, language: str = "") -> str:
    """The name of whatever acts or is acted upon: a person, organisation, service, team, plan, or what it is about."""
    if isinstance(resource.get("name"), str):
        return str(resource["name"])
    if resource.get("name"):
        return person_name(resource)
    if resource.get("title"):
        return text_of(resource, "title", language)
    if resource["resourceType"] == "PractitionerRole":
        shown = [resource.get(element, {}).get("display") for element in ("practitioner", "organization")]
        return ", ".join(part for part in shown if part)
    return concept_text(resource.get("code"), language)


def concept_text(concept: Resource | None, language: str = "") -> str:
    """What a CodeableConcept says, in `language` where the resource carries a translation; empty for nothing.

    A concept without any words is called by its code, and said to be one.
    """
    if not concept:
        return ""
    if concept.get("text"):
        return text_of(concept, "text", language)
    shown = [text_of(coding, "display", language) for coding in concept.get("coding", [])]
    codes = [_("code %(code)s", code=coding["code"]) for coding in concept.get("coding", []) if coding.get("code")]
    return next((str(text) for text in [*shown, *codes] if text), "")


def order_text(order: Resource, language: str) -> str:
    """What an order asks for; that it is not to be done stands before it, lest somebody reads the opposite."""
    what = concept_text(order.get("code"), language)
    if order.get("doNotPerform") is not True:
        return what
    return str(_("Not to be done: %(what)s", what=what) if what else _("Not to be done"))


def text_of(holder: Resource, element: str, language: str) -> str:
    """A string element, in `language` where its translation extension has it.

    https://hl7.org/fhir/R4/extension-translation.html
    """
    for extension in (holder.get(f"_{element}") or {}).get("extension", []):
        if extension.get("url") == _TRANSLATION:
            parts = {part.get("url"): part for part in extension.get("extension", [])}
            if str(parts.get("lang", {}).get("valueCode", "")).partition("-")[0] == language:
                return str(parts.get("content", {}).get("valueString", ""))
    return str(holder.get(element, ""))


def reason_of(task: Resource, language: str) -> str:
    """Why a Task is in its status, as its owner or requester wrote it."""
    return concept_text(task.get("statusReason"), language)


def value_text(observation: Resource, language: str) -> str:
    """The value of an Observation as text; empty when it has none that fits on a line."""
    name, value = next(((name, value) for name, value in observation.items() if name.startswith("value")), ("", None))
    parts = [
        concept_text(component.get("code"), language) + " " + value_text(component, language)
        for component in observation.get("component", [])
    ]
    return _value(name, value, language) or ", ".join(part.strip() for part in parts)


def quantity_text(quantity: Resource) -> str:
    """A Quantity with all its digits, written with the reader's decimal sign."""
    number = str(quantity.get("value", "")).replace(".", get_decimal_symbol(get_locale()))
    unit = quantity.get("unit") or quantity.get("code") or ""
    return f"{quantity.get('comparator', '')}{number} {unit}".strip()


def range_text(span: Resource) -> str:
    """A Range, its unit once; open at the side that is not stated."""
    low, high = span.get("low"), span.get("high")
    if not low or not high:
        return f"≥ {quantity_text(low)}" if low else f"≤ {quantity_text(high)}" if high else ""
    if low.get("unit") == high.get("unit"):
        low = {"value": low.get("value", "")}
    return f"{quantity_text(low)}–{quantity_text(high)}"


def has_died(person: Resource) -> bool:
    """Whether the person is known to have died."""
    return "deceasedDateTime" in person or person.get("deceasedBoolean") is True


def age_on(birth_date: str, today: date) -> int | None:
    """Whole years on `today`; None when the date of birth is not known to the day."""
    try:
        born = date.fromisoformat(birth_date)
    except ValueError:
        return None
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def is_vague(stated: str) -> bool:
    """Whether only the month or the year is stated."""
    return len(stated) in {4, 7}


def day_shown(stated: str, style: str = "long") -> str:
    """A FHIR date in the reader's way of writing: day, month or year; of a point in time the day in her own zone."""
    try:
        start, _end = time_range(stated)
    except ValueError:
        return stated
    if "T" in stated:
        return date_shown(start, style)
    written = {4: "y", 7: "yMMMM"}.get(len(stated))
    return format_skeleton(written, start, locale=get_locale()) if written else _written(start.date(), style)


def date_shown(day: date, style: str = "medium") -> str:
    """A day, or the day of an aware time in the reader's zone, in the reader's way of writing."""
    if isinstance(day, datetime):
        day = local(day, get_timezone()).date()
    return _written(day, style)


def time_shown(moment: datetime, style: str = "short") -> str:
    """The time of day of an aware time in the reader's zone, in the reader's way of writing."""
    return str(format_time(local(moment, get_timezone()).replace(tzinfo=None), style, rebase=False))


def language_name(concept: Resource, shown_in: Locale) -> str:
    """A language such as `nl-BE` by its name in the reader's language."""
    code = next((str(coding["code"]) for coding in concept.get("coding", []) if coding.get("code")), "")
    try:
        return str(Locale.parse(code.partition("-")[0]).get_display_name(shown_in) or code)
    except (UnknownLocaleError, ValueError):
        return concept_text(concept) or code


def _written(day: date, style: str) -> str:
    """A day in the reader's way of writing; in French the first of a month is `1er` wherever the month is a word."""
    written = str(format_date(day, style))
    first = day.day == 1 and get_locale().language == "fr"
    return _FIRST_IN_FRENCH.sub(r"\g<0>er", written, count=1) if first else written


def _human_name(person: Resource) -> Resource:
    names: list[Resource] = person.get("name", [])
    return next((name for use in _NAME_USES for name in names if name.get("use") == use), {})


def _value(name: str, value: Any, language: str) -> str:
    if name == "valueQuantity":
        return quantity_text(value)
    if name == "valueCodeableConcept":
        return concept_text(value, language)
    if name == "valueRange":
        return range_text(value)
    if name == "valueBoolean":
        return str(_("yes") if value else _("no"))
    if name == "valueDateTime":
        return day_shown(value)
    return str(value) if name in {"valueString", "valueInteger"} else ""
