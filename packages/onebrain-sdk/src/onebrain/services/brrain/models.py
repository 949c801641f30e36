"""The models of bRRAIn's API; fields that its documentation does not name are kept, too."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from onebrain._core.record import Record

SearchMode = Literal["semantic", "keyword", "hybrid"]


def _object(value: Any) -> Any:
    return {} if value is None else value


JsonObject: TypeAlias = Annotated[dict[str, Any], BeforeValidator(_object)]


class Processing(Record):
    """How far the work on a memory is; a semantic search can find it once its embedding is ``"completed"``."""

    embedding_status: str | None = None
    entity_extraction_status: str | None = None
    entities: tuple[str, ...] = ()


class Stored(Record):
    """A memory as `store` made it.

    Attributes:
        replayed: True where an earlier attempt of the same request, whose answer was lost, had already stored it; then
            only `id` and `status` are known.
    """

    id: str
    status: str = "stored"
    vault_id: str | None = None
    workspace_id: str | None = None
    created_at: datetime | None = None
    content_hash: str | None = None
    byte_size: int | None = None
    metadata: JsonObject = Field(default_factory=dict)
    processing: Processing | None = None
    replayed: bool = False


class ItemError(Record):
    """Why one memory of a batch was not stored."""

    code: str | None = None
    message: str | None = None
    existing_id: str | None = None


class BatchItem(Record):
    """The outcome for one memory of a batch; `replayed` is that of `Stored`."""

    id: str | None = None
    status: str
    error: ItemError | None = None
    index: int | None = None
    replayed: bool = False

    @property
    def ok(self) -> bool:
        """Whether the memory is stored."""
        return self.status != "failed" and self.id is not None


class BatchResult(Record):
    """The outcome of a batch, over all of its requests; `results` are in the order of the input."""

    stored: int
    failed: int = 0
    results: tuple[BatchItem, ...] = ()


class Memory(Record):
    """One memory."""

    id: str
    content: str
    vault_id: str | None = None
    workspace_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    metadata: JsonObject = Field(default_factory=dict)
    processing: Processing | None = None


class Hit(Record):
    """A memory that a search found.

    Attributes:
        relevance_score: 0..1, higher is better.
        highlights: Passages with ``<em>`` around what matched, as the service wrote them: it is not known whether it
            escapes the rest, so sanitise them before a browser shows them.
    """

    id: str
    content: str
    relevance_score: float = 0.0
    metadata: JsonObject = Field(default_factory=dict)
    created_at: datetime | None = None
    highlights: tuple[str, ...] = ()


class Retrieved(Record):
    """One page of a search; `total` counts all that match, `next_cursor` asks for the next page."""

    results: tuple[Hit, ...]
    query: str | None = None
    mode: SearchMode | str | None = None
    total: int | None = None
    has_more: bool = False
    next_cursor: str | None = None
    took_ms: float | None = None


class Deleted(Record):
    """A memory that was taken out of every answer; the service keeps it for its vault's retention period."""

    id: str
    status: str = "deleted"
    deleted_at: datetime | None = None
