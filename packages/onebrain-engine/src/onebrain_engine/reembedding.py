"""Changing the embedder of spaces.

New vectors are made batch by batch and kept beside the former ones, each with the change of its memory that it was made at. The
space notes which embedder makes them, so that a run can be taken up again by any process. The last transaction looks for
memories that were stored or changed since, and if there are none, puts the new vectors in the place of the former ones. The
space then begins another history (see `onebrain_engine.store.runs`), so that every index of it is read anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

from onebrain.errors import ConfigurationError, EmbedderMismatch, ReembedConflict
from onebrain_engine.embedding import Floats, Vectorizer
from onebrain_engine.filling import Filling
from onebrain_engine.fitting import CALLER
from onebrain_engine.retrying import persistent
from onebrain_engine.store.protocol import Store, Writing
from onebrain_engine.store.records import Space, Unembedded
from onebrain_engine.vectorizers import Vectorizers

Progress: TypeAlias = Callable[[int, int], object]

_BATCH: Final = 128  # memories
_BATCH_BYTES: Final = 4 * 2**20  # of text; one memory may have more
# Rounds of catching up after which the rest is embedded within the last transaction, while writers wait.
_ROUNDS: Final = 8
_PAUSE: Final = 0.2  # seconds before looking again whether indexes are being made


@dataclass(frozen=True, slots=True)
class Reembedded:
    """The result of a run: the fingerprint, the number of vectors made, and the names of spaces."""

    embedder: str
    count: int
    spaces: Sequence[str]
    skipped: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Run:
    """One run in one space."""

    tenant: str
    name: str
    embedder: Vectorizer
    fingerprint: str
    dimension: int
    anew: bool


class Reembedding:
    """Gives spaces another embedder.

    Args:
        store: The store.
        embedders: Learn of the new embedder.
        filling: Makes the database's own indexes of large spaces.
    """

    def __init__(self, store: Store, embedders: Vectorizers, filling: Filling) -> None:
        self._store = store
        self._embedders = embedders
        self._filling = filling

    def run(
        self,
        tenant: str,
        embedder: Vectorizer | None,
        space: str | None,
        replace: bool,
        progress: Progress | None,
        anew: bool,
    ) -> Reembedded:
        """Give a space, or all spaces of a tenant, another embedder; its own, if `anew`."""
        if embedder is None:
            raise ConfigurationError(
                "reembed(): this brain has no embedder; name one, such as embedder='wordllama'",
                service=self._store.service,
            )
        dimension = len(embedder.query("dimension"))
        fingerprint = embedder.fingerprint
        # From now on a writer that finds a space changed under it can go on with the new embedder.
        self._embedders.know(fingerprint, embedder)
        if own := self._embedders.own:
            self._embedders.know(own.fingerprint, own)
        count, done, skipped = 0, list[str](), list[str]()
        for found in self._spaces(tenant, space):
            if found.embedder == CALLER:
                skipped.append(found.name)
                continue
            run = _Run(tenant, found.name, embedder, fingerprint, dimension, anew)
            count += self._reembed(run, replace, progress)
            self._embedders.assign(tenant, found.name, embedder)
            done.append(found.name)
        if space is None:
            self._embedders.assign(tenant, None, embedder)
        return Reembedded(fingerprint, count, done, skipped)

    @persistent
    def _spaces(self, tenant: str, name: str | None) -> Sequence[Space]:
        with self._store.reading() as read:
            if name is None:
                return read.spaces(tenant)
            space = read.space(tenant, name)
        if space is not None and space.embedder == CALLER:
            raise EmbedderMismatch(
                f"space {name or 'default'!r} holds vectors of the caller's own, which no embedder can make; store its "
                "memories in another space",
                service=self._store.service,
            )
        return [] if space is None else [space]

    def _reembed(self, run: _Run, replace: bool, progress: Progress | None) -> int:
        if not self._begin(run, replace):
            return 0
        count, seq = 0, 0
        done, total = self._extent(run) if progress is not None else (0, 0)
        rounds = 0
        while True:
            batch, more = self._batch(run, seq)
            if batch:
                self._keep(run, batch, _embedded(run, batch))
                count += len(batch)
                seq = batch[-1].seq
                if progress is not None:
                    progress(min(done + count, total), total)
            if not more:
                rest = self._adopt(run, wait=rounds == _ROUNDS)
                if rest is not None:
                    return count + rest
                rounds += 1

    @persistent
    def _begin(self, run: _Run, replace: bool) -> bool:
        """Note that a space gets another embedder; return False if it has that one already."""
        with self._store.writing() as write:
            space = write.space(run.tenant, run.name)
            if space is None or space.embedder is None:
                return False
            if space.next_embedder not in (None, run.fingerprint) and not replace:
                raise self._conflict(space, run)
            if space.embedder == run.fingerprint and not run.anew:
                if space.next_embedder is not None:
                    write.discard_next(run.tenant, space)
                return False
            if space.next_embedder != run.fingerprint:
                write.discard_next(run.tenant, space)
                write.begin_next(run.tenant, space, run.fingerprint)
            return True

    @persistent
    def _extent(self, run: _Run) -> tuple[int, int]:
        """Return the number of memories that have a new vector, and the number of those that are to have one."""
        with self._store.reading() as read:
            space = read.space(run.tenant, run.name)
            return (0, 0) if space is None else read.next_count(run.tenant, space)

    @persistent
    def _batch(self, run: _Run, after: int) -> tuple[Sequence[Unembedded], bool]:
        """Return memories without a new vector, in the order of their changes behind one, and whether more may follow."""
        with self._store.reading() as read:
            space = read.space(run.tenant, run.name)
            if space is None or space.next_embedder != run.fingerprint:
                return [], False
            found = read.unembedded(run.tenant, space, after, _BATCH)
        size, kept = 0, list[Unembedded]()
        for memory in found:
            size += len(memory.content)
            if kept and size > _BATCH_BYTES:
                break
            kept.append(memory)
        return kept, len(kept) < len(found) or len(found) == _BATCH

    @persistent
    def _keep(self, run: _Run, batch: Sequence[Unembedded], vectors: Floats) -> None:
        with self._store.writing() as write:
            space = self._ours(write, run)
            if space is not None:
                write.keep_next(run.tenant, space, _rows(batch, vectors))

    def _ours(self, write: Writing, run: _Run) -> Space | None:
        """Return the space of a run; None if another process has finished it, or the space is gone.

        Raises:
            ReembedConflict: Another run has taken its place.
        """
        space = write.space(run.tenant, run.name)
        if space is None or (space.next_embedder is None and space.embedder == run.fingerprint):
            return None
        if space.next_embedder != run.fingerprint:
            raise self._conflict(space, run)
        return space

    def _adopt(self, run: _Run, *, wait: bool) -> int | None:
        """Put the new vectors in the place of the former ones; return None if some are missing yet.

        With `wait` missing vectors are made while writers wait; the result is their number.
        """
        with self._making_room(run):
            return self._adopted(run, wait)

    @persistent
    def _adopted(self, run: _Run, wait: bool) -> int | None:
        made = 0
        with self._store.writing() as write:
            space = self._ours(write, run)
            if space is None:
                return 0
            while missing := write.unembedded(run.tenant, space, 0, _BATCH):
                if not wait:
                    return None
                write.keep_next(run.tenant, space, _rows(missing, _embedded(run, missing)))
                made += len(missing)
            after = write.adopt_next(run.tenant, space, run.dimension)
        self._filling.consider(run.tenant, after)
        return made

    @contextmanager
    def _making_room(self, run: _Run) -> Generator[None, None, None]:
        """Drop the index of the former vectors in the database, which takes no vectors of another length.

        Until the index of the new ones is made, in the background, searches of a large space look at each vector.
        """
        with self._store.reading() as read:
            space = read.space(run.tenant, run.name)
        if space is None or space.filled is None or space.dimension == run.dimension:
            yield
            return
        while True:
            with self._filling.without_vectors(space) as alone:
                if alone:
                    yield
                    return
            time.sleep(_PAUSE)

    def _conflict(self, space: Space, run: _Run) -> ReembedConflict:
        return ReembedConflict(
            f"space {space.name or 'default'!r} has an unfinished reembed with {space.next_embedder}; this one is with "
            f"{run.fingerprint}. Finish that one, or discard its vectors by replace=True",
            service=self._store.service,
        )


def _embedded(run: _Run, batch: Sequence[Unembedded]) -> Floats:
    return run.embedder.documents([memory.content for memory in batch])


def _rows(batch: Sequence[Unembedded], vectors: Floats) -> list[tuple[int, int, bytes]]:
    """Return the vectors of memories, each with the memory's row and the change that it was made at."""
    return [(memory.row, memory.seq, vector.tobytes()) for memory, vector in zip(batch, vectors, strict=True)]
