"""Structured logs: one JSON object a line, on standard error, without keys and without the text of any memory."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from pydantic_core import to_json

from onebrain.errors import OneBrainError, redact

_LEVELS: Final = {"debug": 10, "info": 20, "warn": 30, "error": 40}


class Log:
    """Writes log lines.

    Args:
        level: The least level that is written.
        stream: Where to; standard error by default.
    """

    def __init__(self, level: str = "info", stream: TextIO | None = None) -> None:
        self._least = _LEVELS[level]
        self._stream = stream
        self._lock = threading.Lock()

    def access(
        self, request_id: str, method: str, route: str, status: int, seconds: float, caller: str | None
    ) -> None:
        """Note a request: at ``info`` where it failed on our side or was refused, at ``debug`` where all went well."""
        level = "error" if status >= 500 else "info" if status >= 400 else "debug"
        if _LEVELS[level] >= self._least:
            self._write(
                level,
                "request",
                request_id=request_id,
                method=method,
                route=route,
                status=status,
                ms=round(seconds * 1000, 2),
                caller=caller,
            )

    def failure(self, request_id: str, where: str, error: BaseException) -> None:
        """Note an error: its kind and where it happened, and its text where it is ours, which holds no memory's."""
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        trace = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
        self._write(
            "error",
            "failure",
            request_id=request_id,
            where=where,
            error=type(error).__name__,
            reason=error.message if isinstance(error, OneBrainError) else None,
            trace=trace,
        )

    def recovery(self, where: str, failures: int) -> None:
        """Note that a failure is over, after a number of failures; written at every level, as failures are."""
        self._write("info", "recovery", where=where, failures=failures)

    def note(self, level: str, message: str, **facts: Any) -> None:
        """Note something about the server itself."""
        if _LEVELS[level] >= self._least:
            self._write(level, message, **facts)

    def _write(self, level: str, message: str, **facts: Any) -> None:
        row = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level,
            "message": message,
            **{name: value for name, value in facts.items() if value is not None},
        }
        line = redact(to_json(row).decode())
        with self._lock:
            print(line, file=self._stream or sys.stderr, flush=True)


class Watch:
    """Watches a repeated action: notes when it begins to fail and when it works again, not each failure between.

    Args:
        log: Where it is noted.
        where: The watched action.
    """

    def __init__(self, log: Log, where: str) -> None:
        self._log = log
        self._where = where
        self._failures = 0
        self._told: set[tuple[str, str, int | None]] = set()

    @contextmanager
    def once(self) -> Generator[None, None, None]:
        """Do it one time: an exception ends the block and goes no further; a kind that was noted already is counted only."""
        try:
            yield
        except Exception as error:
            self._failures += 1
            last = traceback.extract_tb(error.__traceback__)[-1]
            kind = (type(error).__name__, last.filename, last.lineno)
            if kind not in self._told:
                self._told.add(kind)
                self._log.failure("-", self._where, error)
        else:
            if self._failures:
                self._log.recovery(self._where, self._failures)
            self._failures = 0
            self._told.clear()
