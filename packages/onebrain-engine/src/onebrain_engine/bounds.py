"""The most that a memory, a page and a tenant may hold: an embedded brain has no bounds, a server has all three."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from onebrain.errors import OneBrainValidationError
from onebrain_engine.store.records import Draft, Record

_BESIDE: Final = ("tags", "metadata", "extra")
_TEXTS: Final = ("content", "title", *_BESIDE)


@dataclass(slots=True)
class Bounds:
    """The bounds that a server sets.

    Attributes:
        metadata: Bytes of a memory's tags, metadata and extra fields together, as JSON; None for any number.
        page: Bytes of text and metadata after which a page of a list or a search ends, at least one memory on it; None for
            no such end.
        admit: Reserves bytes of a tenant while they are stored, and raises if they are too many; None for
            any number.
    """

    metadata: int | None = None
    page: int | None = None
    admit: Callable[[str, int], AbstractContextManager[None]] | None = None

    def check(self, draft: Draft) -> None:
        """Raise `OneBrainValidationError` for a memory with too much beside its text."""
        if self.metadata is not None:
            self._beside(draft.tags, draft.metadata, draft.extra)

    def check_changes(self, values: Mapping[str, Any], old: Record, tenant: str) -> None:
        """Raise for changes after which a memory would have too much beside its text, or its tenant too much at all."""
        if self.metadata is not None and any(name in values for name in _BESIDE):
            self._beside(*(values.get(name, "") for name in _BESIDE))
        if self.admit is not None:
            more = sum(_bytes(values[name]) for name in _TEXTS if values.get(name)) - record_bytes(old)
            if more > 0:
                with self.admit(tenant, more):
                    pass

    def _beside(self, *texts: str) -> None:
        assert self.metadata is not None
        if sum(map(len, texts)) * 4 <= self.metadata:
            return
        size = sum(map(_bytes, texts))
        if size > self.metadata:
            raise OneBrainValidationError(
                f"metadata and tags have {size} bytes as JSON; this server allows {self.metadata} for a memory"
            )


def draft_bytes(draft: Draft) -> int:
    """Return the approximate number of bytes of a memory's text and metadata."""
    return sum(map(_bytes, (draft.content, draft.title or "", draft.tags, draft.metadata, draft.extra)))


def record_bytes(record: Record) -> int:
    """Return the same of a stored memory."""
    # Written out, for every memory of every page is measured.
    _, id, user, agent, session, content, title, type, tags, metadata, _, source, *_, extra = record
    needed = len(id) + len(content) + len(tags) + len(metadata) + len(extra)
    whose = len(user or "") + len(agent or "") + len(session or "")
    return needed + whose + len(title or "") + len(type or "") + len(source or "")


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
