"""Facts that were drawn from messages go with them: a person's right to be forgotten reaches what was derived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from onebrain._core.steps import Mode, Steps
from onebrain.memory.driver import SearchRequest
from onebrain.memory.filters import Cmp, Filter, either, every
from onebrain.memory.models import Memory, Scope
from onebrain.memory.remembering.messages import KIND, RECORD, SOURCES, sources_of, with_sources
from onebrain.memory.verbs.base import QUERY_CHARACTERS, Identity, Verbs, identity, owner_of

# What `is_source` says of a memory, as keys of its metadata one of which it has, and as a filter.
SOURCE_KEYS: Final = frozenset({"kind", RECORD})
MAY_BE_SOURCE: Final[Filter] = either(Cmp("kind", "eq", KIND), Cmp(RECORD, "exists", True))
# Facts of a message that are looked at where the service lists nothing.
_LOOK: Final = 50


class Deriving(Verbs[Mode]):
    """Removing the facts of messages that are removed."""

    def _derived(self, gone: Sequence[Memory]) -> Steps[tuple[list[Memory], list[Memory]]]:
        """Return the facts of messages: those that have no other source, and those that have one."""
        alone: dict[Identity, Memory] = {}
        shared: dict[Identity, Memory] = {}
        owners: dict[Scope, list[Memory]] = {}
        for memory in gone:
            owners.setdefault(owner_of(memory), []).append(memory)
        for owner, messages in owners.items():
            ids = {message.id for message in messages}
            for fact in (yield from self._facts_of(messages, owner)):
                sources = sources_of(fact)
                if owner_of(fact) != owner or ids.isdisjoint(sources):
                    continue
                others = [id for id in sources if id not in ids]
                left = (yield from self._get(others, owner, False)) if others else []
                (shared if left else alone)[identity(fact)] = fact
        return list(alone.values()), list(shared.values())

    def _facts_of(self, messages: Sequence[Memory], owner: Scope) -> Steps[list[Memory]]:
        """Return the facts of these messages, and perhaps others."""
        facts = Cmp("$type", "eq", "fact")
        if self.capabilities.list:
            ids = [message.id for message in messages]
            condition = every(facts, either(*(Cmp(SOURCES, "contains", id) for id in ids)))
            return (
                yield from self._walk(*self._listing(owner, condition, True, False, include_superseded=True))
            )
        # A fact is like the message that it was drawn from.
        found: list[Memory] = []
        for message in messages:
            request = SearchRequest(
                query=message.content[:QUERY_CHARACTERS],
                scope=owner,
                limit=_LOOK,
                include_superseded=True,
                mode=next(
                    mode for mode in ("keyword", "hybrid", "vector") if mode in self.capabilities.modes
                ),
            )
            answer = yield from self._driver.search(request)
            found += [hit.memory for hit in answer.hits]
        return found

    def _let_go(self, facts: Sequence[Memory], gone: Sequence[Memory]) -> Steps[None]:
        """Take messages, and the words quoted from them, out of the facts that have other sources."""
        can = self.capabilities
        if not can.update:
            return
        ids = {memory.id for memory in gone}
        for fact in facts:
            yield from self._change(fact.id, lambda fact: with_sources(fact, can, gone=ids), owner_of(fact))


__all__ = ["MAY_BE_SOURCE", "SOURCE_KEYS", "Deriving"]
