"""How long to wait for an endpoint that does not answer, and when to stop waiting."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Retry:
    """Pauses double from `first` to `longest` seconds. An event is tried again for `patience`; a handshake, whose
    client is present and waits for the answer, `handshakes` times.
    """

    first: float = 1.0
    longest: float = 3600.0
    patience: timedelta = timedelta(days=3)
    handshakes: int = 5

    def pause(self, attempts: int, jitter: float) -> timedelta:
        """The pause after `attempts` failures in a row. `jitter` from 0 to 1 takes away up to half of it, so that the
        subscribers of a receiver that was down do not all come back at once."""
        doubled = self.first * 2 ** min(attempts - 1, 40)
        return timedelta(seconds=min(doubled, self.longest) * (1 - jitter / 2))

    def is_spent(self, status: str, attempts: int, failing_since: datetime, moment: datetime) -> bool:
        """Whether the server stops trying, and says so in `Subscription.error`."""
        if status == "requested":
            return attempts >= self.handshakes
        return moment - failing_since >= self.patience
