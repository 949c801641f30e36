"""``/api/v1/agents``: who works with these memories; and ``/api/v1/keys``: keys that speak for one of them alone."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from onebrain.services.ai_memory.service import check_agent_id
from onebrain_server.clock import now_micros
from onebrain_server.dialects.ai_memory.rules import events
from onebrain_server.dialects.ai_memory.rules.identity import ANONYMOUS, TIE, acting, tied
from onebrain_server.dialects.ai_memory.wire import (
    NAME,
    AgentId,
    AgentType,
    Id,
    Routes,
    Wire,
    not_found,
    refused,
    written,
)
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.state.accounts import Key
from onebrain_server.state.database import Taken
from onebrain_server.state.records import Record

routes = Routes("/api/v1/agents", "agents")
key_routes = Routes("/api/v1/keys", "keys")

_KIND: Final = "ai-memory.agent"
_TYPE: Final = re.compile(r"human|system|ai:[A-Za-z0-9_.-]+")
# Bytes.
_MOST_TYPE: Final = 64

Capability = Annotated[str, Field(min_length=1, max_length=128)]


class AgentFields(Wire):
    """An agent: its type is ``human``, ``system`` or ``ai:`` and a name."""

    agent_id: AgentId
    agent_type: AgentType
    capabilities: Annotated[list[Capability], Field(max_length=50, default_factory=list[str])]


class RegisteredAgent(Wire):
    """The answer to a registration; `id` is the registration's own."""

    registered: Literal[True]
    id: str
    agent_id: str
    agent_type: str
    capabilities: list[str]


class AgentRow(Wire):
    """A registered agent."""

    agent_id: str
    agent_type: str
    capabilities: list[str]
    registered_at: str
    last_seen_at: str


class AgentList(Wire):
    """The registered agents, in the order of their registration."""

    count: int
    agents: list[AgentRow]


@routes.post("", needs="write", answers=RegisteredAgent, status=201)
def register_agent(call: Call, body: AgentFields) -> dict[str, Any]:
    """Register an agent, or refresh its type, its capabilities and when it was last seen."""
    check_agent_id(body.agent_id)
    acting(call, body.agent_id)
    if not _TYPE.fullmatch(body.agent_type) or len(body.agent_type) > _MOST_TYPE:
        raise refused(
            "agent_type: must be human, system or ai: and a name of A-Z a-z 0-9 _ . -, at most 64 bytes"
        )
    facts = {"agent_type": body.agent_type, "capabilities": body.capabilities}
    found = know(call, body.agent_id, **facts)
    return {"registered": True, "id": found.id, "agent_id": body.agent_id, **facts}


@routes.get("", needs="read", answers=AgentList)
def list_agents(call: Call) -> dict[str, Any]:
    """List the registered agents."""
    tied(call)
    found = [_row(record) for record in reversed(call.server.records.all(call.tenant_id, _KIND))]
    return {"count": len(found), "agents": found}


def know(call: Call, agent_id: str, **facts: Any) -> Record:
    """Register an agent that is not registered, and note that it was seen."""
    records, tenant = call.server.records, call.tenant_id
    seen = {"last_seen_at": now_micros(), **facts}
    try:
        new: dict[str, Any] = {"agent_id": agent_id, "agent_type": "system", "capabilities": [], **seen}
        return records.add(tenant, _KIND, new, unique=agent_id)
    except Taken as taken:
        changed = records.change(tenant, _KIND, str(taken.existing_id), seen)
        # Nothing removes an agent.
        assert changed is not None
        return changed


def _row(record: Record) -> dict[str, Any]:
    return row_of(AgentRow, record, time=written, registered_at=written(record.created_at))


# ---- keys -------------------------------------------------------------------------------------------------------------


class KeyFields(Wire):
    """A key to make: it acts as one agent, and reads, or reads and writes."""

    agent_id: AgentId
    permission: Literal["read", "write"] = "write"


class KeyRow(Wire):
    """A key that is tied to an agent."""

    id: str
    agent_id: str
    permission: Literal["read", "write"]
    created_at: str


class NewKey(KeyRow):
    """A new key; `api_key` is shown here and nowhere else."""

    api_key: str


class KeyList(Wire):
    """The keys that are tied to agents, newest first."""

    count: int
    keys: list[KeyRow]


class RemovedKey(Wire):
    """The answer to the removal of a key."""

    id: str
    removed: Literal[True]


@key_routes.post("", needs="admin", answers=NewKey, status=201)
def make_key(call: Call, body: KeyFields) -> dict[str, Any]:
    """Make a key that speaks for one agent alone, and is good for nothing but this service."""
    check_agent_id(body.agent_id)
    if body.agent_id.startswith(ANONYMOUS):
        raise refused(f"agent_id: names that begin with {ANONYMOUS} stand for no agent in particular")
    words = ["read"] if body.permission == "read" else ["read", "write"]
    key, whole = call.server.accounts.create_key(
        call.tenant_id,
        f"ai-memory: {body.agent_id}",
        [f"{NAME}:{word}" for word in (*words, TIE + body.agent_id)],
        trust="trusted",
        expires_at=call.known.lasting(None),
    )
    call.audit("ai-memory.key.create", key.id)
    return {**_key_row(key, body.agent_id), "api_key": whole}


@key_routes.get("", needs="admin", answers=KeyList)
def list_keys(call: Call) -> dict[str, Any]:
    """List the keys that are tied to agents."""
    found = [_key_row(key, agent) for key, agent in _tied_keys(call)]
    return {"count": len(found), "keys": found}


@key_routes.delete("/{id}", needs="admin", answers=RemovedKey, errors=(404,))
def remove_key(call: Call, id: Id) -> dict[str, Any]:
    """Remove a key, which is refused from now on; with an agent's last one its webhooks end, too."""
    agents = {key.id: agent for key, agent in _tied_keys(call)}
    agent = agents.pop(id, None)
    if agent is None:
        raise not_found("key")
    call.server.accounts.revoke_key(call.tenant_id, id)
    call.audit("ai-memory.key.delete", id)
    if agent not in agents.values():
        for subscription in call.server.records.all(call.tenant_id, events.KIND):
            if subscription.body["tied_to"] == agent:
                events.unfollow(call, subscription.id)
    return {"id": id, "removed": True}


def _tied_keys(call: Call) -> list[tuple[Key, str]]:
    start = f"{NAME}:{TIE}"
    return [
        (key, scope.removeprefix(start))
        for key in call.server.accounts.keys(call.tenant_id)
        for scope in key.scopes
        if scope.startswith(start)
    ]


def _key_row(key: Key, agent: str) -> dict[str, Any]:
    return {
        "id": key.id,
        "agent_id": agent,
        "permission": "write" if f"{NAME}:write" in key.scopes else "read",
        "created_at": written(key.created_at),
    }


__all__ = ["key_routes", "know", "routes"]
