"""What the server and the worker log: each line by itself, and no trouble when it cannot be written."""

import io
import logging
import sys


def log_without_trouble() -> None:
    """Have a log that cannot be written, as on a full disk, lose its lines, and neither tell of it nor end anything.

    A line that waits to be written would be tried again whenever a process is started, and keep it from starting.
    """
    logging.raiseExceptions = False
    if isinstance(sys.stdout, io.TextIOWrapper):  # else there is none
        sys.stdout.flush()
        straight = io.FileIO(sys.stdout.fileno(), "w", closefd=False)
        sys.stdout = io.TextIOWrapper(straight, sys.stdout.encoding, sys.stdout.errors, write_through=True)
