"""Reading and writing memories by ai-memory's rules: titles that are unique in their namespace, links that go with them.

A title is looked up and then written under one lock for each account. Two replicas on one PostgreSQL that store the same
new title at the same moment both store it; the next store of that title merges with the older one.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from onebrain.memory.driver import ListRequest, SearchRequest
from onebrain.memory.filters import Cmp, Filter, every, memory_matches, negate
from onebrain.memory.models import EVERYTHING, Memory, Scope
from onebrain.memory.remembering.messages import tells_source
from onebrain_engine.index.text import analyse, analyse_query
from onebrain_engine.updating import Revision
from onebrain_server.dialects.ai_memory import mapping
from onebrain_server.dialects.ai_memory.mapping import Row
from onebrain_server.dialects.ai_memory.rules import links, tiers
from onebrain_server.dialects.ai_memory.rules.identity import NO_MESSAGE, changeable, readable, tied
from onebrain_server.dialects.ai_memory.wire import NAME, not_found
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.listing import every_memory

_RELATED: Final = 5
_VERSIONS: Final = 1024


@contextmanager
def writing(call: Call) -> Generator[None, None, None]:
    """Let one request at a time read and then change the account's memories of this service."""
    with call.server.changing(call.tenant_id, NAME):
        yield


# ---- reading ----------------------------------------------------------------------------------------------------------


def memory_of(call: Call, id: str, *, what: str = "memory") -> Memory:
    """Return a memory by its whole id; raise if there is none, or none that the caller may see."""
    found = call.memories.get([id], EVERYTHING)
    if not found or not memory_matches(readable(tied(call)), found[-1]):
        raise not_found(what)
    return found[-1]


def own(call: Call, id: str) -> Row:
    """Return a memory that the caller may change; raise if there is none, or it may only be read."""
    memory = memory_of(call, id)
    if not memory_matches(changeable(tied(call)), memory):
        raise Problem(
            403, "FORBIDDEN", "this memory belongs to another agent, which has not let yours change it"
        )
    return mapping.of(memory)


def ids_matching(found: Sequence[Memory], filter: Filter) -> set[str]:
    """Return the ids of those memories that match."""
    return {memory.id for memory in found if memory_matches(filter, memory)}


def within(namespace: str | None) -> tuple[Scope, Filter]:
    """Return where to look: in a namespace, or in all of them but the inboxes."""
    if namespace is None:
        return EVERYTHING, NO_MESSAGE
    return Scope(space=namespace), every()


def everything(call: Call, scope: Scope, filter: Filter) -> Iterator[Memory]:
    """Return all memories of a scope that match, oldest first."""
    return every_memory(call.memories, ListRequest(scope=scope, filter=filter, order="created_at"))


def by_words(call: Call, words: str, scope: Scope, filter: Filter) -> Iterator[Memory]:
    """Return all memories with any of some words, best first."""
    offset, size = 0, 100
    while True:
        found = call.memories.search(
            SearchRequest(query=words, scope=scope, filter=filter, limit=size, offset=offset, mode="keyword")
        )
        yield from (hit.memory for hit in found.hits)
        if not found.more:
            return
        offset, size = offset + size, min(10_000, size * 4)


def with_all_words(call: Call, words: str, scope: Scope, filter: Filter) -> Iterator[Memory]:
    """Return the memories that hold every one of some words in content, title or tags, best first."""
    wanted = frozenset(analyse_query(words).terms)
    for memory in by_words(call, words, scope, filter):
        if wanted <= analyse(memory.content).terms.keys():
            yield memory


def alike(call: Call, row: Row) -> list[str]:
    """Return the ids of other memories of the namespace whose title has every word of this one's: they may contradict it."""
    wanted = frozenset(analyse_query(row.title).terms)
    if not wanted:
        return []
    filter = every(readable(tied(call)), NO_MESSAGE, negate(Cmp("$id", "eq", row.id)))
    request = SearchRequest(
        query=row.title, scope=Scope(space=row.namespace), filter=filter, limit=25, mode="keyword"
    )
    found = (hit.memory for hit in call.memories.search(request).hits)
    return [memory.id for memory in found if wanted <= analyse(memory.title or "").terms.keys()][:_RELATED]


# ---- writing ----------------------------------------------------------------------------------------------------------


def titled(call: Call, namespace: str, titles: Sequence[str]) -> dict[str, Memory]:
    """Return the memories of a namespace with these titles, the oldest where there are several."""
    filter = every(Cmp("$title", "in", list(titles)), NO_MESSAGE)
    found = everything(call, Scope(space=namespace), filter)
    return {memory.title or "": memory for memory in reversed(list(found))}


def taken(call: Call, other: Memory) -> Problem:
    """Return the failure for a title that another memory of the namespace has; its id is told to those who may see it."""
    if not memory_matches(readable(tied(call)), other):
        message = "a memory of another agent has this title in the namespace; use another title or namespace"
        return Problem(409, "CONFLICT", message)
    message = "a memory with this title exists in the namespace already"
    return Problem(409, "CONFLICT", message, details=[{"existing_id": other.id}])


