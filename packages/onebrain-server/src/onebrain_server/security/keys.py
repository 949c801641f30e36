"""API keys: how they are made, read from a header, and compared."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final, Literal, get_args

# Each service's keys begin as its clients expect; the rights of a key are stored beside it, not in it.
Kind = Literal["ob", "hb_prod", "hb_dev", "mv", "brr_live"]
_SHAPE: Final = re.compile(rf"((?:{'|'.join(get_args(Kind))})_[0-9A-Za-z]{{4,29}})[_:]([0-9A-Za-z]{{1,128}})")


def make(kind: Kind = "ob") -> tuple[str, str, str]:
    """Return a new key's prefix, the digest of its secret, and the whole key, which is shown once."""
    prefix, secret = f"{kind}_{secrets.token_hex(8)}", secrets.token_hex(24)
    return prefix, digest(secret), f"{prefix}_{secret}"


def parse(text: str) -> tuple[str, str] | None:
    """Return a key's prefix and secret, or None where it is malformed."""
    match = _SHAPE.fullmatch(text)
    return (match[1], match[2]) if match else None


def digest(secret: str) -> str:
    """Return the stored form of a secret; it is random and long, so that one round of SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(left: str, right: str) -> bool:
    """Compare digests in a time that tells nothing."""
    return hmac.compare_digest(left, right)
