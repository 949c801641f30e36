"""Merging: housekeeping over all memories, in versions that can be rolled back."""

from __future__ import annotations

from onebrain._core.endpoint import endpoint, listing
from onebrain._core.paging import Page
from onebrain._core.service import GET, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain.services.onebrain.models import Json, MergeRun, MergeVersion, Rollback
from onebrain.services.onebrain.resources.resource import Resource, check_limit

_NOTHING: Json = {}


class Merge(Resource[Mode]):
    """Merge runs and their versions."""

    @endpoint
    def run(self) -> Steps[MergeRun]:
        """Merge duplicates, mark conflicts and activate candidates that are clean."""
        return (yield from self._one(MergeRun, POST("/v1/merge/run").but(body=_NOTHING)))

    @endpoint
    def rollback(self, version: int) -> Steps[Rollback]:
        """Go back to a version."""
        return (
            yield from self._one(
                Rollback, POST(path("/v1/merge/rollback/{}", str(version))).but(body=_NOTHING)
            )
        )

    def _history(self, *, cursor: str | None = None, limit: int | None = None) -> Steps[Page[MergeVersion]]:
        """Return the versions, newest first: ``history`` a page, ``all_history`` the rows of all pages.

        Args:
            cursor: ``page.meta.cursor`` of the page before.
            limit: Rows of a page, 1 to 100.
        """
        check_limit(limit)
        return (yield from self._page(MergeVersion, GET("/v1/merge/history", cursor=cursor, limit=limit)))

    all_history = listing(_history)
    history = endpoint(_history)
