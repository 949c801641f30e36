"""Intelligent memory: duplicates, contradictions, pins, archives, health and summaries of a collection."""

from __future__ import annotations

from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET, POST
from onebrain._core.steps import Mode, Steps
from onebrain.services.rememberos.models import (
    ArchivedStale,
    CollectionHealth,
    Contradiction,
    Dedup,
    Memory,
    Summary,
)
from onebrain.services.rememberos.service import (
    DEFAULT_COLLECTION,
    SLOW,
    Resource,
    check_number,
    collection_path,
)


class Intelligence(Resource[Mode]):
    """Housekeeping of a collection."""

    @endpoint
    def dedup(
        self,
        collection: str = DEFAULT_COLLECTION,
        *,
        threshold: float = 0.95,
        dry_run: bool = True,
    ) -> Steps[Dedup]:
        """Find near-identical memories among the newest 500 and, with ``dry_run=False``, keep one of each cluster.

        Pinned memories are never removed; else the most important one is kept, then the newest.
        """
        check_number("threshold", threshold, 0, 1)
        spec = POST(collection_path(collection, "/dedup"), threshold=threshold, dry_run=dry_run)
        return (yield from self._service.get(Dedup, spec.but(timeout=SLOW)))

    @endpoint
    def contradictions(self, collection: str = DEFAULT_COLLECTION) -> Steps[list[Contradiction]]:
        """Return where the current truth changed, newest first."""
        spec = GET(collection_path(collection, "/contradictions"))
        return (yield from self._service.get_rows(Contradiction, spec, "contradictions", "pairs"))

    @endpoint
    def pin(self, id: str, *, pinned: bool = True, collection: str = DEFAULT_COLLECTION) -> Steps[Memory]:
        """Pin or unpin a memory and return it; pinned ones rank first in lists and survive `dedup`."""
        spec = POST(collection_path(collection, "/memories/{}/pin", id), pinned=pinned)
        again = GET(collection_path(collection, "/memories/{}", id))
        # Saying the same twice changes nothing, so it may be repeated.
        return (yield from self._service.change(Memory, spec.but(safe=True), again, proof="text"))

    @endpoint
    def archive(
        self, id: str, *, archived: bool = True, collection: str = DEFAULT_COLLECTION
    ) -> Steps[Memory]:
        """Archive or restore a memory and return it; archived ones are kept but left out of searches and lists."""
        spec = POST(collection_path(collection, "/memories/{}/archive", id), archived=archived)
        again = GET(collection_path(collection, "/memories/{}", id))
        return (yield from self._service.change(Memory, spec.but(safe=True), again, proof="text"))

    @endpoint
    def archive_stale(
        self,
        collection: str = DEFAULT_COLLECTION,
        *,
        older_than_days: int = 90,
        dry_run: bool = True,
    ) -> Steps[ArchivedStale]:
        """Count or, with ``dry_run=False``, archive memories that were not updated for a number of days and are not pinned."""
        check_number("older_than_days", older_than_days, 0)
        spec = POST(
            collection_path(collection, "/archive-stale"), older_than_days=older_than_days, dry_run=dry_run
        )
        return (yield from self._service.get(ArchivedStale, spec))

    @endpoint
    def health(
        self, collection: str = DEFAULT_COLLECTION, *, stale_days: int = 90
    ) -> Steps[CollectionHealth]:
        """Return counts about a collection; one that does not exist is no error (``exists`` is False)."""
        check_number("stale_days", stale_days, 0)
        spec = GET(collection_path(collection, "/health"), stale_days=stale_days)
        return (yield from self._service.get(CollectionHealth, spec))

    @endpoint
    def summary(self, collection: str = DEFAULT_COLLECTION, *, limit: int = 50) -> Steps[Summary]:
        """Return a briefing on the most important and recent memories; extractive where the host has no model."""
        check_number("limit", limit, 1)
        spec = GET(collection_path(collection, "/summary"), limit=limit)
        return (yield from self._service.get(Summary, spec.but(timeout=SLOW)))
