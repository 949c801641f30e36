"""``/api/v1/notify`` and ``/inbox``: messages from agent to agent.

A message is a memory in the namespace of its addressee's inbox. Only the addressee and the sender see it, and one of the
same title does not replace it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from onebrain.memory.driver import ListRequest
from onebrain.memory.filters import Cmp, every, negate
from onebrain.services.ai_memory.service import check_agent_id, check_fields
from onebrain_server.clock import now
from onebrain_server.dialects.ai_memory import mapping
from onebrain_server.dialects.ai_memory.mapping import Row
from onebrain_server.dialects.ai_memory.rules import memories, tiers
from onebrain_server.dialects.ai_memory.rules.identity import acting, author
from onebrain_server.dialects.ai_memory.rules.tiers import Tier
from onebrain_server.dialects.ai_memory.wire import (
    AgentId,
    Content,
    Priority,
    Routes,
    Title,
    Wire,
    not_found,
    refused,
)
from onebrain_server.http.requests import Call
from onebrain_server.ids import random_id

routes = Routes("/api/v1", "messages")

_MOST = 500


class NotifyFields(Wire):
    """A message; the names of the original's SDK (`to`, `subject`, `body`) are taken, too."""

    target_agent_id: AgentId = Field(validation_alias=AliasChoices("target_agent_id", "to"))
    title: Title = Field(validation_alias=AliasChoices("title", "subject"))
    payload: Content = Field(validation_alias=AliasChoices("payload", "content", "body"))
    priority: Priority = 5
    tier: Tier = "mid"
    agent_id: AgentId | None = None


class Notified(Wire):
    """A message that was delivered."""

    id: str
    from_: str = Field(alias="from")
    to: str
    namespace: str
    tier: Tier
    delivered_at: str


@routes.post("/notify", needs="write", answers=Notified, status=201)
def notify(call: Call, body: NotifyFields) -> dict[str, Any]:
    """Put a message into an agent's inbox; the sender is who the request says it is, or the agent that its key is tied to."""
    sender, anonymous = author(call, body.agent_id)
    check_agent_id(body.target_agent_id, "target_agent_id")
    check_fields({"title": body.title, "content": body.payload, "priority": body.priority})
    moment = now()
    message = Row(
        id=random_id(),
        title=body.title,
        content=body.payload,
        namespace=mapping.MESSAGES + body.target_agent_id,
        tier=body.tier,
        tags=("_message",),
        priority=body.priority,
        source="notify",
        expires_at=tiers.expiry(body.tier, None, None, moment),
        agent=sender,
        anonymous=anonymous,
        to=body.target_agent_id,
        created_at=moment,
        updated_at=moment,
    )
    with call.server.plans.storing(call.known.account, 1) as allowed:
        if not allowed:
            raise memories.full(call)
        memories.save(call, [message])
    return {
        "id": message.id,
        "from": message.shown_agent,
        "to": message.to,
        "namespace": message.namespace,
        "tier": message.tier,
        "delivered_at": moment.isoformat(),
    }


class InboxQuery(Wire):
    """Whose inbox; by default that of the agent which the header or the key names."""

    agent_id: AgentId | None = None
    unread_only: bool = False
    limit: Annotated[int, Field(ge=0)] = 50


class MessageRow(Wire):
    """One message."""

    id: str
    from_: str = Field(alias="from")
    title: str
    payload: str
    priority: int
    tier: Tier
    created_at: str
    read: bool
    access_count: int


class InboxAnswer(Wire):
    """The newest messages to an agent."""

    agent_id: str
    namespace: str
    count: int
    unread_only: bool
    messages: list[MessageRow]


@routes.get("/inbox", needs="read", answers=InboxAnswer)
def inbox(call: Call, query: InboxQuery) -> dict[str, Any]:
    """Return the newest messages to an agent; reading them marks nothing as read."""
    agent = acting(call, query.agent_id)
    if agent is None:
        raise refused("agent_id: say whose inbox, in the query or as the header X-Agent-Id")
    namespace = mapping.MESSAGES + agent
    unread = [negate(Cmp("$extra.read", "eq", True))] if query.unread_only else []
    request = ListRequest(
        filter=every(Cmp("$extra.to", "eq", agent), *unread),
        limit=min(query.limit, _MOST),
    )
    found = [_shown(mapping.of(memory)) for memory in call.memories.list(request).data]
    return {
        "agent_id": agent,
        "namespace": namespace,
        "count": len(found),
        "unread_only": query.unread_only,
        "messages": found,
    }


class MarkedRead(Wire):
    """The answer to marking a message as read; a second time, it is the same."""

    read: Literal[True]
    id: str


@routes.post("/inbox/{id}/read", needs="write", answers=MarkedRead, errors=(404,))
def mark_read(call: Call, id: str) -> dict[str, Any]:
    """Mark a message as read; only its addressee can."""
    with memories.writing(call):
        message = mapping.of(memories.memory_of(call, id, what="message"))
        if message.to is None or acting(call) not in (None, message.to):
            raise not_found("message")
        memories.note(call, replace(message, read=True), updated_at=message.updated_at)
    return {"read": True, "id": id}


def _shown(message: Row) -> dict[str, Any]:
    return {
        "id": message.id,
        "from": message.shown_agent,
        "title": message.title,
        "payload": message.content,
        "priority": message.priority,
        "tier": message.tier,
        "created_at": message.created_at.isoformat(),
        "read": message.read,
        "access_count": message.access_count,
    }


__all__ = ["routes"]
