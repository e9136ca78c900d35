"""Which addresses the server lets itself be sent to.

A Subscription makes this server call an address that a client chose. It must never become a way to reach what only
the server can reach: its own loopback, a cloud's metadata service, a neighbour in the data centre.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PLAIN = re.compile(r"[!#-;=?-\[\]_a-z~]+")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# A name whose last label is a number is an address in disguise: 127.1, 2130706433, 0x7f000001.
_NAME = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)*(?!\d+$|0x[0-9a-f]*$){_LABEL}")


@dataclass(frozen=True)
class _Endpoint:
    """The parts of an endpoint that the rules look at; `address` only when the host is a literal one."""

    url: str
    parts: SplitResult
    host: str
    address: Address | None

    @property
    def loopback(self) -> bool:
        if self.address is not None:
            return self.address.is_loopback
        return self.host == "localhost" or self.host.endswith(".localhost")

    @property
    def private(self) -> bool:
        return self.loopback or (self.address is not None and not self.address.is_global)


# Each rule: when it is broken, and what would be right.
_ALWAYS: tuple[tuple[Callable[[_Endpoint], bool], str], ...] = (
    (lambda e: e.parts.scheme not in ("https", "http"), "An endpoint is an https address."),
    (lambda e: "@" in e.parts.netloc, "An endpoint carries no user name or password; send them by channel.header."),
    (lambda e: "?" in e.url, "An endpoint carries no query; send a key by channel.header."),
    (lambda e: "#" in e.url, "An endpoint carries no fragment."),
    (lambda e: e.address is None and not _NAME.fullmatch(e.host), "An endpoint names its host plainly, by a DNS name."),
)
_IN_PRODUCTION = (
    (lambda e: e.parts.scheme == "http", "Notifications travel encrypted: an endpoint is an https address."),
    (lambda e: e.private, "An endpoint lies outside the server's own machine: not a loopback or private address."),
)
_IN_DEVELOPMENT = (
    (lambda e: e.parts.scheme == "http" and not e.loopback, "Plain http is only for a receiver on this machine."),
)


def endpoint_faults(url: str, *, http_endpoints: bool) -> list[str]:
    """What is wrong with an endpoint, a sentence for each fault; empty when notifications may go there.

    `http_endpoints` is the development setting: it admits plain http to loopback, and private addresses.
    """
    endpoint = _read(url)
    if endpoint is None:
        return ["An endpoint is an absolute address of plain characters, such as https://receiver.example/fhir."]
    rules = _ALWAYS + (_IN_DEVELOPMENT if http_endpoints else _IN_PRODUCTION)
    return [sentence for broken, sentence in rules if broken(endpoint)]


def may_connect(address: str, *, http_endpoints: bool) -> bool:
    """Whether a connection may go to the address that a name resolved to, asked at each delivery.

    A receiver of a hospital may well have a private address; loopback and link-local are never a receiver's.
    """
    found = _unmapped(ipaddress.ip_address(address.partition("%")[0]))
    if found.is_unspecified or found.is_multicast or found.is_link_local:
        return False
    return http_endpoints or not (found.is_loopback or found.is_reserved)


def _read(url: str) -> _Endpoint | None:
    if len(url) > 2048 or not _PLAIN.fullmatch(url.lower()):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or port == 0:
        return None
    return _Endpoint(url, parts, parts.hostname, _literal(parts.hostname))


def _literal(host: str) -> Address | None:
    try:
        return _unmapped(ipaddress.ip_address(host))
    except ValueError:
        return None


def _unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
