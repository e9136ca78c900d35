"""How often somebody may try to sign in: counted in the database, so that all processes count together."""

import hashlib
import ipaddress
from datetime import UTC, datetime, timedelta

from fhir_server.store.mongo.registry import Registry

WINDOW = timedelta(minutes=15)

# (what is counted, attempts allowed in a window). The pair stops guessing at one account from one place; the address
# stops trying one password on many accounts; the user stops guessing from many places, and is high because whoever
# knows a user name can use it up.
LIMITS = (("pair", 5), ("address", 30), ("user", 60))


class Throttle:
    """Counts attempts per user, per address and per both.

    An attempt is counted before the password is checked, so that many at once cannot slip through; success takes it
    back. Counters are kept under hashes: people type passwords into the field for the user name.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def admits(self, username: str, address: str, now: datetime) -> bool:
        """Count one attempt; whether it is still within every limit."""
        start, expires = _window(now)
        keys = _keys(username, address, start)
        # Every counter moves, also when the first is already over: no early end tells which one it was.
        counts = [self._registry.count_attempt(keys[kind], expires) for kind, _ in LIMITS]
        return all(count <= limit for count, (_, limit) in zip(counts, LIMITS, strict=True))

    def forgive(self, username: str, address: str, now: datetime) -> None:
        """Forget the user's failures after a success; of the address only this one attempt."""
        keys = _keys(username, address, _window(now)[0])
        self._registry.forget_attempts([keys["pair"], keys["user"]])
        self._registry.take_back_attempt(keys["address"])


def _window(now: datetime) -> tuple[int, datetime]:
    number = int(now.timestamp() // WINDOW.total_seconds())
    return number, datetime.fromtimestamp((number + 1) * WINDOW.total_seconds(), UTC)


def _keys(username: str, address: str, window: int) -> dict[str, str]:
    place = network_of(address)
    counted = {"pair": (username, place), "address": (place,), "user": (username,)}
    return {kind: _key(kind, window, parts) for kind, parts in counted.items()}


def _key(kind: str, window: int, parts: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join((kind, str(window), *parts)).encode()).hexdigest()


def network_of(address: str) -> str:
    """The address; for IPv6 its /64, because one subscriber holds all of that."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
