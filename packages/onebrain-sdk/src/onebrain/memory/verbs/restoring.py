"""Storing memories of another brain as they were there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from onebrain._core.endpoint import endpoint
from onebrain._core.steps import Mode, Steps
from onebrain.errors import OneBrainError, OneBrainNotFoundError, OneBrainValidationError
from onebrain.memory.models import EVERYTHING, NewMemory, Scope, StoreResult, StoreResults
from onebrain.memory.transfer import Copied, Embedders, in_order_of_links, with_recorded
from onebrain.memory.verbs.base import check_iterable, owner_of
from onebrain.memory.verbs.storing import Storing, check_storable


class Restoring(Storing[Mode]):
    """Storing memories of another brain."""

    @endpoint
    def embedders(self) -> Steps[Embedders | None]:
        """Return the embedders of this brain's vectors, or None if the service does not say."""
        return None if self._copies is None else (yield from self._copies.embedders())

    @endpoint
    def restore(self, copies: Iterable[Copied]) -> Steps[StoreResults]:
        """Store memories of another brain as they were there, all of their fields and vectors; `transfer.read` reads them.

        Fields that cannot be kept here raise before anything is stored. A memory that is here already is replaced; one that
        fails later, such as for another embedder's vectors in its space, fails alone. A memory that supersedes one which is
        neither among `copies` nor here, or which would supersede itself by way of others, is stored without the link. Its
        result names the other memory: `StoreResult.unlinked`.

        Raises:
            OneBrainValidationError: Memories have fields that this brain cannot keep; the message names their lines.
        """
        check_iterable("copies", copies)
        rows = list(copies)
        if not all(isinstance(row, Copied) for row in rows):
            raise OneBrainValidationError("copies: must be a list of what `transfer.read` returns")
        problems: list[str] = []
        for row in rows:
            try:
                check_storable(self.capabilities, row.item)
            except OneBrainError as error:
                problems.append(f"line {row.line}: {error.message}")
        if problems:
            more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
            raise OneBrainValidationError(
                f"{'; '.join(problems[:5])}{more}. Nothing was stored", service=self.capabilities.service
            )
        rows = with_recorded(rows)
        results: dict[int, StoreResult] = {}
        order = in_order_of_links(rows)
        size = self._batch_size
        for start in range(0, len(rows), size):
            positions = order[start : start + size]
            stored = yield from self._restored([rows[position] for position in positions])
            results.update(zip(positions, stored, strict=True))
        return StoreResults.trusted({"results": tuple(results[position] for position in range(len(rows)))})

    def _restored(self, rows: Sequence[Copied]) -> Steps[list[StoreResult]]:
        """Store a batch of copies, those without a memory that they supersede without that link."""
        results: dict[int, StoreResult] = {}
        unlinked: dict[int, tuple[str, ...]] = {}
        waiting = dict(enumerate(rows))
        while waiting:
            if self._copies is not None:
                stored: Sequence[StoreResult] = yield from self._copies.restore([*waiting.values()])
            else:
                stored = yield from self._store_batch([row.item for row in waiting.values()], EVERYTHING)
            results.update(zip(waiting, stored, strict=True))
            refused = {
                position: row
                for position, row in waiting.items()
                if row.item.supersedes and _is_about_links(results[position].error)
            }
            # Each of them is stored or loses a link, so this ends.
            waiting = {}
            for position, row in (yield from self._without_bad_links(refused, results)).items():
                left = set(row.item.supersedes)
                unlinked[position] = (
                    *unlinked.get(position, ()),
                    *(id for id in refused[position].item.supersedes if id not in left),
                )
                waiting[position] = row
        return [
            results[position].model_copy(update={"unlinked": unlinked[position]})
            if position in unlinked and results[position].ok
            else results[position]
            for position in range(len(rows))
        ]

    def _without_bad_links(
        self, rows: Mapping[int, Copied], results: Mapping[int, StoreResult]
    ) -> Steps[dict[int, Copied]]:
        """Return refused copies without the links that they were refused for; none if no such link is found.

        These are links to memories that are neither here nor among the copies, and those of a circle.
        """
        wanted: dict[Scope, dict[str, None]] = {}
        for row in rows.values():
            wanted.setdefault(_owner(row.item), {}).update(dict.fromkeys(row.item.supersedes))
        there = {(_owner(row.item), row.item.id) for row in rows.values()}
        for owner, ids in wanted.items():
            found = yield from self._get([*ids], owner, False)
            there.update((owner, memory.id) for memory in found if owner_of(memory) == owner)
        left = {
            position: tuple(id for id in row.item.supersedes if (_owner(row.item), id) in there)
            if isinstance(results[position].error, OneBrainNotFoundError)
            else ()
            for position, row in rows.items()
        }
        if all(left[position] == row.item.supersedes for position, row in rows.items()):
            return {}
        return {
            position: replace(row, item=row.item.model_copy(update={"supersedes": left[position]}))
            for position, row in rows.items()
        }


def _is_about_links(error: OneBrainError | None) -> bool:
    return error is not None and error.message.startswith("supersedes: ")


def _owner(item: NewMemory) -> Scope:
    """Return the space and user of a new memory."""
    return Scope(item.scope.space, item.scope.user)
