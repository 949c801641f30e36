"""The models of ai-memory's API; field names are the daemon's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from onebrain._core.codec import is_object
from onebrain._core.record import NamedRows, Record
from onebrain.memory.acceptance import in_utc

OnConflict = Literal["error", "merge", "version"]


class Tier(StrEnum):
    """How long a memory lives: SHORT six hours, MID seven days, LONG for ever, unless it says otherwise itself."""

    SHORT = "short"
    MID = "mid"
    LONG = "long"


class Relation(StrEnum):
    """The meaning of a link between two memories."""

    RELATED_TO = "related_to"
    SUPERSEDES = "supersedes"
    CONTRADICTS = "contradicts"
    DERIVED_FROM = "derived_from"


# A known word becomes the enum's member, another one stays text.
TierName: TypeAlias = Annotated[Tier | str, Field(union_mode="left_to_right")]
RelationName: TypeAlias = Annotated[Relation | str, Field(union_mode="left_to_right")]


def _rfc3339(value: datetime) -> str:
    # The daemon compares times as text, so all of them must have its own form: UTC, written "+00:00".
    try:
        return in_utc(value).isoformat()
    except ValueError:
        # UTC has no such year; the daemon says so.
        return value.isoformat()


Timestamp: TypeAlias = Annotated[datetime, PlainSerializer(_rfc3339, when_used="json")]


class Memory(Record):
    """One memory, with all fields that the daemon keeps.

    Attributes:
        tier: How long it lives; a string where a newer daemon has a tier that we do not know.
        priority: 1..10; every tenth recall raises it.
        confidence: 0..1.
        access_count: How often it was recalled.
        expires_at: When it vanishes; None for never. Recalling a short or mid memory sets it anew.
        metadata: A JSON object; its ``agent_id`` says who wrote the memory, its ``scope`` who may see it.
    """

    id: str
    title: str = ""
    content: str = ""
    tier: TierName = Tier.MID
    namespace: str = "global"
    tags: tuple[str, ...] = ()
    priority: int = 5
    confidence: float = 1.0
    source: str = "api"
    access_count: int = 0
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None
    last_accessed_at: Timestamp | None = None
    expires_at: Timestamp | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class RecalledMemory(Memory):
    """A memory that a recall found.

    Attributes:
        score: Higher is better. Without bounds in ``keyword`` mode, at most about 1 in ``hybrid`` mode.
    """

    score: float = 0.0


Row = TypeVar("Row", bound=Memory)


class _Rows(NamedRows[Row], Record, Generic[Row]):  # type: ignore[misc]
    """Memories that can be iterated over, counted with ``len`` and indexed, beside the fields."""

    _rows: ClassVar[str] = "memories"

    memories: tuple[Row, ...] = ()
    count: int = 0


class ListResponse(_Rows[Memory]):
    """One page of a list; `count` is the size of the page, for the daemon counts no further."""


class SearchResponse(_Rows[Memory]):
    """The result of a full-text search, best first and without scores."""

    memories: tuple[Memory, ...] = Field(
        default=(), validation_alias=AliasChoices("results", "memories"), serialization_alias="results"
    )
    query: str = ""

    @property
    def results(self) -> tuple[Memory, ...]:
        """The memories, by the daemon's own name."""
        return self.memories


class RecallMeta(Record):
    """The effect of a token budget on a recall."""

    budget_tokens_used: int = 0
    budget_tokens_remaining: int | None = None
    memories_dropped: int = 0
    budget_overflow: bool = False


class RecallResponse(_Rows[RecalledMemory]):
    """The result of a recall, best first.

    Attributes:
        memories: The memories, each with its score.
        mode: How it was searched: ``hybrid`` only where the daemon has an embedder, else ``keyword``.
        tokens_used: The tokens of all contents.
        budget_tokens: The budget that was asked for.
        meta: The effect of the budget, if one was given.
    """

    mode: str = "keyword"
    tokens_used: int = 0
    budget_tokens: int | None = None
    meta: RecallMeta | None = None


