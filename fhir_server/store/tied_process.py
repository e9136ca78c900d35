"""A child that does not outlive the process that started it, however that ends: on Linux, where the kernel does it."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO

# The kernel ends the child when the thread that started it ends. Set by a small launcher that becomes the child,
# because code between fork and exec is not safe in a process with threads.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that wanted a child has ended")
os.execv(sys.argv[2], sys.argv[2:])
"""


def start_tied(
    command: Sequence[str], output: IO[bytes], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a child with both its outputs in `output`, out of reach of Ctrl-C; it is told to end when we have ended.

    The death signal follows the thread that starts the child, so a thread of its own does, and lives as long. Raises
    OSError.
    """
    tied = command if sys.platform != "linux" else _tied(command)
    started: list[Callable[[], subprocess.Popen[bytes]]] = []
    ready = threading.Event()

    def start_and_stay() -> None:
        try:
            process = subprocess.Popen(
                tied,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except Exception as failure:  # whoever waits hears of it; who was interrupted meanwhile needs not
            error = failure
            started.append(lambda: _fail(error))
            ready.set()
            return
        started.append(lambda: process)
        ready.set()
        process.wait()

    threading.Thread(target=start_and_stay, name="tied process", daemon=True).start()
    ready.wait()
    return started[0]()


def _tied(command: Sequence[str]) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]


def _fail(error: Exception) -> subprocess.Popen[bytes]:
    raise error
