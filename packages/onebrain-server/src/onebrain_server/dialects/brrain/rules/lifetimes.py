"""How memories leave: archived when their time to live is over, deleted softly, and for good after the retention period.

The engine knows archived memories, which searches leave out, and expired ones, which are in no answer. A time to live
ends in the first, a deletion in both: at once archived and marked, and expired when the retention period is over.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from onebrain.errors import OneBrainNotFoundError
from onebrain.memory.driver import Changes, ListRequest
from onebrain.memory.filters import TRUE, Cmp, Filter, negate
from onebrain.memory.models import Memory, Scope
from onebrain_server.clock import now_micros
from onebrain_server.http.problems import Problem, not_found
from onebrain_server.http.requests import Call

_ARCHIVES_AT: Final = "archives_at"
_DELETED_AT: Final = "deleted_at"
_SOME_DAY: Final = Cmp(f"$extra.{_ARCHIVES_AT}", "exists", True)
# Memories that one search archives at most; the others wait for the next one, and are left out all the same.
_AT_ONCE: Final = 100
# Microseconds, in the year 2255: up to here numbers are exact everywhere.
_FAR: Final = 2**53


def time_to_live(moment: datetime, seconds: int | None) -> dict[str, Any]:
    """Return the `extra` of a memory that is to be archived a number of seconds after `moment`."""
    if seconds is None:
        return {}
    return {_ARCHIVES_AT: min(round(moment.timestamp() * 1_000_000) + seconds * 1_000_000, _FAR)}


def archive_due(call: Call, scope: Scope) -> Filter:
    """Archive memories of a scope whose time to live is over; return the filter that keeps the rest of them out.

    That filter is nearly always ``TRUE``: one that names the present would be another one at every search, and the engine
    keeps what it has prepared for a filter.
    """
    if not call.memories.count(scope, _SOME_DAY, include_archived=False):
        return TRUE
    due = Cmp(f"$extra.{_ARCHIVES_AT}", "le", now_micros())
    page = call.memories.list(ListRequest(scope=scope, filter=due, limit=_AT_ONCE))
    for memory in page.data:
        # Deleted by another request.
        with suppress(OneBrainNotFoundError):
            call.memories.update(memory.id, Changes(fields={"archived": True}), memory.scope)
    return negate(due) if page.meta.has_more else TRUE


def deleted(memory: Memory) -> bool:
    """Return whether a memory is deleted, and kept only for its retention period."""
    return _DELETED_AT in memory.extra


def delete(call: Call, memory: Memory) -> datetime:
    """Take a memory out of every answer, and let it go when the retention period is over; return the moment."""
    moment = datetime.now(UTC)
    days = call.server.settings.brrain_retention_days
    try:
        if days == 0:
            if not call.memories.delete([memory.id], memory.scope):
                raise not_found("Memory")
            return moment
        fields = {
            "archived": True,
            "expires_at": moment + timedelta(days=days),
            "extra": {**memory.extra, _DELETED_AT: round(moment.timestamp() * 1_000_000)},
        }
        call.memories.update(memory.id, Changes(fields=fields), memory.scope)
    except OneBrainNotFoundError:
        raise not_found("Memory") from None
    return moment


def delete_fact(call: Call, fact: Memory) -> None:
    """Delete a fact with the message that it was drawn from, unless it is deleted already."""
    if not deleted(fact):
        # Another request was first.
        with suppress(Problem):
            delete(call, fact)
