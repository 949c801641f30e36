"""Facts that were drawn from messages: they go with the last message that said them.

`onebrain.memory.verbs.deriving` does the same for the memories of any service. This is for a server, whose other clients delete
messages without knowing of facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

from onebrain._core.codec import as_object
from onebrain._core.paging import Page
from onebrain.errors import OneBrainNotFoundError
from onebrain.memory.driver import Changes, ListRequest
from onebrain.memory.envelope import KEY
from onebrain.memory.filters import Cmp, Filter, either
from onebrain.memory.models import Memory, Scope
from onebrain.memory.remembering.messages import SOURCES, is_source, sources_of

Lists: TypeAlias = Callable[[ListRequest], Page[Memory]]
Updates: TypeAlias = Callable[[str, Changes, Scope], object]

# A fact of `remember` has it.
_FACT: Final[Filter] = Cmp("remember_key", "exists", True)
_PAGE: Final = 200


class Derived:
    """The facts of messages.

    Args:
        listed: Returns one page of memories.
        update: Changes one memory.
    """

    def __init__(self, listed: Lists, update: Updates) -> None:
        self._listed = listed
        self._update = update

    def release(self, gone: Sequence[Memory], *, dry_run: bool = False) -> list[Memory]:
        """Take memories that are about to go out of the facts that were drawn from them, with the words quoted from them.

        Returns:
            The facts that have no other source and are to go as well; those among `gone` are left out.
        """
        sources = [memory for memory in gone if is_source(memory)]
        owners: dict[_Owner, list[Memory]] = {}
        for memory in sources:
            owners.setdefault(_owner(memory), []).append(memory)
        named = {(_owner(memory), memory.id) for memory in gone} if sources else set[tuple[_Owner, str]]()
        alone: list[Memory] = []
        for owner, messages in owners.items():
            names = {name for message in messages for name in _names(message)}
            scope = Scope(space=messages[0].scope.space, user=messages[0].scope.user)
            for fact in self._all(scope, _FACT):
                known = sources_of(fact)
                left = [name for name in known if name not in names]
                if len(left) == len(known) or _owner(fact) != owner or (owner, fact.id) in named:
                    continue
                if not left or not self._there(left, owner, scope):
                    alone.append(fact)
                elif not dry_run:
                    self._let_go(fact, left)
        return alone

    def _there(self, names: Sequence[str], owner: _Owner, scope: Scope) -> bool:
        """Return whether one of some sources is still there."""
        ids = [*names, *(name.rpartition("/")[2] for name in names)]
        condition = either(Cmp("$id", "in", ids), Cmp(f"{KEY}.id", "in", list(names)))
        return any(_owner(memory) == owner for memory in self._all(scope, condition))

    def _let_go(self, fact: Memory, left: Sequence[str]) -> None:
        metadata: dict[str, Any] = {name: value for name, value in fact.metadata.items() if name != "quote"}
        kept = as_object(metadata.get(KEY))
        # A driver keeps them there once more, where the service has no field for them.
        if SOURCES in kept:
            metadata[KEY] = {**kept, SOURCES: list(left)}
        fields: dict[str, Any] = {"metadata": {**metadata, SOURCES: list(left)}}
        if fact.sources:
            fields["sources"] = tuple(left)
        # Deleted by another request.
        with suppress(OneBrainNotFoundError):
            self._update(fact.id, Changes(fields=fields, merge_metadata=False), fact.scope)

    def _all(self, scope: Scope, condition: Filter) -> Iterator[Memory]:
        cursor: str | None = None
        while True:
            page = self._listed(
                ListRequest(
                    scope=scope,
                    filter=condition,
                    limit=_PAGE,
                    cursor=cursor,
                    include_archived=True,
                    include_superseded=True,
                )
            )
            yield from page.data
            cursor = page.meta.cursor
            if cursor is None:
                return


_Owner: TypeAlias = tuple[str | None, str | None, Any, Any]


def _owner(memory: Memory) -> _Owner:
    """Return whose a memory is: by its scope, and by the scope that a driver keeps in the metadata."""
    kept = as_object(memory.metadata.get(KEY))
    return memory.scope.space, memory.scope.user, kept.get("space"), kept.get("user")


def _names(memory: Memory) -> Iterator[str]:
    """Yield the ids by which clients know a memory: its own, that with its space, and that which a driver keeps."""
    yield memory.id
    yield f"{memory.scope.space}/{memory.id}"
    own = as_object(memory.metadata.get(KEY)).get("id")
    if isinstance(own, str):
        yield own


__all__ = ["Derived"]
