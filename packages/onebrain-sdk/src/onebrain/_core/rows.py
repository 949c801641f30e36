"""Objects that are sequences of the rows in one of their fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar, overload

T = TypeVar("T")


# Not a typing.Generic, which pydantic wants behind its models.
class RowsOf(Iterable[T]):
    """Makes an object a sequence of its rows; it stands before a model among the bases, whose iteration it replaces."""

    __slots__ = ()
    # The name of the field with the rows.
    _rows: ClassVar[str] = "data"

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return getattr(self, self._rows)[index]

    def __len__(self) -> int:
        return len(getattr(self, self._rows))

    def __iter__(self) -> Iterator[T]:
        return iter(getattr(self, self._rows))
