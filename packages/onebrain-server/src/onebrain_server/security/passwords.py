"""Passwords: scrypt with a salt each, compared in a time that tells nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import Final

# One of the sets that OWASP's Password Storage Cheat Sheet names; each derivation takes 16 MiB.
_N, _R, _P = 2**14, 8, 5


def hash_password(password: str) -> str:
    """Return the stored form of a password."""
    salt = os.urandom(16)
    return f"scrypt${_N}${_R}${_P}${_text(salt)}${_text(_derive(password, salt, _N, _R, _P))}"


def verify_password(password: str, stored: str | None) -> bool:
    """Return whether a password is the stored one; takes as long if there is none."""
    _, n, r, p, salt, digest = (stored or _NOBODY).split("$")
    found = _derive(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(digest)) and stored is not None


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=64 * 1024 * 1024, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


_NOBODY: Final = f"scrypt${_N}${_R}${_P}${_text(bytes(16))}${_text(bytes(32))}"
