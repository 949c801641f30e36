"""Models whose validators are built at their first use, and by one thread."""

from __future__ import annotations

import threading
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

_BUILDING = threading.RLock()
_built: set[type] = set()


class LazyModel(BaseModel, frozen=True):
    """A model that costs nothing to import, and may be used by several threads from the first moment.

    pydantic's own ``defer_build`` takes a class apart while it builds it: a second thread that comes for the first use,
    too, finds half of it and fails. Here that thread waits.
    """

    model_config = ConfigDict(defer_build=True)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if cls not in _built:
            _build(cls)
        return object.__new__(cls)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Validate `obj`, as pydantic does."""
        if cls not in _built:
            _build(cls)
        return super().model_validate(obj, **options)


def _build(cls: type[BaseModel]) -> None:
    with _BUILDING:
        if cls not in _built:
            cls.model_rebuild()
            _built.add(cls)
