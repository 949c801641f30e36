"""``…/collections/{name}/grants``: which agents may use a collection.

Grants are made with the account's own keys: an agent could otherwise grant itself a collection that it is shut out from.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from onebrain_server.dialects.rememberos.routes import keys
from onebrain_server.dialects.rememberos.rules import collections
from onebrain_server.dialects.rememberos.rules.collections import Collection, readable
from onebrain_server.dialects.rememberos.rules.partition import partition_of
from onebrain_server.dialects.rememberos.wire import Routes, Wire
from onebrain_server.http.problems import not_found
from onebrain_server.http.requests import Call

routes = Routes("/memory/collections/{name}/grants", "grants")


class GrantRow(Wire):
    """The rights of one agent in a collection."""

    agent_key_id: str
    can_read: bool
    can_write: bool


class GrantsAnswer(Wire):
    """Who may use a collection: every agent of the account, unless it is restricted."""

    restricted: bool
    grants: list[GrantRow]


def _answer(found: Collection) -> dict[str, Any]:
    rows = [{"agent_key_id": id, **rights} for id, rights in found.grants.items()]
    return {"restricted": bool(rows), "grants": rows}


class GrantFields(Wire):
    """The new rights of an agent."""

    agent_key_id: Annotated[str, Field(min_length=1, max_length=64)]
    can_read: bool = True
    can_write: bool = False


@routes.put("", needs="admin", answers=GrantsAnswer, errors=(404,))
def put_grant(call: Call, name: str, body: GrantFields) -> dict[str, Any]:
    """Let an agent use a collection; the first grant shuts all others out, the caller included."""
    partition, found = partition_of(call), _one(call, name)
    if not any(key.id == body.agent_key_id for key in keys.agents(call)):
        raise not_found("Agent")
    changed = collections.grant(
        partition, found, body.agent_key_id, {"can_read": body.can_read, "can_write": body.can_write}
    )
    call.audit("rememberos.grant", f"{found.id} {body.agent_key_id}")
    return _answer(changed)


@routes.get("", needs="read", answers=GrantsAnswer, errors=(404,))
def list_grants(call: Call, name: str) -> dict[str, Any]:
    """Say whether a collection is restricted, and to whom."""
    return _answer(_one(call, name) if "admin" in call.scopes else readable(call, name))


@routes.delete("/{agent_key_id}", needs="admin", answers=GrantsAnswer, errors=(404,))
def revoke_grant(call: Call, name: str, agent_key_id: str) -> dict[str, Any]:
    """Take an agent's grant away; without the last one, the collection is open to every agent again."""
    found = _one(call, name)
    if agent_key_id not in found.grants:
        raise not_found("Grant")
    changed = collections.grant(partition_of(call), found, agent_key_id, None)
    call.audit("rememberos.grant.revoke", f"{found.id} {agent_key_id}")
    return _answer(changed)


def _one(call: Call, name: str) -> Collection:
    found = collections.find(partition_of(call), name)
    if found is None:
        raise collections.unknown()
    return found
