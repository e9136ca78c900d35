"""$meta, $meta-add, $meta-delete: the profiles, tags and security labels of one resource.

R4 lets a server change them without a new version. Here each change is a version like any other, made by the write
gate: so an ETag never stands for two contents, the history says who labelled what, and whoever may not update a
resource does not label it either.

https://hl7.org/fhir/R4/resource-operation-meta.html
"""

from collections.abc import Callable
from typing import Any

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import MalformedRequest, NotFound
from fhir_server.fhir.json import Resource, encode
from fhir_server.interactions.commit import Gate
from fhir_server.interactions.gate.asks import Ask, check_structure
from fhir_server.interactions.gate.written import Written
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.operations.inputs import check_names, parameters_of, texts
from fhir_server.operations.meta_in_use import meta_in_use
from fhir_server.store.contract import Transaction
from fhir_server.store.values import Stored

Merge = Callable[[list[Any], list[Any]], list[Any]]

_LISTS = ("profile", "security", "tag")


def meta(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """The meta of the current version; of a type or of the server, what is in use."""
    texts(interaction, services, ())
    if interaction.id is None:
        return meta_in_use(interaction, actor, services)
    stored, reason = _readable(interaction, actor, services)
    return Answer("ok", _told(stored), stored, (stored,), reason)


def meta_add(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """The meta after the given profiles, tags and labels were added; what was there already stays as it is."""
    return _changed(interaction, actor, services, _added)


def meta_delete(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """The meta after the given profiles, tags and labels were taken away; what was not there is no error."""
    return _changed(interaction, actor, services, _removed)


def _changed(interaction: Interaction, actor: Actor, services: Services, merge: Merge) -> Answer:
    given = _given(interaction, services)
    _readable(interaction, actor, services)

    def write(tx: Transaction) -> Written:
        stored = tx.read(interaction.type or "", interaction.id or "")
        if stored is None or stored.deleted:
            raise NotFound
        ask = Ask("update", stored.type, stored.id, _with(stored.resource(), given, merge), interaction.if_match)
        check_structure([ask], actor, services)
        [written] = Gate(tx, actor, services).write([ask])
        return written

    stored = services.store.transact(write).stored
    return Answer("ok", _told(stored), stored, audited=True)


def _readable(interaction: Interaction, actor: Actor, services: Services) -> tuple[Stored, str]:
    """Absent and hidden are answered alike, before anything is said about what was sent."""
    if interaction.type is None or interaction.id is None:
        raise NotFound
    sight = Sight.of(actor, services)
    return sight.readable(services.reading.read(interaction.type, interaction.id))


def _given(interaction: Interaction, services: Services) -> Resource:
    """The one Meta that was sent. Raises MalformedRequest, InvalidResource."""
    sent = [(parameter["name"], parameter.get("valueMeta")) for parameter in parameters_of(interaction, services)]
    stated: list[tuple[str, Any]] = [*interaction.parameters, *sent]
    check_names([name for name, _ in stated], interaction, ("meta",))
    metas = [value for name, value in stated if name == "meta"]
    if len(metas) != 1 or not isinstance(metas[0], dict):
        raise MalformedRequest(
            "Send a Parameters resource with one parameter `meta`, a valueMeta.", "Parameters.parameter", "parameters"
        )
    given: Resource = metas[0]
    return given


def _with(resource: Resource, given: Resource, merge: Merge) -> Resource:
    before = resource.get("meta", {})
    after = {name: value for name, value in before.items() if name not in _LISTS}
    for name in _LISTS:
        merged = merge(before.get(name, []), given.get(name, []))
        if merged:
            after[name] = merged
    if len(after.get("profile", [])) < len(before.get("profile", [])) and "_profile" in after:
        del after["_profile"]
        after |= _beside(before, after)
    return {**resource, "meta": after} if after else resource


def _beside(before: Resource, after: Resource) -> Resource:
    """What is said beside the profiles that stay: it belongs to them by their positions."""
    pairs = zip(before["profile"], before["_profile"], strict=False)
    kept = [said for profile, said in pairs if profile in after.get("profile", [])]
    return {"_profile": kept} if any(kept) else {}


def _added(before: list[Any], given: list[Any]) -> list[Any]:
    merged = list(before)
    for item in given:
        if _key(item) not in map(_key, merged):
            merged.append(item)
    return merged


def _removed(before: list[Any], given: list[Any]) -> list[Any]:
    unwanted = [_key(item) for item in given]
    return [item for item in before if _key(item) not in unwanted]


def _key(item: Any) -> Any:
    """A label is the same when system and code are; a profile when its url is."""
    return (item.get("system"), item.get("code")) if isinstance(item, dict) else item


def _told(stored: Stored) -> bytes:
    told = {"name": "return", "valueMeta": stored.resource().get("meta", {})}
    return encode({"resourceType": "Parameters", "parameter": [told]})
