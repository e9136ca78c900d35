"""Which transactions ask about AuditEvents: for these the audit is settled before they begin.

A transaction sees the database as it was when it began, so what waits in a journal by then would be missing. Outside of
transactions the store settles the audit by itself.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from fhir_server.interactions.words import Interaction

_AUDIT = "AuditEvent"
_CONDITIONAL = frozenset({"create", "update", "patch", "delete"})


def asks_of_audit_inside(interaction: Interaction) -> bool:
    """Whether the type's name stands in an address or a condition that is answered within a transaction."""
    if interaction.name == "transaction":
        return any(_AUDIT in words for words in _asked_by(interaction.resource))
    if interaction.name not in _CONDITIONAL:
        return False
    conditions = [unquote(interaction.if_none_exist or ""), *(name for name, _ in interaction.parameters)]
    return any(_AUDIT in words for words in conditions)


def _asked_by(bundle: Any) -> Iterator[str]:
    """The addresses and conditions of a Bundle's entries; what is no Bundle is refused elsewhere."""
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        request = entry.get("request") if isinstance(entry, dict) else None
        for name in ("url", "ifNoneExist"):
            words = request.get(name) if isinstance(request, dict) else None
            if isinstance(words, str):
                yield unquote(words)
