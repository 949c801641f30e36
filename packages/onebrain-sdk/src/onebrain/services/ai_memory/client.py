"""`AiMemoryClient` and `AsyncAiMemoryClient`: ai-memory's HTTP API, every call of its SDK, on the real daemon's wire."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias, TypeVar, Unpack, cast

import pydantic

from onebrain._core import client
from onebrain._core.batches import Batches
from onebrain._core.codec import UNSET, Unset
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.paging import Page, PageMeta
from onebrain._core.service import DELETE, GET, POST, PUT, Reply, Service, Spec, path
from onebrain._core.steps import Async, Mode, Steps, Sync
from onebrain._core.wire import read, rows
from onebrain.errors import OneBrainError, OneBrainNotFoundError
from onebrain.services.ai_memory import service as rules
from onebrain.services.ai_memory.models import (
    Access,
    Agent,
    BulkResponse,
    Collected,
    Created,
    CreateMemory,
    Deleted,
    Export,
    Forgotten,
    Health,
    ImportResponse,
    Inbox,
    InboxMessage,
    Link,
    Linked,
    ListResponse,
    Memory,
    NamespaceCount,
    Notified,
    NotifyRequest,
    OnConflict,
    Pending,
    Promoted,
    RecallResponse,
    RegisteredAgent,
    Relation,
    SearchResponse,
    Stats,
    Subscription,
    SubscriptionRequest,
    Tier,
    Unsubscribed,
    UpdateMemory,
)
from onebrain.services.ai_memory.service import make_service

R = TypeVar("R", bound=pydantic.BaseModel)
When: TypeAlias = datetime | str
Verify: TypeAlias = bool | str | ssl.SSLContext
Cert: TypeAlias = str | tuple[str, str] | tuple[str, str, str]
Rows: TypeAlias = list[Any]  # the client has a method named list
Strings: TypeAlias = Sequence[str]


class Client(client.Client[Mode, Service]):
    """The calls of ai-memory's API, without colour."""

    def __init__(self, mode: Mode, service: Service, *, agent_id: str | None = None) -> None:
        super().__init__(mode, service)
        self._agent_id = agent_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._service.base_url!r})"

    # ---- the daemon -------------------------------------------------------------------------------------------------

    @endpoint
    def health(self) -> Steps[Health]:
        """Say whether the daemon works; needs no key. A failing one raises `OneBrainInternalError` (503)."""
        return (yield from self._ask(Health, GET("/api/v1/health")))

    @endpoint
    def metrics(self) -> Steps[str]:
        """Return the daemon's metrics in Prometheus' text format."""
        reply = yield from self._service.ask(GET("/api/v1/metrics").but(expect="text"))
        return cast("str", reply.data or "")

    @endpoint
    def stats(self) -> Steps[Stats]:
        """Count memories, links and bytes."""
        return (yield from self._ask(Stats, GET("/api/v1/stats")))

    @endpoint
    def namespaces(self) -> Steps[Sequence[NamespaceCount]]:
        """Return the namespaces with the number of their live memories, largest first."""
        reply = yield from self._service.ask(GET("/api/v1/namespaces"))
        return self._rows(NamespaceCount, reply, "namespaces")

    @endpoint
    def gc(self) -> Steps[Collected]:
        """Remove what has expired; the daemon does so by itself every half hour."""
        return (yield from self._ask(Collected, POST("/api/v1/gc").but(safe=True)))

    # ---- memories ---------------------------------------------------------------------------------------------------

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
            What was stored, or `Pending` where the namespace's policy wants an approval first.
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
        spec = POST("/api/v1/memories", **_wire(fields)).but(safe=on_conflict == "merge")
        reply = yield from self._service.ask(spec)
        return self._read(Pending, reply) if reply.status == 202 else self._read(Created, reply)

    @endpoint
    def bulk_store(self, memories: Iterable[CreateMemory | Mapping[str, Any]]) -> Steps[BulkResponse]:
        """Store any number of memories, in requests of at most 1000 rows and 2 MB; same titles are replaced.

        The daemon leaves bad rows out and says why in ``errors``, and returns no ids. It reads no ``agent_id`` and no
        ``scope`` here, so both are put into the metadata, where `store` has the daemon put them.

        Raises:
            OneBrainError: A request failed; ``details["written"]`` says what the ones before it had written.
        """
        given = [_row(CreateMemory, memory) for memory in memories]
        for place, row in enumerate(given):
            self._sign(row)
            _at(place, row, ("title", "content"))
        created, errors, requests = 0, list[str](), 0
        batches = Batches(given, rules.MOST_ROWS, self._service.byte_limit)
        for start, chunk in batches:
            # Bulk always merges, so that repeating a request changes nothing.
            spec = Spec("POST", "/api/v1/memories/bulk", body=list(chunk), safe=True)
            try:
                part = yield from self._ask(BulkResponse, spec)
            except OneBrainError as error:
                if batches.refused(error):
                    continue
                written = {"created": created, "errors": errors, "requests": requests, "rows": start}
                raise _partly(error, written, len(chunk), len(given)) from error.__cause__
            created += part.created
            errors.extend(part.errors)
            requests += 1
        return BulkResponse(created=created, errors=tuple(errors), requests=requests)

    def _sign(self, row: dict[str, Any]) -> None:
        """Move what the daemon reads only in `store` to where it would put it."""
        signed = {"agent_id": row.pop("agent_id", None) or self._agent_id, "scope": row.pop("scope", None)}
        rules.check_fields(signed)
        metadata = {name: value for name, value in signed.items() if value is not None}
        if metadata:
            row["metadata"] = {**row.get("metadata", {}), **metadata}

    @endpoint
    def get(self, id: str) -> Steps[Memory]:
        """Return one memory by its full id; an expired one, too, until it is collected."""
        reply = yield from self._service.ask(GET(path("/api/v1/memories/{}", rules.full_id(id))))
        data = _object(reply.data)
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
        """Change what is given of a memory, as an `UpdateMemory` or as arguments, and return the memory.

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
            fields = _row(UpdateMemory, changes, keep_none=True)
        rules.check_fields(fields)
        spec = PUT(path("/api/v1/memories/{}", rules.full_id(id)), **_wire(fields, keep_none=True))
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
        _within("limit", limit, 1, rules.MOST_LISTED)
        _within("offset", offset, 0, None)
        first, others = _tags(tags)
        rules.check_namespace(namespace)
        rules.check_agent_id(agent_id)
        spec = GET(
            "/api/v1/memories",
            namespace=namespace,
            tier=_text(tier),
            tags=first,
            agent_id=agent_id,
            min_priority=min_priority,
            since=_text(since),
            until=_text(until),
            limit=limit,
            offset=offset or None,
        )
        found = yield from self._ask(ListResponse, spec)
        return _having(found, others)

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
            as_agent: A namespace; only what is visible from there.
            limit: 1..1000.
        """
        _filled("q", q)
        _within("limit", limit, 1, rules.MOST_LISTED)
        first, others = _tags(tags)
        rules.check_namespace(namespace)
        rules.check_agent_id(agent_id)
        rules.check_namespace(as_agent, "as_agent")
        spec = GET(
            "/api/v1/search",
            q=q,
            namespace=namespace,
            tier=_text(tier),
            tags=first,
            agent_id=agent_id,
            min_priority=min_priority,
            since=_text(since),
            until=_text(until),
            as_agent=as_agent,
            limit=limit,
        )
        found = yield from self._ask(SearchResponse, spec)
        return _having(found, others)

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
        """Find what is worth knowing for `context`: memories with any of its words, or of its meaning, best first.

        The answer's ``mode`` says whether meaning counted. Recalling changes what is recalled: it raises
        ``access_count``, moves the expiry of short and mid memories, and makes often recalled ones long.

        Args:
            context: Plain words.
            namespace: This namespace and, for a path such as ``team/project``, those above it.
            limit: 1..50.
            tags: As for `page`.
            since: Memories made then or later.
            until: Memories made then or earlier.
            as_agent: A namespace; only what is visible from there.
            budget_tokens: At most this many tokens of content; the best memory comes even if it alone is larger.
        """
        _filled("context", context)
        _within("limit", limit, 1, rules.MOST_RECALLED)
        if budget_tokens is not None:
            _within("budget_tokens", budget_tokens, 0, None)
        first, others = _tags(tags)
        rules.check_namespace(namespace)
        rules.check_namespace(as_agent, "as_agent")
        spec = POST(
            "/api/v1/recall",
            context=context,
            namespace=namespace,
            limit=limit,
            tags=first,
            since=_text(since),
            until=_text(until),
            as_agent=as_agent,
            budget_tokens=budget_tokens,
        ).but(safe=True)
        found = yield from self._ask(RecallResponse, spec)
        return _having(found, others)

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
        spec = POST("/api/v1/forget", namespace=namespace, pattern=pattern, tier=_text(tier))
        return (yield from self._ask(Forgotten, spec.but(safe=True)))

    # ---- links ------------------------------------------------------------------------------------------------------

    @endpoint
    def link(
        self, source_id: str, target_id: str, relation: Relation | str = Relation.RELATED_TO
    ) -> Steps[Linked]:
        """Link one memory to another; a second time changes nothing.

        A memory that does not exist makes the daemon fail (500), which is not tried again.
        """
        self._check_link(source_id, target_id)
        spec = POST("/api/v1/links", source_id=source_id, target_id=target_id, relation=_text(relation))
        return (yield from self._ask(Linked, spec))

    @endpoint
    def unlink(self, source_id: str, target_id: str) -> Steps[bool]:
        """Remove the link from one memory to another, whatever its relation; return whether there was one."""
        self._check_link(source_id, target_id)
        spec = POST("/api/v1/links", source_id=source_id, target_id=target_id).but(method="DELETE", safe=True)
        return (yield from self._ask(Deleted, spec)).deleted

    @endpoint
    def get_links(self, id: str) -> Steps[Sequence[Link]]:
        """Return the links from and to a memory; none for an id that does not exist."""
        reply = yield from self._service.ask(GET(path("/api/v1/links/{}", rules.full_id(id))))
        return self._rows(Link, reply, "links")

    def _check_link(self, source_id: str, target_id: str) -> None:
        if rules.full_id(source_id) == rules.full_id(target_id):
            raise rules.invalid("a memory cannot be linked to itself")

    # ---- export and import ------------------------------------------------------------------------------------------

    @endpoint
    def export(self) -> Steps[Export]:
        """Return every live memory and every link, in one answer; what is archived is not in it."""
        return (yield from self._ask(Export, GET("/api/v1/export")))

    @endpoint
    def import_(
        self,
        memories: Export | Mapping[str, Any] | Iterable[Memory | Mapping[str, Any]],
        links: Iterable[Link | Mapping[str, Any]] | None = None,
    ) -> Steps[ImportResponse]:
        """Write whole memories, ids and times included, in requests of at most 1000 rows and 2 MB.

        Takes what `export` returns, or memories and links. A memory whose title exists in its namespace is merged
        with the older one and takes its id; links to the id that got lost are dropped by the daemon.

        Raises:
            OneBrainError: A request failed; ``details["written"]`` says what the ones before it had written.
        """
        given, given_links = _import_parts(memories, links)
        for place, row in enumerate(given):
            _at(place, row, ("id", "title", "content"))
        imported, errors, requests, rows = 0, list[str](), 0, 0
        # Links come last, when both of their ends are there.
        for kind, items in (("memories", given), ("links", given_links)):
            batches = Batches(items, rules.MOST_ROWS, self._service.byte_limit)
            for _, chunk in batches:
                body = {"memories": [], kind: list(chunk)}
                spec = Spec("POST", "/api/v1/import", body=body, safe=True)
                try:
                    part = yield from self._ask(ImportResponse, spec)
                except OneBrainError as error:
                    if batches.refused(error):
                        continue
                    written = {"imported": imported, "errors": errors, "requests": requests, "rows": rows}
                    total = len(given) + len(given_links)
                    raise _partly(error, written, len(chunk), total) from error.__cause__
                imported += part.imported
                errors.extend(part.errors)
                requests += 1
                rows += len(chunk)
        return ImportResponse(imported=imported, errors=tuple(errors), requests=requests)

    # ---- webhooks ---------------------------------------------------------------------------------------------------

    @endpoint
    def subscribe(
        self,
        request: SubscriptionRequest | Mapping[str, Any] | None = None,
        *,
        url: str | None = None,
        events: str | Strings | None = None,
        secret: str | None = None,
        namespace_filter: str | None = None,
        agent_filter: str | None = None,
        namespace: str | None = None,
        agent_id: str | None = None,
    ) -> Steps[Subscription]:
        """Have the daemon call a URL when something happens, and return the subscription.

        Up to version 0.7 the daemon fires nothing for what is stored over HTTP. `onebrain.webhooks` verifies what
        it sends. A `url` or a `namespace` is needed.

        Args:
            request: All of it, as an object instead of arguments.
            url: Where to POST; https, or http to the daemon's own machine.
            events: The events' names, as a list or one comma-separated string; all by default.
            secret: The text that deliveries are signed with; it is never shown again.
            namespace_filter: Only memories of exactly this namespace.
            agent_filter: Only memories of exactly this agent.
            namespace: The namespace to follow, without a URL.
            agent_id: Who subscribes, instead of the client's ``agent_id``; gets registered as an agent.
        """
        fields: dict[str, Any] = {
            "url": url,
            "events": events,
            "secret": secret,
            "namespace_filter": namespace_filter,
            "agent_filter": agent_filter,
            "namespace": namespace,
            "agent_id": agent_id,
        }
        body = _request(SubscriptionRequest, request, fields)
        if not (body.get("url") or body.get("namespace")):
            raise rules.invalid("subscribe needs a url to call, or a namespace to follow")
        if body.get("url") and body.get("namespace"):
            raise rules.invalid("subscribe: with a url the daemon ignores namespace; use namespace_filter")
        rules.check_fields({"agent_id": body.get("agent_id")})
        if body.get("events") is not None:
            body["events"] = ",".join(body["events"]) or "*"
        return (yield from self._ask(Subscription, POST("/api/v1/subscriptions", **body)))

    @endpoint
    def unsubscribe(self, id: str) -> Steps[Unsubscribed]:
        """Remove a webhook; raise `OneBrainNotFoundError` where none has this id."""
        if not isinstance(id, str) or not id.strip():
            raise rules.invalid("unsubscribe needs the subscription's id")
        gone = yield from self._ask(Unsubscribed, DELETE("/api/v1/subscriptions", id=id))
        if not gone.removed:
            raise OneBrainNotFoundError("no subscription with this id", service=rules.NAME)
        return gone

    @endpoint
    def subscriptions(self, *, agent_id: str | None = None) -> Steps[Sequence[Subscription]]:
        """Return the webhooks, of one agent or of all."""
        rules.check_agent_id(agent_id)
        reply = yield from self._service.ask(GET("/api/v1/subscriptions", agent_id=agent_id))
        return self._rows(Subscription, reply, "subscriptions")

    # ---- agents and messages ----------------------------------------------------------------------------------------

    @endpoint
    def notify(
        self,
        request: NotifyRequest | Mapping[str, Any] | None = None,
        *,
        to: str | None = None,
        subject: str | None = None,
        body: str | None = None,
        priority: int | None = None,
        tier: Tier | str | None = None,
        agent_id: str | None = None,
    ) -> Steps[Notified]:
        """Put a message into an agent's inbox.

        On daemons up to 0.6.4 a message replaces an earlier one of the same subject to the same agent.

        Args:
            request: All of it, as an object instead of arguments.
            to: The agent's id.
            subject: 1 to 512 characters.
            body: 1 to 65,536 bytes.
            priority: 1..10; the daemon's default is 5.
            tier: How long it is kept; the daemon's default is ``mid``.
            agent_id: Who sends it, instead of the client's ``agent_id``.
        """
        given: dict[str, Any] = {
            "to": to,
            "subject": subject,
            "body": body,
            "priority": priority,
            "tier": tier,
            "agent_id": agent_id,
        }
        fields = _request(NotifyRequest, request, given)
        message = {"title": fields.pop("subject"), "content": fields.pop("body")}
        target = fields.pop("to")
        rules.check_agent_id(target, "to")
        rules.check_fields({**message, **fields})
        spec = POST(
            "/api/v1/notify",
            target_agent_id=target,
            title=message["title"],
            payload=message["content"],
            **fields,
        )
        return (yield from self._ask(Notified, spec))

    @endpoint
    def inbox(
        self, *, agent_id: str | None = None, unread_only: bool = False, limit: int = 50
    ) -> Steps[Inbox]:
        """Return the newest messages to an agent; reading them marks nothing as read.

        Args:
            agent_id: Whose inbox; the default is the client's ``agent_id``.
            unread_only: Leave out read ones, among the newest `limit`.
            limit: 1..500.
        """
        _within("limit", limit, 1, rules.MOST_MESSAGES)
        rules.check_agent_id(agent_id)
        spec = GET("/api/v1/inbox", agent_id=agent_id, unread_only=unread_only or None, limit=limit)
        found = yield from self._ask(Inbox, spec)
        owner = found.agent_id
        messages = tuple(
            message if message.to else message.model_copy(update={"to": owner}) for message in found.messages
        )
        return found.model_copy(update={"messages": messages})

    @endpoint
    def agents(self) -> Steps[Sequence[Agent]]:
        """Return the registered agents, in the order of their registration."""
        reply = yield from self._service.ask(GET("/api/v1/agents"))
        return self._rows(Agent, reply, "agents")

    @endpoint
    def register_agent(
        self, agent_id: str, agent_type: str, capabilities: Strings | None = None
    ) -> Steps[RegisteredAgent]:
        """Register an agent, or refresh one.

        Args:
            agent_id: Its id.
            agent_type: ``human``, ``system`` or ``ai:`` and a name, such as ``ai:claude``; at most 64 bytes.
            capabilities: What it can do, in words of your own.
        """
        rules.check_agent_id(agent_id)
        _filled("agent_type", agent_type)
        rules.check_fields({"tags": capabilities})
        fields = {"agent_id": agent_id, "agent_type": agent_type, "capabilities": capabilities}
        return (yield from self._ask(RegisteredAgent, POST("/api/v1/agents", **_wire(fields)).but(safe=True)))

    # ---- documented, but in no release of the daemon ----------------------------------------------------------------

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

    @endpoint
    def cluster(self, request: Mapping[str, Any] | None = None) -> Steps[Mapping[str, Any]]:
        """Manage peers; `UnsupportedByServer` on a daemon, which has no such route."""
        reply = yield from self._service.ask(Spec("POST", "/api/v1/cluster", body=dict(request or {})))
        return _object(reply.data)

    # ---- how answers are read ---------------------------------------------------------------------------------------

    def _ask(self, model: type[R], spec: Spec) -> Steps[R]:
        reply = yield from self._service.ask(spec)
        return self._read(model, reply)

    def _read(self, model: type[R], reply: Reply) -> R:
        return read(model, reply.data, service=rules.NAME)

    def _rows(self, model: type[R], reply: Reply, key: str) -> Sequence[R]:
        return tuple(
            read(model, row, service=rules.NAME) for row in rows(reply.data, key, service=rules.NAME)
        )

    # Last, because a method named list hides the type from annotations below it.
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
            _within("limit", limit, 1, None)
        offset = int(cursor or 0)
        # What is filtered here must not make pages small.
        size = rules.MOST_LISTED if limit is None or _tags(tags)[1] else min(limit, rules.MOST_LISTED)
        found = yield from Client.page.plan(
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


class AiMemoryClient(Client[Sync], client.Closing):
    """A client of an ai-memory daemon; safe to share between threads.

    Args:
        base_url: Where the daemon listens; the default is ``$AI_MEMORY_URL``, else ``http://localhost:9077``.
        api_key: Its key, where it has one; the default is ``$AI_MEMORY_API_KEY``.
        agent_id: Who you are, sent with every request; a claim that the daemon takes as it is.
        keywords: The options of `ClientOptions`, by name or together as ``options``.

    Example:
        >>> with AiMemoryClient(base_url="http://localhost:9077") as client:
        ...     client
        AiMemoryClient(base_url='http://localhost:9077')
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        agent_id: str | None = None,
        **keywords: Unpack[client.SyncKeywords],
    ) -> None:
        options = client.client_options(type(self).__name__, keywords)
        service = make_service(base_url, api_key=api_key, agent_id=agent_id, options=options)
        super().__init__(Sync(options.sync()), service, agent_id=agent_id)


class AsyncAiMemoryClient(Client[Async], client.AsyncClosing):
    """A client of an ai-memory daemon for asynchronous code; the arguments are those of `AiMemoryClient`.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     async with AsyncAiMemoryClient(base_url="http://localhost:9077") as client:
        ...         print(client)
        >>> asyncio.run(main())
        AsyncAiMemoryClient(base_url='http://localhost:9077')
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        agent_id: str | None = None,
        **keywords: Unpack[client.AsyncKeywords],
    ) -> None:
        options = client.client_options(type(self).__name__, keywords)
        service = make_service(base_url, api_key=api_key, agent_id=agent_id, options=options)
        super().__init__(Async(options.asynchronous()), service, agent_id=agent_id)


