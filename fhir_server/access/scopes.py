"""What the scopes of a token allow: SMART v2 system scopes, by type and interaction.

https://hl7.org/fhir/smart-app-launch/STU2.1/scopes-and-launch-context.html
"""

import re

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import Forbidden

_SCOPE = re.compile(r"(?:system|user)/(\*|[A-Z][A-Za-z]{1,63})\.(c?r?u?d?s?)")
_LETTERS = {
    "create": "c",
    "read": "r",
    "vread": "r",
    "history-instance": "r",
    "update": "u",
    "patch": "u",
    "delete": "d",
    "search-type": "s",
    "history-type": "s",
    "CapabilityStatement-versions": "r",
    "Patient-everything": "r",
    "CarePlan-everything": "r",
    "Resource-validate": "r",
    "Resource-meta": "r",
    "Resource-meta-add": "u",
    "Resource-meta-delete": "u",
    "Subscription-status": "r",
    "Subscription-events": "r",
}
_WRITING = frozenset("cud")


def check_scope(actor: Actor, interaction: str, type_name: str | None) -> None:
    """Raise Forbidden unless a scope of the actor's token allows the interaction on the type.

    What belongs to no type (a Bundle, the CapabilityStatement) needs none; a Bundle's entries are asked one by one.
    """
    if type_name is None or allows(actor, interaction, type_name):
        return
    needed = f"system/{type_name}.{_LETTERS.get(interaction, '')}"
    raise Forbidden(f"Your token does not allow this; it needs the scope {needed}.", type_name, "scope")


def shows_the_written(actor: Actor, interaction: str, type_name: str) -> bool:
    """Whether the answer may show a resource of the type: to write is not to read, so what is written is not shown
    to whom a read of it would be refused."""
    return _LETTERS.get(interaction) not in _WRITING or allows(actor, "read", type_name)


def allows(actor: Actor, interaction: str, type_name: str) -> bool:
    """Whether a scope of the actor's token allows the interaction on the type; asked of what a search includes, too."""
    letter = _LETTERS.get(interaction)
    matches = (_SCOPE.fullmatch(scope) for scope in actor.scopes)
    return letter is not None and any(m and m[1] in {"*", type_name} and letter in m[2] for m in matches)
