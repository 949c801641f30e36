"""The results of OneBrain's calls: frozen records that keep unknown fields.

Names are those of OneBrain's Python documentation; the wire's own names are read as well. Fields that a newer server
adds are kept and reachable by the wire's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, cast

from pydantic import AliasChoices, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from onebrain._core.codec import is_object
from onebrain._core.paging import PageMeta
from onebrain._core.record import Record as Open
from onebrain._core.rows import RowsOf

MemoryType = Literal["fact", "preference", "decision", "goal", "experience", "skill"]
MemoryStatus = Literal["active", "candidate", "archived", "conflicted"]
SourceType = Literal["user_input", "system_inference", "ai_extraction", "user_confirmed"]
SearchMode = Literal["keyword", "vector", "hybrid"]
ProjectStatus = Literal["active", "archived", "completed"]
ContextScope = Literal["brief", "assistant", "project", "deep"]
SkillStatus = Literal["candidate", "active", "archived", "dismissed"]
SkillEvent = Literal["applied", "referenced", "dismissed", "served"]
TrustLevel = Literal["review", "trusted"]
Scopes: Final = (
    "brain.read",
    "brain.write",
    "memory.extract.write",
    "entity.read",
    "entity.write",
    "connect.read",
    "connect.write",
)

# The key in a memory's metadata for fields that the wire lacks: tags, source, entity_id,
# project_id and, from a `Brain`, the scope and its other fields. Reading takes it out again.
RESERVED: Final = "onebrain"

Json = dict[str, Any]


class Record(Open):
    """The base of all answers: frozen, from camelCase, unknown fields kept."""

    model_config = ConfigDict(alias_generator=to_camel, defer_build=True)


def _lifted(row: Any) -> Any:
    """Move the fields under `RESERVED` out of a row's metadata, beside the other fields."""
    if not is_object(row):
        return row
    fields = dict(row)
    metadata = fields.get("metadata")
    if is_object(metadata) and isinstance(metadata.get(RESERVED), Mapping):
        own = {key: value for key, value in metadata.items() if key != RESERVED}
        kept = dict(metadata[RESERVED])
        fields["metadata"] = own
        fields["annotations"] = kept
        for wire, name in (
            ("tags", "tags"),
            ("entityId", "entity_id"),
            ("projectId", "project_id"),
            ("source", "source"),
        ):
            # A server that knows a memory's links returns them, also an empty list.
            told = wire in fields if wire.endswith("Id") else fields.get(wire) is not None
            if not told and name in kept and fields.get(name) is None:
                fields[wire] = kept[name]
    if fields.get("source") is None and fields.get("sourceType") is not None:
        fields["source"] = fields["sourceType"]
    for name in ("tags", "metadata"):
        if name in fields and fields[name] is None:
            del fields[name]
    return fields


class Memory(Record):
    """A memory.

    Attributes:
        id: Its id.
        content: The text; the wire calls it ``body``, and so may you.
        title: A heading; made of the first line of the content where none was given.
        type: fact, preference, decision, goal, experience or skill.
        status: active, candidate (waits for review), archived or conflicted.
        tags: The tags given when it was stored.
        entity_id: The entity it is about, where the server says; else the one it was stored for.
        project_id: The project it is linked to, where the server says; else the one it was stored for.
        source: Where it came from: the caller's own word, else ``source_type``.
        source_type: user_input, system_inference, ai_extraction or user_confirmed.
        confidence: 0..1.
        metadata: The caller's own JSON object.
        annotations: The contents of the reserved key of the metadata, unchanged.
    """

    id: str = ""
    content: str = Field(default="", validation_alias=AliasChoices("body", "content"))
    title: str = ""
    type: str = "fact"
    status: str = "active"
    tags: tuple[str, ...] = ()
    entity_id: str | None = None
    project_id: str | None = None
    source: str | None = None
    source_type: str | None = None
    confidence: float | None = None
    metadata: Json = Field(default_factory=dict)
    annotations: Json = Field(default_factory=dict, repr=False)
    user_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _lift(cls, row: Any) -> Any:
        return _lifted(row)

    @property
    def body(self) -> str:
        """The text, by the wire's name."""
        return self.content


