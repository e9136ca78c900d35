"""The mongod of the wheel: where it is, how its process is started, and what its last words mean."""

import importlib.util
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from fhir_server.store.tied_process import start_tied

INSTEAD = (
    "Or set SAMEN_MONGODB_URL to the address of a MongoDB replica set; "
    "`docker compose up` starts one beside the server."
)

_PACKAGES = {
    "libcurl": "libcurl4",
    "libcrypto": "libssl3",
    "libssl": "libssl3",
    "liblzma": "liblzma5",
    "libgcc_s": "libgcc-s1",
    "libresolv": "libc6",
}


class NoEmbeddedMongo(RuntimeError):
    """There is no MongoDB of our own on this machine; the message says why and what to do."""


def find_mongod() -> Path:
    """The mongod that the `embedded` extra installed. Raises NoEmbeddedMongo.

    Found by the place of the package, not by importing it: a namesake package of the same name is large.
    """
    spec = importlib.util.find_spec("fiftyone")
    name = "mongod.exe" if sys.platform == "win32" else "mongod"
    for place in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(place) / "db" / "bin" / name
        if binary.is_file():
            return binary
    raise NoEmbeddedMongo(_why_none(sys.platform, platform.machine()))


def _why_none(system: str, machine: str) -> str:
    has_wheel = system in ("darwin", "win32") or (system, machine) == ("linux", "x86_64")
    if has_wheel:
        return f"The embedded MongoDB is not installed: pip install 'samen[embedded]'. {INSTEAD}"
    return (
        f"There is no embedded MongoDB for {system} {machine}: its wheel exists for Linux x86-64, macOS and Windows. "
        f"Set SAMEN_MONGODB_URL to the address of a MongoDB replica set; `docker compose up` starts one beside the "
        f"server."
    )


def launch(command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start mongod with both its outputs in `output`, out of reach of Ctrl-C, and on Linux never outliving us."""
    try:
        return start_tied(command, output)
    except OSError as error:
        raise NoEmbeddedMongo(f"{command[0]} cannot be started: {error.strerror}. {INSTEAD}") from error


def command_line(pid: int) -> str:
    """The command line of a living process; empty when there is none or it cannot be known for certain."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    if sys.platform == "win32":
        return ""
    asked = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return asked.stdout


def explain_end(code: int, words: str, folder: Path) -> str:
    """Why mongod ended with `code` after these last `words`, as a sentence that says what would be right."""
    for pattern, sentence in _EXPLANATIONS:
        found = re.search(pattern, words)
        if found:
            return sentence(found, folder)
    if hasattr(signal, "SIGILL") and code == -signal.SIGILL:
        return f"mongod cannot run on this processor: MongoDB 5 and later need AVX. {INSTEAD}"
    last = next((line for line in reversed(words.splitlines()) if line.strip()), "it said nothing")
    return f"mongod ended with code {code}: {last[:300]} (all of it: {folder / 'mongod.log'})"


def _missing_library(found: re.Match[str], _folder: Path) -> str:
    library = found["library"]
    package = _PACKAGES.get(library.partition(".so")[0], f"the one that holds {library}")
    return (
        f"mongod lacks the shared library {library}: install the package {package} "
        f"(Debian and Ubuntu: apt-get install {package}). {INSTEAD}"
    )


_EXPLANATIONS: list[tuple[str, Callable[[re.Match[str], Path], str]]] = [
    (r"error while loading shared libraries: (?P<library>[^:\s]+)", _missing_library),
    (
        r"version `(?P<version>GLIBC(?:XX)?_[\d.]+)' not found",
        lambda found, _: (
            f"This Linux is too old for the embedded mongod, which needs {found['version']} (Debian 12, Ubuntu 22.04 "
            f"or later). {INSTEAD}"
        ),
    ),
    (
        r"FileNotFoundError|Exec format error",
        lambda _, __: f"This system cannot run the embedded mongod: it is built for glibc on x86-64. {INSTEAD}",
    ),
    (
        r"No space left on device|NoSpaceLeft|ENOSPC|Insufficient free space for journal",
        lambda _, folder: (
            f"The disk that holds {folder} is full: mongod needs about 500 MB there. Free some, or name another folder."
        ),
    ),
    (
        r"DBPathInUse|Unable to lock the lock file",
        lambda _, folder: (
            f"Another mongod uses {folder}, and it is not certain that it is ours: end it, or name another folder."
        ),
    ),
    (
        r"read-only directory|Permission denied|not permitted|EACCES",
        lambda _, folder: f"mongod may not write to {folder}: give this user the folder, or name another one.",
    ),
]
