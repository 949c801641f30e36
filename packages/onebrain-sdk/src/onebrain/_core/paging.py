"""Pages of rows, and the iteration over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, overload

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
class Page(Sequence[T], Generic[T]):
    """One page of a list: a sequence of its rows, with ``data`` and ``meta`` as the services' own clients name them."""

    data: tuple[T, ...]
    meta: PageMeta = PageMeta()

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self.data[index]

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)
