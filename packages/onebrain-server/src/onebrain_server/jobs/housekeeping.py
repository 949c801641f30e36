"""Background jobs, declared together."""

from __future__ import annotations

from functools import partial

from onebrain_server.jobs import briefings
from onebrain_server.server import Server


def begin(server: Server) -> None:
    """Start the background jobs of a server."""
    server.every(1, server.flush, "flush")
    server.every(1, server.limiter.share, "limits")
    server.every(3600, server.journal.tidy, "tidy")
    server.every(3600, server.history.tidy, "history")
    server.every(3600, server.attempts.tidy, "attempts")
    server.every(30, partial(briefings.run_schedules, server), "schedules")
    server.every(60, partial(briefings.run_triggers, server), "triggers")
    server.start()
    server.later(server.credentials.reseal, "credentials")
