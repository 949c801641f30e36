"""The models of RememberOS's API.

Fields that its reference names are typed; everything else a host sends is kept and reads the same way, as
``answer["field"]``. Keys that are shown once come as `pydantic.SecretStr`, so that no log shows them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, model_validator

from onebrain._core.codec import is_object
from onebrain._core.record import Record

SearchMode = Literal["hybrid", "vector", "text"]
Provider = Literal["notion", "slack", "gdrive", "postgres", "gmail", "linear", "confluence", "hubspot"]
JobState = Literal["queued", "processing", "done", "failed"]


def _object(value: Any) -> Any:
    return {} if value is None else value


def _array(value: Any) -> Any:
    return () if value is None else value


JsonObject: TypeAlias = Annotated[dict[str, Any], BeforeValidator(_object)]
JsonArray: TypeAlias = Annotated[tuple[Any, ...], BeforeValidator(_array)]


def _one_of(*names: str) -> Any:
    """A field whose name on the wire is not documented: the likely ones are tried in order."""
    return Field(default=None, validation_alias=AliasChoices(*names))


# ---- collections and memories ---------------------------------------------------------------------------------------


class Collection(Record):
    """A collection of memories."""

    name: str
    description: str | None = None
    metadata: JsonObject = Field(default_factory=dict)
    memory_count: int | None = _one_of("memory_count", "memories_count", "count")
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Author(Record):
    """The agent identity that wrote a memory: an API key's id and label."""

    id: str | None = None
    label: str | None = None


class Memory(Record):
    """One memory; `images` holds all of its files, and detaching names a file by its position in it."""

    id: str
    text: str
    importance: float | None = None
    category: str | None = None
    source: str | None = None
    metadata: JsonObject = Field(default_factory=dict)
    container_tag: str | None = None
    images: JsonArray = ()
    collection: str | None = None
    created_by: Author | None = None
    pinned: bool = False
    archived: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Hit(Memory):
    """A memory that a search found; `score` compares hits of one answer and is not the number `min_score` cuts at."""

    score: float | None = None


class SearchResults(Record):
    """The answer to a search, best first; `cached` says that it came from the cache of exact repeats.

    `reranked` says whether a language model ordered the hits.
    """

    results: tuple[Hit, ...]
    query_embedding_ms: float | None = None
    search_ms: float | None = None
    cached: bool | None = None
    reranked: bool | None = None


class BulkResult(Record):
    """The result of a bulk write, over all of its chunks; `ids` are in the order of the input."""

    created: int
    ids: tuple[str, ...] = ()


class FolderResult(Record):
    """The outcome of the files of a folder: their memories, or how many there are and their ids, as the host says it."""

    memories: tuple[Memory, ...] = ()
    created: int | None = None
    ids: tuple[str, ...] = ()


class Forgotten(Record):
    """How many memories `forget` removed, where the host says so."""

    deleted: int | None = _one_of("deleted", "forgotten", "count", "deleted_count")


# ---- graph memory ---------------------------------------------------------------------------------------------------


class Fact(Record):
    """One fact that was extracted; `relation` is its relation to earlier facts, such as ``"updates"``."""

    text: str
    id: str | None = None
    type: str | None = None
    relation: str | None = None


class Job(Record):
    """The state of an extraction job."""

    state: JobState | str
    facts: int | list[Any] | None = None
    complete: bool | None = None

    @property
    def finished(self) -> bool:
        """Whether the job will not change any more."""
        return self.state in ("done", "failed") or self.complete is True


class Remembered(Record):
    """The result of `remember`: facts if the extraction ran at once, else its job and the last known state."""

    created: int | None = None
    memories: tuple[Fact, ...] = ()
    job_id: str | None = None
    state: JobState | str = "done"
    facts: int | list[Any] | None = None


class Profile(Record):
    """A summary of the facts and preferences that hold now, and how many memories it is based on."""

    profile: str
    based_on: int | None = None


# ---- files ----------------------------------------------------------------------------------------------------------


class Drop(Record):
    """The outcome of dropped files; `batch_id` is set if they are processed in the background."""

    batch_id: str | None = None
    queued: int | list[Any] | None = None
    failed: int | list[Any] | None = None


class Batch(Record):
    """The progress of a batch of files."""

    total: int
    done: int = 0
    failed: int = 0
    pending: int = 0
    complete: bool = False


