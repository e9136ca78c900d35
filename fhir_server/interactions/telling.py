"""How readings and refusals are told in the audit: one event, or one for each custodian, so that none reads of
another's plans."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from fhir_server.access.types import TYPES
from fhir_server.audit.events import REFUSED, Occurrence, audit_event
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import Resource
from fhir_server.interactions.naming import names_nobody_else
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.search.grant import Stamp
from fhir_server.store.values import Shown

_NO_PLAN = ""
_PLACE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64})(?:[/?].*)?")


class Told(NamedTuple):
    """An AuditEvent and its stamp, which says what custodians may read it.

    `page` are the references of its first entities when all of these are about the person of the stamp.
    """

    event: Resource
    stamp: Stamp
    page: Sequence[str] = ()


def tellings(interaction: Interaction, actor: Actor, services: Services, answer: Answer) -> list[Told]:
    """The AuditEvents of an answered reading, each with the stamp that says which custodians may read it.

    Whoever keeps a plan reads what happened in it. A page over the plans of several custodians is told to each of
    them by itself, without the question, which may name another's person; the whole of it is kept for whoever keeps
    the database. So is a page of one custodian's plans, when the question may name somebody whom the page does not
    show. A plan whose custodian still waits for the person's consent stands alone.
    """
    stamps = _stamps(answer.disclosed)
    whole = _telling(interaction, actor, services, answer, answer.disclosed, stamps)
    groups = _groups(answer.disclosed, stamps, services)
    if len(groups) <= 1 and (
        answer.query is None
        or not whole.stamp.plans
        or names_nobody_else(interaction, _of_the_asker(interaction), answer.disclosed, stamps, services.base_url)
    ):
        return [whole]
    apart = replace(answer, query=None)
    return [
        Told(whole.event, Stamp()),
        *(_telling(interaction, actor, services, apart, group, _stamps(group)) for group in groups),
    ]


def refusals(interaction: Interaction, actor: Actor | None, services: Services, error: FhirError) -> list[Told]:
    """The AuditEvents of a refusal: what was asked of which address and the rule, never the body.

    The answer says nothing of what is there; the record does, to whoever keeps the plan of what was asked: without the
    question, when that may name somebody else.
    """
    places = _places(interaction)
    asked = _stored_at(places, services)
    stamps = _stamps(asked)
    groups = _groups(asked, stamps, services)
    rules = sorted({issue.rule or issue.code for issue in error.issues})
    whole = Occurrence(
        interaction.name,
        () if interaction.name == "transaction" else places,
        query=interaction.asked or None,
        outcome=REFUSED,
        description=f"refused: {', '.join(rules)}",
    )
    if len(groups) <= 1 and (
        whole.query is None
        or not _plans_of(stamps)
        or names_nobody_else(interaction, interaction.parameters, asked, stamps, services.base_url)
    ):
        return [_refused(whole, group, actor, services) for group in groups or [()]]
    apart = replace(whole, query=None)
    return [_refused(each, group, actor, services) for each, group in ((whole, ()), *((apart, g) for g in groups))]


def _of_the_asker(interaction: Interaction) -> list[tuple[str, str]]:
    """The parameters of an answered question without the cursor, which this server made and sealed."""
    return [pair for pair in interaction.parameters if pair[0] != "_cursor"]


def _refused(occurrence: Occurrence, asked: Sequence[Shown], actor: Actor | None, services: Services) -> Told:
    stamps = _stamps(asked)
    stamp = _stamp_of(stamps)
    entities = occurrence.entities or [stored.reference for stored in asked]
    told = replace(occurrence, entities=entities, patient=stamp.patient, people=_people(stamps))
    return Told(audit_event(services.new_id(), services.clock(), actor, told), stamp)


def _places(interaction: Interaction) -> list[str]:
    """`Type/id` of what was asked about; in a transaction, of what any entry asks about."""
    if interaction.name == "transaction":
        return sorted({place for entry in _entries(interaction.resource) if (place := _place_of(entry))})
    type_name = "Patient" if interaction.name.startswith("search-") else interaction.type
    return [f"{type_name}/{interaction.id}"] if interaction.id and type_name else []


def _entries(bundle: Any) -> list[Any]:
    entries = bundle.get("entry") if isinstance(bundle, dict) and bundle.get("type") == "transaction" else None
    return entries if isinstance(entries, list) else []


def _place_of(entry: Any) -> str | None:
    request = entry.get("request") if isinstance(entry, dict) else None
    url = request.get("url") if isinstance(request, dict) else None
    found = _PLACE.match(url) if isinstance(url, str) else None
    return found[1] if found else None


def _stored_at(places: Sequence[str], services: Services) -> Sequence[Shown]:
    named = [place.partition("/") for place in places]
    if len(named) == 1 and named[0][0] in TYPES:
        one = services.store.read(named[0][0], named[0][2])
        return [one] if one else []
    return list(
        services.store.read_many(
            place for place, (name, _, _) in zip(places, named, strict=True) if name in TYPES
        ).values()
    )


def _groups(disclosed: Sequence[Shown], stamps: Sequence[Stamp], services: Services) -> list[Sequence[Shown]]:
    plans = _plans_of(stamps)
    lying = {stamp.plans or stamp.audience for stamp in stamps}
    if len(plans) <= 1 and lying <= {plans, "everyone"}:
        return [disclosed] if disclosed else []
    keeper = services.reading.keepers(plans, services.clock())
    groups: dict[tuple[str, ...], list[Shown]] = defaultdict(list)
    for stored in disclosed:
        groups[_key(stored, keeper)].append(stored)
    return list(groups.values())


def _key(stored: Shown, keeper: dict[str, str]) -> tuple[str, ...]:
    return tuple(sorted({keeper.get(plan, plan) for plan in stored.stamp.plans})) or (_NO_PLAN,)


def _telling(
    interaction: Interaction,
    actor: Actor,
    services: Services,
    answer: Answer,
    told: Sequence[Shown],
    stamps: Sequence[Stamp],
) -> Told:
    """What is told of resources that carry these stamps."""
    references = [f"{each.type}/{each.id}" for each in told]
    stamp, people = _stamp_of(stamps), _people(stamps)
    occurrence = Occurrence(interaction.name, references, stamp.patient, people, answer.query, reason=answer.reason)
    about_one = stamp.patient is not None and all(each.patient == stamp.patient for each in stamps)
    event = audit_event(services.new_id(), services.clock(), actor, occurrence)
    return Told(event, stamp, references if about_one else ())


def _stamps(told: Iterable[Shown]) -> Sequence[Stamp]:
    """The stamps of these resources; whole charts share one, which is then looked at once."""
    return list({id(stored.stamp): stored.stamp for stored in told}.values())


def _stamp_of(stamps: Sequence[Stamp]) -> Stamp:
    """The stamp of a record about what carries these: its plans, and its person when it is one."""
    people = _people(stamps)
    return Stamp(patient=people[0] if len(people) == 1 else None, plans=_plans_of(stamps))


def _plans_of(stamps: Sequence[Stamp]) -> tuple[str, ...]:
    """The plans that these lie in, in their order."""
    return tuple(sorted({plan for stamp in stamps for plan in stamp.plans}))


def _people(stamps: Iterable[Stamp]) -> list[str]:
    """Everybody whom these are about, so that the record is found by each of them."""
    return sorted({stamp.patient for stamp in stamps if stamp.patient})