# ---- helpers --------------------------------------------------------------------------------------------------------


def _text(value: Any) -> Any:
    """Return what a query parameter or field holds for an enum or a time."""
    if isinstance(value, datetime):
        return Memory(id="-", expires_at=value).model_dump(mode="json")["expires_at"]
    return getattr(value, "value", value)


def _wire(fields: Mapping[str, Any], *, keep_none: bool = False) -> dict[str, Any]:
    return {name: _text(value) for name, value in fields.items() if keep_none or value is not None}


def _object(data: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", data) if isinstance(data, Mapping) else {}


def _within(name: str, value: Any, low: int, high: int | None) -> None:
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or value < low
        or (high is not None and value > high)
    ):
        raise rules.invalid(f"{name}: must be a whole number from {low}" + (f" to {high}" if high else " on"))


def _filled(name: str, value: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise rules.invalid(f"{name}: must not be blank")


def _tags(tags: str | Strings | None) -> tuple[str | None, frozenset[str]]:
    """Return the tag that the daemon filters by, and those that are left for us."""
    wanted = [tags] if isinstance(tags, str) else list(dict.fromkeys(tags or ()))
    return (wanted[0] if wanted else None), frozenset(wanted[1:])


Found = TypeVar("Found", ListResponse, SearchResponse, RecallResponse)


def _having(found: Found, tags: frozenset[str]) -> Found:
    """Return `found` with only the memories that have all of `tags`; its count stays the daemon's."""
    if not tags:
        return found
    rows = tuple(memory for memory in found.memories if tags <= set(memory.tags))
    return found.model_copy(update={"memories": rows})


def _row(model: type[R], value: R | Mapping[str, Any], *, keep_none: bool = False) -> dict[str, Any]:
    """Return an input object's fields for the wire; raise where a dict does not fit."""
    if not isinstance(value, model):
        try:
            value = model.model_validate(value)
        except pydantic.ValidationError as error:
            issues = error.errors(include_url=False, include_input=False, include_context=False)[:5]
            problems = (f"{'.'.join(map(str, issue['loc']))}: {issue['msg']}" for issue in issues)
            raise rules.invalid(f"{model.__name__}: {'; '.join(problems)}") from None
    row = value.model_dump(mode="json", exclude_unset=True, by_alias=False)
    return row if keep_none else {name: item for name, item in row.items() if item is not None}


def _request(model: type[R], request: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request, from an object or from arguments."""
    named = {name: value for name, value in given.items() if value is not None}
    if request is not None and named:
        raise rules.invalid(f"give either a {model.__name__} or arguments")
    return _row(model, named if request is None else request)


def _at(place: int, row: Mapping[str, Any], required: Strings) -> None:
    """Check one row of many, naming its place."""
    try:
        for name in required:
            if not row.get(name):
                raise rules.invalid(f"{name}: must not be blank")
        rules.check_fields(row)
    except OneBrainError as error:
        raise rules.invalid(f"row {place}: {error.message}") from None


def _partly(error: OneBrainError, written: Mapping[str, Any], failed: int, total: int) -> OneBrainError:
    """Say in `error` what the requests before the failed one have written; `failed` and `total` count rows."""
    rows, requests = written["rows"], written["requests"]
    error.details = {
        "written": dict(written),
        "failed": {"request": requests, "first_row": rows, "rows": failed},
        "not_sent": {"rows": total - rows - failed},
        "said": error.details,
    }
    if failed < total:
        before = f"rows 0 to {rows - 1} were written before" if rows else "nothing was written before"
        error.message = f"{error.message}; rows {rows} to {rows + failed - 1} of {total} failed, {before}"
    return error


def _import_parts(memories: Any, links: Any) -> tuple[Rows, Rows]:
    """Return the rows of memories and of links, from an export, its JSON, or lists."""
    if isinstance(memories, Export):
        memories, links = memories.memories, (memories.links if links is None else links)
    elif isinstance(memories, Mapping):
        given = cast("Mapping[str, Any]", memories)
        if "memories" not in given:
            raise rules.invalid("import_: a dict needs the key 'memories', as an export has it")
        memories, links = given["memories"], (given.get("links") if links is None else links)
    rows = [
        memory.model_dump(mode="json", exclude_none=True, exclude={"score"})
        if isinstance(memory, Memory)
        else dict(memory)
        for memory in memories
    ]
    given_links = [
        link.model_dump(mode="json", exclude_none=True) if isinstance(link, Link) else dict(link)
        for link in links or ()
    ]
    return rows, given_links


__all__ = ["AiMemoryClient", "AsyncAiMemoryClient", "Client", "InboxMessage"]
