"""Memories: stored, read, changed, searched and recalled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from onebrain._core.batches import Batches
from onebrain._core.codec import UNSET, Unset
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.paging import Page, PageMeta
from onebrain._core.service import DELETE, GET, POST, PUT, Service, Spec, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.errors import OneBrainError, OneBrainNotFoundError
from onebrain.services.ai_memory import service as rules
from onebrain.services.ai_memory.fields import (
    Strings,
    When,
    check_row,
    filled,
    having,
    object_of,
    partly,
    row_of,
    split_tags,
    text,
    wire,
    within,
)
from onebrain.services.ai_memory.models import (
    Access,
    BulkResponse,
    Created,
    CreateMemory,
    Deleted,
    Forgotten,
    ListResponse,
    Memory,
    OnConflict,
    Pending,
    Promoted,
    RecallResponse,
    SearchResponse,
    Tier,
    UpdateMemory,
)
from onebrain.services.ai_memory.service import Resource


class Memories(Resource[Mode]):
    """Memories: store, read, change, search and recall them."""

    def __init__(self, mode: Mode, service: Service, *, agent_id: str | None = None) -> None:
        super().__init__(mode, service)
        self._agent_id = agent_id

    @endpoint
    def store(
        self,
        title: str,
        content: str,
        *,
        tier: Tier | str | None = None,
        namespace: str | None = None,
        tags: Strings | None = None,
        priority: int | None = None,
        confidence: float | None = None,
        source: str | None = None,
        expires_at: When | None = None,
        ttl_secs: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        scope: str | None = None,
        on_conflict: OnConflict = "merge",
    ) -> Steps[Created | Pending]:
        """Store a memory; one of the same title in the same namespace is replaced, unless `on_conflict` says otherwise.

        Replacing keeps the older id, the higher priority, confidence and tier, and the first ``agent_id``.

        Args:
            title: 1 to 512 characters, unique in the namespace.
            content: 1 to 65,536 bytes.
            tier: How long it lives; the daemon's default is ``mid``, seven days.
            namespace: A path such as ``team/project``; the daemon's default is ``global``.
            tags: At most 50, of at most 128 bytes each.
            priority: 1..10; the daemon's default is 5.
            confidence: 0..1; the daemon's default is 1.
            source: One of the daemon's words, such as ``user``; its default is ``api``.
            expires_at: When it vanishes; wins over `ttl_secs`, which wins over the tier.
            ttl_secs: How many seconds it lives, at most a year.
            metadata: A JSON object of at most 64 KiB.
            agent_id: Who writes it, instead of the client's ``agent_id``.
            scope: Who may see it: ``private``, ``team``, ``unit``, ``org`` or ``collective``.
            on_conflict: ``merge`` replaces, ``error`` raises `OneBrainConflictError` with the ``existing_id``,
                ``version`` stores beside it under the title with " (2)" after it.

        Returns:
            The stored memory, or `Pending` if the namespace's policy requires an approval first.
        """
        fields: dict[str, Any] = {
            "title": title,
            "content": content,
            "tier": tier,
            "namespace": namespace,
            "tags": tags,
            "priority": priority,
            "confidence": confidence,
            "source": source,
            "expires_at": expires_at,
            "ttl_secs": ttl_secs,
            "metadata": metadata,
            "agent_id": agent_id,
            "scope": scope,
            "on_conflict": on_conflict,
        }
        rules.check_fields(fields)
        # Merging the same memory again changes nothing, so it may be repeated; the other two may not.
        spec = POST("/api/v1/memories", **wire(fields)).but(safe=on_conflict == "merge")
        reply = yield from self._service.ask(spec)
        return self._read(Pending, reply) if reply.status == 202 else self._read(Created, reply)

    @endpoint
    def bulk_store(self, memories: Iterable[CreateMemory | Mapping[str, Any]]) -> Steps[BulkResponse]:
        """Store any number of memories, in requests of at most 1000 rows and 2 MB; same titles are replaced.

        The daemon leaves bad rows out and says why in ``errors``, and returns no ids. It reads no ``agent_id`` and no
        ``scope`` here, so both are put into the metadata, where `store` has the daemon put them.

        Raises:
            OneBrainError: A request failed; ``details["written"]`` has the rows of earlier requests.
        """
        given = [row_of(CreateMemory, memory) for memory in memories]
        for position, row in enumerate(given):
            self._sign(row)
            check_row(position, row, ("title", "content"))
        created, errors, requests = 0, list[str](), 0
        batches = Batches(given, rules.MOST_ROWS, self._service.byte_limit)

        def described(error: OneBrainError) -> OneBrainError:
            written = {"created": created, "errors": errors, "requests": requests, "rows": batches.start}
            return partly(error, written, batches.size, len(given))

        for chunk in batches:
            # Bulk always merges, so that repeating a request changes nothing.
            spec = Spec("POST", "/api/v1/memories/bulk", body=list(chunk), safe=True)
            with batches.attempt(described):
                part = yield from self._ask(BulkResponse, spec)
                created += part.created
                errors.extend(part.errors)
                requests += 1
        return BulkResponse(created=created, errors=tuple(errors), requests=requests)

    def _sign(self, row: dict[str, Any]) -> None:
        """Move the fields that the daemon reads only in `store` into the metadata, as it would."""
        signed = {"agent_id": row.pop("agent_id", None) or self._agent_id, "scope": row.pop("scope", None)}
        rules.check_fields(signed)
        metadata = {name: value for name, value in signed.items() if value is not None}
        if metadata:
            row["metadata"] = {**row.get("metadata", {}), **metadata}

    @endpoint
    def get(self, id: str) -> Steps[Memory]:
        """Return one memory by its full id; an expired one, too, until it is collected."""
        reply = yield from self._service.ask(GET(path("/api/v1/memories/{}", rules.full_id(id))))
        data = object_of(reply.data)
        memory = read(Memory, data.get("memory", data), service=rules.NAME)
        if memory.id.lower() != id.lower():
            raise OneBrainNotFoundError("no memory has exactly this id", service=rules.NAME)
        return memory

    @endpoint
    def update(
        self,
        id: str,
        changes: UpdateMemory | Mapping[str, Any] | None = None,
        *,
        title: str | Unset = UNSET,
        content: str | Unset = UNSET,
        tier: Tier | str | Unset = UNSET,
        namespace: str | Unset = UNSET,
        tags: Strings | Unset = UNSET,
        priority: int | Unset = UNSET,
        confidence: float | Unset = UNSET,
        expires_at: When | Unset | None = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
    ) -> Steps[Memory]:
        """Change the given fields of a memory, as an `UpdateMemory` or as arguments, and return the memory.

        Tags and metadata are replaced whole; the first ``agent_id`` stays. A tier is never lowered, and an expiry is
        never removed by the daemon (None keeps it): `promote` does that.

        Raises:
            OneBrainConflictError: Another memory of the namespace has this title.
        """
        given: dict[str, Any] = {
            "title": title,
            "content": content,
            "tier": tier,
            "namespace": namespace,
            "tags": tags,
            "priority": priority,
            "confidence": confidence,
            "expires_at": expires_at,
            "metadata": metadata,
        }
        fields = {name: value for name, value in given.items() if value is not UNSET}
        if changes is not None:
            if fields:
                raise rules.invalid("update: give the changes either as an object or as arguments")
            fields = row_of(UpdateMemory, changes, keep_none=True)
        rules.check_fields(fields)
        spec = PUT(path("/api/v1/memories/{}", rules.full_id(id)), **wire(fields, keep_none=True))
        return (yield from self._ask(Memory, spec))

    @endpoint
    def delete(self, id: str) -> Steps[Deleted | Pending]:
        """Remove a memory and its links for good."""
        spec = DELETE(path("/api/v1/memories/{}", rules.full_id(id)))
        reply = yield from self._service.ask(spec)
        return self._read(Pending, reply) if reply.status == 202 else self._read(Deleted, reply)

    @endpoint
    def promote(self, id: str) -> Steps[Promoted | Pending]:
        """Keep a memory for good: its tier becomes ``long`` and its expiry goes."""
        spec = POST(path("/api/v1/memories/{}/promote", rules.full_id(id))).but(safe=True)
        reply = yield from self._service.ask(spec)
        return self._read(Pending, reply) if reply.status == 202 else self._read(Promoted, reply)

    @endpoint
    def page(
        self,
        *,
        namespace: str | None = None,
        tier: Tier | str | None = None,
        tags: str | Strings | None = None,
        agent_id: str | None = None,
        min_priority: int | None = None,
        since: When | None = None,
        until: When | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> Steps[ListResponse]:
        """Return one page of the live memories, by priority and then by the time of their last change, both falling.

        Args:
            namespace: Exactly this namespace.
            tier: Exactly this tier.
            tags: Memories with all of these tags. The daemon filters by the first one; by further ones it is done
                here, so that the page may hold fewer than `limit`.
            agent_id: Memories by exactly this agent.
            min_priority: Memories of at least this priority.
            since: Memories made then or later.
            until: Memories made then or earlier.
            limit: 1..1000.
            offset: How many to pass over.
        """
        within("limit", limit, 1, rules.MOST_LISTED)
        within("offset", offset, 0, None)
        first, others = split_tags(tags)
        rules.check_namespace(namespace)
        rules.check_agent_id(agent_id)
        spec = GET(
            "/api/v1/memories",
            namespace=namespace,
            tier=text(tier),
            tags=first,
            agent_id=agent_id,
            min_priority=min_priority,
            since=text(since),
            until=text(until),
            limit=limit,
            offset=offset or None,
        )
        found = yield from self._ask(ListResponse, spec)
        return having(found, others)

    @endpoint
    def search(
        self,
        q: str,
        *,
        namespace: str | None = None,
        tier: Tier | str | None = None,
        tags: str | Strings | None = None,
        agent_id: str | None = None,
        min_priority: int | None = None,
        since: When | None = None,
        until: When | None = None,
        as_agent: str | None = None,
        limit: int = 20,
    ) -> Steps[SearchResponse]:
        """Find the memories that hold every word of `q` in title, content or tags, best first.

        Args:
            q: The words; full-text operators have no effect.
            namespace: Exactly this namespace.
            tier: Exactly this tier.
            tags: As for `page`.
            agent_id: Memories by exactly this agent.
            min_priority: Memories of at least this priority.
            since: Memories made then or later.
            until: Memories made then or earlier.
            as_agent: A namespace; only memories that are visible from there.
            limit: 1..1000.
        """
        filled("q", q)
        within("limit", limit, 1, rules.MOST_LISTED)
        first, others = split_tags(tags)
        rules.check_namespace(namespace)
        rules.check_agent_id(agent_id)
        rules.check_namespace(as_agent, "as_agent")
        spec = GET(
            "/api/v1/search",
            q=q,
            namespace=namespace,
            tier=text(tier),
            tags=first,
            agent_id=agent_id,
            min_priority=min_priority,
            since=text(since),
            until=text(until),
            as_agent=as_agent,
            limit=limit,
        )
        found = yield from self._ask(SearchResponse, spec)
        return having(found, others)

    @endpoint
    def recall(
        self,
        context: str,
        *,
        namespace: str | None = None,
        limit: int = 10,
        tags: str | Strings | None = None,
        since: When | None = None,
        until: When | None = None,
        as_agent: str | None = None,
        budget_tokens: int | None = None,
    ) -> Steps[RecallResponse]:
        """Find memories with any word of `context`, or of its meaning, best first.

        The answer's ``mode`` says whether meaning counted. A recall changes the memories that it finds: it raises
        ``access_count``, moves the expiry of short and mid memories, and makes often recalled ones long.

        Args:
            context: Plain words.
            namespace: This namespace and, for a path such as ``team/project``, those above it.
            limit: 1..50.
            tags: As for `page`.
            since: Memories made then or later.
            until: Memories made then or earlier.
            as_agent: A namespace; only memories that are visible from there.
            budget_tokens: At most this many tokens of content; the best memory comes even if it alone is larger.
        """
        filled("context", context)
        within("limit", limit, 1, rules.MOST_RECALLED)
        if budget_tokens is not None:
            within("budget_tokens", budget_tokens, 0, None)
        first, others = split_tags(tags)
        rules.check_namespace(namespace)
        rules.check_namespace(as_agent, "as_agent")
        spec = POST(
            "/api/v1/recall",
            context=context,
            namespace=namespace,
            limit=limit,
            tags=first,
            since=text(since),
            until=text(until),
            as_agent=as_agent,
            budget_tokens=budget_tokens,
        ).but(safe=True)
        found = yield from self._ask(RecallResponse, spec)
        return having(found, others)

    @endpoint
    def forget(
        self, *, namespace: str | None = None, pattern: str | None = None, tier: Tier | str | None = None
    ) -> Steps[Forgotten]:
        """Remove every memory that fits all of the given: a namespace, any word of a pattern, a tier.

        At least one must be given. The daemon keeps a copy in its archive, without metadata, unless told not to.
        """
        if not (namespace or (pattern and pattern.strip()) or tier):
            raise rules.invalid(
                "forget needs a namespace, a pattern or a tier; without any it would remove everything"
            )
        rules.check_namespace(namespace)
        spec = POST("/api/v1/forget", namespace=namespace, pattern=pattern, tier=text(tier))
        return (yield from self._ask(Forgotten, spec.but(safe=True)))

    @endpoint
    def grant(self, id: str, agent_id: str, *, permission: str = "read") -> Steps[Access]:
        """Let an agent see a memory; `UnsupportedByServer` on a daemon, which has no such route."""
        rules.check_agent_id(agent_id)
        spec = POST(
            path("/api/v1/memories/{}/grant", rules.full_id(id)), agent_id=agent_id, permission=permission
        )
        return (yield from self._ask(Access, spec.but(safe=True)))

    @endpoint
    def revoke(self, id: str, agent_id: str) -> Steps[Access]:
        """Take a grant back; `UnsupportedByServer` on a daemon, which has no such route."""
        if agent_id is None:
            raise rules.invalid("agent_id: must say whose grant is taken back")
        rules.check_agent_id(agent_id)
        spec = POST(path("/api/v1/memories/{}/revoke", rules.full_id(id)), agent_id=agent_id)
        return (yield from self._ask(Access, spec.but(safe=True)))

    def _list(
        self,
        *,
        namespace: str | None = None,
        tier: Tier | str | None = None,
        tags: str | Strings | None = None,
        agent_id: str | None = None,
        min_priority: int | None = None,
        since: When | None = None,
        until: When | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Steps[Page[Memory]]:
        """Iterate over all live memories, by priority and then by the time of their last change, both falling.

        Args:
            namespace: Exactly this namespace.
            tier: Exactly this tier.
            tags: Memories with all of these tags.
            agent_id: Memories by exactly this agent.
            min_priority: Memories of at least this priority.
            since: Memories made then or later.
            until: Memories made then or earlier.
            limit: The most memories over all pages; None for all.
            cursor: An offset to begin at.
        """
        if limit is not None:
            within("limit", limit, 1, None)
        offset = int(cursor or 0)
        # Filtering here must not make pages small.
        size = rules.MOST_LISTED if limit is None or split_tags(tags)[1] else min(limit, rules.MOST_LISTED)
        found = yield from Memories.page.plan(
            self,
            namespace=namespace,
            tier=tier,
            tags=tags,
            agent_id=agent_id,
            min_priority=min_priority,
            since=since,
            until=until,
            limit=size,
            offset=offset,
        )
        more = found.count >= size
        fitting = found.memories if limit is None else found.memories[:limit]
        return Page(fitting, PageMeta(more, str(offset + size) if more else None))

    list = listing(_list, total="limit")