class MemoryHit(Memory):
    """A memory that a search found.

    Attributes:
        score: 0..1, higher is better.
        dice_score: The keywords' part of it.
        vector_score: The meaning's part of it.
    """

    score: float = 0.0
    dice_score: float | None = None
    vector_score: float | None = None


class SearchResults(RowsOf[MemoryHit], Record, Sequence[MemoryHit]):  # type: ignore[misc]
    """The result of a search, best first: a sequence of hits, also at ``data``.

    Attributes:
        search_mode: The mode that really answered.
        downgraded_from: The mode asked for, where the server could not serve it.
        filtered: Whether the server itself applied every filter and scope; otherwise this client did, on the rows it got.
        exhausted: False where more memories may match than the server let us look at.
    """

    data: tuple[MemoryHit, ...] = Field(default=(), validation_alias=AliasChoices("results", "data"))
    search_mode: str = "hybrid"
    downgraded_from: str | None = None
    filtered: bool = False
    exhausted: bool = True


class Proposal(Record):
    """A memory that an extraction proposes; nothing is stored yet."""

    content: str = Field(default="", validation_alias=AliasChoices("body", "content"))
    title: str = ""
    type: str = "fact"
    confidence: float | None = None

    @property
    def body(self) -> str:
        """The text, by the wire's name."""
        return self.content


class Proposals(RowsOf[Proposal], Record, Sequence[Proposal]):  # type: ignore[misc]
    """Memories proposed from a text, a chat, a page or a file; store the ones you want with ``memory.create``."""

    data: tuple[Proposal, ...] = Field(
        default=(), validation_alias=AliasChoices("memories", "candidates", "data")
    )
    provider: str | None = None
    source_event_id: str | None = None


class Extracted(RowsOf[Memory], Record, Sequence[Memory]):  # type: ignore[misc]
    """The memories that an extraction stored."""

    data: tuple[Memory, ...] = ()
    provider: str | None = None


class BatchResult(RowsOf[Memory], Record, Sequence[Memory]):  # type: ignore[misc]
    """The candidates that a batch made."""

    data: tuple[Memory, ...] = Field(default=(), validation_alias=AliasChoices("items", "data"))
    created: int = 0
    duplicates: int = 0


class ImportResult(Record):
    """The result of an import.

    Attributes:
        created: How many memories.
        errors: The problems of the others.
        data: The memories, where the server names them.
    """

    created: int = 0
    errors: tuple[str, ...] = ()
    data: tuple[Memory, ...] = ()

    @property
    def meta(self) -> PageMeta:
        """``meta.total`` is the number of memories stored."""
        return PageMeta(total=self.created)


class DuplicatePair(Record):
    """Two memories with similar titles, or two entities with similar names."""

    similarity: float = 0.0


class MemoryDuplicate(DuplicatePair):
    """Two memories with similar titles."""

    memory_a: Memory = Field(default_factory=Memory)
    memory_b: Memory = Field(default_factory=Memory)


class ConsolidatedGroup(Record):
    """Memories that became one."""

    ids: tuple[str, ...] = ()
    title: str = ""
    content: str = Field(default="", validation_alias=AliasChoices("body", "content"))


class Consolidation(Record):
    """The result of a consolidation, or of its ``dry_run``."""

    merged: int = 0
    groups: tuple[ConsolidatedGroup, ...] = ()


class Forgotten(Record):
    """The result of deleting many memories at once."""

    count: int = 0


class EmbeddingStatus(Record):
    """How many memories have a vector."""

    total_memories: int = 0
    embedded: int = 0
    pending: int = 0
    failed: int = 0
    missing: int = 0
    coverage: float = 0.0