class PresignedFile(Record):
    """Where to PUT one file; `oversize` marks one that is too large, for which there is no URL."""

    filename: str | None = None
    key: str | None = None
    url: str | None = Field(
        default=None, validation_alias=AliasChoices("url", "put_url", "upload_url"), repr=False
    )
    oversize: bool = Field(default=False, validation_alias=AliasChoices("oversize", "oversized", "too_large"))


# ---- account and keys -----------------------------------------------------------------------------------------------


class Account(Record):
    """The tenant behind the key."""

    name: str | None = None
    email: str | None = None
    tier: str | None = None
    limits: JsonObject = Field(default_factory=dict)


class Stats(Record):
    """The tenant's usage."""

    collections: int | None = None
    memories: int | None = None
    storage: Any = _one_of("storage", "storage_bytes", "storage_size")
    added_7d: int | None = None
    added_30d: int | None = None


class NewKey(Record):
    """A key that is shown this once; ``new_key.key.get_secret_value()`` is its text."""

    key: SecretStr
    id: str | None = None
    label: str | None = None
    read_only: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _find_key(cls, data: Any) -> Any:
        """Take the key from whatever field holds it: the old one is dead by now, so losing this one is no option."""
        if not is_object(data):
            return data
        answer = dict(data)
        likely = ("key", "api_key", "new_key", "new_api_key")
        found = next((name for name in likely if isinstance(answer.get(name), str)), None) or next(
            (name for name, value in answer.items() if isinstance(value, str) and value.startswith("mv_")),
            None,
        )
        if found is not None:
            answer["key"] = answer.pop(found)
        return answer


class ApiKey(Record):
    """One of the tenant's keys, masked."""

    id: str
    label: str | None = None
    read_only: bool | None = None
    created_at: datetime | None = None


class Export(Record):
    """The whole account as text, for `account.restore`."""

    tenant: JsonObject = Field(default_factory=dict)
    collections: tuple[dict[str, Any], ...] = ()
    memories: tuple[dict[str, Any], ...] = ()


class Restored(Record):
    """The result of an import: ids are new, and `collections` were created as needed."""

    imported: int
    skipped: int = 0
    collections: int | list[Any] | dict[str, Any] | None = None


class SpendCap(Record):
    """The monthly cap in US dollars on the cost of the platform's language models; None for no cap."""

    monthly_usd: float | None = None


class EmailAddress(Record):
    """The private address to which mail can be sent for remembering."""

    address: str = Field(validation_alias=AliasChoices("address", "email"))


# ---- configuration --------------------------------------------------------------------------------------------------


class StorageConfig(Record):
    """The object storage in use; its secrets are never returned."""

    backend: str | None = None
    endpoint_url: str | None = None
    bucket: str | None = None
    region: str | None = None


class DatabaseConfig(Record):
    """The database in use; its DSN is never returned."""


class ExtractionConfig(Record):
    """The language model that extracts facts; its key is never returned."""

    provider: str | None = None
    base_url: str | None = None
    model: str | None = None


class WebhookConfig(Record):
    """Where events are sent; `secret`, which signs them, is there only in the answer that created it."""

    url: str | None = None
    secret: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("secret", "signing_secret", "webhook_secret")
    )


# ---- connections ----------------------------------------------------------------------------------------------------


class Connection(Record):
    """A source that RememberOS syncs into a collection; credentials are never returned."""

    id: str
    provider: Provider | str | None = None
    name: str | None = None
    collection: str | None = None
    container_tag: str | None = None
    config: JsonObject = Field(default_factory=dict)
    status: str | None = None
    last_error: str | None = None


class SyncResult(Record):
    """The result of one sync."""

    synced: int
    cursor: Any = None
    status: str | None = None


class SyncRun(Record):
    """One past sync."""

    status: str
    synced_count: int | None = None
    error: str | None = None
    created_at: datetime | None = None


class OAuthStart(Record):
    """Where to send the user, to let RememberOS read their account at a provider."""

    authorize_url: str = Field(repr=False)


# ---- agents and grants ----------------------------------------------------------------------------------------------


class Agent(Record):
    """An agent identity: an API key without its key material."""

    id: str
    label: str | None = None
    read_only: bool | None = None
    created_at: datetime | None = None


