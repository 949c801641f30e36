"""``/v1/agents``: keys as agents, their activity, and their candidates for review."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field

from onebrain.memory.filters import Cmp, Filter, every
from onebrain.memory.models import EVERYTHING
from onebrain_server.clock import now_micros
from onebrain_server.dialects.onebrain.routes import keys
from onebrain_server.dialects.onebrain.routes.keys import WholeKeyRow
from onebrain_server.dialects.onebrain.rules import memories
from onebrain_server.dialects.onebrain.wire import Page, Paging, Routes, Wire, paged
from onebrain_server.http.operation import Answer
from onebrain_server.http.problems import Problem, not_found
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.security.scopes import READ_ONLY
from onebrain_server.state.accounts import Key
from onebrain_server.state.database import Taken

routes = Routes("/v1/agents", "agents")
_NINETY_DAYS = 90 * 86_400 * 1_000_000


class AgentRow(WholeKeyRow):
    """A key as an agent."""

    total_calls: int
    candidate_count: int


def _waiting(key_id: str | None) -> Filter:
    """Return the filter for the candidates of one agent, or of all."""
    return (
        memories.CANDIDATES
        if key_id is None
        else every(memories.CANDIDATES, Cmp("$extra.keyId", "eq", key_id))
    )


def _key(call: Call, id: str) -> Key:
    key = call.server.accounts.key(call.tenant_id, id)
    if key is None:
        raise not_found("Agent")
    return key


@routes.get("", needs="brain.read", answers=list[AgentRow])
def list_agents(call: Call) -> list[dict[str, Any]]:
    """List keys as agents, newest first."""
    call.server.accounts.flush()
    calls = Counter[str]()
    for key_id, _, _, count in call.server.journal.act_counts(call.tenant_id):
        calls[key_id] += count
    return [
        row_of(
            AgentRow,
            key,
            total_calls=calls[key.id],
            candidate_count=call.memories.count(EVERYTHING, _waiting(key.id), include_archived=True),
        )
        for key in call.server.accounts.keys(call.tenant_id)
    ]


class Summary(Wire):
    """The activity of agents in numbers."""

    total_calls: int
    error_count: int
    error_rate: float
    active_agents: int
    pending_candidates: int
    by_action: list[dict[str, Any]]
    by_status: list[dict[str, Any]]


def _summary(call: Call, key_id: str | None) -> dict[str, Any]:
    rows = call.server.journal.act_counts(call.tenant_id, key_id)
    actions, statuses = Counter[str](), Counter[str]()
    for _, action, status, count in rows:
        actions[action] += count
        statuses[status] += count
    total = statuses.total()
    errors = total - statuses["success"]
    return {
        "totalCalls": total,
        "errorCount": errors,
        "errorRate": round(errors / total, 4) if total else 0,
        "activeAgents": len({row[0] for row in rows}),
        "pendingCandidates": call.memories.count(EVERYTHING, _waiting(key_id), include_archived=True),
        "byAction": [{"action": name, "count": count} for name, count in sorted(actions.items())],
        "byStatus": [{"status": name, "count": count} for name, count in sorted(statuses.items())],
    }


@routes.get("/summary", needs="brain.read", answers=Summary)
def summary(call: Call) -> dict[str, Any]:
    """Count the activity of all agents."""
    return _summary(call, None)


@routes.get("/{id}/summary", needs="brain.read", answers=Summary)
def agent_summary(call: Call, id: str) -> dict[str, Any]:
    """Count the activity of one agent."""
    return _summary(call, _key(call, id).id)


class ActivityRow(Wire):
    """One thing that an agent did."""

    id: str
    api_key_id: str
    action: str
    resource: str
    status: str
    details: dict[str, Any] | None
    created_at: str
    api_key: dict[str, str] | None


def _activity(call: Call, key_id: str | None, query: Paging) -> Answer:
    agents = {
        key.id: {"name": key.name, "prefix": key.prefix} for key in call.server.accounts.keys(call.tenant_id)
    }
    found, cursor = call.server.journal.acts(
        call.tenant_id, key_id=key_id, limit=query.limit, cursor=query.cursor
    )
    total = sum(row[3] for row in call.server.journal.act_counts(call.tenant_id, key_id))
    rows = [row_of(ActivityRow, act, api_key_id=act.key_id, api_key=agents.get(act.key_id)) for act in found]
    return paged(rows, cursor, total)


@routes.get("/activity", needs="brain.read", answers=Page[ActivityRow])
def activity(call: Call, query: Paging) -> Answer:
    """List the activity of all agents, newest first."""
    return _activity(call, None, query)


@routes.get("/{id}/activity", needs="brain.read", answers=Page[ActivityRow])
def agent_activity(call: Call, id: str, query: Paging) -> Answer:
    """List the activity of one agent, newest first."""
    return _activity(call, _key(call, id).id, query)


class ReviewFields(Wire):
    """The decision on an agent's candidates."""

    action: Literal["approve", "dismiss"]


class ReviewAnswer(Wire):
    """How many were changed."""

    action: str
    updated: int


@routes.post("/{id}/candidates", needs="brain.write", answers=ReviewAnswer)
def review(call: Call, id: str, body: ReviewFields) -> dict[str, Any]:
    """Approve or dismiss everything that an agent wrote and that waits for review."""
    caller = call.known
    if not caller.trusted:
        raise Problem(403, "FORBIDDEN", "A key under review cannot review")
    waiting = memories.everything(call, _waiting(_key(call, id).id), include_archived=True)
    status = "active" if body.action == "approve" else "archived"
    for one in waiting:
        with call.server.changing(call.tenant_id, one.id):
            memories.change(call, memories.one(call, one.id), status=status)
    return {"action": body.action, "updated": len(waiting)}


class AgentFields(Wire):
    """An agent that registers itself."""

    name: Annotated[str, Field(min_length=2, max_length=100)]
    description: Annotated[str, Field(min_length=10, max_length=1000)]
    contact_url: Annotated[str, Field(max_length=500)] | None = None


class NewAgent(Wire):
    """An agent with its key, which is shown this once."""

    agent: dict[str, Any]
    api_key: dict[str, Any]


@routes.post(
    "/register",
    idempotent=False,
    needs="anyone",
    answers=NewAgent,
    status=201,
    limit="agents.register",
    errors=(403, 409),
)
def register_agent(call: Call, body: AgentFields) -> dict[str, Any]:
    """Register an agent: an empty brain of its own, and a key that may read it for ninety days."""
    if not call.server.settings.registration:
        raise Problem(403, "FORBIDDEN", "This server takes no registrations")
    # An account has an address; no mail is ever sent to this domain.
    slug = "".join(letter if letter.isalnum() else "-" for letter in body.name.lower())[:60]
    try:
        account = call.server.accounts.register(f"{slug}@agents.localhost", None, body.name, "en")
    except Taken:
        raise Problem(409, "AGENT_NAME_TAKEN", "There is an agent with this name already") from None
    key, whole = call.server.accounts.create_key(
        account.id, body.name, READ_ONLY, expires_at=now_micros() + _NINETY_DAYS
    )
    call.server.accounts.change_key(account.id, key.id, {"description": body.description})
    call.audit_account(account.id, "agent.register", key.prefix, actor="anonymous")
    return {
        "agent": {"id": account.id, "name": body.name, "description": body.description},
        "apiKey": {**keys.row(key), "fullKey": whole},
    }


__all__ = ["routes"]
