"""The bytes of documents and entities: of one, of a page, and of an account."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from onebrain.errors import OneBrainValidationError
from onebrain_engine.bounds import Bounds
from onebrain_server.state.database import Database
from onebrain_server.state.tables import entity, record


def admitted(bounds: Bounds, tenant: str, text: str, old: str = "") -> AbstractContextManager[None]:
    """Return a block in which a document may be stored, whose bytes are reserved until its end.

    Args:
        bounds: The server's bounds.
        tenant: Whose it is.
        text: The document as JSON.
        old: The document that it replaces. One that does not grow may remain larger than the bound.

    Raises:
        OneBrainValidationError: The document is larger than the metadata of a memory may be.
        QuotaExceeded: The account has no more bytes.
    """
    size, before = len(text.encode("utf-8", "surrogatepass")), len(old.encode("utf-8", "surrogatepass"))
    if bounds.metadata is not None and size > max(bounds.metadata, before):
        raise OneBrainValidationError(f"this has {size} bytes as JSON; this server allows {bounds.metadata}")
    if bounds.admit is None or size <= before:
        return nullcontext()
    return bounds.admit(tenant, size - before)


def fitting(
    bounds: Bounds, connection: Connection, body: sa.Column[bytes], rows: Any, limit: int
) -> tuple[int, bool]:
    """Return how many rows of a SELECT make a page, and whether more follow: at most `limit`, and at least one."""
    sizes = connection.execute(rows.with_only_columns(_size(connection, body)).limit(limit + 1)).scalars()
    return _fitting(bounds.page, sizes, limit)


def _fitting(most: int | None, sizes: Iterable[int], limit: int) -> tuple[int, bool]:
    count = total = 0
    for size in sizes:
        total += size
        if count == limit or (count and most is not None and total > most):
            return count, True
        count += 1
    return count, False


def bytes_of(database: Database, tenant: str) -> int:
    """Return how many bytes the documents and entities of an account have."""
    with database.reading(tenant) as connection:
        return sum(
            connection.execute(
                sa.select(sa.func.coalesce(sa.func.sum(_size(connection, table.c.body)), 0)).where(
                    table.c.tenant == tenant
                )
            ).scalar_one()
            for table in (record, entity)
        )


def _size(connection: Connection, body: sa.Column[bytes]) -> Any:
    # Neither reads the value itself.
    name = "octet_length" if connection.dialect.name == "postgresql" else "length"
    return getattr(sa.func, name)(body)


__all__ = ["admitted", "bytes_of", "fitting"]
