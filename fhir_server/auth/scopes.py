"""What a client may ask for: SMART v2 system scopes, and the scopes of this server's own.

https://hl7.org/fhir/smart-app-launch/STU2.1/scopes-and-launch-context.html
"""

import re
from collections.abc import Iterable

from fhir_server.fhir.actor import CLEARED, IMPORT, OPEN_PLANS, OPERATE

EVERYTHING = "system/*.cruds"
OWN_SCOPES = (OPEN_PLANS, IMPORT, OPERATE, CLEARED)

_SYSTEM = re.compile(r"system/(?P<type>\*|[A-Z][A-Za-z]{1,63})\.(?P<actions>(?=[cruds])c?r?u?d?s?)")


def is_scope(scope: str) -> bool:
    """Whether `scope` is one that this server understands."""
    return scope in OWN_SCOPES or _SYSTEM.fullmatch(scope) is not None


def covers(granted: Iterable[str], asked: str) -> bool:
    """Whether a client that was given `granted` may have `asked`: the same scope or a narrower one.

    `system/*.cruds` covers `system/Task.rs`. A scope that is not understood is never covered.
    """
    if asked in OWN_SCOPES:
        return asked in granted
    wanted = _SYSTEM.fullmatch(asked)
    return wanted is not None and any(_includes(scope, wanted) for scope in granted)


def _includes(scope: str, wanted: re.Match[str]) -> bool:
    given = _SYSTEM.fullmatch(scope)
    return (
        given is not None and given["type"] in ("*", wanted["type"]) and set(wanted["actions"]) <= set(given["actions"])
    )
