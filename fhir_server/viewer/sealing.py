"""What may stand in an address without being read from it: sealed for one sign-in session, worth nothing after it."""

import hmac

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

_HOW = {"alg": "dir", "enc": "A256GCM"}


def seal(text: str, session_id: str) -> str:
    """`text`, of which nobody but the holder of the session reads more than about how long it is."""
    return jwe.encrypt_compact(_HOW, text.encode(), _key(session_id))


def unseal(sealed: str, session_id: str) -> str | None:
    """What was sealed for this session; None for anything else."""
    try:
        return (jwe.decrypt_compact(sealed, _key(session_id)).plaintext or b"").decode()
    except (JoseError, ValueError):
        return None


def _key(session_id: str) -> OctKey:
    return OctKey.import_key(hmac.new(session_id.encode(), b"seal", "sha256").digest())
