"""How a fault of ours is told in a log: what was raised where, never what it was about."""

import traceback

_FRAMES = 8


def raised_at(error: BaseException) -> str:
    """The kind of an error and the last places in the code that it came through, innermost first.

    Never its message: that may hold a part of a resource, and so tell of a person.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames)]
    return f"{type(error).__name__} at {' < '.join(places)}" if places else type(error).__name__
