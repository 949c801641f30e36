"""Pages of rows, and the iteration over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from onebrain._core.rows import RowsOf

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageMeta:
    """Where a page stands in its list.

    Attributes:
        has_more: Whether another page follows.
        cursor: The ``cursor`` of the next page; None on the last one.
        total: The number of rows over all pages, where the service counts them.
    """

    has_more: bool = False
    cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Page(RowsOf[T], Sequence[T]):
    """One page of a list: a sequence of its rows, with ``data`` and ``meta`` as the services' own clients name them."""

    data: tuple[T, ...]
    meta: PageMeta = PageMeta()
