"""Entities that memories name: extracted, found, linked and removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onebrain._core.endpoint import endpoint
from onebrain._core.steps import Mode, Steps, call
from onebrain.errors import OneBrainNotFoundError, OneBrainValidationError
from onebrain.memory.checks import check_whole
from onebrain.memory.driver import (
    Names,
    unsupported,
)
from onebrain.memory.entities import Entity, Relation, gather, pick, ranked
from onebrain.memory.filters import TRUE
from onebrain.memory.ids import Id
from onebrain.memory.models import (
    EVERYTHING,
    Scope,
)
from onebrain.memory.verbs.base import (
    check_scope,
    id_list,
    identity,
)
from onebrain.memory.verbs.searching import Searching, query_text

# Number of hits whose entities a search for entities reads.
_NAMING = 50


class EntityVerbs(Searching[Mode]):
    """Entities: extracting, finding and removing them."""

    @endpoint
    def extract_entities(
        self, ids: Id | Iterable[Id] | None = None, *, scope: Scope = EVERYTHING
    ) -> Steps[int]:
        """Find the people, organizations, places and things that memories name; return how many memories were read.

        Nothing is extracted before this is called, so storing costs nothing more. Memories that were read before and have
        not changed are not read again: call it after storing, or now and then. The embedded brain goes by rules, needs
        no model, and finds less than one would; a OneBrain server uses its model where it has one, at the cost of a
        request for each memory.

        Args:
            ids: Which memories; None for all in the scope.
            scope: Where. Archived memories are left out.

        Raises:
            Unsupported: The service has no entities.
        """
        driver = self._namer(scope)
        memories = (
            (yield from self._walk(*self._listing(scope, TRUE, False, False)))
            if ids is None
            else (yield from self._get(id_list(ids), scope, False))
        )
        return (yield from driver.extract(memories)) if memories else 0

    @endpoint
    def entities(
        self,
        query: str | None = None,
        *,
        scope: Scope = EVERYTHING,
        type: str | None = None,
        limit: int = 20,
    ) -> Steps[Sequence[Entity]]:
        """Return the entities that memories in `scope` name, as far as `extract_entities` has read them.

        An entity has no scope of its own: it is seen through memories, and only through those in `scope`.

        Args:
            query: The text to look for: the entities that it names come first, then those of the 50 memories that answer
                it best. None for all entities, the most mentioned first.
            scope: Where to look. Archived memories are left out.
            type: Only this type, such as ``"person"``.
            limit: The most entities.

        Raises:
            Unsupported: The service has no entities.
        """
        check_whole("limit", limit, 0)
        driver = self._namer(scope)
        query = query_text(query)
        if query is None:
            found = yield from self._named(driver, scope)
        else:
            hits = yield from Searching.search.plan(self, query, scope=scope, limit=_NAMING)
            mentions = (yield from driver.mentions(hits.memories)) if hits else ()
            scores = {hit.id: hit.score for hit in hits}
            found = ranked(gather(mentions, whole=not scope), query, scores)
        return [entity for entity in found if type is None or entity.type == type.lower()][:limit]

    @endpoint
    def entity(self, name: str, *, scope: Scope = EVERYTHING) -> Steps[Entity]:
        """Return one entity by its name, regardless of case, or by its id, with the memories in `scope` that name it.

        Where several types share a name it is the one that most memories name. ``get_many(entity.memory_ids)`` reads
        the memories.

        Raises:
            OneBrainNotFoundError: No memory in `scope` names it, or none that `extract_entities` has read.
            Unsupported: The service has no entities.
        """
        driver = self._namer(scope)
        return self._picked((yield from self._named(driver, scope)), name)

    @endpoint
    def relations(
        self, name: str, *, scope: Scope = EVERYTHING, limit: int = 20
    ) -> Steps[Sequence[Relation]]:
        """Return the entities that memories in `scope` name beside an entity, which is given by its name or id.

        The closest come first: those with the most memories in common.

        Raises:
            OneBrainNotFoundError: No memory in `scope` names the entity.
            Unsupported: The service has no entities.
        """
        check_whole("limit", limit, 0)
        driver = self._namer(scope)
        memories = yield from self._walk(*self._listing(scope, TRUE, False, False))
        mentions = (yield from driver.mentions(memories)) if memories else ()
        entities = yield from call(gather, mentions, whole=not scope)
        source = self._picked(entities, name)
        behind = {identity(mention.memory) for mention in mentions if mention.entity.id == source.id}
        near = [mention for mention in mentions if identity(mention.memory) in behind]
        shared = yield from call(gather, near, whole=False)
        by_id = {entity.id: entity for entity in entities}
        return [
            Relation(source=source, target=by_id[other.id], memory_ids=other.memory_ids)
            for other in shared
            if other.id != source.id
        ][:limit]

    @endpoint
    def remove_entity(self, name: str, *, scope: Scope = EVERYTHING) -> Steps[int]:
        """Remove an entity, by its name or id, from the memories in `scope`; return their number.

        The memories stay as they are. The embedded brain finds the entity again only in memories that are new or
        changed since.

        Raises:
            OneBrainNotFoundError: No memory in `scope` names it.
            Unsupported: The service has no entities.
        """
        driver = self._namer(scope)
        memories = yield from self._walk(*self._listing(scope, TRUE, True, False, include_superseded=True))
        mentions = (yield from driver.mentions(memories)) if memories else ()
        entity = self._picked((yield from call(gather, mentions, whole=False)), name)
        behind = [mention.memory for mention in mentions if mention.entity.id == entity.id]
        return (yield from driver.forget_mentions(entity.id, behind))

    def _namer(self, scope: Scope) -> Names:
        """Return the driver as one that knows entities."""
        check_scope(scope)
        can = self.capabilities
        if not can.entities or self._names is None:
            raise unsupported(can, "entities", "search for a name instead")
        if not can.list:
            raise unsupported(can, "entities without listing memories", "search for a name instead")
        return self._names

    def _named(self, driver: Names, scope: Scope) -> Steps[Sequence[Entity]]:
        """Return all entities of a scope."""
        memories = yield from self._walk(*self._listing(scope, TRUE, False, False))
        mentions = (yield from driver.mentions(memories)) if memories else ()
        # A large scope takes its time, which an event loop does not have.
        return (yield from call(gather, mentions, whole=not scope))

    def _picked(self, entities: Sequence[Entity], name: str) -> Entity:
        if not isinstance(name, str):
            raise OneBrainValidationError("name: must be an entity's name or id")
        found = pick(entities, name)
        if found is None:
            raise OneBrainNotFoundError(
                "no memory in this scope names such an entity; extract_entities() reads those that were not read yet",
                service=self.capabilities.service,
            )
        return found
