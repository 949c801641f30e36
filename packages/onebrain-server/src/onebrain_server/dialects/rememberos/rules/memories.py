"""Storing, changing, finding and deleting memories by RememberOS's rules."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from onebrain.memory.driver import Changes, ListRequest, SearchRequest
from onebrain.memory.filters import TRUE, Cmp, Filter, every, negate
from onebrain.memory.models import Memory, NewMemory, Scope
from onebrain_server.clock import now_micros
from onebrain_server.dialects.rememberos.mapping import row
from onebrain_server.dialects.rememberos.rules import events
from onebrain_server.dialects.rememberos.rules.collections import Collection
from onebrain_server.dialects.rememberos.rules.partition import Partition
from onebrain_server.http.problems import Problem, not_found
from onebrain_server.listing import every_memory

CURRENT: Final = Cmp("$extra.superseded_by", "exists", False)


SUPERSEDED: Final = Cmp("$extra.superseded_by", "exists", True)


def one(partition: Partition, collection: Collection, id: str, container_tag: str | None = None) -> Memory:
    """Return a memory of a collection, and of a sub-namespace where one is named; raise if there is none."""
    found = partition.memories.get([id], collection.tagged(container_tag))
    if not found:
        raise not_found("Memory")
    return found[0]


def store(partition: Partition, drafts: Sequence[NewMemory]) -> list[Memory]:
    """Store memories of one collection and return them in order."""
    with storing(partition, len(drafts)):
        return put(partition, drafts)


def put(partition: Partition, drafts: Sequence[NewMemory]) -> list[Memory]:
    """Store memories inside `storing`, as `store` does."""
    if not drafts:
        return []
    stored = list(partition.memories.store_and_return(drafts))
    events.emit(partition, "memory.created", map(row, stored))
    return stored


@contextmanager
def storing(partition: Partition, more: int) -> Generator[None, None, None]:
    """Reserve memories of the plan while they are stored; raise if the plan does not allow all of them."""
    plans, owner = partition.server.plans, partition.server.accounts.by_id(partition.tenant)
    # It was deleted in the meantime.
    if owner is None or not owner.is_active:
        raise Problem(404, "NOT_FOUND", "The account is gone")
    with plans.storing(owner, more) as allowed:
        if allowed < more:
            most = plans.limit(owner, "memories")
            raise Problem(
                403, "QUOTA", f"The plan's limit is reached: {most} memories; delete some that are not needed"
            )
        yield


def change(partition: Partition, memory: Memory, **fields: Any) -> Memory:
    """Change columns of a memory."""
    changed = partition.memories.update(memory.id, Changes(fields=fields, merge_metadata=False), memory.scope)
    events.emit(partition, "memory.updated", [row(changed)])
    return changed


def supersede(partition: Partition, old: Memory, new_id: str) -> None:
    """Mark a memory as superseded: it stays, and searches leave it out."""
    # None, where it was deleted in the meantime.
    for fresh in partition.memories.get([old.id], old.scope):
        change(
            partition, fresh, extra={**fresh.extra, "superseded_by": new_id, "superseded_at": now_micros()}
        )


def remove(partition: Partition, collection: Collection, ids: Sequence[str]) -> int:
    """Delete memories of a collection; those that they had superseded are current again, or superseded by their successor."""
    gone = {
        memory.id: memory.extra.get("superseded_by")
        for memory in partition.memories.get(ids, collection.scope)
    }
    if not gone:
        return 0
    count = partition.memories.delete(list(gone), collection.scope)
    orphaned = Cmp("$extra.superseded_by", "in", list(gone))
    for old in everything(partition, collection.scope, orphaned, archived=True):
        heir = old.extra["superseded_by"]
        while heir in gone:
            heir = gone[heir]
        extra = {name: value for name, value in old.extra.items() if not name.startswith("superseded_")}
        if heir is not None:
            extra |= {"superseded_by": heir, "superseded_at": old.extra["superseded_at"]}
        change(partition, old, extra=extra)
    events.removed(partition, collection.name, gone)
    return count


def everything(
    partition: Partition,
    scope: Scope,
    filter: Filter = TRUE,
    *,
    archived: bool = False,
    most: int | None = None,
    embeddings: bool = False,
) -> list[Memory]:
    """Return the memories that match, newest first."""
    request = ListRequest(scope=scope, filter=filter, include_archived=archived, with_embeddings=embeddings)
    return list(every_memory(partition.memories, request, most=most))


def listed(partition: Partition, scope: Scope, *, limit: int, offset: int, archived: bool) -> list[Memory]:
    """Return one page of memories: pinned ones first, newest first in each of the two groups."""
    pinned = Cmp("$pinned", "eq", True)

    def page(group: Filter, most: int, skipped: int) -> list[Memory]:
        request = SearchRequest(
            scope=scope, filter=group, limit=most, offset=skipped, include_archived=archived
        )
        answer = partition.memories.search(request)
        if len(answer.hits) < most and answer.more:
            raise Problem(
                413,
                "PAYLOAD_TOO_LARGE",
                f"This page holds more than {partition.server.settings.max_page_bytes // 2**20} MB; ask with a smaller limit",
            )
        return [hit.memory for hit in answer.hits]

    found = page(pinned, limit, offset)
    if len(found) < limit:
        before = partition.memories.count(scope, pinned, include_archived=archived) if offset else 0
        found += page(negate(pinned), limit - len(found), max(0, offset - before))
    return found


def others(memory: Memory) -> Filter:
    """Return the filter for every current memory but one."""
    return every(CURRENT, negate(Cmp("$id", "eq", memory.id)))