class Created(Record):
    """A memory that was stored.

    Attributes:
        id: Its id; an older memory's where one of the same title in the namespace was merged with.
        tier: The tier asked for, which is not the merged memory's.
        agent_id: Who wrote it, as the daemon sees it.
        potential_contradictions: Ids of memories with a similar title, at most five.
        quorum_acks: How many peers have it, in a federation.
    """

    id: str
    tier: TierName | None = None
    namespace: str | None = None
    title: str | None = None
    agent_id: str | None = None
    potential_contradictions: tuple[str, ...] = ()
    quorum_acks: int | None = None


class Pending(Record):
    """A write that waits for somebody's approval, because the namespace's policy says so; nothing has happened yet.

    Attributes:
        id: The id of the waiting action, not of a memory.
        action: The waiting action: ``store``, ``delete`` or ``promote``.
    """

    id: str = Field(validation_alias=AliasChoices("pending_id", "id"), serialization_alias="pending_id")
    status: str = "pending"
    action: str | None = None
    reason: str | None = None
    namespace: str | None = None


class Deleted(Record):
    """The answer to a deletion."""

    deleted: bool = True


class Promoted(Record):
    """The answer to a promotion."""

    promoted: bool = True
    id: str | None = None
    tier: TierName = Tier.LONG


class Forgotten(Record):
    """How many memories a `forget` removed."""

    deleted: int = 0


class Collected(Record):
    """How many expired memories a `gc` removed."""

    expired_deleted: int = 0


def _line(value: Any) -> Any:
    """Bulk errors are text; other versions send objects."""
    if is_object(value):
        return ": ".join(str(part) for part in value.values())
    return value


ErrorLine: TypeAlias = Annotated[str, BeforeValidator(_line)]


class BulkResponse(Record):
    """The result of a bulk store, over all of its requests.

    Attributes:
        created: How many rows were stored, those that replaced an older one of the same title included.
        errors: Why rows were left out, as ``"title: reason"``.
        requests: How many requests it took.
    """

    created: int = 0
    errors: tuple[ErrorLine, ...] = ()
    requests: int = 1


class ImportResponse(Record):
    """The result of an import, over all of its requests.

    Attributes:
        imported: How many memories were written.
        errors: Why memories were left out, as ``"id: reason"``.
        requests: How many requests it took.
    """

    imported: int = 0
    errors: tuple[ErrorLine, ...] = ()
    requests: int = 1


class Link(Record):
    """A directed link between two memories."""

    source_id: str
    target_id: str
    relation: RelationName = Relation.RELATED_TO
    created_at: Timestamp | None = None


class Linked(Record):
    """The answer to a link.

    Attributes:
        attest_level: ``unsigned`` or ``self_signed``, from daemons that say so.
    """

    linked: bool = True
    attest_level: str | None = None


class Export(Record):
    """Everything the daemon holds that has not expired, oldest first."""

    memories: tuple[Memory, ...] = ()
    links: tuple[Link, ...] = ()
    count: int = 0
    exported_at: Timestamp | None = None


class TierCount(Record):
    """How many memories a tier has."""

    tier: str
    count: int


class NamespaceCount(Record):
    """How many memories a namespace has."""

    namespace: str
    count: int


class Stats(Record):
    """The contents of the database, expired memories included until they are collected.

    Attributes:
        expiring_soon: Memories that expire within the hour.
    """

    total: int = 0
    by_tier: tuple[TierCount, ...] = ()
    by_namespace: tuple[NamespaceCount, ...] = ()
    expiring_soon: int = 0
    links_count: int = 0
    db_size_bytes: int = 0


class Health(Record):
    """Whether the daemon works.

    Attributes:
        embedder_ready: Whether recall can search by meaning.
        import_embeds: Whether imported memories can be found by meaning at once, as on OneBrain's own server.
    """

    status: str
    service: str | None = None
    version: str | None = None
    embedder_ready: bool = False
    federation_enabled: bool = False
    import_embeds: bool = False


