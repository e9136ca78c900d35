"""Whether a question names nobody but those whom its answer is about: then their custodian may read it in the audit.

When in doubt it may name somebody else. Only what is listed here is known not to: how an answer is given, codes, times,
references to what was shown, and to those that everybody reads of.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property

from fhir_server.access.types import DEFINITION, DIRECTORY, TYPES
from fhir_server.fhir.reference import parse_reference
from fhir_server.interactions.gate.references import local
from fhir_server.interactions.words import Interaction
from fhir_server.search.grant import Stamp
from fhir_server.store.values import Shown

# fmt: off
_BY_WORDS = frozenset(
    {
        "_sort", "_total", "_summary", "_elements", "_include", "_revinclude", "_type", "_contained",
        "_containedType", "_format", "_pretty",
    }
)
_BY_TIMES = frozenset(
    {
        "_count", "_before", "_since", "_at", "_lastUpdated", "date", "authored", "authored-on", "created", "due",
        "effective", "end", "issued", "modified", "occurrence", "onset-date", "period", "received", "recorded",
        "recorded-date", "sent", "start", "started",
    }
)
_BY_CODES = frozenset(
    {
        "status", "code", "category", "intent", "priority", "type", "class", "clinical-status", "verification-status",
        "business-status", "action", "outcome", "subtype",
    }
)
# fmt: on
_WORDS = re.compile(r"[A-Za-z_:.,*-]*")
_TIMES = re.compile(r"(?:[a-z]{2})?[0-9][0-9TZ:. +-]*(?:,(?:[a-z]{2})?[0-9][0-9TZ:. +-]*)*")
_OPEN_TO_EVERYONE = frozenset(name for name, rule in TYPES.items() if rule.kind in {DIRECTORY, DEFINITION})


def names_nobody_else(
    interaction: Interaction,
    parameters: Iterable[tuple[str, str]],
    shown: Sequence[Shown],
    stamps: Sequence[Stamp],
    base_url: str,
) -> bool:
    """Whether the address and the parameters of a question name nobody but the persons of what was `shown`.

    `stamps` are those of what was shown.
    """
    known = _Known(shown, stamps)
    of_person = interaction.name.startswith("search-")
    if interaction.id is not None and f"{'Patient' if of_person else interaction.type}/{interaction.id}" not in known:
        return False
    for name, value in parameters:
        plain, _, modifier = name.partition(":")
        if _says_no_name(plain, modifier, value):
            continue
        type_name = _type_meant(plain, modifier, interaction.type)
        if type_name is None or not all(_is_known(each, type_name, known, base_url) for each in value.split(",")):
            return False
    return True


def _says_no_name(plain: str, modifier: str, value: str) -> bool:
    if plain in _BY_WORDS:
        return modifier in {"", "iterate"} and _WORDS.fullmatch(value) is not None
    if plain in _BY_TIMES:
        return modifier == "" and _TIMES.fullmatch(value) is not None
    return (plain in _BY_CODES and modifier in {"", "not"}) or (modifier == "missing" and "." not in plain)


def _type_meant(plain: str, modifier: str, searched: str | None) -> str | None:
    """The type of an id that stands alone; empty when nothing says it, None when the parameter holds no reference."""
    if "." in plain or not (modifier == "" or modifier in TYPES):
        return None
    if plain == "_id":
        return searched
    return "Patient" if plain == "patient" else modifier


class _Known:
    """The references that an answer tells anyhow: nearly every question names its person alone, so these come first."""

    def __init__(self, shown: Sequence[Shown], stamps: Sequence[Stamp]) -> None:
        self._shown = shown
        self._stamps = stamps
        self._persons = {stamp.patient for stamp in stamps}

    def __contains__(self, reference: str) -> bool:
        return reference in self._persons or reference in self._others

    @cached_property
    def _others(self) -> set[str]:
        plans = {f"CarePlan/{plan}" for stamp in self._stamps for plan in stamp.plans}
        return plans | {f"{each.type}/{each.id}" for each in self._shown}


def _is_known(value: str, type_name: str, known: _Known, base_url: str) -> bool:
    reference = parse_reference(local(value, base_url) if "/" in value else f"{type_name}/{value}")
    return reference is not None and (reference.type in _OPEN_TO_EVERYONE or str(reference) in known)