class ReindexResult(Record):
    """The result of a reindexing."""

    total: int = 0
    queued: int = 0
    errors: int = 0
    error: str | None = None
    warning: str | None = None


class Tag(Record):
    """A tag of the account; unlike a memory's own ``tags`` it has a colour and an id."""

    id: str = ""
    name: str = ""
    color: str | None = None
    created_at: datetime | None = None


class TaggedMemory(Record):
    """A tag on a memory."""

    memory_item_id: str = ""
    tag_id: str = ""
    tag_name: str | None = None
    tag_color: str | None = None


class Link(Record):
    """A link from an entity or a project to a memory."""

    id: str = ""
    memory_item_id: str = ""
    link_type: str = ""
    entity_id: str | None = None
    project_id: str | None = None
    created_at: datetime | None = None


class Entity(Record):
    """A person, an organization or a thing that memories are about."""

    id: str = ""
    name: str = ""
    type: str = ""
    description: str | None = None
    metadata: Json | None = None
    links: tuple[Link, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Relation(Record):
    """A relation from one entity to another."""

    id: str = ""
    source_id: str = ""
    target_id: str = ""
    relation: str = ""
    created_at: datetime | None = None


class Node(Record):
    """A node of an entity graph: an entity or a memory (``type`` says which)."""

    id: str = ""
    name: str = ""
    type: str = ""


class Edge(Record):
    """An edge of an entity graph, from ``source`` to ``target`` by their ids."""

    source: str = ""
    target: str = ""
    relation: str = ""


class Graph(Record):
    """Entities and how they hang together."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()


class EntityDuplicate(DuplicatePair):
    """Two entities with similar names."""

    entity_a: Entity = Field(default_factory=Entity)
    entity_b: Entity = Field(default_factory=Entity)


class EntityMerge(Record):
    """The result of merging two entities."""

    merged: bool = False
    links_transferred: int = 0


class ExtractedEntities(Record):
    """The entities found in one memory."""

    memory_id: str = ""
    extracted: tuple[Entity, ...] = ()
    count: int = 0


class Project(Record):
    """A workspace that groups memories."""

    id: str = ""
    name: str = ""
    description: str | None = None
    status: str = "active"
    metadata: Json | None = None
    memory_links: tuple[Link, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Profile(Record):
    """The profile of the brain's owner.

    Attributes:
        summary: A few sentences; empty until something is known.
        traits: Properties, by name.
        preferences: Preferences, by name.
        key_facts: The traits as lines, or the server's own facts.
    """

    id: str | None = None
    summary: str = ""
    traits: Json = Field(default_factory=dict)
    preferences: Json = Field(default_factory=dict)
    key_facts: tuple[str, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, row: Any) -> Any:
        if not is_object(row):
            return row
        fields = {name: value for name, value in row.items() if value is not None}
        traits = fields.get("traits")
        if "keyFacts" not in fields and "key_facts" not in fields and is_object(traits):
            fields["keyFacts"] = [f"{name}: {value}" for name, value in traits.items()]
        return fields


class ContextProject(Record):
    """A project as contexts show it."""

    id: str | None = None
    name: str = ""
    status: str | None = None
    description: str | None = None


class ContextEntity(Record):
    """An entity as contexts show it."""

    id: str | None = None
    name: str = ""
    type: str = ""
    description: str | None = None
    link_count: int = 0


class Context(Record):
    """A text for an agent's prompt.

    Attributes:
        system_prompt: The text, as the server formats it; `onebrain.memory.fence.fence` marks it as data where the server
            does not, as OneBrain's hosted one.
        memories: The memories in it.
        token_count: The tokens of the text, as the server counts them, else estimated at four bytes each.
        scope: The scope asked for.
        truncated: Whether the token budget kept something out.
        profile: The owner's profile, where the scope has it.
    """

    system_prompt: str = ""
    memories: tuple[Memory, ...] = ()
    token_count: int = 0
    scope: str | None = None
    truncated: bool = False
    profile: Profile | None = None
    entities: tuple[ContextEntity, ...] = ()
    projects: tuple[ContextProject, ...] = ()
    skills: tuple[Json, ...] = ()
    stats: Json | None = None

    def __str__(self) -> str:
        return self.system_prompt


class ContextScopeInfo(Record):
    """A scope that contexts can be asked for."""

    name: str = ""
    description: str = ""
    max_tokens: int | None = None


class Connection(Record):
    """An agent's connection to the brain."""

    connection_id: str = Field(
        default="", validation_alias=AliasChoices("connectionId", "connection_id", "id")
    )
    agent_name: str = ""
    agent_version: str | None = None
    capabilities: tuple[str, ...] = ()
    last_synced_at: datetime | None = None
    created_at: datetime | None = None


class WriteBack(Record):
    """Where and how an agent may write memories."""

    single_endpoint: str | None = None
    batch_endpoint: str | None = None
    auth_header: str | None = None
    max_batch_size: int = 10


class SyncPrompt(Record):
    """The briefing of an agent that connects.

    Attributes:
        system_prompt: The text for the agent's system prompt.
        write_back: Where it may write, None where the key does not allow it.
        token_count: The server's estimate of the text's tokens.
    """

    system_prompt: str = ""
    write_back: WriteBack | None = None
    token_count: int = 0
    meta: Json = Field(default_factory=dict)


class WrittenMemory(Memory):
    """A memory written through connect; ``duplicate`` says that an equal one was there and nothing was added."""

    duplicate: bool = False


class WriteResult(Record):
    """The outcome for one memory of a batch."""

    status: str = ""
    id: str | None = None
    title: str | None = None


class SyncResult(RowsOf[WriteResult], Record, Sequence[WriteResult]):  # type: ignore[misc]
    """The outcome of a batch of memories, in order."""

    data: tuple[WriteResult, ...] = Field(default=(), validation_alias=AliasChoices("results", "data"))
    created: int = 0
    duplicates: int = 0

    @property
    def meta(self) -> PageMeta:
        """``meta.total`` is the number of memories sent."""
        return PageMeta(total=len(self.data))


class Change(Memory):
    """A memory that changed; ``action`` is created, updated or deleted, where the server says so."""

    action: str | None = None


class Delta(RowsOf[Change], Record, Sequence[Change]):  # type: ignore[misc]
    """The changes since a moment, newest first.

    Attributes:
        since: From when.
        until: Until when; ask from here the next time.
        complete: False where the server cut the list at its limit without a cursor.
    """

    data: tuple[Change, ...] = Field(default=(), validation_alias=AliasChoices("changes", "memories", "data"))
    since: datetime | None = None
    until: datetime | None = None
    cursor: str | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing was cut off: a server without a cursor stops at 100 changes and does not say so."""
        return self.cursor is None and len(self.data) < 100


class Plan(Record):
    """The account's plan.

    Attributes:
        name: Its name, such as ``"Pro"``.
        memory_limit: How many memories it allows; None for no limit, or where the server does not say.
        memory_used: How many there are.
    """

    name: str = Field(default="", validation_alias=AliasChoices("displayName", "name", "planName"))
    plan_name: str | None = None
    memory_limit: int | None = None
    memory_used: int | None = None


class UsageRow(Record):
    """How often one route was called."""

    type: str = ""
    count: int = 0
    tokens_used: int = 0


class Usage(Record):
    """How much was used in a period.

    Attributes:
        period: The period that the numbers cover.
        api_calls: All calls.
        memories_created: Calls that store a memory.
        search_queries: Searches.
        usage: The calls by route.
    """

    period: str = ""
    api_calls: int = 0
    memories_created: int = 0
    search_queries: int = 0
    usage: tuple[UsageRow, ...] = ()


class PlanLimit(Record):
    """One allowance of the plan."""

    key: str = ""
    limit: int | None = None
    period: str | None = None
    current: int = 0
    percentage: float = 0


class UsageSummary(Record):
    """The plan's allowances and their usage."""

    plan: Json = Field(default_factory=dict)
    limits: tuple[PlanLimit, ...] = ()
    total_tokens_used: int = 0


class PublicPlan(Record):
    """A plan that can be bought."""

    id: str = ""
    name: str = ""
    display_name: str = ""
    price_monthly: int | None = None
    price_yearly: int | None = None
    trial_days: int = 0
    limits: tuple[Json, ...] = ()
    features: tuple[Json, ...] = ()


class ApiKey(Record):
    """An API key; its secret is not in here."""

    id: str = ""
    name: str = ""
    prefix: str = ""
    scopes: tuple[str, ...] = ()
    trust_level: str | None = None
    is_active: bool | None = None
    rate_limit_per_min: int | None = None
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    created_at: datetime | None = None


class NewApiKey(ApiKey):
    """An API key just made: ``key`` is the whole key, and this is the only time that it is shown."""

    key: str = Field(default="", validation_alias=AliasChoices("fullKey", "key"), repr=False)


class Skill(Record):
    """A reusable skill.

    Attributes:
        name: Its name; the wire's ``title``.
        description: Its use.
        prompt_template: The prompt, with ``{{input}}`` and ``{{context}}`` in it; the wire's ``body``.
        context_scope: The scope of the context that is put into the prompt.
    """

    id: str = ""
    name: str = Field(default="", validation_alias=AliasChoices("title", "name"))
    description: str | None = None
    prompt_template: str = Field(default="", validation_alias=AliasChoices("promptTemplate", "body"))
    context_scope: str | None = None
    memory_id: str | None = None
    status: str = "active"
    trigger_conditions: tuple[Json, ...] = ()
    verification_steps: tuple[Json, ...] = ()
    source_memory_ids: tuple[str, ...] = ()
    confidence_score: float | None = None
    usage_count: int = 0
    decay_score: float | None = None
    last_used_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def title(self) -> str:
        """The name, by the wire's name."""
        return self.name

    @property
    def body(self) -> str:
        """The prompt, by the wire's name."""
        return self.prompt_template


class SkillRun(Record):
    """The result of a skill.

    Attributes:
        output: The result; the filled-in prompt itself where the server has no language model.
        prompt: The prompt that was used.
        model: The model that answered, None where none did.
    """

    output: str = ""
    prompt: str | None = None
    model: str | None = None
    token_count: int | None = None


class Briefing(Record):
    """A briefing.

    Attributes:
        summary: The text.
        highlights: The highlights.
        action_items: The tasks.
        date: The day it is for, as ``YYYY-MM-DD``.
        generated_at: When it was made.
    """

    id: str | None = None
    type: str | None = None
    status: str | None = None
    title: str = ""
    summary: str = Field(default="", validation_alias=AliasChoices("summary", "contentText"))
    content_html: str | None = None
    highlights: tuple[str, ...] = ()
    action_items: tuple[str, ...] = ()
    delivered_via: tuple[str, ...] = ()
    project_id: str | None = None
    date: str | None = None
    generated_at: datetime | None = None
    created_at: datetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, row: Any) -> Any:
        if not is_object(row):
            return row
        fields = {name: value for name, value in row.items() if value is not None}
        made = fields.get("generatedAt") or fields.get("createdAt")
        if made is not None:
            fields.setdefault("generatedAt", made)
            fields.setdefault("date", str(made)[:10])
        return fields