def free_title(call: Call, row: Row) -> str:
    """Return the title, with the first number behind it that makes it unique in its namespace."""
    candidates = [row.title, *(f"{row.title} ({number})" for number in range(2, _VERSIONS + 1))]
    for start in range(0, len(candidates), 32):
        some = candidates[start : start + 32]
        there = titled(call, row.namespace, some)
        for title in some:
            if title not in there:
                return title
    raise Problem(409, "CONFLICT", f"there are {_VERSIONS} versions of this title already; use another one")


def upsert(call: Call, given: Sequence[Row], moment: datetime) -> list[Row | Problem]:
    """Store rows in order, each merged with the one of its title, if any; return each stored row, or why it was refused.

    A row whose id belongs to a memory of another title is refused, as is one whose title belongs to another agent, and a new
    one that the account's plan does not allow.
    """
    with call.server.plans.storing(call.known.account, len(given)) as allowed:
        return _upsert(call, given, moment, allowed)


def _upsert(call: Call, given: Sequence[Row], moment: datetime, allowed: int) -> list[Row | Problem]:
    known, foreign = _known(call, given)
    ids = {memory.id for memory in call.memories.get([row.id for row in given], EVERYTHING)}
    results: list[Row | Problem] = []
    changed: dict[str, Row] = {}
    for row in given:
        old = known.get((row.namespace, row.title)) if row.to is None else None
        if old is not None and old.id in foreign:
            results.append(taken(call, foreign[old.id]))
            continue
        if old is not None:
            row = tiers.merged(old, row, moment)
        elif row.id in ids:
            # In the words of the original's database, by which clients know it.
            results.append(Problem(409, "CONFLICT", "UNIQUE constraint failed: memories.id"))
            continue
        elif not allowed:
            results.append(full(call))
            continue
        else:
            allowed -= 1
        known[row.namespace, row.title] = changed[row.id] = row
        ids.add(row.id)
        results.append(row)
    save(call, list(changed.values()))
    return results


def _known(call: Call, given: Sequence[Row]) -> tuple[dict[tuple[str, str], Row], dict[str, Memory]]:
    """Return the memories that rows are titled like, and those of them by id that the caller may not change."""
    known: dict[tuple[str, str], Row] = {}
    foreign: dict[str, Memory] = {}
    for namespace in dict.fromkeys(row.namespace for row in given):
        titles = [row.title for row in given if row.namespace == namespace and row.to is None]
        for title, memory in titled(call, namespace, titles).items() if titles else ():
            known[namespace, title] = mapping.of(memory)
            if not memory_matches(changeable(tied(call)), memory):
                foreign[memory.id] = memory
    return known, foreign


def full(call: Call) -> Problem:
    """Return the failure for a new memory that the account's plan does not allow."""
    most = call.server.plans.limit(call.known.account, "memories")
    return Problem(
        403, "QUOTA", f"the plan's limit is reached: {most} memories; delete some that are not needed"
    )


def save(call: Call, changed: Sequence[Row]) -> None:
    """Write rows, all or none."""
    for result in call.memories.store([mapping.to_store(row) for row in changed]):
        if result.error is not None:
            raise result.error


def change(call: Call, old: Row, new: Row) -> Row:
    """Write a changed row over the old one, and return the stored row."""
    other = titled(call, new.namespace, [new.title]).get(new.title) if new.to is None else None
    if other is not None and other.id != old.id:
        raise taken(call, other)
    # Stored there before it is deleted here, so that a failure between the two loses nothing.
    save(call, [new])
    if new.namespace != old.namespace:
        call.memories.delete([old.id], Scope(space=old.namespace))
    there = call.memories.get([new.id], Scope(space=new.namespace))
    # It may have expired by this very change.
    return mapping.of(there[-1]) if there else new


def note(call: Call, row: Row, *, updated_at: datetime) -> None:
    """Write fields beside a memory's text, such as its number of recalls, without making it look new."""
    call.memories.update(row.id, mapping.besides_text(row), Scope(space=row.namespace), at=updated_at)


def recall(call: Call, ids: Sequence[str], moment: datetime) -> None:
    """Note that memories were recalled, as far as they are still there."""
    rows = [mapping.of(memory) for memory in call.memories.get(ids, EVERYTHING)]
    # One that has expired, or that another replica has removed, since the line above is left out.
    call.memories.revise(
        [
            Revision(
                row.id, row.namespace, mapping.besides_text(tiers.recalled(row, moment)), at=row.updated_at
            )
            for row in rows
        ]
    )


def remove(call: Call, ids: Sequence[str], *, known: Row | None = None) -> int:
    """Remove memories and their links for good; return how many were there.

    The facts that were drawn from them alone go, too. `known` is the only memory, if it was read already.
    """
    facts: list[str] = []
    if known is None or tells_source(known.metadata):
        facts = [fact.id for fact in call.facts_of(call.memories.get(ids, EVERYTHING))]
    gone = call.memories.delete([*ids, *facts], EVERYTHING)
    links.forget(call, [*ids, *facts])
    return gone
