"""The public keys of an issuer: fetched, kept for a while, fetched again when a token names an unknown key.

https://www.rfc-editor.org/rfc/rfc7517
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import requests
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from urllib3.exceptions import HTTPError

from fhir_server.auth.addresses import is_private_channel
from fhir_server.fhir.json import NotJson, decode

PublicKey: TypeAlias = ECKey | RSAKey
Jwk: TypeAlias = dict[str, Any]

log = logging.getLogger(__name__)

_KEY_TYPES: dict[str, type[ECKey] | type[RSAKey]] = {"EC": ECKey, "RSA": RSAKey}
_PUBLIC_MEMBERS = ("kty", "kid", "use", "alg", "crv", "x", "y", "n", "e")
_SMALLEST_RSA_KEY = 2048
_LARGEST_RSA_KEY = 8192

_LARGEST_KEY_SET = 256 * 1024
_LONGEST_FETCH = 10.0
_TIMEOUTS = (3.05, 5.0)
_PIECE = 16 * 1024


class KeysUnavailable(Exception):
    """The issuer's keys cannot be fetched now."""


def fetch_jwks(url: str) -> list[Jwk]:
    """The keys published at `url`, as their issuer wrote them.

    https only, or http on loopback; no redirects, at most 256 KiB, within ten seconds. Raises KeysUnavailable.
    """
    if not is_private_channel(url):
        raise KeysUnavailable("its address is neither https nor on loopback")
    try:
        keys = decode(_download(url)).get("keys")
    except (requests.RequestException, HTTPError, NotJson, AttributeError) as error:
        raise KeysUnavailable(type(error).__name__) from error
    if not isinstance(keys, list):
        raise KeysUnavailable("the answer has no list of keys")
    return [key for key in keys if isinstance(key, dict)]


def _download(url: str) -> bytes:
    deadline = time.monotonic() + _LONGEST_FETCH
    body = bytearray()
    # The empty auth keeps passwords of a .netrc file from being sent along.
    with requests.get(
        url,
        headers={"Accept": "application/jwk-set+json, application/json"},
        auth=lambda prepared: prepared,
        allow_redirects=False,
        stream=True,
        timeout=_TIMEOUTS,
    ) as answer:
        if answer.status_code != 200:
            raise KeysUnavailable(f"status {answer.status_code}")
        # read1 returns what has come; iter_content would wait for a full piece from whoever sends byte by byte.
        while chunk := answer.raw.read1(_PIECE, decode_content=True):
            body += chunk
            if len(body) > _LARGEST_KEY_SET or time.monotonic() > deadline:
                raise KeysUnavailable("the answer is too large or too slow")
    return bytes(body)


def public_keys(jwks: Iterable[Jwk]) -> dict[str, PublicKey]:
    """The keys that can check a signature, by `kid`, without those that are symmetric, weak, nameless or to encrypt."""
    keys = (_public_key(jwk) for jwk in jwks)
    return {str(key.kid): key for key in keys if key is not None}


def _public_key(jwk: Jwk) -> PublicKey | None:
    kind = _KEY_TYPES.get(str(jwk.get("kty")))
    kid = jwk.get("kid")
    if kind is None or not isinstance(kid, str) or not kid or jwk.get("use", "sig") != "sig":
        return None
    if jwk.get("kty") == "RSA" and not _SMALLEST_RSA_KEY <= _bits(jwk.get("n")) <= _LARGEST_RSA_KEY:
        return None
    try:
        key = kind.import_key({name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk})
        key.public_key  # noqa: B018 - the numbers are only checked when the key is built
        return key
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _bits(modulus: object) -> int:
    return len(modulus) * 6 if isinstance(modulus, str) else 0


class KeyRing:
    """The keys of one issuer in memory, safe for threads.

    Keys are refreshed after ten minutes (`refresh_after`) and trusted for an hour when the issuer does not answer; then
    every token of the issuer is refused. An unknown `kid` makes the ring look again, at most every half minute
    (`pause`), so that forged tokens cannot be used to flood the issuer. When the clock is set back, these times are
    counted from where it is then.
    """

    trust_for = timedelta(hours=1)

    def __init__(
        self,
        fetch: Callable[[], Iterable[Jwk]],
        clock: Callable[[], datetime],
        *,
        name: str = "",
        pause: timedelta = timedelta(seconds=30),
        refresh_after: timedelta = timedelta(minutes=10),
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._name = name
        self._pause = pause
        self._refresh_after = refresh_after
        self._keys: dict[str, PublicKey] = {}
        self._fetched = datetime.min.replace(tzinfo=UTC)
        self._tried = datetime.min.replace(tzinfo=UTC)
        self._lock = threading.Lock()

    def key(self, kid: str) -> PublicKey | None:
        """The key named `kid`, or None when the issuer has none or could not be asked for too long."""
        if kid not in self._keys or self._age() >= self._refresh_after:
            self._refresh(kid)
        return self._keys.get(kid) if self._age() < self.trust_for else None

    def _age(self) -> timedelta:
        return self._now() - self._fetched

    def _now(self) -> datetime:
        now = self._clock()
        if now < max(self._fetched, self._tried):
            self._fetched, self._tried = min(self._fetched, now), min(self._tried, now)
        return now

    def _refresh(self, kid: str) -> None:
        # At the very start everybody waits for the first answer; later nobody waits behind a slow issuer.
        if not self._lock.acquire(blocking=not self._keys):
            return
        try:
            if self._may_try() and (kid not in self._keys or self._age() >= self._refresh_after):
                self._load()
        finally:
            self._lock.release()

    def _may_try(self) -> bool:
        return self._now() - self._tried >= self._pause

    def _load(self) -> None:
        try:
            self._keys = public_keys(self._fetch())
            self._fetched = self._clock()
        except KeysUnavailable as reason:
            log.warning("the keys of issuer %s could not be fetched: %s", self._name, reason)
        self._tried = self._clock()
