"""$validate: what a create, update or delete would be told, without storing anything.

With a mode the whole write gate is rehearsed: access, references, workflow and what would follow, in a transaction that
is never committed.

https://hl7.org/fhir/R4/resource-operation-validate.html
"""

from dataclasses import dataclass, replace
from typing import Any

from fhir_server.access.scopes import check_scope
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import FhirError, MalformedRequest, Unavailable
from fhir_server.fhir.json import encode
from fhir_server.fhir.outcome import Issue, operation_outcome
from fhir_server.interactions.commit import Gate
from fhir_server.interactions.gate.asks import Ask, structural_issues
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.update import check_id
from fhir_server.interactions.words import Answer, Interaction, Misread, Services
from fhir_server.store.contract import Transaction
from fhir_server.store.values import Stored
from fhir_server.validation.findings import quoted

MODES = ("create", "update", "delete", "profile")

_R4 = "http://hl7.org/fhir/StructureDefinition/"
_VERSIONS = frozenset({"", "4.0", "4.0.1"})
_KNOWN = frozenset({"resource", "mode", "profile"})
_CLEAN = Issue("informational", "No errors were found.", severity="information")


@dataclass(frozen=True)
class Wish:
    """What is to be validated, and for what."""

    resource: Any
    mode: str | None


class _Rehearsed(Exception):
    """The gate let the write through; raised so that the transaction ends without it."""


def validate(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """An OperationOutcome of every finding; one that says so when there is none. 200 either way."""
    wish = _wish(interaction)
    disclosed: tuple[Stored, ...] = ()
    reason = "nothing stored is shown"
    if interaction.id is not None:
        sight = Sight.of(actor, services)
        stored, reason = sight.readable(services.reading.read(interaction.type or "", interaction.id))
        disclosed = (stored,)
        if wish.mode == "profile":
            wish = replace(wish, resource=stored.resource())
    issues = _issues(wish, interaction, actor, services)
    body = encode(operation_outcome(issues or [_CLEAN]))
    return Answer("ok", body, None, disclosed, reason, query=f"mode={wish.mode}" if wish.mode else None)


def _issues(wish: Wish, interaction: Interaction, actor: Actor, services: Services) -> list[Issue]:
    """What is wrong in itself; when nothing is, what the gate would refuse."""
    if isinstance(wish.resource, Misread):
        return list(wish.resource.issues)
    type_name = interaction.type or ""
    found: list[Issue] = []
    if wish.mode != "delete":
        found = structural_issues(wish.resource, type_name, actor, services)
        if not found and interaction.id is not None:
            found = _id_issues(wish.resource, type_name, interaction.id)
    if found or wish.mode in {None, "profile"}:
        return found
    resource = None if wish.mode == "delete" else wish.resource
    ask = Ask(wish.mode, type_name, interaction.id, resource, interaction.if_match)
    return _rehearsed(ask, actor, services)


def _id_issues(resource: Any, type_name: str, id: str) -> list[Issue]:
    try:
        check_id(resource, type_name, id)
    except MalformedRequest as error:
        return error.issues
    return []


def _rehearsed(ask: Ask, actor: Actor, services: Services) -> list[Issue]:
    """What the gate says to the ask. Raises Unavailable."""

    def rehearse(tx: Transaction) -> None:
        Gate(tx, actor, services).write([ask])
        raise _Rehearsed

    try:
        check_scope(actor, ask.interaction, ask.type)
        services.store.transact(rehearse)
    except _Rehearsed:
        return []
    except Unavailable:
        raise
    except FhirError as error:
        return error.issues
    return []


def _wish(interaction: Interaction) -> Wish:
    """The resource and the mode, from the address and the body. Raises MalformedRequest."""
    given: dict[str, Any] = {}
    for name, value in [*interaction.parameters, *_sent(interaction.resource)]:
        if name not in _KNOWN and not interaction.lenient:
            raise MalformedRequest(
                f"$validate has no parameter {name!r}; it has mode and profile.", rule="unknown-parameter"
            )
        if name in given:
            raise MalformedRequest(f"The parameter {name!r} is stated twice.", rule="parameter-value")
        given[name] = value
    wish = Wish(given.get("resource"), given.get("mode"))
    _check(wish, interaction)
    _check_profile(given.get("profile"), wish.mode, interaction.type or "")
    return wish


def _check_profile(profile: Any, mode: str | None, type_name: str) -> None:
    """What a resource is validated against is R4's own definition of its type, whether that is named or not."""
    if profile is None:
        if mode == "profile":
            raise MalformedRequest(f"The mode profile names a profile, such as {_R4}{type_name}.", rule="profile")
        return
    url, _, version = str(profile).partition("|")
    if url != f"{_R4}{type_name}" or version not in _VERSIONS:
        told = f"The profile {quoted(str(profile))} is not known; a {type_name} is validated against {_R4}{type_name}."
        raise MalformedRequest(told, rule="profile")


def _sent(body: Any) -> list[tuple[str, Any]]:
    """The parameters of a Parameters body; any other body is the resource."""
    if body is None:
        return []
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        return [("resource", body)]
    listed = body.get("parameter", [])
    if not isinstance(listed, list) or not all(isinstance(each, dict) and "name" in each for each in listed):
        raise MalformedRequest("Each parameter of Parameters has a name.", "Parameters.parameter", "parameters")
    named = [(str(each["name"]), each) for each in listed]
    return [(name, _value(each) if name in _KNOWN else None) for name, each in named]


def _value(parameter: dict[str, Any]) -> Any:
    """The one value, or the resource. Raises MalformedRequest: without its value a mode would ask for less."""
    values = [value for name, value in parameter.items() if name == "resource" or name.startswith("value")]
    if len(values) != 1 or values[0] is None:
        told = f"The parameter {parameter['name']} of $validate has one value."
        raise MalformedRequest(told, "Parameters.parameter", "parameter-value")
    return values[0]


def _check(wish: Wish, interaction: Interaction) -> None:
    told = None
    if wish.mode is not None and wish.mode not in MODES:
        told = f"mode is one of {', '.join(MODES)}, or left out; it was {wish.mode!r}."
    elif wish.mode in {"update", "delete", "profile"} and interaction.id is None:
        told = f"The mode {wish.mode} is asked of one resource: POST /{interaction.type}/[id]/$validate."
    elif wish.mode == "create" and interaction.id is not None:
        told = f"The mode create is asked of the type: POST /{interaction.type}/$validate."
    elif wish.mode == "profile" and wish.resource is not None:
        told = "The mode profile is of what is stored; send no resource."
    elif wish.resource is None and wish.mode not in {"delete", "profile"}:
        told = "Send the resource, as the body or as the parameter `resource` of a Parameters body."
    if told:
        raise MalformedRequest(told, rule="parameter-value")
