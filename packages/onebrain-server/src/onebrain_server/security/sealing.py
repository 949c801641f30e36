"""Texts at rest: AES-256-GCM with a random nonce each and a key per tenant, or plain where no key is configured."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from onebrain.errors import StorageError

# A sealed text begins with one byte for its kind, so that turning encryption on later leaves older rows readable.
_PLAIN: Final = b"\x00"
_SEALED: Final = b"\x01"


class Sealer:
    """Seals and opens the texts of tenants.

    Args:
        key: 32 bytes, or None to store texts as they are.
        former: Keys before that one, whose digests are good for ever; they open no text.

    Example:
        >>> sealer = Sealer(bytes(32))
        >>> sealer.open("acme", sealer.seal("acme", "window seats"))
        'window seats'
    """

    def __init__(self, key: bytes | None, former: Sequence[bytes] = ()) -> None:
        self._key = key
        self.former = tuple(former)
        self._ciphers = lru_cache(maxsize=4096)(self._cipher)

    @property
    def encrypts(self) -> bool:
        """Whether it has a key."""
        return self._key is not None

    def seal(self, tenant: str, text: str) -> bytes:
        """Return the stored form of a text."""
        if self._key is None:
            return _PLAIN + text.encode()
        nonce = os.urandom(12)
        return _SEALED + nonce + self._ciphers(tenant).encrypt(nonce, text.encode(), tenant.encode())

    def open(self, tenant: str, stored: bytes) -> str:
        """Return the text of a stored form; raise `StorageError` if it is another tenant's, or the key is another."""
        kind, rest = stored[:1], stored[1:]
        if kind == _PLAIN:
            return rest.decode()
        if self._key is None:
            raise StorageError(
                "the database holds encrypted texts; set MEMORY_ENCRYPTION_KEY to the key they were made with"
            )
        try:
            return self._ciphers(tenant).decrypt(rest[:12], rest[12:], tenant.encode()).decode()
        except InvalidTag:
            raise StorageError(
                "a text cannot be decrypted: MEMORY_ENCRYPTION_KEY is not the key it was made with"
            ) from None

    @staticmethod
    def seals(stored: bytes) -> bool:
        """Return whether a stored form is sealed, rather than in clear."""
        return stored[:1] == _SEALED

    def digest(self, tenant: str, text: str) -> str:
        """Return a digest to compare by; with a key it tells nothing to those who do not have it."""
        return hmac.new(self._key or b"onebrain", f"{tenant}\0{text}".encode(), hashlib.sha256).hexdigest()

    def digests(self, tenant: str, text: str) -> tuple[str, ...]:
        """Return the digests that a text may be known by: that of the key, and those of the time before it was set."""
        if self._key is None:
            return (self.digest(tenant, text),)
        keys = (self._key, *self.former, None)
        return tuple(Sealer(key).digest(tenant, text) for key in keys)

    def _cipher(self, tenant: str) -> AESGCM:
        assert self._key is not None
        return cipher(b"onebrain server record", self._key, tenant)


def cipher(purpose: bytes, key: bytes, tenant: str) -> AESGCM:
    """Return the cipher of a tenant for one purpose, whose key is derived from a key of the server."""
    return AESGCM(HKDF(hashes.SHA256(), 32, None, purpose + b"\0" + tenant.encode()).derive(key))
