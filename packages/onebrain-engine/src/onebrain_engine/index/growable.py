"""Numpy arrays that grow."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Growable:
    """A one-dimensional array with room at its end; `view` is the part in use. It takes over the array it begins with."""

    __slots__ = ("_data", "size")

    def __init__(self, dtype: npt.DTypeLike, data: npt.NDArray[Any] | None = None) -> None:
        self.take_over(np.empty(0, dtype) if data is None else np.asarray(data, dtype))

    @property
    def view(self) -> npt.NDArray[Any]:
        """The elements; writing to them writes to the array."""
        return self._data[: self.size]

    @property
    def nbytes(self) -> int:
        """The bytes it takes, those of the room at its end included."""
        return self._data.nbytes

    def take_over(self, data: npt.NDArray[Any]) -> None:
        """Hold `data`, of whatever type, instead of the present elements."""
        self._data = data if data.flags.writeable else data.copy()
        self.size = len(data)

    def extend(self, values: Any) -> None:
        """Append `values`, an array or a list."""
        count = len(values)
        end = self.size + count
        if end > len(self._data):
            grown = np.empty(max(end, len(self._data) * 3 // 2, 64), self._data.dtype)
            grown[: self.size] = self._data[: self.size]
            self._data = grown
        # Most memories are stored alone, and one value is written in a fifth of the time of a slice.
        if count == 1:
            self._data[self.size] = values[0]
        else:
            self._data[self.size : end] = values
        self.size = end


class Groups:
    """The positions of each code in a growable column of codes, ascending."""

    __slots__ = ("_codes", "_order", "_sealed", "_seen", "_sorted", "_tail")

    def __init__(self, codes: Growable) -> None:
        self._codes = codes
        self._seal()

    def _seal(self) -> None:
        codes = self._codes.view
        self._order = np.argsort(codes, kind="stable")
        self._sorted = codes[self._order]
        self._sealed = self._seen = len(codes)
        self._tail: dict[int, list[int]] = {}

    def members(self, code: int) -> npt.NDArray[np.int64]:
        """Return the positions of `code`."""
        if self._codes.size - self._sealed > 1024 + self._sealed // 2:
            self._seal()
        for position, value in enumerate(self._codes.view[self._seen :].tolist(), self._seen):
            self._tail.setdefault(value, []).append(position)
        self._seen = self._codes.size
        first, last = np.searchsorted(self._sorted, (code, code + 1))
        head = self._order[first:last]
        tail = self._tail.get(code)
        return head if tail is None else np.concatenate([head, np.array(tail, np.int64)])


class Codes:
    """Small integers for strings, in the order of their first appearance; None is 0."""

    __slots__ = ("_codes", "names")

    def __init__(self) -> None:
        self.take_over([None])

    def take_over(self, names: list[str | None]) -> None:
        """Hold `names`, in the order of their codes, instead of the present ones."""
        self.names = names
        self._codes = {name: code for code, name in enumerate(names)}

    def of(self, name: str | None) -> int:
        """Return the code of `name`, a new one where there is none yet."""
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self.names)
            self.names.append(name)
        return code

    def find(self, name: str | None) -> int:
        """Return the code of `name`, -1 where there is none."""
        return self._codes.get(name, -1)
