"""From PostgreSQL's errors to ours: what happened, and what to do about it.

What the server says is never passed on, for it may quote a value; an error carries its SQLSTATE, which says as much.
Nor is psycopg's error kept as the cause: a traceback would print it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg

from onebrain.errors import (
    ConfigurationError,
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseFull,
    DatabaseReadOnly,
    OneBrainAuthenticationError,
    OneBrainConnectionError,
    OneBrainError,
    OneBrainPermissionError,
    OneBrainTimeoutError,
    OneBrainValidationError,
    StorageError,
)
from onebrain_engine.store.protocol import Contention

SERVICE = "postgresql"

_GONE = ("08", "57P01", "57P02", "57P03", "57P05")  # how the states of a lost connection begin
_MISSING = ("42P01", "42703", "42704", "3F000")  # a table, a column, a type, a schema


def is_gone(error: psycopg.Error) -> bool:
    """Return whether the connection is lost, or the server is not there."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate.startswith(_GONE)


def translate(error: psycopg.Error, where: str, *, patience: float = 0.0) -> OneBrainError:
    """Return the error of our tree for one of psycopg's that a statement raised."""
    state = error.sqlstate or ""
    facts: dict[str, Any] = {"service": SERVICE, "code": state or None}
    if is_gone(error):
        return OneBrainConnectionError(
            f"{where} closed the connection; what was not answered was not done, try again", **facts
        )
    if state in ("40001", "40P01"):
        contention = Contention(
            f"{where} undid this transaction in favour of another one; nothing was written, try again",
            **facts,
        )
        contention.patience = patience
        return contention
    if state in ("55P03", "53300"):
        return DatabaseBusy(
            f"{where} is held by others; nothing was written, try again or raise busy_timeout", **facts
        )
    if state == "57014":
        return OneBrainTimeoutError(f"{where} stopped this, as its statement_timeout says", **facts)
    if state == "53100":
        return DatabaseFull(
            f"no space left on {where}; free some and try again, nothing was written", **facts
        )
    if state == "25006":
        return DatabaseReadOnly(
            f"{where} is read-only, as a standby is; give the URL of the primary server", **facts
        )
    if state in ("XX001", "XX002"):
        return DatabaseCorrupt(f"{where} is damaged; restore a backup", **facts)
    if state.startswith("28"):
        return OneBrainAuthenticationError(f"{where} refused the user name or password", **facts)
    if state == "42501":
        return OneBrainPermissionError(
            f"{where}: the role lacks a privilege; it must own the schema onebrain, or be granted its use",
            **facts,
        )
    if state in ("54000", "22001"):
        return OneBrainValidationError(
            "a text or vector is longer than PostgreSQL can hold; vectors have at most 16,000 dimensions",
            **facts,
        )
    if state.startswith("53"):
        return StorageError(f"{where} is out of memory or other resources; nothing was written", **facts)
    if state in _MISSING:
        return StorageError(
            f"{where} lacks tables of the schema onebrain; was it dropped? Connect again to make them",
            **facts,
        )
    return StorageError(f"{where} could not do this ({type(error).__name__}); nothing was written", **facts)


def translate_connect(error: psycopg.Error, where: str) -> OneBrainError:
    """Return the error of our tree for a connection that could not be made."""
    reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    for marker in ("FATAL:", "failed:"):
        reason = reason.rpartition(marker)[2].strip()
    facts: dict[str, Any] = {"service": SERVICE, "code": error.sqlstate}
    lowered = reason.lower()
    if "authentication failed" in lowered or "no password supplied" in lowered:
        return OneBrainAuthenticationError(f"{where} refused the user name or password", **facts)
    if "does not exist" in lowered:
        return ConfigurationError(f"{where} cannot be opened: {reason}", **facts)
    kind = (
        OneBrainTimeoutError
        if isinstance(error, psycopg.errors.ConnectionTimeout)
        else OneBrainConnectionError
    )
    problem = kind(f"{where} cannot be reached: {reason}", **facts)
    problem.never_sent = True
    return problem


@contextmanager
def translated(where: str, *, patience: float = 0.0) -> Generator[None]:
    """Raise psycopg's errors as ours."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, where, patience=patience) from None
