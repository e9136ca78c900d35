"""Fetch what `make conformance` asks for beside Python: HL7's R4 as npm packages, and a FHIR client for Node.js.

    eval "$(python tools/fetch_r4.py)"

They are kept outside the repository, under SAMEN_TEST_CACHE or the cache folder. What is printed sets the variables
that the conformance tests read. Without npm, or without a network, it says so and what to do; the tests that need a
package skip then, with a line of their own.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGES = {
    "SAMEN_TEST_R4_EXAMPLES": "hl7.fhir.r4.examples@4.0.1",
    "SAMEN_TEST_R4_XML": "hl7.fhir.r4.corexml@4.0.1",
}
CLIENT = ("SAMEN_TEST_FHIR_KIT", "fhir-kit-client@1.9.2")
SECONDS = 600


def cache() -> Path:
    """Where packages are kept."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "samen"
    return Path(os.environ.get("SAMEN_TEST_CACHE") or usual)


def fetched(package: str) -> Path | None:
    """The unpacked folder of a package, fetched when it is not there yet; None when that cannot be done."""
    folder = cache() / package.replace("@", "-")
    if (folder / "package").is_dir():
        return folder / "package"
    if not _has_npm(package):
        return None
    tell(f"Fetching {package} into {folder} ...")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        if not _npm("pack", package, cwd=place):
            return None
        [archive] = Path(place).glob("*.tgz")
        with tarfile.open(archive) as packed:
            packed.extractall(Path(place) / "unpacked", filter="data")
        (Path(place) / "unpacked").rename(folder)
    return folder / "package"


def installed(package: str) -> Path | None:
    """A folder in which a package is installed with what it needs; None when that cannot be done."""
    folder = cache() / package.replace("@", "-")
    if (folder / "node_modules").is_dir():
        return folder
    if not _has_npm(package):
        return None
    tell(f"Installing {package} into {folder} ...")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        if not _npm("install", "--prefix", place, "--ignore-scripts", "--no-audit", "--no-fund", package, cwd=place):
            return None
        shutil.copytree(place, folder, symlinks=True)
    return folder


def tell(text: str) -> None:
    """Say it to the person, beside what is printed for the shell."""
    print(text, file=sys.stderr)


def _has_npm(package: str) -> bool:
    if shutil.which("npm"):
        return True
    tell(f"{package} is not here, nor is npm (Debian: apt install npm): the tests that need the package will skip.")
    return False


def _npm(*arguments: str, cwd: str) -> bool:
    try:
        done = subprocess.run(
            ["npm", "--loglevel=error", *arguments], cwd=cwd, stdout=subprocess.DEVNULL, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        tell(f"npm {arguments[0]} failed: the tests that need this package will skip.")
        return False
    return True


def main() -> None:
    found = {name: fetched(package) for name, package in PACKAGES.items() if name not in os.environ}
    name, package = CLIENT
    if name not in os.environ:
        found[name] = installed(package)
    for variable, folder in found.items():
        if folder is not None:
            print(f"export {variable}={shlex.quote(str(folder))}")


if __name__ == "__main__":
    main()
