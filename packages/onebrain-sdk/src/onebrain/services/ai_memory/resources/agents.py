"""Agents, and the messages between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onebrain._core.endpoint import endpoint
from onebrain._core.former import former
from onebrain._core.service import GET, POST
from onebrain._core.steps import Mode, Steps
from onebrain.services.ai_memory import service as rules
from onebrain.services.ai_memory.fields import (
    Strings,
    filled,
    request_of,
    wire,
    within,
)
from onebrain.services.ai_memory.models import (
    Agent,
    Inbox,
    Notified,
    NotifyRequest,
    RegisteredAgent,
    Tier,
)
from onebrain.services.ai_memory.service import Resource


class Messages(Resource[Mode]):
    """Messages between agents."""

    @endpoint
    def send(
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
        fields = request_of(NotifyRequest, request, given)
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
        within("limit", limit, 1, rules.MOST_MESSAGES)
        rules.check_agent_id(agent_id)
        spec = GET("/api/v1/inbox", agent_id=agent_id, unread_only=unread_only or None, limit=limit)
        found = yield from self._ask(Inbox, spec)
        owner = found.agent_id
        messages = tuple(
            message if message.to else message.model_copy(update={"to": owner}) for message in found.messages
        )
        return found.model_copy(update={"messages": messages})


class Agents(Resource[Mode]):
    """The registered agents."""

    @endpoint
    def register(
        self, agent_id: str, agent_type: str, capabilities: Strings | None = None
    ) -> Steps[RegisteredAgent]:
        """Register an agent, or refresh one.

        Args:
            agent_id: Its id.
            agent_type: ``human``, ``system`` or ``ai:`` and a name, such as ``ai:claude``; at most 64 bytes.
            capabilities: Its abilities, in words of your own.
        """
        rules.check_agent_id(agent_id)
        filled("agent_type", agent_type)
        rules.check_fields({"tags": capabilities})
        fields = {"agent_id": agent_id, "agent_type": agent_type, "capabilities": capabilities}
        return (yield from self._ask(RegisteredAgent, POST("/api/v1/agents", **wire(fields)).but(safe=True)))

    @endpoint
    def list(self) -> Steps[Sequence[Agent]]:
        """Return the registered agents, in the order of their registration."""
        reply = yield from self._service.ask(GET("/api/v1/agents"))
        return self._rows(Agent, reply, "agents")

    __call__ = former(list)
