"""What somebody who is asked for care sees of the person before it accepts: the elements that the programme names."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Stamp


def shown_to(
    parties: Collection[str], stamp: Stamp, named: Mapping[str, Collection[str]], moment: datetime
) -> frozenset[str]:
    """The paths of Patient that a Patient's stamp shows to `parties` at `moment`; `named` are they by programme."""
    programmes = {
        each.programme for each in stamp.glimpses if each.party in parties and each.start <= moment < each.until
    }
    return frozenset(path for programme in programmes for path in named.get(programme, ()))


def only(patient: Resource, paths: Iterable[str]) -> Resource:
    """The Patient with its id and the elements at `paths` (`gender`, `address.city`) alone, without extensions.

    Its meta is left out: it tells when and how often the record changed, and how it is labelled.
    """
    return {"resourceType": "Patient", "id": patient["id"], **_within(patient, [path.split(".") for path in paths])}


def _within(node: Resource, paths: Collection[list[str]]) -> Resource:
    found: Resource = {}
    for name, value in node.items():
        below = [path[1:] for path in paths if path[0] == name]
        if below:
            kept = _bare(value) if [] in below else _below(value, below)
            if kept:
                found[name] = kept
    return found


def _below(value: Any, paths: Collection[list[str]]) -> Any:
    if isinstance(value, list):
        return [kept for item in value if (kept := _below(item, paths))]
    return _within(value, paths) if isinstance(value, dict) else None


def _bare(value: Any) -> Any:
    """The value without extensions, which may say anything."""
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = (name for name in value if name not in {"extension", "modifierExtension"} and not name.startswith("_"))
    return {name: _bare(value[name]) for name in plain}
