"""Changing and removing memories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from onebrain._core.codec import UNSET, Unset
from onebrain._core.endpoint import endpoint
from onebrain._core.steps import Mode, Steps
from onebrain.errors import OneBrainNotFoundError, OneBrainValidationError
from onebrain.memory import deletion
from onebrain.memory.acceptance import expiry
from onebrain.memory.checks import check_id
from onebrain.memory.driver import (
    Changes,
    Reembeds,
    several_with_id,
    unsupported,
)
from onebrain.memory.filters import TRUE, Filter, every
from onebrain.memory.ids import Id
from onebrain.memory.models import (
    EVERYTHING,
    ForgetResult,
    Memory,
    ReembedResult,
    Scope,
)
from onebrain.memory.remembering.messages import is_source, still_a_source
from onebrain.memory.verbs.base import (
    Embedding,
    FilterLike,
    check_scope,
    id_list,
    identity,
    is_storable_id,
    owner_of,
)
from onebrain.memory.verbs.deriving import MAY_BE_SOURCE, SOURCE_KEYS, Deriving
from onebrain.memory.verbs.storing import check_storable, new_memory


class Changing(Deriving[Mode]):
    """Changing and removing memories."""

    @endpoint
    def update(
        self,
        id: Id,
        *,
        scope: Scope = EVERYTHING,
        content: str | Unset = UNSET,
        title: str | Unset | None = UNSET,
        type: str | Unset | None = UNSET,
        tags: Iterable[str] | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
        replace_metadata: bool = False,
        importance: float | Unset | None = UNSET,
        source: str | Unset | None = UNSET,
        pinned: bool | Unset = UNSET,
        archived: bool | Unset = UNSET,
        created_at: datetime | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        ttl: float | timedelta | Unset = UNSET,
        valid_from: datetime | Unset | None = UNSET,
        valid_until: datetime | Unset | None = UNSET,
        supersedes: Id | Iterable[Id] | Unset = UNSET,
        sources: Id | Iterable[Id] | Unset = UNSET,
        embedding: Embedding | Literal[False] | Unset = UNSET,
        extra: Mapping[str, Any] | Unset = UNSET,
    ) -> Steps[Memory]:
        """Change the given fields of one memory and return the memory.

        Metadata is merged key by key unless `replace_metadata` says otherwise; None empties a field. The memory keeps
        its place in its session and its ``created_at``; new content gets a new vector. The keys by which `remember` knows a
        message and its facts stay, unless they are given.

        Raises:
            OneBrainNotFoundError: `scope` has no memory with this id.
            Unsupported: The service cannot update, or not this field.
        """
        check_scope(scope)
        known = check_id("id", id)
        can = self.capabilities
        if not can.update:
            raise unsupported(can, "updating a memory", "delete it and store it again")
        given = {
            name: value
            for name, value in {
                "content": content,
                "title": title,
                "type": type,
                "tags": tags,
                "metadata": metadata,
                "importance": importance,
                "source": source,
                "pinned": pinned,
                "archived": archived,
                "created_at": created_at,
                "expires_at": expires_at,
                "ttl": ttl,
                "valid_from": valid_from,
                "valid_until": valid_until,
                "supersedes": supersedes,
                "sources": sources,
                "embedding": embedding,
                "extra": extra,
            }.items()
            if value is not UNSET
        }
        for name in ("content", "pinned", "archived", "created_at", "embedding"):
            if name in given and given[name] is None:
                raise OneBrainValidationError(f"{name}: cannot be emptied")
        # Validated like a new memory; a field that was not given takes a harmless default.
        probe = new_memory(
            {"content": "-", **{k: v for k, v in given.items() if v is not None}}, EVERYTHING, {}
        )
        check_storable(self.capabilities, probe)
        changes = {name: getattr(probe, name) if given[name] is not None else None for name in given}
        if "ttl" in changes:
            changes.pop("ttl")
            changes["expires_at"] = expiry(None, probe.ttl, datetime.now(UTC))
        if not is_storable_id(known):
            raise OneBrainNotFoundError("no memory with this id in this scope", service=can.service)
        wanted = Changes.trusted(changes, merge_metadata=not replace_metadata)
        if replace_metadata or not SOURCE_KEYS.isdisjoint(changes.get("metadata") or ()):
            wanted = yield from self._keeping_facts(known, wanted, scope)
        return (yield from self._driver.update(known, wanted, scope))

    def _keeping_facts(self, id: str, changes: Changes, scope: Scope) -> Steps[Changes]:
        """Return changes of a memory after which the facts that were drawn from it still go with it."""
        found = yield from self._get([id], scope, False)
        return still_a_source(found[0], changes) if len(found) == 1 else changes

    @endpoint
    def reembed(
        self,
        *,
        embedder: Any = None,
        scope: Scope = EVERYTHING,
        replace: bool = False,
        progress: Callable[[int, int], object] | None = None,
        anew: bool = False,
    ) -> Steps[ReembedResult]:
        """Give a space another embedder, and all of its memories that have a vector a vector of that one.

        Searches use the former vectors until the last new one is made, and memories can be stored and changed meanwhile. A call
        that was interrupted goes on where it was if it is made again. Afterwards this brain uses the new embedder for these
        spaces; programs that start later have to name it as their ``embedder``.

        Args:
            embedder: The embedder, as `onebrain.connect` takes it; None for the one that this brain was opened with.
            scope: The space, ``Scope(space=...)``; without one all spaces, except those with vectors of the caller's own.
            replace: Whether to discard the vectors of an unfinished call with another embedder.
            progress: Called after each batch with the number of memories that have their new vector and the number of all; in
                another thread if the brain is async.
            anew: Whether to make the vectors again of spaces that have this embedder already.

        Raises:
            Unsupported: The service chooses its embedder itself.
            ReembedConflict: An unfinished call makes vectors of another embedder.
            EmbedderMismatch: The space holds vectors of the caller's own.

        Example:
            >>> import onebrain
            >>> with onebrain.connect("sqlite://") as brain:
            ...     _ = brain.store("Maria prefers window seats")
            ...     brain.reembed(embedder="wordllama").embedder
            'wordllama:l2_supercat_256'
        """
        check_scope(scope)
        if scope.user is not None or scope.agent is not None or scope.session is not None:
            raise OneBrainValidationError(
                "reembed(): all memories of a space have one embedder; give a scope with a space only"
            )
        driver = self.driver
        if not (self.capabilities.reembed and isinstance(driver, Reembeds)):
            raise unsupported(self.capabilities, "changing the embedder", "it is a setting of the service")
        # A driver may have been written before there was this option.
        more = {"anew": True} if anew else {}
        return (yield from driver.reembed(embedder, scope.space, replace=replace, progress=progress, **more))

    @endpoint
    def delete(
        self, ids: Id | Iterable[Id], *, scope: Scope = EVERYTHING, keep_facts: bool = False
    ) -> Steps[int]:
        """Remove one or several memories by id, in `scope` only; return the number of those that were there.

        The facts that `remember` drew from them go, too, unless they have another source.

        Args:
            ids: The id or ids.
            scope: Where the memories are.
            keep_facts: Keep the facts.
        """
        check_scope(scope)
        if not self.capabilities.delete:
            raise unsupported(self.capabilities, "deleting memories")
        wanted = [id for id in dict.fromkeys(id_list(ids)) if is_storable_id(id)]
        if not wanted:
            return 0
        if not keep_facts and self._deletes_unless is not None:
            count = yield from self._deletes_unless.delete_unless(wanted, scope, SOURCE_KEYS)
            if count is not None:
                return count
        rows: list[Memory] = []
        if not keep_facts or self._emulated is not None:
            rows = yield from self._read(self.driver, wanted, scope, False)
        gone = [] if keep_facts else [memory for memory in rows if is_source(memory)]
        if not gone:
            return (yield from self._remove(wanted, scope, rows))
        alone, shared = yield from self._derived(gone)
        yield from self._let_go(shared, gone)
        # The facts first: if this is interrupted, the call can be made again.
        named = set(wanted)
        yield from self._delete_derived([fact for fact in alone if fact.id not in named])
        return (yield from self._remove(wanted, scope, rows))

    def _remove(self, ids: Sequence[str], scope: Scope, rows: Iterable[Memory]) -> Steps[int]:
        """Remove memories; `rows` are those, as far as they were read."""
        if self._emulated is None:
            return (yield from self._driver.delete(ids, scope))
        return (yield from self._emulated.remove(ids, scope, rows))

    def _delete_derived(self, facts: Sequence[Memory]) -> Steps[None]:
        owners: dict[Scope, list[Memory]] = {}
        for fact in facts:
            owners.setdefault(owner_of(fact), []).append(fact)
        for owner, some in owners.items():
            yield from self._delete_rows(some, owner)

    @endpoint
    def forget(
        self,
        *,
        filter: FilterLike | None = None,
        scope: Scope = EVERYTHING,
        dry_run: bool = False,
        everything: bool = False,
        keep_facts: bool = False,
    ) -> Steps[ForgetResult]:
        """Remove every memory in `scope` that matches `filter`, archived ones included, and return their number and ids.

        Args:
            filter: Which memories; None for all in the scope. One that is empty, or holds for every memory, is refused
                unless `everything` is given, too.
            scope: Where.
            dry_run: Remove nothing; return the memories that would go.
            keep_facts: Keep the facts that `remember` drew from these memories; otherwise they go, too, and are counted, unless
                they have another source.
            everything: Needed where neither a filter nor a scope is given, so that nobody empties a brain by accident.
        """
        check_scope(scope)
        condition = deletion.condition(
            filter, everything=everything, instead="pass everything=True for every memory in the scope"
        )
        if not scope and filter is None and not everything:
            raise OneBrainValidationError(
                "forget() without a filter and a scope would remove every memory; pass everything=True to mean that"
            )
        if not self.capabilities.delete:
            raise unsupported(self.capabilities, "deleting memories")
        alone: list[Memory] = []
        # Facts have no session and no agent: a scope without them has the facts of its messages as well.
        if not keep_facts and (filter is not None or scope.session is not None or scope.agent is not None):
            alone = yield from self._facts_to_forget(scope, condition, dry_run)
        result = yield from self._forget(scope, condition, dry_run)
        more = [fact.id for fact in alone if fact.id not in set(result.ids)]
        if not more:
            return result
        return ForgetResult(count=result.count + len(more), dry_run=dry_run, ids=(*result.ids, *more))

    def _facts_to_forget(self, scope: Scope, condition: Filter, dry_run: bool) -> Steps[list[Memory]]:
        """Remove, unless `dry_run`, the facts that have no other source than memories which are to be forgotten."""
        if not self.capabilities.list:
            return []
        wanted = every(condition, MAY_BE_SOURCE)
        gone = yield from self._walk(*self._listing(scope, wanted, True, False, include_superseded=True))
        if not gone:
            return []
        alone, shared = yield from self._derived(gone)
        if not dry_run:
            yield from self._let_go(shared, gone)
            yield from self._delete_derived(alone)
        return alone

    def _forget(self, scope: Scope, condition: Filter, dry_run: bool) -> Steps[ForgetResult]:
        can = self.capabilities
        if self._forgets is not None and self._split(condition)[1] == TRUE:
            return (yield from self._forgets.forget(scope, condition, dry_run=dry_run))
        if not can.list:
            raise unsupported(can, "forgetting by scope or filter", "search, and delete by id")
        rows = yield from self._walk(*self._listing(scope, condition, True, False, include_superseded=True))
        ids = tuple(memory.id for memory in rows)
        count = len(ids)
        if ids and not dry_run:
            count = yield from self._delete_rows(rows, scope)
        return ForgetResult(count=count, dry_run=dry_run, ids=ids)

    def _delete_rows(self, rows: Sequence[Memory], scope: Scope) -> Steps[int]:
        """Remove exactly these memories, and none of another user or space with the same id."""
        ids = list(dict.fromkeys(memory.id for memory in rows))
        if self.capabilities.client_ids:
            named = yield from self._driver.get(ids, scope)
            doomed = set(map(identity, rows))
            bystanders = [memory for memory in named if identity(memory) not in doomed]
            shared = {memory.id for memory in bystanders}
        else:
            bystanders, shared = [], set[str]()
        apart: dict[Scope, list[str]] = {}
        for memory in rows:
            if memory.id in shared:
                own = owner_of(memory).within(scope)
                if any(memory.id == other.id and own.covers(other.scope) for other in bystanders):
                    raise several_with_id(self.capabilities.service)
                apart.setdefault(own, []).append(memory.id)
        together = [id for id in ids if id not in shared]
        count = (yield from self._remove(together, scope, rows)) if together else 0
        for own, some in apart.items():
            count += yield from self._remove(some, own, rows)
        return count
