"""What is sent to an operation: its parameters stand in the address, or in the body as a Parameters resource.

https://hl7.org/fhir/R4/operations.html#executing
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from fhir_server.fhir.errors import InvalidResource, MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue
from fhir_server.interactions.words import Interaction, Services
from fhir_server.search.parse import OF_FORM

_WRONG = "parameter-value"
_MOST_DIGITS = 15
_NAMELESS = "A parameter states its name; an extension does not stand for it."


def texts(interaction: Interaction, services: Services, known: Collection[str]) -> dict[str, list[str]]:
    """The values of the parameters that are simple, as texts by name, in their order.

    Raises MalformedRequest for one that is not among `known` (a lenient caller is spared), InvalidResource for a body
    that is no valid Parameters.
    """
    given: dict[str, list[str]] = {}
    stated = [*interaction.parameters, *_sent(interaction, services)]
    check_names([name for name, _ in stated], interaction, known)
    for name, value in stated:
        if name in known:
            given.setdefault(name, []).append(value)
    return given


def check_names(names: Iterable[str], interaction: Interaction, known: Collection[str]) -> None:
    """Raise MalformedRequest for a name of a parameter that is not among `known`, unless the caller is lenient."""
    unknown = [name for name in names if name not in known and name not in OF_FORM]
    if unknown and not interaction.lenient:
        raise MalformedRequest(
            f"The operation has no parameter {unknown[0]!r}; it has {', '.join(sorted(known)) or 'none'}.",
            rule="unknown-parameter",
        )


def one(given: dict[str, list[str]], name: str) -> str | None:
    """The value of a parameter that is stated once or not at all. Raises MalformedRequest."""
    values = given.get(name, [])
    if len(values) > 1:
        raise MalformedRequest(f"The parameter {name!r} is stated {len(values)} times; once is enough.", rule=_WRONG)
    return values[0] if values else None


def whole_number(given: dict[str, list[str]], name: str) -> int | None:
    """The same as a whole number that is not negative. Raises MalformedRequest."""
    text = one(given, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        told = f"{name!r} takes a whole number of at most {_MOST_DIGITS} digits, not {text!r}."
        raise MalformedRequest(told, rule=_WRONG)
    return int(text)


def parameters_of(interaction: Interaction, services: Services) -> list[Resource]:
    """The parameters of a Parameters body, each with its name; none without a body.

    Raises MalformedRequest, InvalidResource.
    """
    body = interaction.resource
    if body is None:
        return []
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise MalformedRequest("The body of this operation is a Parameters resource.", "Parameters", "parameters")
    issues = services.validator.check(body)
    listed: list[Resource] = body.get("parameter", [])
    issues = issues or [
        Issue("required", _NAMELESS, f"Parameters.parameter[{position}].name")
        for position, each in enumerate(listed)
        if "name" not in each
    ]
    if issues:
        raise InvalidResource(issues=issues)
    return listed


def _sent(interaction: Interaction, services: Services) -> Iterator[tuple[str, str]]:
    for parameter in parameters_of(interaction, services):
        values = [value for name, value in parameter.items() if name.startswith("value")]
        if len(values) != 1 or isinstance(values[0], (dict, list)):
            raise MalformedRequest(f"The parameter {parameter['name']!r} needs one simple value.", rule=_WRONG)
        yield parameter["name"], _text(values[0])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
