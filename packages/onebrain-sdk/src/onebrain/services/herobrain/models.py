"""The models of HeroBrain's API; attributes in Python's spelling, with the wire's camelCase as their alias."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AliasChoices, BeforeValidator, Field

from onebrain._core.record import NamedRows, Record

Environment = Literal["development", "production"]
Sort = Literal["createdAt", "importance", "updatedAt"]


class MemoryType(StrEnum):
    """The thirteen kinds of memory."""

    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"
    WORKING = "working"
    PROSPECTIVE = "prospective"
    EMOTIONAL = "emotional"
    CONTEXTUAL = "contextual"
    IDENTITY = "identity"
    RELATIONAL = "relational"
    EVENT = "event"
    PREDICTIVE = "predictive"
    TASK = "task"
    DECISION = "decision"


class WebhookEvent(StrEnum):
    """The events of a webhook."""

    MEMORY_CREATED = "memory.created"
    MEMORY_UPDATED = "memory.updated"
    MEMORY_DELETED = "memory.deleted"
    SEARCH_PERFORMED = "search.performed"
    API_KEY_CREATED = "api_key.created"
    API_KEY_REVOKED = "api_key.revoked"


def _instant(value: Any) -> Any:
    """Accept ISO text, and numbers as seconds or, from 1e11 on, as milliseconds since 1970."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value / 1000 if value >= 1e11 else value, UTC)
    return value


# A known word becomes the enum's member, another one stays text.
TypeName: TypeAlias = Annotated[MemoryType | str, Field(union_mode="left_to_right")]
EventName: TypeAlias = Annotated[WebhookEvent | str, Field(union_mode="left_to_right")]
Instant: TypeAlias = Annotated[datetime, BeforeValidator(_instant)]


class Memory(Record):
    """One memory. Rows of lists and searches may come without tags, metadata and ``updated_at``.

    Attributes:
        type: One of the thirteen kinds.
        importance: 0..1.
        created_at: When it was stored, by the service's clock.
    """

    id: str
    content: str = ""
    type: TypeName | None = None
    importance: float | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: Instant | None = Field(default=None, alias="createdAt")
    updated_at: Instant | None = Field(default=None, alias="updatedAt")


class FoundMemory(Memory):
    """A memory that a search found.

    Attributes:
        relevance: 0..1, higher is better.
    """

    relevance: float = 0.0

    @property
    def score(self) -> float:
        """The relevance."""
        return self.relevance


class SearchResponse(NamedRows[FoundMemory], Record):  # type: ignore[misc]
    """The result of a search, best first; it can be iterated over, counted with ``len`` and indexed.

    Attributes:
        latency: How long the service took, in milliseconds.
    """

    _rows: ClassVar[str] = "results"

    results: tuple[FoundMemory, ...] = ()
    query: str = ""
    latency: float | None = None


class Pagination(Record):
    """Where a page stands in its list."""

    page: int = 1
    limit: int = 50
    total: int | None = None
    pages: int | None = None
    has_next: bool = Field(default=False, alias="hasNext")
    has_previous: bool = Field(default=False, alias="hasPrevious")


class MemoryPage(NamedRows[Memory], Record):  # type: ignore[misc]
    """One page of a list; it can be iterated over, counted with ``len`` and indexed."""

    _rows: ClassVar[str] = "memories"

    memories: tuple[Memory, ...] = ()
    pagination: Pagination = Pagination()


class Deleted(Record):
    """The answer to a deletion."""

    id: str
    deleted: bool = True


class KeyLimits(Record):
    """How many requests a key may make."""

    requests_per_minute: int | None = Field(default=None, alias="requestsPerMinute")
    requests_per_hour: int | None = Field(default=None, alias="requestsPerHour")
    requests_per_day: int | None = Field(default=None, alias="requestsPerDay")


class ApiKey(Record):
    """A key, without its secret part.

    Attributes:
        key_prefix: How it begins, to recognise it by.
    """

    id: str
    name: str | None = None
    key_prefix: str | None = Field(default=None, alias="keyPrefix")
    environment: Environment | str | None = None
    scopes: tuple[str, ...] = ()
    rate_limit: KeyLimits | None = Field(default=None, alias="rateLimit")
    created_at: Instant | None = Field(default=None, alias="createdAt")
    expires_at: Instant | None = Field(default=None, alias="expiresAt")
    last_used_at: Instant | None = Field(default=None, alias="lastUsedAt")


class NewApiKey(ApiKey):
    """A key that was just made.

    Attributes:
        plain_key: The key itself, shown this once.
    """

    plain_key: str = Field(alias="plainKey", repr=False)


class Webhook(Record):
    """A registered webhook; its secret is not told again."""

    id: str
    name: str | None = None
    url: str | None = None
    events: tuple[EventName, ...] = ()
    status: str | None = None
    secret: str | None = Field(default=None, repr=False)
    created_at: Instant | None = Field(default=None, alias="createdAt")


class WebhookTest(Record):
    """The answer to a test delivery."""

    delivered: bool = False


class DecisionChain(Record):
    """How a decision came about; the contents of a link are the service's own."""

    chain: tuple[Any, ...] = ()


class Patterns(Record):
    """Patterns that were found; their contents are the service's own."""

    patterns: tuple[Any, ...] = ()


class ApiCalls(Record):
    """Requests made."""

    today: int = 0
    this_month: int = Field(default=0, alias="thisMonth")
    limit: int | None = None


class MemoryCount(Record):
    """Memories kept."""

    count: int = 0
    limit: int | None = None


class Storage(Record):
    """Bytes used."""

    used: int = 0
    limit: int | None = None


class UsageMetrics(Record):
    """A tenant's usage of its plan."""

    api_calls: ApiCalls = Field(
        default=ApiCalls(),
        validation_alias=AliasChoices("apiCalls", "api_calls"),
        serialization_alias="apiCalls",
    )
    memories: MemoryCount = MemoryCount()
    storage: Storage = Storage()