class Grant(Record):
    """One agent's permissions on a restricted collection."""

    agent_key_id: str
    can_read: bool = True
    can_write: bool = False


class Grants(Record):
    """Who may use a collection: everyone of the tenant, unless it is `restricted`."""

    restricted: bool = False
    grants: tuple[Grant, ...] = Field(
        default=(), validation_alias=AliasChoices("grants", "agents", "permissions")
    )


# ---- intelligent memory ---------------------------------------------------------------------------------------------


class Cluster(Record):
    """Memories that are nearly the same: the one to keep, and the others."""

    keeper: Memory | str
    duplicates: tuple[Memory | str, ...] = ()


class Dedup(Record):
    """The duplicates found, or how many were removed."""

    clusters: tuple[Cluster, ...] = ()
    deleted: int | list[Any] | None = None


class Contradiction(Record):
    """The present fact and the one that it replaced."""

    current: Memory
    superseded: Memory


class ArchivedStale(Record):
    """How many old memories were archived, or would be."""

    would_archive: int | None = None
    archived: int | None = None


class CollectionHealth(Record):
    """Counts about one collection; `exists` is False for one that there is none of."""

    exists: bool = True
    total: int = 0
    current: int = 0
    archived: int = 0
    pinned: int = 0
    stale: int = 0
    expired: int = 0
    supersessions: int = 0
    categories: JsonObject = Field(default_factory=dict)
    needs_attention: int = 0


class Summary(Record):
    """A briefing on a collection."""

    summary: str
    themes: JsonArray = ()
    based_on: int | None = None
    generated_at: datetime | None = None


# ---- operator -------------------------------------------------------------------------------------------------------


class Metrics(Record):
    """Requests by route, latency by stage, and counters, as the host has them."""

    routes: Any = None
    stages: JsonObject = Field(default_factory=dict)
    counters: JsonObject = Field(default_factory=dict)


class AuditEntry(Record):
    """One write or sensitive action."""

    action: str | None = None
    created_at: datetime | None = None


class Usage(Record):
    """Storage, tokens by purpose and cost estimates, as the host has them."""


class ConnectorHealth(Record):
    """How the syncs of every provider went, by provider: ``{runs, errors, last_run}``."""


class ConnectionCount(Record):
    """How many connections have a status."""

    status: str
    n: int


class FleetHealth(Record):
    """The counts of `CollectionHealth` over all collections of all tenants."""

    total: int = 0
    current: int = 0
    archived: int = 0
    stale: int = 0
    expired: int = 0
    supersessions: int = 0
    needs_attention: int = 0


class Analytics(Record):
    """Signups, activation and pageviews, as the host has them."""


# ---- misc -----------------------------------------------------------------------------------------------------------


class Health(Record):
    """Whether the service is alive."""

    status: str


class ServiceStatus(Record):
    """The public status: current state, uptime of the last day and recent checks, as the host has them."""


class Accepted(Record):
    """An answer that promises nothing but that the request was taken."""


class BillingSession(Record):
    """A page of the billing provider, to send the user to."""

    url: str = Field(
        validation_alias=AliasChoices("url", "checkout_url", "portal_url", "session_url"), repr=False
    )


class ChatMessage(Record):
    """One message of a chat completion."""

    role: str
    content: str | None = None


class Choice(Record):
    """One answer of the model."""

    message: ChatMessage
    index: int = 0
    finish_reason: str | None = None


class LongMem(Record):
    """The part of memory in a chat completion: the number of injected memories, and whether the message is stored."""

    memories_used: int | list[Any] | None = None
    stored: bool | int | None = None


class ChatCompletion(Record):
    """A chat completion of an OpenAI-compatible API, with the part of memory in `longmem`."""

    choices: tuple[Choice, ...]
    id: str | None = None
    model: str | None = None
    usage: JsonObject = Field(default_factory=dict)
    longmem: LongMem | None = None


class ToolResult(Record):
    """The answer of an MCP tool; with `is_error` set, `text` is the failure."""

    content: tuple[dict[str, Any], ...] = ()
    is_error: bool = Field(default=False, validation_alias=AliasChoices("isError", "is_error"))

    @property
    def text(self) -> str:
        """The text parts, joined by newlines."""
        return "\n".join(str(part.get("text", "")) for part in self.content if part.get("type") == "text")
