"""What can be asked of a resource by one search parameter, and whether it is found: told from its values alone.

Nothing here knows how the server compares. Each question says what R4 expects of a search in which only this resource
can be found: a value that it has, one that it has not, every modifier and every prefix that its type takes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.fhir.json import Resource
from fhir_server.search.elements import values_of
from tests.conformance.official import EXAMPLES

NOTHING = "no-such-value"
ENOUGH = 1 if EXAMPLES is None else 2
LONG_AGO, LONG_AFTER = "1800", "2200"
FAR = 10**9
DIGITS = 15
_LOCAL = re.compile(r"(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9.-]{1,64})(?P<version>/_history/[A-Za-z0-9.-]{1,64})?")
_PREFIX = re.compile(r"(?:eq|ne|gt|lt|ge|le|sa|eb|ap)(?=-?\d)")
_WORD = re.compile(r"[^\W_]{2,}")
_YES_OR_NO = {"boolean", "existence", "order"}
_OPPOSITE = {"true": "false", "false": "true"}


@dataclass(frozen=True)
class Question:
    """A parameter, perhaps with a modifier, what is asked of it, and whether the resource is found by that."""

    name: str
    text: str
    found: bool

    @property
    def modifier(self) -> str:
        """The modifier, or nothing."""
        return self.name.partition(":")[2]

    @property
    def kind(self) -> tuple[str, str, int, bool]:
        """What makes it unlike others: modifier, prefix, how many parts its value has, the answer."""
        prefix = _PREFIX.match(self.text)
        return self.modifier, prefix[0] if prefix else "", self.text.count("|"), self.found


Value = tuple[str, Any]
_Questions = Iterator[Question]


def questions(parameter: SearchParameter, resource: Resource) -> list[Question]:
    """The questions of a resource by a parameter; none when it has no value that can be asked."""
    if parameter.type == "composite":
        return list(_composite(parameter, resource))
    if parameter.type == "age":
        return list(_age(parameter, resource))
    values = values_of(resource, parameter)
    asked = [each for value in values for each in _ASK[parameter.type](parameter, value)]
    if not any(each.found for each in asked):
        return []
    certain = [each for each in asked if each.found or len(values) == 1]
    others = [Question(name, text, False) for name, text in _NOTHING[parameter.type](parameter)]
    missing = [Question(f"{parameter.code}:missing", text, text == "false") for text in ("false", "true")]
    return _some([*certain, *others, *([] if parameter.code in {"_id", "_lastUpdated"} else missing)])


def _some(asked: list[Question]) -> list[Question]:
    """A few of each kind: a ValueSet has hundreds of codes."""
    kinds: dict[Any, list[Question]] = {}
    for each in dict.fromkeys(asked):
        kinds.setdefault(each.kind, []).append(each)
    return [each for alike in kinds.values() for each in alike[:ENOUGH]]


def escaped(text: str) -> str:
    """A value with R4's escapes."""
    return re.sub(r"([\\,|$])", r"\\\1", text)


def _composite(parameter: SearchParameter, resource: Resource) -> _Questions:
    for part in parameter.parts:
        for node in resource.get(part.at, []) if part.at else [resource]:
            asked = [_plain(component, node) for component in part.components]
            if all(asked):
                yield Question(parameter.code, "$".join(text for each in asked for text in islice(each, 1)), True)
                [other, *_] = [text for _, text in _NOTHING[part.components[0].type](part.components[0])]
                yield Question(parameter.code, "$".join([other, *(each[0] for each in asked[1:])]), False)


def _age(parameter: SearchParameter, resource: Resource) -> _Questions:
    """Of somebody who lives, and whose day of birth is known."""
    if "deceasedBoolean" in resource or "deceasedDateTime" in resource or len(resource.get("birthDate", "")) != 10:
        return
    birth, today = date.fromisoformat(resource["birthDate"]), datetime.now(UTC).date()
    age, tomorrow = (_years(birth, day) for day in (today, today + timedelta(days=1)))
    prefixes = dict(eq=True, ne=False, gt=False, ge=True, lt=False, le=True, sa=False, eb=False, ap=True)
    if age == tomorrow:  # on the eve of a birthday the day may turn before the question is asked
        yield from (Question(parameter.code, f"{prefix}{age}", found) for prefix, found in prefixes.items())
        yield from (Question(parameter.code, str(other), other == age) for other in (age - 1, age, age + 1))
    yield from (Question(f"{parameter.code}:missing", text, text == "false") for text in ("false", "true"))


