"""How a fault of ours is told in a log: what was raised where, never what it was about."""

import logging
import traceback
import uuid

_FRAMES = 8


def raised_at(error: BaseException) -> str:
    """The kind of an error and the last places in the code that it came through, innermost first.

    Never its message: that may hold a part of a resource, and so tell of a person.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames)]
    return f"{type(error).__name__} at {' < '.join(places)}" if places else type(error).__name__


def logged(error: BaseException, log: logging.Logger) -> str:
    """Tell a fault in the log; the support id by which it is found there, which the caller may have."""
    support_id = uuid.uuid4().hex[:12]
    log.error("%s: failed with %s", support_id, raised_at(error))
    return support_id