class BriefingConfig(Record):
    """When and where briefings are delivered."""

    id: str | None = None
    is_enabled: bool = False
    timezone: str | None = None
    quiet_hours_start: str | None = None
    quiet_hours_end: str | None = None
    webhook_url: str | None = None
    content_preferences: Json = Field(default_factory=dict)
    schedules_count: int = 0
    triggers_count: int = 0


class BriefingSchedule(Record):
    """A briefing at fixed times."""

    id: str = ""
    type: str = ""
    cron_expression: str = ""
    channels: tuple[str, ...] = ()
    is_active: bool = True
    next_fire_at: datetime | None = None
    last_fired_at: datetime | None = None


class BriefingTrigger(Record):
    """A briefing after an event."""

    id: str = ""
    event_type: str = ""
    threshold: float | None = None
    channels: tuple[str, ...] = ()
    is_active: bool = True
    cooldown_minutes: int | None = None


class BriefingAnalytics(Record):
    """How briefings were received."""

    total_briefings: int = 0
    delivered_count: int = 0
    engagement_rate: float = 0.0
    by_type: tuple[Json, ...] = ()
    by_channel: tuple[Json, ...] = ()
    top_actions: tuple[Json, ...] = ()


class Agent(ApiKey):
    """An API key as an agent: its actions and its candidates for review."""

    description: str | None = None
    last_synced_at: datetime | None = None
    total_calls: int = 0
    candidate_count: int = 0


