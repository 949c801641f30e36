"""Encryption at rest: every record sealed by itself with AES-256-GCM, under a key made for its tenant.

Sealed are a memory's content, title, type, tags, metadata, source and extra, its vector, the entities that it names, and
what is kept of indexes between processes. In clear remain what rows are found by: tenant, space, user, agent, session and id, times, importance,
the flags, and how long everything is. Searching needs no more, because it happens on an index in memory.

Each sealed record starts with a version and a random nonce of its own. Its kind, tenant, space and row are
authenticated with it, so that a record moved to another row no longer opens.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from onebrain._core.codec import from_json, to_json
from onebrain.errors import ConfigurationError, DatabaseCorrupt, MissingDependency
from onebrain_engine.store.records import Record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# The columns of a memory that are sealed, in the order of a sealed record.
SEALED: Final = ("content", "title", "type", "tags", "metadata", "source", "extra")
# The values of those columns in a sealed memory.
BLANK: Final = ("", None, None, "[]", "{}", None, "{}")
# Where they stand in `records.MEMORY_COLUMNS`.
_POSITIONS: Final = (5, 6, 7, 8, 9, 11, 17)

_VERSION: Final = b"\x01"
_PLAIN: Final = b"\x00"
_SALT: Final = 16
_NONCE: Final = 12
_CHECK: Final = b"onebrain"
_CHUNK: Final = 2**26  # AES-GCM takes at most 2 GiB at a time


_HEX: Final = re.compile(r"[0-9A-Fa-f]{64}")


class Cipher:
    """Seals and opens the records of one database.

    It is of use once it belongs to a database: `fresh_mark` makes the mark that a database keeps, `fits` takes it up.

    Args:
        key: 64 hexadecimal digits, as ``openssl rand -hex 32`` prints them, or 32 bytes.
        service: The store's name, for errors.

    Raises:
        ConfigurationError: The key is neither.
        MissingDependency: The package ``cryptography`` is not installed.

    Example:
        >>> cipher = Cipher("0f" * 32)
        >>> mark = cipher.fresh_mark()
        >>> sealed = cipher.seal("vector", "acme", 1, 7, b"secret")
        >>> cipher.open("vector", "acme", 1, 7, sealed)
        b'secret'
    """

    def __init__(self, key: str | bytes, *, service: str | None = None) -> None:
        given: object = key
        text = given.hex() if isinstance(given, bytes) and len(given) == 32 else given
        if not isinstance(text, str) or not _HEX.fullmatch(text):
            size = (
                f"this has {len(text)} characters" if isinstance(text, str) else f"not {type(given).__name__}"
            )
            raise ConfigurationError(
                f"encryption_key must be 64 hexadecimal digits, or 32 bytes, {size}; "
                "make one with: openssl rand -hex 32",
                service=service,
            )
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM as _  # noqa: F401
        except ImportError as error:
            raise MissingDependency(
                'encryption_key needs the package cryptography: pip install "onebrain-engine[encryption]"',
                service=service,
            ) from error
        self._service = service
        self._key = bytes.fromhex(text)
        self._salt = b""
        self._by_tenant: dict[str, AESGCM] = {}

    def __repr__(self) -> str:
        return "Cipher('***')"

    def fresh_mark(self) -> bytes:
        """Return a mark for a database without one: a salt for its keys, and a digest that tells the right key from others."""
        self._use(os.urandom(_SALT))
        return self._salt + self._seal(self._tenant_key(""), _CHECK, b"check")

    def fits(self, mark: bytes) -> bool:
        """Return whether `mark` was made with this key, and work with its database if so."""
        from cryptography.exceptions import InvalidTag

        self._use(mark[:_SALT])
        try:
            return self._open(self._tenant_key(""), mark[_SALT:], b"check") == _CHECK
        except InvalidTag:
            return False

    def seal(self, kind: str, tenant: str, space: int, row: int, data: bytes) -> bytes:
        """Return `data` sealed for one row."""
        return self._seal(self._tenant_key(tenant), data, _context(kind, tenant, space, row))

    def open(self, kind: str, tenant: str, space: int, row: int, sealed: bytes) -> bytes:
        """Return data that was sealed for a row; raise `DatabaseCorrupt` if it was sealed for another, or changed."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._open(self._tenant_key(tenant), sealed, _context(kind, tenant, space, row))
        except InvalidTag:
            raise DatabaseCorrupt(
                f"an encrypted {kind} was changed or moved by something else than onebrain (row {row}); "
                "restore a backup",
                service=self._service,
            ) from None

    def seal_memory(self, tenant: str, space: int, row: int, fields: Sequence[str | None]) -> bytes:
        """Return a memory's `SEALED` columns sealed."""
        return self.seal("memory", tenant, space, row, to_json(list(fields), what="a memory").encode())

    def open_memory(self, tenant: str, space: int, row: int, sealed: bytes) -> Sequence[Any]:
        """Return a memory's `SEALED` columns."""
        fields: list[Any] = from_json(self.open("memory", tenant, space, row, sealed))
        return fields

    def seal_large(self, kind: str, tenant: str, space: int, data: memoryview) -> bytes:
        """Return much data sealed, in pieces that know their number and the count of all."""
        count = max(1, -(-len(data) // _CHUNK))
        pieces = [
            self.seal(f"{kind} {count}", tenant, space, n, bytes(data[n * _CHUNK : (n + 1) * _CHUNK]))
            for n in range(count)
        ]
        return b"".join(pieces)

    def open_large(self, kind: str, tenant: str, space: int, sealed: memoryview) -> bytes:
        """Return data that `seal_large` sealed."""
        step = _CHUNK + len(_VERSION) + _NONCE + 16
        count = max(1, -(-len(sealed) // step))
        return b"".join(
            self.open(f"{kind} {count}", tenant, space, n, bytes(sealed[n * step : (n + 1) * step]))
            for n in range(count)
        )

    def _use(self, salt: bytes) -> None:
        if salt != self._salt:
            self._salt, self._by_tenant = salt, {}

    def _tenant_key(self, tenant: str) -> AESGCM:
        """Return a tenant's own key; the empty name, which no tenant has, means the database."""
        found = self._by_tenant.get(tenant)
        if found is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
            from cryptography.hazmat.primitives.hashes import SHA256
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF

            info = b"onebrain memory\0" + tenant.encode()
            found = AESGCM(HKDF(SHA256(), 32, self._salt, info).derive(self._key))
            self._by_tenant[tenant] = found
        return found

    @staticmethod
    def _seal(key: AESGCM, data: bytes, context: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return _VERSION + nonce + key.encrypt(nonce, data, _VERSION + context)

    @staticmethod
    def _open(key: AESGCM, sealed: bytes, context: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        start = len(_VERSION) + _NONCE
        if sealed[: len(_VERSION)] != _VERSION or len(sealed) < start + 16:
            raise InvalidTag
        return key.decrypt(sealed[len(_VERSION) : start], sealed[start:], _VERSION + context)


class Seal:
    """Seals and opens columns for a store; without a cipher, refuses sealed ones with a clear error.

    Args:
        cipher: Opens and seals; None where the caller gave no key.
        where: The name of the database in errors.
        service: The store's name.
    """

    def __init__(self, cipher: Cipher | None, where: str, service: str) -> None:
        self.cipher = cipher
        self._where = where
        self._service = service
        self._accepted: bytes | None = None

    def accept(self, mark: bytes | None) -> bool:
        """Return whether the database is marked as encrypted with this key.

        Raises:
            ConfigurationError: It is encrypted and no key was given, or another one.
        """
        if mark is None:
            return False
        if self.cipher is None:
            raise self._no_key()
        if not self.cipher.fits(mark):
            raise ConfigurationError(
                f"{self._where} is encrypted with another key than the encryption_key given; nothing was changed",
                service=self._service,
            )
        return True

    def still_fits(self, mark: bytes | None) -> None:
        """Raise where the database was sealed, or its key changed, since it was opened."""
        if mark != self._accepted:
            raise ConfigurationError(
                f"{self._where} was encrypted, or its key was changed, since it was opened; connect again with its "
                "encryption_key",
                service=self._service,
            )

    def take(self, mark: bytes | None) -> None:
        """Remember the mark of the database as it is now."""
        self._accepted = mark

    def memory(self, tenant: str, space: int, row: int, sealed: bytes) -> Sequence[Any]:
        """Return the `SEALED` columns of a sealed memory."""
        if self.cipher is None:
            raise self._no_key()
        return self.cipher.open_memory(tenant, space, row, sealed)

    def record(self, tenant: str, space: int, record: Record, sealed: bytes | None) -> Record:
        """Return a record in clear."""
        if sealed is None:
            return record
        clear = list(record)
        fields = self.memory(tenant, space, record[0], sealed)
        for position, value in zip(_POSITIONS, fields, strict=True):
            clear[position] = value
        return tuple(clear)

    def vector(self, tenant: str, space: int, row: int, data: bytes) -> bytes:
        """Return a sealed vector in clear."""
        if self.cipher is None:
            raise self._no_key()
        return self.cipher.open("vector", tenant, space, row, data)

    def note(self, tenant: str, space: int, row: int, text: str) -> bytes:
        """Return a note for the database: sealed with a cipher, plain without; the first byte says which."""
        if self.cipher is None:
            return _PLAIN + text.encode()
        return self.cipher.seal("note", tenant, space, row, text.encode())

    def open_note(self, tenant: str, space: int, row: int, data: bytes) -> str:
        """Return the text of a note."""
        if data[:1] == _PLAIN:
            return data[1:].decode()
        if self.cipher is None:
            raise self._no_key()
        return self.cipher.open("note", tenant, space, row, data).decode()

    def _no_key(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self._where} is encrypted; give its encryption_key, 64 hexadecimal digits",
            service=self._service,
        )


def _context(kind: str, tenant: str, space: int, row: int) -> bytes:
    return f"{kind}\0{space}\0{row}\0{tenant}".encode()
