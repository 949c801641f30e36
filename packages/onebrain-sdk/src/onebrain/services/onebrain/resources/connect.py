"""Connect: how agents read the brain, write to it and stay in step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any, Literal, cast

from onebrain._core.batches import Batches
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.former import formerly
from onebrain._core.paging import Page
from onebrain._core.service import DELETE, GET, POST, Spec, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.errors import OneBrainValidationError
from onebrain.services.onebrain.fields import item_fields, memory_fields, moment
from onebrain.services.onebrain.models import (
    Change,
    Connection,
    ContextScope,
    Delta,
    Json,
    MemoryType,
    SourceType,
    SyncPrompt,
    SyncResult,
    WriteResult,
    WrittenMemory,
)
from onebrain.services.onebrain.resources.resource import (
    Resource,
    check_limit,
    noted,
    one_of,
    strings,
)
from onebrain.services.onebrain.service import enveloped

_BATCH = 10
_SYNC = 100


class Connect(Resource[Mode]):
    """The agents' own calls; they need an API key, not an access token."""

    @endpoint
    def read(
        self, scope: ContextScope | None = None, *, format: Literal["json"] = "json"
    ) -> Steps[SyncPrompt]:
        """Return the briefing of an agent that connects: a system prompt, and where it may write.

        Args:
            scope: brief, assistant, project or deep (the server's default).
            format: Always json; `read_text` returns the prompt alone.
        """
        if format != "json":
            raise OneBrainValidationError(
                'format: must be "json"; connect.read_text() returns the prompt as text'
            )
        row = yield from self._object(GET("/v1/connect", scope=scope))
        estimate = cast("Json", row.get("meta") or {}).get("tokenEstimate") or 0
        return read(SyncPrompt, {"tokenCount": estimate, **row}, service="onebrain")

    @endpoint
    def read_text(self, scope: ContextScope | None = None) -> Steps[str]:
        """Return the system prompt alone, as plain text."""
        reply = yield from self._service.ask(GET("/v1/connect", scope=scope).but(expect="text"))
        return str(reply.data or "")

    @endpoint
    @formerly("type", "title", "body")
    def write_memory(
        self,
        content: str | None = None,
        *,
        body: str | None = None,
        title: str | None = None,
        type: MemoryType = "fact",
        source: str | None = None,
        source_type: SourceType | None = None,
        confidence: float | None = None,
        tags: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Steps[WrittenMemory]:
        """Store a memory as an agent: active with a trusted key, a candidate with one under review.

        ``duplicate`` is True where an active memory says the same and nothing was added. The arguments are those of
        ``memory.create``.
        """
        fields = memory_fields(
            one_of(content=content, body=body),
            title=title,
            type=type,
            source=source,
            source_type=source_type,
            confidence=confidence,
            tags=tags,
            metadata=metadata,
        )
        reply = yield from self._service.ask(POST("/v1/connect/memory").but(body=fields))
        row = cast("Json", enveloped(self._service, reply))
        return read(WrittenMemory, {"duplicate": reply.status == 200, **row}, service="onebrain")

    @endpoint
    def write_memories(self, items: Iterable[Mapping[str, Any] | str]) -> Steps[SyncResult]:
        """Store memories as an agent, ten to a request, and return the outcome of each, in order.

        Raises:
            OneBrainError: A request failed; the message says how many memories earlier ones took.
        """
        return (
            yield from self._written(items, _BATCH, lambda rows: POST("/v1/connect/memories").but(body=rows))
        )

    def _written(
        self, items: Iterable[Mapping[str, Any] | str], most_rows: int, spec: Callable[[list[Json]], Spec]
    ) -> Steps[SyncResult]:
        """Send memories, at most `most_rows` in a request that `spec` makes, and return the outcome of each."""
        wire = [item_fields(item) for item in items]
        results: list[WriteResult] = []
        created = duplicates = 0
        batches = Batches(wire, most_rows, self._service.byte_limit)
        for rows in batches:
            with batches.attempt(
                lambda error: noted(error, f"{len(results)} of {len(wire)} memories were taken before")
            ):
                found = yield from self._one(SyncResult, spec(list(rows)))
                results.extend(found.data)
                created, duplicates = created + found.created, duplicates + found.duplicates
        return SyncResult(data=tuple(results), created=created, duplicates=duplicates)

    @endpoint
    def delta(self, since: datetime | date | str | None = None, *, cursor: str | None = None) -> Steps[Delta]:
        """Return the memories that changed.

        Args:
            since: Since when, in any offset. Without it, since this key's last call, and the server moves that time: such a
                call is not repeated after a failure, for it would lose changes.
            cursor: ``delta.cursor`` of the answer before, on servers that page.
        """
        spec = GET(
            "/v1/connect/delta", since=None if since is None else moment("since", since), cursor=cursor
        )
        return (yield from self._one(Delta, spec if since is not None else spec.but(safe=False)))

    @endpoint
    def register(
        self, agent_name: str, *, agent_version: str | None = None, capabilities: Iterable[str] | None = None
    ) -> Steps[Connection]:
        """Register an agent and return its connection; `UnsupportedByServer` where the server has no connections.

        Args:
            agent_name: The agent's name.
            agent_version: Its version.
            capabilities: The abilities that it asks for: ``memory_read``, ``memory_write``.
        """
        spec = POST(
            "/v1/connect/connections",
            agentName=agent_name,
            agentVersion=agent_version,
            capabilities=list(strings("capabilities", capabilities)) or None,
        )
        return (yield from self._one(Connection, spec))

    @endpoint
    def connections(self) -> Steps[tuple[Connection, ...]]:
        """Return the registered connections; `UnsupportedByServer` where the server has none."""
        return (yield from self._many(Connection, GET("/v1/connect/connections")))

    @endpoint
    def sync(self, connection_id: str, *, memories: Iterable[Mapping[str, Any] | str]) -> Steps[SyncResult]:
        """Send an agent's memories to the brain; ``meta.total`` is their number.

        Raises:
            UnsupportedByServer: The server has no connections; `write_memories` works without.
        """
        url = path("/v1/connect/connections/{}/sync", connection_id)
        return (yield from self._written(memories, _SYNC, lambda rows: POST(url, memories=rows)))

    @endpoint
    def disconnect(self, connection_id: str) -> Steps[None]:
        """End a connection; `UnsupportedByServer` where the server has none."""
        yield from self._none(DELETE(path("/v1/connect/connections/{}", connection_id)))

    def _pull(
        self,
        connection_id: str,
        *,
        since: datetime | date | str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Steps[Page[Change]]:
        """Return memories that changed, oldest first: ``pull`` a page, ``pull_all`` the rows of all pages.

        Args:
            connection_id: The agent's connection.
            since: Since when; without it, since the connection's last sync.
            cursor: ``page.meta.cursor`` of the page before.
            limit: Rows of a page, 1 to 100.

        Raises:
            UnsupportedByServer: The server has no connections; `delta` works without.
        """
        check_limit(limit)
        spec = GET(
            path("/v1/connect/connections/{}/pull", connection_id),
            since=None if since is None else moment("since", since),
            cursor=cursor,
            limit=limit,
        )
        return (yield from self._page(Change, spec))

    pull_all = listing(_pull)
    pull = endpoint(_pull)
