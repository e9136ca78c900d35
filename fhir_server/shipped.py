"""Where the data folders lie that travel with the code: inside the wheel, or beside the package in a checkout."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent


def folder(name: str) -> Traversable:
    """The data folder `name` (`profiles`, `mappings`). Raises FileNotFoundError when it travelled nowhere."""
    packaged = files("fhir_server") / name
    found: Traversable = packaged if packaged.is_dir() else _REPOSITORY / name
    if not found.is_dir():
        raise FileNotFoundError(f"the data folder {name!r} lies neither in the package nor beside it")
    return found


def programme_packs() -> tuple[Traversable, ...]:
    """The folders below `profiles/programmes` that hold a `programme.json`, by name."""
    packs = (pack for pack in (folder("profiles") / "programmes").iterdir() if (pack / "programme.json").is_file())
    return tuple(sorted(packs, key=lambda pack: pack.name))