class NewAgent(Record):
    """An agent just registered: ``key`` is its whole key, and this is the only time that it is shown."""

    key: str = Field(default="", repr=False)
    api_key: Json = Field(default_factory=dict, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, row: Any) -> Any:
        if is_object(row) and isinstance(made := row.get("apiKey"), Mapping):
            return {**row, "key": cast("Json", made).get("fullKey") or ""}
        return cast("Any", row)


class AgentActivity(Record):
    """One call of an agent."""

    id: str = ""
    api_key_id: str | None = None
    action: str = ""
    resource: str | None = None
    status: str | None = None
    details: Json | None = None
    created_at: datetime | None = None


class AgentSummary(Record):
    """The actions of agents, in numbers."""

    total_calls: int = 0
    error_count: int = 0
    error_rate: float = 0.0
    active_agents: int | None = None
    pending_candidates: int | None = None
    by_action: tuple[Json, ...] = ()
    by_status: tuple[Json, ...] = ()


class CandidateReview(Record):
    """The result of approving or dismissing an agent's candidates."""

    action: str = ""
    updated: int = 0


class MergeRun(Record):
    """The result of a merge run."""

    merged: int = 0
    archived: int = 0
    conflicted: int = 0
    activated: int = 0
    version_id: str | None = None
    log: tuple[Json, ...] = ()


