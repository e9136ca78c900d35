"""Requests from the address table, and what the database holds: how the matrix asks and how it looks."""

import uuid
from collections.abc import Mapping

from fhir_server.definitions.operations import OPERATIONS
from fhir_server.fhir.json import Resource
from fhir_server.interactions.addressing import Address
from tests.access.circle import Matrix, resource_of
from tests.world import Party, Reply

ABSENT = "0000absent"
NOT_CONSTANT = ("Date",)


def place_of(address: Address, reference: str, *, version: int = 1) -> str:
    """The path below the base that this address has for `Type/id`."""
    type_name, _, id = reference.partition("/")
    return address.path.lstrip("/").format(type=type_name, id=id, version=version)


def absent(reference: str) -> str:
    """A reference of the same type to what never was."""
    return f"{reference.partition('/')[0]}/{ABSENT}-{uuid.uuid4().hex[:8]}"


def marked(resource: Resource) -> Resource:
    """The resource with a change that any type allows and that breaks no element rule."""
    meta = resource.get("meta", {})
    return {**resource, "meta": {**meta, "tag": [{"system": "urn:test:matrix", "code": uuid.uuid4().hex}]}}


def stored(matrix: Matrix, reference: str) -> Resource:
    """The current content, whoever may see it."""
    type_name, _, id = reference.partition("/")
    found = matrix.world.parts.store.read(type_name, id)
    assert found is not None, reference
    return found.resource()


def new(kind: str, type_name: str, matrix: Matrix) -> Resource:
    """A resource of the type as an actor of this kind would create it: about its circle's person, naming no plan."""
    party = matrix.parties[kind]
    author = party if party.reference.startswith("Organization/") else matrix.parties["requester and author"]
    refs = matrix.circle(kind).refs
    return resource_of(type_name, author, {name: refs[name] for name in ("Patient", "ServiceRequest")})


def request(address: Address, kind: str, type_name: str, matrix: Matrix) -> Reply:
    """What an actor of this kind is answered at this address about the resource of the type in its circle."""
    party = matrix.parties[kind]
    reference = matrix.circle(kind).refs.get(type_name, "")
    place = place_of(address, reference) if reference else address.path.lstrip("/")
    if address.interaction == "update":
        return party.ask(address.method, place, marked(stored(matrix, reference)))
    if address.interaction == "patch":
        return patched(party, place, reference, matrix)
    if address.interaction == "create":
        return party.ask(address.method, place, new(kind, type_name, matrix))
    if address.interaction == "search-type":
        return search(party, address, type_name, f"_id={reference.partition('/')[2]}")
    if address.interaction in OPERATIONS:
        return party.ask(address.method, place, operation_body(address))
    if address.interaction == "transaction":
        return party.transact(batch([("GET", reference)] if reference else []))
    return party.ask(address.method, place)


def operation_body(address: Address) -> Resource | None:
    """What is sent to an operation at this address; nothing when all of it stands there."""
    label = {"system": "urn:test:matrix", "code": uuid.uuid4().hex}
    parameters: list[Resource] | None = {
        "Resource-validate": [{"name": "mode", "valueCode": "delete"}],
        "Resource-meta-add": [{"name": "meta", "valueMeta": {"tag": [label]}}],
        "Resource-meta-delete": [{"name": "meta", "valueMeta": {"tag": [label]}}],
    }.get(address.interaction)
    if parameters is None or address.method == "GET":
        return None
    return {"resourceType": "Parameters", "parameter": parameters}


def patched(party: Party, place: str, reference: str, matrix: Matrix | None = None) -> Reply:
    """A JSON Patch of one element that any type has and no element rule forbids, based on what is stored."""
    meta = stored(matrix, reference).get("meta", {}) if matrix else {}
    tag = [{"system": "urn:test:matrix", "code": uuid.uuid4().hex}]
    patch = [{"op": "replace" if meta else "add", "path": "/meta", "value": {**meta, "tag": tag}}]
    headers = {"If_Match": f'W/"{meta["versionId"]}"'} if meta else {}
    return party.ask("PATCH", place.lstrip("/"), patch, Content_Type="application/json-patch+json", **headers)


def search(party: Party, address: Address, type_name: str, asked: str) -> Reply:
    """A search by GET or by POST, as the address has it."""
    place = address.path.lstrip("/").format(type=type_name)
    if address.method == "POST":
        return party.ask("POST", place, asked.encode(), Content_Type="application/x-www-form-urlencoded")
    return party.get(f"{place}?{asked}")


def batch(entries: list[tuple[str, str]], kind: str = "batch") -> Resource:
    """A Bundle of requests without bodies."""
    asked = [{"request": {"method": method, "url": url}} for method, url in entries]
    return {"resourceType": "Bundle", "type": kind, **({"entry": asked} if asked else {})}


def constant(reply: Reply) -> tuple[int, bytes, Mapping[str, str]]:
    """All of an answer that a stranger could compare with another."""
    return reply.status, reply.raw, {name: value for name, value in reply.headers.items() if name not in NOT_CONSTANT}