def _years(birth: date, day: date) -> int:
    """How many birthdays somebody has had by a day."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def _plain(component: SearchParameter, node: Resource) -> list[str]:
    values = values_of(node, component)
    asked = (each for value in values for each in _ASK[component.type](component, value))
    return [each.text for each in asked if each.found and not each.modifier]


def _token(parameter: SearchParameter, value: Value) -> _Questions:
    code = parameter.code
    for system, given in _codes(*value):
        stated = parameter.system if system is None else system
        full = f"{escaped(stated)}|{escaped(given)}" if stated else escaped(given)
        for text in {full, escaped(given), *([] if system or parameter.system else [f"|{escaped(given)}"])}:
            yield Question(code, text, True)
        other = _OPPOSITE[given] if isinstance(value[1], bool) else NOTHING
        yield Question(code, other, False)
        yield Question(f"{code}:not", full, False)
        yield Question(f"{code}:not", other, True)
        if system:
            yield Question(code, f"{escaped(system)}|", True)
            yield Question(code, f"{escaped(system)}|{NOTHING}", False)
            yield Question(code, f"https://samen.example/fhir/no-such-system|{escaped(given)}", False)
        if stated and value[0] in {"code", "Coding", "CodeableConcept"}:
            yield Question(f"{code}:in", f"{stated}|{given}", True)
            yield Question(f"{code}:not-in", f"{stated}|{given}", False)
    for words in _words(*value):
        yield Question(f"{code}:text", escaped(words.upper()), True)
    if value[0] == "Identifier" and "value" in value[1]:
        for coding in value[1].get("type", {}).get("coding", []):
            if {"system", "code"} <= coding.keys():
                three = (coding["system"], coding["code"], value[1]["value"])
                yield Question(f"{code}:of-type", "|".join(map(escaped, three)), True)
                yield Question(f"{code}:of-type", "|".join(map(escaped, (*three[:2], NOTHING))), False)


def _codes(datatype: str, value: Any) -> list[tuple[str | None, str]]:
    """System and code; None where a value of the datatype states no system, "" where this one does not."""
    if datatype in {"CodeableConcept", "Coding"}:
        codings = value.get("coding", []) if datatype == "CodeableConcept" else [value]
        return [(each.get("system", ""), each["code"]) for each in codings if "code" in each]
    if datatype == "Identifier":
        return [(value.get("system", ""), value["value"])] if "value" in value else []
    if datatype == "ContactPoint":
        return [(None, value["value"])] if "value" in value else []
    if datatype == "order":
        return [(None, "true")]
    return [(None, str(value).lower() if isinstance(value, bool) else value)]


def _words(datatype: str, value: Any) -> list[str]:
    if datatype == "CodeableConcept":
        texts = [value.get("text"), *(each.get("display") for each in value.get("coding", []))]
    elif datatype == "Coding":
        texts = [value.get("display")]
    else:
        texts = [value.get("type", {}).get("text")] if datatype == "Identifier" else []
    return [word[0] for text in texts if text and (word := _WORD.match(text))]


def _reference(parameter: SearchParameter, value: Value) -> _Questions:
    datatype, held = value
    if datatype != "Reference":
        yield from _canonical(parameter, held)
        return
    match = _LOCAL.fullmatch(held.get("reference", ""))
    if match and parameter.may_point_to(match["type"]):
        address = f"{match['type']}/{match['id']}"
        yield Question(parameter.code, address, True)
        yield Question(parameter.code, match["id"], True)
        yield Question(f"{parameter.code}:{match['type']}", match["id"], True)
        yield Question(f"{parameter.code}:{match['type']}", NOTHING, False)
        if match["version"]:
            yield Question(parameter.code, match[0], True)
    elif "://" in held.get("reference", "") or held.get("reference", "").startswith("urn:"):
        yield Question(parameter.code, escaped(held["reference"]), True)
    if "value" in held.get("identifier", {}):
        [(system, given)] = _codes("Identifier", held["identifier"])
        yield Question(f"{parameter.code}:identifier", f"{escaped(system or '')}|{escaped(given)}", True)
        yield Question(f"{parameter.code}:identifier", f"{escaped(system or '')}|{NOTHING}", False)


def _canonical(parameter: SearchParameter, url: str) -> _Questions:
    match = _LOCAL.fullmatch(url)
    if not match and ":" not in url:
        return
    if match and not parameter.may_point_to(match["type"]):
        return
    yield Question(parameter.code, url, True)
    yield Question(parameter.code, f"{url}x", False)
    if "|" in url:
        yield Question(parameter.code, url.partition("|")[0], True)


def _uri(parameter: SearchParameter, value: Value) -> _Questions:
    url = value[1]
    text = escaped(url)
    yield Question(parameter.code, text, True)
    yield Question(parameter.code, f"{text}x", False)
    if value[0] == "canonical" and "|" in url:
        yield Question(parameter.code, escaped(url.partition("|")[0]), True)
    if url.startswith("http") and "|" not in url:
        yield Question(f"{parameter.code}:above", f"{text}/deeper", True)
        yield Question(f"{parameter.code}:above", f"{text}-deeper", False)
        yield Question(f"{parameter.code}:below", f"{text}/deeper", False)
        above = url.rpartition("/")[0]
        if above.count("/") > 2:
            yield Question(f"{parameter.code}:below", escaped(above), True)


def _sound(parameter: SearchParameter, value: Value) -> _Questions:
    for text in _texts(*value):
        words = _WORD.findall(text)
        if 0 < len(words) <= 4 and text.isascii():
            yield Question(parameter.code, escaped(" ".join(words)), True)
            yield Question(parameter.code, words[0].upper(), True)


def _string(parameter: SearchParameter, value: Value) -> _Questions:
    for text in _texts(*value):
        if not _WORD.match(text) or len(text) > 200 or not text.isprintable():
            continue
        yield Question(parameter.code, escaped(text), True)
        yield Question(parameter.code, escaped(text[:3].swapcase().rstrip()), True)
        yield Question(f"{parameter.code}:exact", escaped(text), True)
        yield Question(f"{parameter.code}:exact", escaped(f"{text}x"), False)
        yield Question(f"{parameter.code}:contains", escaped(_WORD.findall(text)[-1].swapcase()), True)


def _texts(datatype: str, value: Any) -> list[str]:
    if datatype == "HumanName":
        return [*value.get("given", []), *filter(None, [value.get("family"), value.get("text")])]
    if datatype == "Address":
        return [*value.get("line", []), *(value[name] for name in ("city", "postalCode", "country") if name in value)]
    return [value]


def _date(parameter: SearchParameter, value: Value) -> _Questions:
    start, end, point = _span(*value)
    if start is None and end is None:
        return
    code = parameter.code
    if point is not None:
        for prefix, found in dict(eq=True, ne=False, ge=True, le=True, gt=False, lt=False, ap=True).items():
            yield Question(code, f"{prefix}{point}", found)
        yield Question(code, point, True)
    for prefix, found in dict(gt=True, ge=True, sa=start is not None, lt=start is None, eb=False).items():
        yield Question(code, f"{prefix}{LONG_AGO}", found)
    for prefix, found in dict(lt=True, le=True, eb=end is not None, gt=end is None, sa=False).items():
        yield Question(code, f"{prefix}{LONG_AFTER}", found)
    yield Question(code, f"ne{LONG_AGO}", True)
    yield Question(code, f"ap{LONG_AGO}", start is None)


def _span(datatype: str, value: Any) -> tuple[str | None, str | None, str | None]:
    """The first and the last date, None for open; and the one date that stands for all of it, if there is one."""
    if datatype == "Period":
        return value.get("start"), value.get("end"), None
    if datatype == "Timing":
        events, bounds = value.get("event", []), value.get("repeat", {}).get("boundsPeriod", {})
        if events and bounds:
            return None, None, None
        return (min(events), max(events), None) if events else (bounds.get("start"), bounds.get("end"), None)
    return value, value, value


def _number(parameter: SearchParameter, value: Value) -> _Questions:
    if value[0] == "Range":
        yield from _between(parameter.code, value[1].get("low"), value[1].get("high"), "")
    else:
        yield from _amounts(parameter.code, value[1], "")


def _quantity(parameter: SearchParameter, value: Value) -> _Questions:
    datatype, held = value
    if datatype == "Range":
        yield from _between(parameter.code, held.get("low"), held.get("high"), "")
        return
    if "value" not in held or "comparator" in held or abs(Decimal(str(held["value"])).adjusted()) > DIGITS:
        return
    code = held.get("code", held.get("currency"))
    system = "urn:iso:std:iso:4217" if "currency" in held else held.get("system")
    yield from _amounts(parameter.code, held["value"], "")
    if code:
        yield from _amounts(parameter.code, held["value"], f"||{escaped(code)}")
        yield Question(parameter.code, f"{_written(held['value'])}||{NOTHING}", False)
    if code and system:
        yield from _amounts(parameter.code, held["value"], f"|{escaped(system)}|{escaped(code)}")
    elif "unit" in held:
        yield from _amounts(parameter.code, held["value"], f"||{escaped(held['unit'])}")


def _amounts(code: str, value: Any, unit: str) -> _Questions:
    same = dict(eq=True, ne=False, ge=True, le=True, gt=False, lt=False, sa=False, eb=False, ap=True)
    less = dict(eq=False, ne=True, ge=True, le=False, gt=True, lt=False, sa=True, eb=False, ap=False)
    more = dict(eq=False, ne=True, ge=False, le=True, gt=False, lt=True, sa=False, eb=True, ap=False)
    for asked, answers in ((value, same), (value - FAR, less), (value + FAR, more)):
        for prefix, found in answers.items():
            yield Question(code, f"{prefix}{_written(asked)}{unit}", found)
    yield Question(code, f"{_written(value)}{unit}", True)


def _between(code: str, low: Resource | None, high: Resource | None, unit: str) -> _Questions:
    """A range that may be open: R4 lets gt and lt look at its far end, sa and eb at its near one."""
    first, last = ((each or {}).get("value") for each in (low, high))
    if first is not None:
        yield Question(code, f"sa{_written(first - FAR)}{unit}", True)
        yield Question(code, f"gt{_written(first - FAR)}{unit}", True)
        yield Question(code, f"lt{_written(first - FAR)}{unit}", False)
    if last is not None:
        yield Question(code, f"eb{_written(last + FAR)}{unit}", True)
        yield Question(code, f"lt{_written(last + FAR)}{unit}", True)
        yield Question(code, f"gt{_written(last + FAR)}{unit}", False)


def _written(number: Any) -> str:
    return f"{Decimal(str(number)):f}"


def _near(parameter: SearchParameter, value: Value) -> _Questions:
    latitude, longitude = value[1]["latitude"], value[1]["longitude"]
    yield Question(parameter.code, f"{latitude}|{longitude}", True)
    yield Question(parameter.code, f"{latitude}|{longitude}|10|m", True)
    yield Question(parameter.code, f"{-latitude}|{longitude}|10|km", abs(latitude) * 222 < 10)


_ASK: Mapping[str, Callable[[SearchParameter, Value], _Questions]] = {
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "reference": _reference,
    "sound": _sound,
    "special": _near,
    "string": _string,
    "token": _token,
    "uri": _uri,
}


def _plainly(text: str) -> Callable[[SearchParameter], list[tuple[str, str]]]:
    return lambda parameter: [(parameter.code, text)]


def _no_reference(parameter: SearchParameter) -> list[tuple[str, str]]:
    target = "Patient" if "*" in parameter.targets else parameter.targets[0]
    return [(parameter.code, f"{target}/{NOTHING}")]


def _no_token(parameter: SearchParameter) -> list[tuple[str, str]]:
    """Nothing for what is true or false: there is no third, and the opposite is asked beside the value."""
    return [] if {path.datatype for path in parameter.paths} <= _YES_OR_NO else [(parameter.code, NOTHING)]


# What no resource has, by type of parameter.
_NOTHING: Mapping[str, Callable[[SearchParameter], list[tuple[str, str]]]] = {
    "date": _plainly("1799-01-01"),
    "number": _plainly("123456789.125"),
    "quantity": _plainly("123456789.125"),
    "reference": _no_reference,
    "sound": _plainly(NOTHING),
    "special": _plainly("-89.5|179.5|1|m"),
    "string": lambda parameter: [(parameter.code, NOTHING), (f"{parameter.code}:contains", NOTHING)],
    "token": _no_token,
    "uri": lambda parameter: [(parameter.code, NOTHING), (f"{parameter.code}:below", f"http://{NOTHING}/x")],
}
