"""The CapabilityStatement: generated from the tables of addresses, types and search parameters, so it cannot lie.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

import hashlib
from collections.abc import Mapping
from functools import cache

from fhir_server.access.policy import client_may
from fhir_server.access.types import TYPES, VERSIONED_UPDATE
from fhir_server.definitions.compartments import PATIENT
from fhir_server.definitions.operations import OPERATIONS
from fhir_server.definitions.search_parameters import (
    SearchParameter,
    own_parameters_of,
    parameters_of,
    shipped_parameters_of,
)
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.dates import instant
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource, encode
from fhir_server.interactions.addressing import ADDRESSES
from fhir_server.interactions.conditions import matches_etag
from fhir_server.interactions.parameters import SUBSETTING
from fhir_server.interactions.patching.patches import PATCH_FORMATS
from fhir_server.interactions.statements import normative, terminology
from fhir_server.interactions.subsets import marked, part_asked
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.search.lists import FUNCTIONS
from fhir_server.search.words import IN_WORDS

_WRITES = frozenset({"create", "update", "patch", "delete"})
_FILTERED = (
    "Expressions over the search parameters of the type, through references, with filters on the way "
    "(name[filter].name); and over words, as _text co value, of the types that declare _text."
)
_LISTED = f"The id of a List; beside a patient also {', '.join(FUNCTIONS)}, of the types that these lists hold."
_OAUTH = {"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "OAuth"}
_SECURITY = {
    "service": [{"coding": [_OAUTH]}],
    "description": "Bearer tokens for organisations and persons; nothing is open without one. "
    "Who may read what follows from the care team of each plan.",
}
_REASON = "open to every signed-in party"
_MODES = ("full", "normative", "terminology")
_SERVED: Mapping[str, tuple[str, ...]] = {"mode": _MODES, **dict.fromkeys(SUBSETTING, ())}
"""The parameters, each with its values where these are few."""


def capabilities(interaction: Interaction, actor: Actor | None, services: Services) -> Answer:
    """The statement, or `not-modified` when If-None-Match names what it says now; its date plays no part in that."""
    asked = _asked(interaction)
    told = _statement(asked.get("mode", "full"), services)
    cut = part_asked([told["resourceType"]], list(asked.items()))
    told = marked(cut(told), told["resourceType"]) if cut else told
    content = {name: value for name, value in told.items() if name != "date"}
    digest = hashlib.sha256(encode(content)).hexdigest()[:16]
    tag = f'W/"{digest}"'
    if interaction.if_none_match and matches_etag(interaction.if_none_match, digest):
        return Answer("not-modified", reason=_REASON, etag=tag)
    return Answer("ok", encode(told), reason=_REASON, etag=tag)


def _statement(mode: str, services: Services) -> Resource:
    if mode == "terminology":
        return terminology(services)
    return normative(statement(services)) if mode == "normative" else statement(services)


def _asked(interaction: Interaction) -> dict[str, str]:
    """The values of its parameters. Raises MalformedRequest for others, and for two values of one."""
    given = dict(interaction.parameters)
    for name, text in interaction.parameters:
        if name not in _SERVED and not interaction.lenient:
            told = f"/metadata has no parameter {name!r}; it has {', '.join(sorted(_SERVED))}."
            raise MalformedRequest(told, rule="unknown-parameter")
        if _SERVED.get(name) and text not in _SERVED[name]:
            told = f"{name} of /metadata is {' or '.join(_SERVED[name])}; it was {text!r}."
            raise MalformedRequest(told, rule="parameter-value")
        if name in _SERVED and text != given[name]:
            raise MalformedRequest(f"{name} of /metadata is said once.", rule="parameter-value")
    return given


def statement(services: Services) -> Resource:
    """What this server does: every type with its interactions, versioning, references and search parameters."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(services.clock()),
        "kind": "instance",
        "software": {"name": "Samen", "version": services.software_version},
        "implementation": {"description": "Samen: one shared care plan", "url": services.base_url},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "patchFormat": list(PATCH_FORMATS),
        "rest": [
            {
                "mode": "server",
                "security": _SECURITY,
                "resource": [_resource(type_name, services) for type_name in sorted(TYPES)],
                "searchParam": [
                    {"name": "_filter", "type": "special", "documentation": _FILTERED},
                    {"name": "_list", "type": "string", "documentation": _LISTED},
                ],
                "interaction": [{"code": code} for code in ("transaction", "batch", "search-system", "history-system")],
                "operation": _operations(None),
                "compartment": [PATIENT],
            }
        ],
    }


def _conditional_delete(services: Services) -> str:
    return "single" if services.max_deletes == 1 else "multiple"


def _resource(type_name: str, services: Services) -> Resource:
    on_type = sorted({address.interaction for address in ADDRESSES if "{type}" in address.path} - set(OPERATIONS))
    offered = [name for name in on_type if name not in _WRITES or client_may(type_name, name)]
    parameters = {code: each for code, each in parameters_of(type_name).items() if each.progress is None}
    declared: Resource = {
        "type": type_name,
        "interaction": [{"code": name} for name in offered],
        "versioning": "versioned-update" if type_name in VERSIONED_UPDATE else "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": "create" in offered,
        "conditionalRead": "full-support",
        "conditionalUpdate": "update" in offered,
        "conditionalDelete": _conditional_delete(services) if "delete" in offered else "not-supported",
        "referencePolicy": ["literal", "local"],
        "searchInclude": sorted(f"{type_name}:{p.code}" for p in parameters.values() if p.leads_on),
        "searchRevInclude": _referring(type_name),
        "searchParam": [
            *(_searched_by(parameters[code]) for code in sorted(parameters)),
            *({"name": name, "type": "string"} for name in IN_WORDS if type_name in services.full_text),
        ],
        "operation": _operations(type_name),
    }
    return {name: value for name, value in declared.items() if value != []}


def _searched_by(parameter: SearchParameter) -> Resource:
    defined = {"definition": parameter.definition} if parameter.definition else {}
    return {"name": parameter.code, **defined, "type": parameter.declared_type}


def _referring(type_name: str) -> list[str]:
    """The reference parameters of all types that may lead to the type."""
    own = [f"{other}:{each.code}" for other in TYPES for each in own_parameters_of(other) if _leads(each, type_name)]
    shipped = _shipped_referring(type_name)
    return sorted([*own, *(f"{name}:{code}" for name, code in shipped if parameters_of(name)[code].progress is None)])


@cache
def _shipped_referring(type_name: str) -> list[tuple[str, str]]:
    return [
        (other, parameter.code)
        for other in TYPES
        for parameter in shipped_parameters_of(other).values()
        if _leads(parameter, type_name)
    ]


def _leads(parameter: SearchParameter, type_name: str) -> bool:
    return parameter.type == "reference" and parameter.progress is None and parameter.may_point_to(type_name)


def _operations(type_name: str | None) -> list[Resource]:
    """The operations of a type that some client may perform; of no type, those of the system."""
    addresses = [a for a in ADDRESSES if ("{type}" in a.path) == (type_name is not None) and a.is_of(type_name)]
    changed = type_name is None or client_may(type_name, "update")
    offered = {name for name, operation in OPERATIONS.items() if changed or not operation.changes}
    names = sorted(offered & {address.interaction for address in addresses})
    return [{"name": OPERATIONS[name].code, "definition": OPERATIONS[name].canonical} for name in names]