def _events(value: Any) -> Any:
    """Events travel as one comma-separated string."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Events: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_events)]


class Subscription(Record):
    """A webhook that the daemon calls.

    Attributes:
        events: The events it is called for; ``("*",)`` for all.
        namespace_filter: Only memories of exactly this namespace.
        agent_filter: Only memories of exactly this agent.
        dispatch_count: How many deliveries were tried.
        failure_count: How many of them failed.
    """

    id: str
    url: str = ""
    events: Events = ("*",)
    namespace: str | None = None
    namespace_filter: str | None = None
    agent_filter: str | None = None
    agent_id: str | None = None
    created_by: str | None = None
    created_at: Timestamp | None = None
    dispatch_count: int = 0
    failure_count: int = 0


class Unsubscribed(Record):
    """The answer to the removal of a webhook."""

    id: str
    removed: bool = True


class Notified(Record):
    """A message that was delivered to an agent's inbox.

    Attributes:
        sender: Who it is from, as the daemon sees it: up to version 0.6.4 a rewritten form of the sender's id.
    """

    id: str
    sender: str | None = Field(default=None, alias="from")
    to: str | None = None
    namespace: str | None = None
    tier: TierName | None = None
    delivered_at: Timestamp | None = None


class InboxMessage(Record):
    """A message in an inbox, under the daemon's names and the ones of its SDK.

    Attributes:
        title: The subject.
        payload: The body.
        read: Whether a recall has shown it; reading the inbox marks nothing.
    """

    id: str
    sender: str | None = Field(default=None, alias="from")
    to: str | None = None
    title: str = ""
    payload: str = ""
    priority: int = 5
    tier: TierName | None = None
    created_at: Timestamp | None = None
    read: bool = False
    access_count: int = 0

    @property
    def subject(self) -> str:
        """The title."""
        return self.title

    @property
    def body(self) -> str:
        """The payload."""
        return self.payload

    @property
    def received_at(self) -> datetime | None:
        """When it was delivered."""
        return self.created_at


class Inbox(NamedRows[InboxMessage], Record):  # type: ignore[misc]
    """An agent's messages, which can be iterated over, counted with ``len`` and indexed."""

    _rows: ClassVar[str] = "messages"

    agent_id: str | None = None
    namespace: str | None = None
    count: int = 0
    unread_only: bool = False
    messages: tuple[InboxMessage, ...] = ()


class Agent(Record):
    """A registered agent."""

    agent_id: str
    agent_type: str | None = None
    capabilities: tuple[str, ...] = ()
    registered_at: Timestamp | None = None
    last_seen_at: Timestamp | None = None


class RegisteredAgent(Record):
    """The answer to a registration."""

    registered: bool = True
    id: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    capabilities: tuple[str, ...] = ()


class Access(Record):
    """The answer to a grant or a revocation, from servers that have them."""

    id: str | None = None
    agent_id: str | None = None
    permission: str | None = None
    granted: bool | None = None
    revoked: bool | None = None


# ---- input ------------------------------------------------------------------------------------------------


class _Input(BaseModel):
    """The base of input objects: an unknown field is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CreateMemory(_Input):
    """A memory to store, for `bulk_store`; fields left out take the daemon's defaults."""

    title: str
    content: str
    tier: Tier | None = None
    namespace: str | None = None
    tags: Sequence[str] | None = None
    priority: int | None = None
    confidence: float | None = None
    source: str | None = None
    expires_at: Timestamp | None = None
    ttl_secs: int | None = None
    metadata: dict[str, Any] | None = None
    agent_id: str | None = None
    scope: str | None = None


class UpdateMemory(_Input):
    """Changes to a memory: fields that are left out are kept; metadata is replaced whole.

    An explicit None is sent as null, which daemons up to 0.6.4 read as "keep".
    """

    title: str | None = None
    content: str | None = None
    tier: Tier | None = None
    namespace: str | None = None
    tags: Sequence[str] | None = None
    priority: int | None = None
    confidence: float | None = None
    expires_at: Timestamp | None = None
    metadata: dict[str, Any] | None = None


class SubscriptionRequest(_Input):
    """A webhook to register; `events` may be a list or one comma-separated string."""

    url: str | None = None
    events: Events | None = None
    secret: str | None = Field(default=None, repr=False)
    namespace_filter: str | None = None
    agent_filter: str | None = None
    namespace: str | None = None
    agent_id: str | None = None


class NotifyRequest(_Input):
    """A message to an agent; both the SDK's and the daemon's names are taken."""

    to: str = Field(validation_alias=AliasChoices("to", "target_agent_id"))
    subject: str = Field(validation_alias=AliasChoices("subject", "title"))
    body: str = Field(validation_alias=AliasChoices("body", "payload", "content"))
    priority: int | None = None
    tier: Tier | None = None
    agent_id: str | None = None
