"""Replacing memories by newer ones, which keeps the old ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from onebrain._core.codec import UNSET, Unset
from onebrain._core.endpoint import endpoint
from onebrain._core.steps import Mode, Steps
from onebrain.errors import OneBrainNotFoundError, OneBrainValidationError
from onebrain.memory.checks import check_id
from onebrain.memory.driver import Supersedes, several_with_id, unsupported
from onebrain.memory.filters import TRUE, Cmp, every
from onebrain.memory.ids import Id
from onebrain.memory.models import EVERYTHING, Memory, Scope, StoreResult, Suggestion
from onebrain.memory.remembering.messages import own_metadata
from onebrain.memory.suggesting import replaced
from onebrain.memory.verbs.base import Embedding, check_scope, owner_of
from onebrain.memory.verbs.searching import Searching
from onebrain.memory.verbs.storing import Storing

# Memories that are looked at for each one: the one that it replaces is among the first five in 93 of 100.
_CANDIDATES: Final = 5


class Superseding(Storing[Mode]):
    """Replacing memories by newer ones."""

    @endpoint
    def supersede(
        self,
        old: Id,
        content: str,
        *,
        scope: Scope = EVERYTHING,
        id: Id | None = None,
        title: str | None = None,
        type: str | Unset | None = UNSET,
        tags: Iterable[str] | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset | None = UNSET,
        importance: float | Unset | None = UNSET,
        source: str | None = None,
        pinned: bool | Unset = UNSET,
        created_at: datetime | None = None,
        expires_at: datetime | None = None,
        ttl: float | timedelta | None = None,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
        sources: Id | Iterable[Id] = (),
        embedding: Embedding | Literal[False] | None = None,
    ) -> Steps[StoreResult]:
        """Store a memory that replaces an older one, and return its id and status.

        The old memory is kept as it is. Searches, contexts and lists leave it out from the time on at which the new one
        begins to hold; `history` and ``include_superseded=True`` find it. It holds again once the new one is deleted.

        Args:
            old: The id of the memory to replace.
            content: The new text.
            scope: Where the old memory is.
            id: An id of your own for the new memory.
            title: A short heading.
            type: A kind such as ``"fact"``; the default is the old memory's, as it is for `tags`, `metadata`, `importance` and
                `pinned`.
            tags: Labels.
            metadata: A JSON object of your own. The default leaves out the keys that `remember` and the framework adapters keep
                for the old memory alone.
            importance: 0..1.
            source: Where it came from.
            pinned: Rank it first in contexts.
            created_at: When it happened; the default is now.
            expires_at: When it vanishes; the old memory then holds again.
            ttl: How long it lives, in seconds or as a timedelta, instead of `expires_at`.
            valid_from: When it begins to hold in the world, if that is not `created_at`.
            valid_until: When it ceases to hold.
            sources: The id or ids of memories that it was drawn from.
            embedding: Your own vector for it.

        Raises:
            OneBrainValidationError: `content` is not text, or a field is not valid.
            OneBrainNotFoundError: `scope` has no memory with the id `old`.
            OneBrainConflictError: It has several; name the one by its space and user.
            Unsupported: The service keeps no links between memories.

        Example:
            >>> import onebrain
            >>> brain = onebrain.connect("sqlite://")
            >>> old = brain.store("Ewa works at the bakery").id
            >>> new = brain.supersede(old, "Ewa works at the hospital's dispensary")
            >>> [hit.content for hit in brain.search("where does Ewa work?")]
            ["Ewa works at the hospital's dispensary"]
        """
        check_scope(scope)
        if not isinstance(content, str):
            raise OneBrainValidationError(
                f"content: must be text, not {content.__class__.__name__}; give the other fields as arguments"
            )
        self._check_links()
        before = yield from self._only(check_id("old", old), scope)
        return (
            yield from Storing.store.plan(
                self,
                content,
                scope=before.scope,
                id=id,
                title=title,
                type=before.type if isinstance(type, Unset) else type,
                tags=before.tags if isinstance(tags, Unset) else tags,
                metadata=own_metadata(before) if isinstance(metadata, Unset) else metadata,
                importance=before.importance if isinstance(importance, Unset) else importance,
                source=source,
                pinned=before.pinned if isinstance(pinned, Unset) else pinned,
                created_at=created_at,
                expires_at=expires_at,
                ttl=ttl,
                valid_from=valid_from,
                valid_until=valid_until,
                supersedes=before.id,
                sources=sources,
                embedding=embedding,
            )
        )

    @endpoint
    def history(self, id: Id, *, scope: Scope = EVERYTHING) -> Steps[list[Memory]]:
        """Return a memory with all that it superseded and all that superseded it, oldest first.

        Archived memories are included; those outside `scope` are left out.

        Raises:
            OneBrainNotFoundError: `scope` has no memory with this id.
            OneBrainConflictError: It has several: an id is unique for one user in one space.
            Unsupported: The service keeps no links between memories.
        """
        check_scope(scope)
        driver = self._check_links()
        known = yield from self._only(check_id("id", id), scope)
        chain = yield from driver.history(known.id, owner_of(known).within(scope))
        return [memory for memory in chain if scope.covers(memory.scope)]

    def _only(self, id: str, scope: Scope) -> Steps[Memory]:
        """Return the memory with an id in a scope; raise if there is none, or if there are several."""
        found = yield from self._get([id], scope, False)
        if not found:
            raise OneBrainNotFoundError(
                "no memory with this id in this scope", service=self.capabilities.service
            )
        if len(found) > 1:
            raise several_with_id(self.capabilities.service)
        return found[0]

    @endpoint
    def suggest_supersessions(
        self, which: Id | Scope, *, scope: Scope = EVERYTHING
    ) -> Steps[list[Suggestion]]:
        """Return older memories that newer ones seem to supersede, by rules and without a model; nothing is changed.

        The rules look for sentences that begin alike, and for words of change beside a name that both texts have. On the
        project's own measurements they find 7 of 10 of the memories that changed. One memory in twenty of those
        that change nothing gets a suggestion as well, so show suggestions to somebody before `supersede` follows them.

        Args:
            which: The id of a memory, for those that it seems to supersede; or a scope, for those of all its memories,
                which takes a search for each memory. Older memories are of the same user, space and scope.
            scope: Where the memory with that id is, and the older ones.

        Returns:
            The likeliest first, at most 3 for each newer memory; the oldest of these comes first.

        Raises:
            OneBrainNotFoundError: `scope` has no memory with this id.
            Unsupported: A scope was given, and the service cannot list its memories.

        Example:
            >>> import onebrain
            >>> brain = onebrain.connect("sqlite://")
            >>> old = brain.store("Ewa works at the bakery").id
            >>> new = brain.store("Ewa works at the hospital now").id
            >>> [(one.old.id == old, one.reason) for one in brain.suggest_supersessions(new)]
            [(True, 'same beginning')]
        """
        can = self.capabilities
        if isinstance(which, Scope):
            if not can.list:
                raise unsupported(can, "listing memories without a query", "give the id of a memory")
            within = which
            rows = yield from self._walk(*self._listing(which, TRUE, False, can.embeddings))
        else:
            within = scope
            rows = yield from self._get([check_id("id", which)], scope, can.embeddings)
            if not rows:
                raise OneBrainNotFoundError("no memory with this id in this scope", service=can.service)
        suggested: list[Suggestion] = []
        for new in rows:
            suggested += yield from self._suggested(new, within)
        return suggested

    def _suggested(self, new: Memory, within: Scope) -> Steps[list[Suggestion]]:
        """Return the memories of a scope that one seems to supersede, of the same user and space as it is."""
        own = owner_of(new)
        # A scope that names no user selects those of all users.
        alone = [
            Cmp(f"${part}", "exists", False)
            for part in ("user", "space")
            if getattr(own, part) is None and self.capabilities.can(Cmp(f"${part}", "exists", False))
        ]
        found = yield from Searching.search.plan(
            self,
            new.content,
            scope=own.within(within),
            filter=every(*alone),
            limit=_CANDIDATES + 1,
            prefer_newer=False,
            with_embeddings=self.capabilities.embeddings,
        )
        older = [
            (hit.memory, hit.score)
            for hit in found
            if hit.id != new.id and owner_of(hit.memory) == own and _before(hit.memory, new)
        ]
        return [
            Suggestion(new=_bare(new), old=_bare(one.old), reason=one.reason, score=one.score)
            for one in replaced(new, older[:_CANDIDATES])
        ]

    def _check_links(self) -> Supersedes:
        driver = self._driver
        if not self.capabilities.supersede or not isinstance(driver, Supersedes):
            raise unsupported(
                self.capabilities,
                "links between memories",
                "update the memory, or store the new one beside it",
            )
        return driver


def _before(old: Memory, new: Memory) -> bool:
    """Return whether a memory is older than another one, or may be."""
    return old.created_at is None or new.created_at is None or old.created_at <= new.created_at


def _bare(memory: Memory) -> Memory:
    """Return a memory without its vector."""
    return memory.model_copy(update={"embedding": None})
