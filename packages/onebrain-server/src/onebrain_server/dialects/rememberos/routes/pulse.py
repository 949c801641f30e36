"""``/v1/pulse``: pageviews, counted by day, path and referring host; no cookie, no address, nothing about a person."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from pydantic import Field

from onebrain_server.clock import iso, now
from onebrain_server.dialects.rememberos.wire import Routes, Wire
from onebrain_server.http.requests import Call
from onebrain_server.state.database import Taken

if TYPE_CHECKING:
    from onebrain_server.server import Server

routes = Routes("", "pulse")

# Seconds between two times of writing the counts down; nobody misses those that a crash takes with it.
EVERY: Final = 5
KEPT_DAYS: Final = 90
_KIND: Final = "rememberos.views"
# The pageviews are no tenant's.
_NOBODY: Final = "-"
# Of paths and of hosts a day; strangers may send any.
_NAMES: Final = 500
_OTHER: Final = "(other)"

# The counts since they were last written down: by day, "paths" or "referrers", and name.
_counted: WeakKeyDictionary[Server, Counter[tuple[str, str, str]]] = WeakKeyDictionary()
_lock: Final = threading.Lock()


class View(Wire):
    """One pageview; the query string of the path is left out, and all of the referrer but its host."""

    path: Annotated[str, Field(min_length=1, max_length=2000)]
    referrer: Annotated[str, Field(max_length=2000)] | None = None


@routes.post("/pulse", needs="anyone", status=204)
def pulse(call: Call, body: View) -> None:
    """Count a pageview."""
    _count(call.server, body)


@routes.post("/track", needs="anyone", status=204)
def track(call: Call, body: View) -> None:
    """Count a pageview, as ``/v1/pulse`` does: its older name."""
    _count(call.server, body)


def _count(server: Server, view: View) -> None:
    day = iso(now())[:10]
    path = view.path.partition("?")[0].partition("#")[0][:255] or "/"
    try:
        host = urlsplit(view.referrer or "").hostname
    except ValueError:
        host = None
    with _lock:
        counts = _counted.setdefault(server, Counter())
        counts[day, "paths", path] += 1
        if host:
            counts[day, "referrers", host[:255]] += 1
        if len(counts) > 10 * _NAMES:
            _fold(counts)


def _fold(counts: Counter[tuple[str, str, str]]) -> None:
    """Put the names that were counted least under one."""
    for key, count in counts.most_common()[_NAMES:]:
        del counts[key]
        counts[key[0], key[1], _OTHER] += count


def flush(server: Server) -> None:
    """Write the counts down."""
    with _lock:
        counts = _counted.pop(server, Counter())
    for day in {key[0] for key in counts}:
        of_day = Counter({(kind, name): count for (on, kind, name), count in counts.items() if on == day})
        while not _written(server, day, of_day):
            pass


def _written(server: Server, day: str, counts: Mapping[tuple[str, str], int]) -> bool:
    """Add counts to a day's; return False where another process was faster, and it has to be done again."""
    record = server.records.get(_NOBODY, _KIND, day)
    body: dict[str, Any] = {"version": 0, "paths": {}, "referrers": {}} if record is None else record.body
    new: dict[str, Any] = {"version": body["version"] + 1}
    for kind in ("paths", "referrers"):
        names = dict(body[kind])
        for (of, name), count in counts.items():
            if of == kind:
                known = name if name in names or len(names) < _NAMES else _OTHER
                names[known] = names.get(known, 0) + count
        new[kind] = names
    if record is not None:
        return server.records.change_if(_NOBODY, _KIND, day, "version", body["version"], new)
    try:
        server.records.add(_NOBODY, _KIND, new, id=day)
    except Taken:
        return False
    return True


def days(server: Server, first: str) -> list[tuple[str, Mapping[str, int], Mapping[str, int]]]:
    """Return (day, pageviews by path, by referring host) from a day on, oldest first."""
    flush(server)
    found = sorted(server.records.all(_NOBODY, _KIND), key=lambda record: record.id)
    return [
        (record.id, record.body["paths"], record.body["referrers"]) for record in found if record.id >= first
    ]


def tidy(server: Server, first: str) -> None:
    """Forget the days before a day."""
    for record in server.records.all(_NOBODY, _KIND):
        if record.id < first:
            server.records.remove(_NOBODY, _KIND, record.id)


__all__ = ["EVERY", "KEPT_DAYS", "days", "flush", "routes", "tidy"]
