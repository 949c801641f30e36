"""Values that PostgreSQL cannot hold as they are: text with NUL, long keys, and vectors in its binary format."""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import Any

import numpy as np
import psycopg
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo

_FIRST_OWN = 16_384  # the first number that PostgreSQL gives to a type that is not its own
_ESCAPE = "\x10"  # "data link escape", the control character made for this


def escape(text: str) -> str:
    r"""Return text without NUL, from which `unescape` makes the same text again.

    Example:
        >>> escape("a\0b")
        'a\x100b'
        >>> unescape(escape("a\0b\x10")) == "a\0b\x10"
        True
    """
    if "\0" not in text and _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE, _ESCAPE * 2).replace("\0", _ESCAPE + "0")


def unescape(text: str) -> str:
    """Return the text that was escaped."""
    if _ESCAPE not in text:
        return text
    # Split at doubled escapes first: a single one is then never followed by the second half of a pair.
    return _ESCAPE.join(part.replace(_ESCAPE + "0", "\0") for part in text.split(_ESCAPE * 2))


def digest(text: str) -> bytes:
    """Return the digest of a text for keys, 16 bytes."""
    return blake2b(text.encode(), digest_size=16).digest()


class Vector(bytes):
    """The bytes of a float32 vector on their way to a column of pgvector's type."""


class _VectorDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Vector) -> Buffer:
        return struct.pack(">HH", len(obj) // 4, 0) + np.frombuffer(obj, "<f4").astype(">f4").tobytes()


class _VectorLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return np.frombuffer(data, ">f4", offset=4).astype("<f4").tobytes()


class _TextDumper(Dumper):
    oid = psycopg.postgres.types["text"].oid

    def dump(self, obj: str) -> Buffer:
        return escape(obj).encode()


class _TextLoader(Loader):
    def load(self, data: Buffer) -> str:
        return unescape(bytes(data).decode())


class _BinaryTextLoader(_TextLoader):
    format = Format.BINARY


def adapt_text(connection: psycopg.Connection[Any]) -> None:
    """Teach a connection to escape every text that it sends, and to unescape every text that it gets."""
    connection.adapters.register_dumper(str, _TextDumper)
    connection.adapters.register_loader("text", _TextLoader)
    connection.adapters.register_loader("text", _BinaryTextLoader)


def adapt_vectors(connection: psycopg.Connection[Any], oid: int, array_oid: int) -> None:
    """Teach a connection pgvector's type, given its identifiers and its array's in the database."""
    TypeInfo("vector", oid, array_oid).register(connection)
    dumper = type("VectorDumper", (_VectorDumper,), {"oid": oid})
    connection.adapters.register_dumper(Vector, dumper)
    connection.adapters.register_loader(oid, _VectorLoader)


def knows_types(cursor: psycopg.Cursor[Any]) -> bool:
    """Return whether a connection can read the types of a result.

    pgvector's has another number once the extension was dropped and made again; what comes is then taken for bytes.
    """
    result, known = cursor.pgresult, cursor.adapters
    return result is None or all(
        (number := result.ftype(column)) < _FIRST_OWN
        or known.get_loader(number, Format.BINARY) is _VectorLoader
        for column in range(result.nfields)
    )
