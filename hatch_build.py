"""The build step of the wheel: compiles the viewer's message catalogues, so that no build can leave them out."""

from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileCatalogues(BuildHookInterface):  # type: ignore[type-arg]
    """Writes a `.mo` beside each `.po` of the package; git ignores them, the wheel carries them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files of a wheel, an sdist or an editable install."""
        for source in Path(self.root, "fhir_server").rglob("*.po"):
            compile_catalogue(source)


def compile_catalogue(source: Path) -> None:
    """Write the `.mo` of one `.po`; replaced in one step, since a running server may be reading it."""
    with source.open("rb") as text:
        catalogue = read_po(text, locale=source.parent.parent.name)
    unfinished = source.with_suffix(".mo.new")
    with unfinished.open("wb") as binary:
        write_mo(binary, catalogue)
    unfinished.replace(source.with_suffix(".mo"))
