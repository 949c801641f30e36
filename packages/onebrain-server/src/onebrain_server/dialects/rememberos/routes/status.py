"""Routes without a login: liveness and the public status."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Final
from weakref import WeakKeyDictionary

from onebrain_server.clock import iso, now
from onebrain_server.dialects.rememberos.wire import Routes, Wire
from onebrain_server.http.operation import Answer
from onebrain_server.http.requests import Call
from onebrain_server.server import Server

routes = Routes("", "status")

# Seconds between two checks.
EVERY: Final = 60
_DAY: Final = 24 * 3600 // EVERY
_SHOWN: Final = 10

# The checks since this process started, oldest first: the time, and whether the database answered.
_checks: WeakKeyDictionary[Server, deque[tuple[str, bool]]] = WeakKeyDictionary()
_lock: Final = threading.Lock()


def check(server: Server) -> bool:
    """Ask the database, note whether it answers, and return that."""
    well = server.health.reason() is None
    with _lock:
        _checks.setdefault(server, deque(maxlen=_DAY)).append((iso(now()), well))
    return well


class Health(Wire):
    """Whether the server is alive."""

    status: str


@routes.get(
    "/memory/health", needs="anyone", answers=Health, answers_also={503: ("The server cannot work", Health)}
)
def health(call: Call) -> Answer:
    """Say whether the server can read and write its database."""
    well = call.server.health.reason() is None
    return Answer({"status": "healthy" if well else "unhealthy"}, status=200 if well else 503)


class Check(Wire):
    """One check of the server's database."""

    at: str
    healthy: bool


class Status(Wire):
    """How the server is, and was since it started, for a day at most."""

    status: str
    uptime_24h: float
    checks: list[Check]


@routes.get("/status", needs="anyone", answers=Status)
def status(call: Call) -> dict[str, Any]:
    """Return the public status: the present state, the share of good checks in percent, and the newest checks."""
    well = check(call.server)
    with _lock:
        checks = list(_checks[call.server])
    good = sum(healthy for _, healthy in checks)
    return {
        "status": "operational" if well else "degraded",
        "uptime_24h": round(100 * good / len(checks), 2),
        "checks": [{"at": at, "healthy": healthy} for at, healthy in checks[: -_SHOWN - 1 : -1]],
    }
