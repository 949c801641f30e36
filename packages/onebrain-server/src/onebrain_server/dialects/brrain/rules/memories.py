"""Storing and reading memories by bRRAIn's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from onebrain.memory.models import Memory, NewMemory, Scope
from onebrain_server.clock import iso
from onebrain_server.dialects.brrain.mapping import ENTITIES, StoreFields, entity_names, processing
from onebrain_server.dialects.brrain.rules import duplicates, lifetimes, workspaces
from onebrain_server.dialects.brrain.wire import DEFAULT_WORKSPACE, VAULT, duplicate
from onebrain_server.http.problems import Problem, from_engine, not_found
from onebrain_server.http.requests import Call


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory on its way to the engine.

    Attributes:
        ids: The ids that its text may have already; it is stored with the first.
        asked: The fingerprints of the request; its answer is kept with the first.
    """

    fields: StoreFields
    workspace_id: str
    ids: tuple[str, ...]
    asked: tuple[str, ...]
    moment: datetime


def draft(call: Call, fields: StoreFields) -> Draft:
    """Return a memory to store; raise if it is meant for a workspace that the caller may not use."""
    workspace_id = workspaces.meant(call, fields.workspace_id) or DEFAULT_WORKSPACE
    body = {**fields.model_dump(exclude={"idempotency_key"}), "workspace_id": workspace_id}
    # As exact as answers tell it, so that a search for later memories does not find the memory itself.
    moment = datetime.now(UTC)
    return Draft(
        fields=fields,
        workspace_id=workspace_id,
        ids=duplicates.ids_of(call, workspace_id, fields.content),
        asked=duplicates.fingerprints(call, body),
        moment=moment.replace(microsecond=moment.microsecond // 1000 * 1000),
    )


def store(call: Call, drafts: Sequence[Draft]) -> list[dict[str, Any] | Problem]:
    """Store memories in one step; return the answer for each: its row, or why it was refused.

    Deleted memories count for the plan until they are out of storage.
    """
    with call.server.plans.storing(call.known.account, len(drafts)) as allowed:
        return _store(call, drafts, allowed)


def _store(call: Call, drafts: Sequence[Draft], allowed: int) -> list[dict[str, Any] | Problem]:
    taken = set(duplicates.there(call, (id for one in drafts for id in one.ids)))
    keys: dict[str, tuple[str, ...]] = {}
    results: list[dict[str, Any] | Problem | None] = [None] * len(drafts)
    good: list[tuple[int, Draft]] = []
    for index, one in enumerate(drafts):
        results[index] = _refused(call, one, taken, keys)
        if results[index] is None and len(good) >= allowed:
            results[index] = Problem(
                403,
                "quota_exceeded",
                "The account's plan has no room for more memories; ask the server's owner",
            )
        if results[index] is None:
            # Whatever comes later in the batch is compared with it, too.
            good.append((index, one))
            taken.add(one.ids[0])
            if one.fields.idempotency_key is not None:
                keys[one.fields.idempotency_key] = one.asked
    stored = call.memories.store([_new(one) for _, one in good]) if good else []
    for (index, one), result in zip(good, stored, strict=True):
        if result.error is not None:
            results[index] = from_engine(result.error)
            continue
        row = _stored_row(call, one)
        duplicates.keep_answer(call, one.fields.idempotency_key, one.asked[0], row)
        results[index] = row
    return [result for result in results if result is not None]


def _refused(
    call: Call, one: Draft, taken: set[str], keys: Mapping[str, tuple[str, ...]]
) -> dict[str, Any] | Problem | None:
    """Return the earlier answer, or the failure, if a memory is not stored again; None if it is to be stored."""
    key = one.fields.idempotency_key
    try:
        answer = duplicates.earlier_answer(call, key, one.asked)
    except Problem as problem:
        return problem
    if answer is not None:
        return answer
    if key is not None and keys.get(key, one.asked) != one.asked:
        return duplicate(
            "idempotency_conflict", "Another memory of this batch has this idempotency_key", None
        )
    existing = next((id for id in one.ids if id in taken), None)
    if existing is not None:
        return duplicate("duplicate_content", "This workspace holds this content already", existing)
    return None


def _new(one: Draft) -> NewMemory:
    return NewMemory.checked(
        id=one.ids[0],
        content=one.fields.content,
        scope=Scope(space=one.workspace_id),
        metadata=one.fields.metadata or {},
        created_at=one.moment,
        extra={
            **lifetimes.time_to_live(one.moment, one.fields.ttl_seconds),
            ENTITIES: entity_names(one.fields.content),
        },
    )


def _stored_row(call: Call, one: Draft) -> dict[str, Any]:
    content = one.fields.content
    return {
        "id": one.ids[0],
        "status": "stored",
        "vault_id": VAULT,
        "workspace_id": one.workspace_id,
        "created_at": iso(one.moment),
        "content_hash": f"sha256:{duplicates.content_hash(content)}",
        "byte_size": len(content.encode()),
        "metadata": one.fields.metadata or {},
        "processing": processing(call),
    }


def one(call: Call, id: str) -> Memory:
    """Return a memory that the caller may see; raise if there is none with this id, or none any more."""
    for memory in call.memories.get([id], workspaces.visible(call)):
        if not lifetimes.deleted(memory):
            return memory
    raise not_found("Memory")
