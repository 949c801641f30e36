"""From PostgreSQL's errors to ours, with the cause and the remedy.

The server's message is never passed on, because it may quote a value; an error carries its SQLSTATE instead.
Nor is psycopg's error kept as the cause: a traceback would print it.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

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

_GONE = ("08", "25P03", "57P01", "57P02", "57P03", "57P05")  # how the states of a lost connection begin
_UNPREPARED = ("26000", "42P05")  # a prepared statement that is missing, or there already
_MISSING = ("42P01", "42703", "3F000")  # a table, a column, a schema
# A missing type, function or operator. Only those of pgvector can be missing.
_MOVED = ("42704", "42883")

_REFUSED = ("authentication failed", "no password supplied", "no such user", "this role does not exist")
_USER = re.compile(r'\b(user|role):? "[^"]*"', re.IGNORECASE)


class Outdated(psycopg.errors.InternalError_):
    """A connection knows types that are no longer the database's."""


def is_outdated(error: BaseException) -> bool:
    """Return whether a connection is from before the schema was replaced, as by a restored dump."""
    if not isinstance(error, psycopg.errors.InternalError_):
        return False
    # The server never translates this one, and it quotes nothing but a number.
    return isinstance(error, Outdated) or "cache lookup failed" in (error.diag.message_primary or "")


def is_gone(error: psycopg.Error) -> bool:
    """Return whether the connection is lost, or the server is not there."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate.startswith(_GONE)


def is_unprepared(error: psycopg.Error) -> bool:
    """Return whether a prepared statement was not where it was made: a pooler gave this session to others."""
    return error.sqlstate in _UNPREPARED


def is_stale(error: psycopg.Error) -> bool:
    """Return whether connections may know outdated facts of the database, such as pgvector's schema."""
    return error.sqlstate in (*_UNPREPARED, *_MISSING, *_MOVED) or is_outdated(error)


_TOO_LONG: Final = (
    "a text or vector is longer than PostgreSQL can hold; vectors have at most 16,000 dimensions"
)
# By SQLSTATE, or by its class.
_KINDS: Final[Mapping[str, tuple[type[OneBrainError], str]]] = {
    "55P03": (
        DatabaseBusy,
        "{where} is held by others; nothing was written, try again or raise busy_timeout",
    ),
    "53300": (
        DatabaseBusy,
        "{where} is held by others; nothing was written, try again or raise busy_timeout",
    ),
    "57014": (OneBrainTimeoutError, "{where} stopped this, as its statement_timeout says"),
    "53100": (DatabaseFull, "no space left on {where}; free some and try again, nothing was written"),
    "25006": (DatabaseReadOnly, "{where} is read-only, as a standby is; give the URL of the primary server"),
    "XX001": (DatabaseCorrupt, "{where} is damaged; restore a backup"),
    "XX002": (DatabaseCorrupt, "{where} is damaged; restore a backup"),
    "42501": (
        OneBrainPermissionError,
        "{where}: the role lacks a privilege; it must own the schema onebrain, or be granted its use",
    ),
    "54000": (OneBrainValidationError, _TOO_LONG),
    "22001": (OneBrainValidationError, _TOO_LONG),
    "28": (OneBrainAuthenticationError, "{where} refused the user name or password"),
    "53": (StorageError, "{where} is out of memory or other resources; nothing was written"),
}


def translate(error: psycopg.Error, where: str, *, patience: float = 0.0) -> OneBrainError:
    """Return the error of our tree for one of psycopg's that a statement raised."""
    state = error.sqlstate or ""
    facts: dict[str, Any] = {"service": SERVICE, "code": state or None}
    if state == "08P01" and "statement pooling" in str(error):
        return ConfigurationError(
            f"{where} is behind a pooler in statement mode, which allows no transactions; "
            "set its pool_mode to transaction or session",
            **facts,
        )
    if is_gone(error):
        return OneBrainConnectionError(
            f"{where} closed the connection; what was not answered was not done, try again", **facts
        )
    if state in ("40001", "40P01", *_UNPREPARED) or is_outdated(error):
        reason = "undid this transaction in favour of another one"
        if is_outdated(error):
            reason = "was replaced, as by a restored dump, since this connection was made"
        if state in _UNPREPARED:
            reason = "lost a prepared statement, as behind a pooler"
        contention = Contention(f"{where} {reason}; nothing was written, try again", **facts)
        contention.patience = patience
        return contention
    kind, text = _KINDS.get(state) or _KINDS.get(state[:2]) or (StorageError, "")
    if text:
        return kind(text.format(where=where), **facts)
    if state in _MOVED or (state == "3F000" and "onebrain" not in str(error)):
        return StorageError(
            f"{where}: pgvector is no longer where it was; if it was moved to another schema, try again, "
            "if it was dropped, restore a backup",
            **facts,
        )
    if state in _MISSING:
        return StorageError(
            f"{where} lacks tables of the schema onebrain; was it dropped? Connect again to make them",
            **facts,
        )
    return StorageError(f"{where} could not do this ({type(error).__name__}); nothing was written", **facts)


def translate_connect(error: psycopg.Error, where: str, password: str = "") -> OneBrainError:
    """Return the error of our tree for a connection that could not be made; the password never shows in it."""
    reason = type(error).__name__
    for line in str(error).strip().splitlines():
        # Of several hosts, the last one's; a line without a marker is only a hint.
        found = line.rpartition("FATAL:")[2].rpartition("failed:")[2].strip()
        if found != line.strip() or reason == type(error).__name__:
            reason = found
    reason = _USER.sub(r"this \1", reason)
    if password:
        reason = reason.replace(password, "***")
    facts: dict[str, Any] = {"service": SERVICE, "code": error.sqlstate}
    lowered = reason.lower()
    if any(text in lowered for text in _REFUSED):
        return OneBrainAuthenticationError(f"{where} refused the user name or password", **facts)
    if "unsupported startup parameter" in lowered:
        return ConfigurationError(
            f"{where} is behind a pooler that takes no such parameter ({reason}); leave it out of the URL, or name it "
            "in the pooler's ignore_startup_parameters",
            **facts,
        )
    if "does not exist" in lowered or "no such database" in lowered or "invalid" in lowered:
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