class MergeVersion(Record):
    """A version that can be rolled back to."""

    id: str = ""
    version: int = 0
    snapshot: Json = Field(default_factory=dict)
    merge_log: Any = None


class Rollback(Record):
    """The result of a rollback."""

    success: bool = False
    version_id: str | None = None
    restored_count: int = 0
    skipped_count: int = 0


class User(Record):
    """An account."""

    id: str = ""
    email: str | None = None
    display_name: str | None = None
    region: str | None = None
    locale: str | None = None
    role: str | None = None
    totp_enabled: bool | None = None
    created_at: datetime | None = None


class Session(Record):
    """A login: pass ``access_token`` to a client; it lives about 15 minutes, then `auth.refresh` gives another."""

    access_token: str = Field(default="", repr=False)
    refresh_token: str | None = Field(default=None, repr=False)
    user: User | None = None


class LoginSession(Record):
    """A device that is logged in."""

    id: str = ""
    device_name: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    is_current: bool = False
    created_at: datetime | None = None
    expires_at: datetime | None = None


class Health(Record):
    """Whether the server is well."""

    status: str = ""
    timestamp: datetime | None = None


class Organization(Record):
    """An organization."""

    id: str = ""
    name: str = ""
    description: str | None = None
    member_count: int | None = None
    created_at: datetime | None = None


class Notifications(Record):
    """How the account wants to be told."""

    email_daily: bool = False
    push_enabled: bool = False


class Streak(Record):
    """On how many days in a row something was stored."""

    streak_count: int = 0
    last_date: str | None = None
