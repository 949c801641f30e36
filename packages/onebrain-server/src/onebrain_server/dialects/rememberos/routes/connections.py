"""``/v1/memory/connections``: sources that a managed connector would sync into a collection.

Connections are kept with their credentials, which nothing returns. To sync them takes connectors to third parties, which
this version of the server has none of, and no setting adds one. A connection is paused from the beginning and says why; each
try to sync it fails, and is noted as a failed run.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NoReturn

from pydantic import Field

from onebrain.memory.models import JsonObject
from onebrain_server.dialects.rememberos.rules import collections
from onebrain_server.dialects.rememberos.rules.collections import Right
from onebrain_server.dialects.rememberos.rules.partition import partition_of
from onebrain_server.dialects.rememberos.wire import Name, Query, Routes, Tag, Wire, unconfigured
from onebrain_server.http.problems import Problem, not_found
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.state.records import Record

routes = Routes("/memory/connections", "connections")

KIND: Final = "rememberos.connection"
RUN: Final = "rememberos.run"
# In a row, after which a connection is paused.
_FAILURES: Final = 5
# Of one connection that are kept.
_RUNS: Final = 100
_REASON: Final = (
    "This version of the server has no managed connectors, and no setting adds one: nothing syncs this connection. "
    "Sync the source with a program of your own"
)

Provider = Literal["notion", "slack", "gdrive", "postgres", "gmail", "linear", "confluence", "hubspot"]
_OAUTH: Final = frozenset({"notion", "slack", "gdrive", "gmail"})


class ConnectionFields(Wire):
    """A source to connect."""

    provider: Provider
    name: Name | None = None
    collection: Name
    container_tag: Tag | None = None
    config: JsonObject = Field(default_factory=dict)
    credentials: JsonObject


class ConnectionRow(Wire):
    """A connection, without its credentials."""

    id: str
    provider: str
    name: str | None
    collection: str
    container_tag: str | None
    config: JsonObject
    status: str
    last_error: str | None
    cursor: str | None
    created_at: str
    updated_at: str


def _row(record: Record) -> dict[str, Any]:
    return row_of(ConnectionRow, record)


def _reaches(call: Call, name: str, right: Right) -> bool:
    """Return whether the caller may use a connection's collection, which need not be there yet."""
    found = collections.find(partition_of(call), name)
    return found is None or found.allows(call, right)


def _one(call: Call, id: str, right: Right) -> Record:
    partition = partition_of(call)
    record = partition.records.get(partition.tenant, KIND, id)
    if record is None:
        raise not_found("Connection")
    if not _reaches(call, record.body["collection"], right):
        raise _shut()
    return record


def _shut() -> Problem:
    return Problem(
        403, "FORBIDDEN", "This agent may not use the connection's collection; its grants say who may"
    )


@routes.post("", needs="write", answers=ConnectionRow, status=201)
def create_connection(call: Call, body: ConnectionFields) -> dict[str, Any]:
    """Keep a connection, paused, for nothing here syncs it; its credentials are never returned."""
    if not _reaches(call, body.collection, "can_write"):
        raise _shut()
    partition = partition_of(call)
    kept = {**body.model_dump(), "last_error": _REASON, "cursor": None, "failures": 0}
    made = partition.records.add(partition.tenant, KIND, kept, status="paused", label=body.provider)
    call.audit("rememberos.connection.create", made.id)
    return _row(made)


@routes.get("", needs="read", answers=list[ConnectionRow])
def list_connections(call: Call) -> list[dict[str, Any]]:
    """List the connections of the collections that the key may read, newest first."""
    partition = partition_of(call)
    found = partition.records.all(partition.tenant, KIND)
    return [_row(one) for one in found if _reaches(call, one.body["collection"], "can_read")]


@routes.get("/{id}", needs="read", answers=ConnectionRow, errors=(404,))
def get_connection(call: Call, id: str) -> dict[str, Any]:
    """Return one connection."""
    return _row(_one(call, id, "can_read"))


@routes.delete("/{id}", needs="write", errors=(404,))
def delete_connection(call: Call, id: str) -> dict[str, Any]:
    """Remove a connection with its credentials and runs."""
    partition, found = partition_of(call), _one(call, id, "can_write")
    for run in _runs(call, found.id, 10 * _RUNS):
        partition.records.remove(partition.tenant, RUN, run.id)
    gone = partition.records.remove(partition.tenant, KIND, found.id)
    call.audit("rememberos.connection.delete", found.id)
    return {"deleted": gone}


class SyncAnswer(Wire):
    """The result of a sync."""

    synced: int
    cursor: str | None
    status: str


@routes.post("/{id}/sync", needs="write", answers=SyncAnswer, errors=(404,))
def sync_connection(call: Call, id: str) -> NoReturn:
    """Sync now: not here, for this server has no connectors; the failure is noted, and the fifth in a row pauses it."""
    partition = partition_of(call)
    with partition.server.changing(partition.tenant, id):
        found = _one(call, id, "can_write")
        failures = found.body["failures"] + 1
        status = "paused" if failures >= _FAILURES else "error"
        changes = {"failures": failures, "last_error": _REASON}
        partition.records.change(partition.tenant, KIND, found.id, changes, status=status)
        run = {"status": "error", "synced_count": 0, "error": _REASON}
        partition.records.add(
            partition.tenant, RUN, {**run, "provider": found.body["provider"]}, label=found.id
        )
        for old in _runs(call, found.id, 2 * _RUNS)[_RUNS:]:
            partition.records.remove(partition.tenant, RUN, old.id)
    raise unconfigured(_REASON)


class RunsQuery(Query):
    """How many runs."""

    limit: Annotated[int, Field(ge=1, le=_RUNS)] = 20


class RunRow(Wire):
    """One try to sync."""

    status: str
    synced_count: int
    error: str | None
    created_at: str


@routes.get("/{id}/runs", needs="read", answers=list[RunRow], errors=(404,))
def list_runs(call: Call, id: str, query: RunsQuery) -> list[dict[str, Any]]:
    """List the latest syncs, newest first."""
    found = _one(call, id, "can_read")
    return [row_of(RunRow, run) for run in _runs(call, found.id, query.limit)]


def _runs(call: Call, id: str, most: int) -> list[Record]:
    page = call.server.records.page(call.tenant_id, RUN, limit=most, label=id)
    return [] if page is None else list(page.rows)


# ---- OAuth ----------------------------------------------------------------------------------------------------------


class StartQuery(Query):
    """The collection and name of a connection."""

    collection: Name
    name: Name | None = None


class OAuthStart(Wire):
    """Where to send the user."""

    authorize_url: str


@routes.get("/oauth/{provider}/start", needs="write", answers=OAuthStart, errors=(404,))
def start_oauth(call: Call, provider: str, query: StartQuery) -> NoReturn:
    """Begin to connect an account by OAuth: not here, for there is no OAuth app."""
    raise _no_app(provider)


@routes.get("/oauth/{provider}/callback", needs="anyone", answers=OAuthStart, errors=(404,))
def finish_oauth(call: Call, provider: str) -> NoReturn:
    """Take a code from a provider: not here, for there is no OAuth app."""
    raise _no_app(provider)


def _no_app(provider: str) -> Problem:
    if provider not in _OAUTH:
        return Problem(404, "NOT_FOUND", "There is no OAuth for this provider")
    return unconfigured(
        "This version of the server has no OAuth app for any provider, and no setting adds one"
    )


__all__ = ["KIND", "RUN", "routes"]
