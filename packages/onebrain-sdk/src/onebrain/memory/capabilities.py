"""The abilities of a service, declared by its driver; `Brain` emulates the others as documented, or raises `Unsupported`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from onebrain.memory.filters import OPERATORS, Cmp, Logic, Operator, kind
from onebrain.memory.models import Order, SearchMode

Support: TypeAlias = Literal["native", "emulated"]
ALL_OPERATORS: Final[frozenset[Operator]] = OPERATORS
ALL_MODES: Final[frozenset[SearchMode]] = frozenset({"hybrid", "keyword", "vector"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The abilities of one service.

    Attributes:
        service: The service's name.
        client_ids: The caller may choose ids; storing one again replaces the memory.
        update: A memory can be changed in place.
        delete: A memory can be removed.
        created_at: The caller may say when a memory was made.
        expiry: A memory can expire.
        archive: A memory can be archived and pinned.
        embeddings: Callers may bring their own vectors and search by vector.
        modes: The search modes.
        search_limit: The most hits of one search; None for no limit.
        search_offset: A search can go on where an earlier page ended.
        newest: A search without a query returns the newest memories; otherwise `Brain` takes them from a list.
        scan_limit: The most memories that `Brain` lists in place of a search; None for no limit.
        rechecked: The service's filters and scopes let some other memories through, so `Brain` evaluates all of them
            again.
        batch_size: The most memories that one store call takes; 1 where there is no batch.
        atomic_batch: A batch is stored whole or not at all.
        list: Memories can be listed without a query.
        orders: The orders in which it lists; others are sorted here.
        filters: The operators that the service evaluates exactly as `onebrain.memory.filters.compare` does, by field
            name; ``"*"`` means every metadata field, ``"$*"`` every own field.
        logic: How the service combines comparisons.
        content_limit: The most characters of a memory's text; None for no limit.
        consistency: ``immediate`` where a memory is found as soon as it is stored, ``eventual`` where that takes time.
        tags: Tags are kept.
        importance: Importance is kept.
        reembed: The embedder of stored memories can be changed.
        confidence: The service estimates from vectors how likely the answer is among the hits; otherwise `Brain` does, from
            scores and words.
        rerank: The service can order the best hits anew by a model of its own.
        entities: The people, organizations, places and things that memories name can be extracted, listed and removed.
        supersede: A memory can replace others, which are kept and left out of searches: ``native`` where the service does so,
            ``emulated`` where `Brain` does it with links in the metadata, None where nothing can.
        validity: A memory can have a time from which and until which it holds: ``native``, ``emulated`` or None.
        as_of: Searches and lists can leave out what was stored after a moment: ``native`` or None.

    True means ``native``, and False None.
    """

    service: str
    client_ids: bool = False
    update: bool = True
    delete: bool = True
    created_at: bool = False
    expiry: bool = False
    archive: bool = False
    embeddings: bool = False
    modes: frozenset[SearchMode] = ALL_MODES
    search_limit: int | None = None
    search_offset: bool = False
    newest: bool = True
    scan_limit: int | None = None
    rechecked: bool = False
    batch_size: int = 1
    atomic_batch: bool = False
    list: bool = True
    orders: frozenset[Order] = frozenset[Order]()
    filters: Mapping[str, frozenset[Operator]] = field(default_factory=dict[str, frozenset[Operator]])
    logic: frozenset[Logic] = frozenset[Logic]()
    content_limit: int | None = None
    consistency: Literal["immediate", "eventual"] = "immediate"
    tags: bool = True
    importance: bool = True
    entities: bool = False
    reembed: bool = False
    supersede: Support | bool | None = None
    validity: Support | bool | None = None
    confidence: bool = False
    rerank: bool = False
    as_of: Support | bool | None = None

    def __post_init__(self) -> None:
        for name in ("supersede", "validity", "as_of"):
            given = getattr(self, name)
            if isinstance(given, bool):
                object.__setattr__(self, name, "native" if given else None)

    def can(self, comparison: Cmp) -> bool:
        """Return whether the service decides `comparison` exactly as we do."""
        known = self.filters.get(comparison.field)
        if known is None:
            known = self.filters.get("$*" if comparison.field.startswith("$") else "*", frozenset())
        return comparison.op in known and kind(comparison.value) != "other"
