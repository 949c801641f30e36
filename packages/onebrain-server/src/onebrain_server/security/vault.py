"""Credentials of third parties at rest: always sealed, with a key of their own that can be changed."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag

from onebrain.errors import ConfigurationError, StorageError
from onebrain_engine.store.files import close_to_others
from onebrain_server.security.sealing import Sealer, cipher

# A sealed text begins with this byte, beside the two of `Sealer`, and with the mark of its key.
_SEALED: Final = b"\x02"
_MARK: Final = 8
_NONCE: Final = 12


class CredentialsKeyMissing(ConfigurationError):
    """A credential of a third party is to be kept, and the server has no key to seal it with."""


class Vault:
    """Seals and opens credentials of third parties.

    Args:
        keys: Returns the keys, each of 32 bytes, the newest first; the others only open older texts.
        sealer: Opens texts of an earlier version, in clear or sealed like other texts; seals, where there is no key here
            and `MEMORY_ENCRYPTION_KEY` is set.

    Example:
        >>> vault = Vault(lambda: [bytes(32)], Sealer(None))
        >>> vault.open("acme", vault.seal("acme", "xoxb-1"))
        'xoxb-1'
    """

    def __init__(self, keys: Callable[[], Sequence[bytes]], sealer: Sealer) -> None:
        self._keys = keys
        self._sealer = sealer
        self._ciphers = lru_cache(maxsize=4096)(partial(cipher, b"onebrain server credential"))

    def seal(self, tenant: str, text: str) -> bytes:
        """Return the stored form of a text.

        Raises:
            CredentialsKeyMissing: There is no key.
        """
        keys = self._keys()
        if not keys:
            if self._sealer.encrypts:
                return self._sealer.seal(tenant, text)
            raise CredentialsKeyMissing(
                "this server keeps no credentials of third parties, for they would lie in the database in clear: "
                "its operator has to set CREDENTIALS_KEY, 64 hex digits as openssl rand -hex 32 makes them"
            )
        nonce = os.urandom(_NONCE)
        sealed = self._ciphers(keys[0], tenant).encrypt(nonce, text.encode(), tenant.encode())
        return _SEALED + _mark(keys[0]) + nonce + sealed

    def open(self, tenant: str, stored: bytes) -> str:
        """Return the text of a stored form; raise `StorageError` if its key is not there."""
        if not self.sealed(stored):
            return self._sealer.open(tenant, stored)
        mark, rest = stored[1 : 1 + _MARK], stored[1 + _MARK :]
        for key in self._keys():
            if _mark(key) == mark:
                with suppress(InvalidTag):
                    opened = self._ciphers(key, tenant).decrypt(rest[:_NONCE], rest[_NONCE:], tenant.encode())
                    return opened.decode()
        raise StorageError(
            "a credential of a third party cannot be opened: CREDENTIALS_KEY, or the key file beside the database, is not "
            "the one it was sealed with. Restore the key, or run: onebrain credentials forget"
        )

    @staticmethod
    def sealed(stored: bytes) -> bool:
        """Return whether something is sealed with a key of the vault's own."""
        return stored[:1] == _SEALED

    def is_current(self, stored: bytes) -> bool:
        """Return whether something is sealed as it would be now; True if there is no key to seal it with."""
        keys = self._keys()
        return not keys or stored[: 1 + _MARK] == _SEALED + _mark(keys[0])


class KeyFile:
    """The keys of a vault in a file that its owner alone may read: one a line, the newest first.

    Args:
        path: The file; made with a first key where it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: tuple[tuple[int, int, int], list[bytes]] | None = None
        if not path.exists():
            self._make()
        close_to_others(path)
        self.keys()

    def keys(self) -> Sequence[bytes]:
        """Return the keys; another process may have changed them."""
        try:
            facts = self.path.stat()
            state = (facts.st_mtime_ns, facts.st_ino, facts.st_size)
            if self._known is None or self._known[0] != state:
                lines = self.path.read_text(encoding="ascii").split()
                self._known = (state, [_key(line) for line in lines])
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{self.path} cannot be read as a file of keys, 64 hex digits on each line; restore it from a backup"
            ) from error
        return self._known[1]

    def begin(self) -> None:
        """Put a new key before the others, unless a change of keys that was begun is not at its end."""
        if len(self.keys()) == 1:
            self._write([secrets.token_bytes(32), *self.keys()])

    def end(self) -> None:
        """Keep the newest key only."""
        self._write(self.keys()[:1])

    def _make(self) -> None:
        beside = self._beside([secrets.token_bytes(32)])
        try:
            # Never over a file that another process has made meanwhile.
            os.link(beside, self.path)
        except FileExistsError:
            pass
        except OSError:
            # A file system without links.
            beside.replace(self.path)
        beside.unlink(missing_ok=True)

    def _write(self, keys: Sequence[bytes]) -> None:
        self._beside(keys).replace(self.path)
        self._known = None

    def _beside(self, keys: Sequence[bytes]) -> Path:
        path = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
        number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(number, "w", encoding="ascii") as file:
            file.write("".join(f"{key.hex()}\n" for key in keys))
            file.flush()
            os.fsync(file.fileno())
        path.chmod(0o600)
        return path


def _key(line: str) -> bytes:
    key = bytes.fromhex(line)
    if len(key) != 32:
        raise ValueError("not 64 hex digits")
    return key


def _mark(key: bytes) -> bytes:
    return hashlib.sha256(b"onebrain credentials key\0" + key).digest()[:_MARK]


__all__ = ["CredentialsKeyMissing", "KeyFile", "Vault"]
