"""Whole lists of memories, read page by page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from onebrain.memory.driver import ListRequest
from onebrain.memory.models import Memory
from onebrain_engine import Tenant

_PAGE: Final = 500


def every_memory(memories: Tenant, request: ListRequest, *, most: int | None = None) -> Iterator[Memory]:
    """Yield the memories of a list from its cursor on, `most` of them or all."""
    left = most
    while True:
        page = memories.list(replace(request, limit=_PAGE if left is None else min(_PAGE, left)))
        yield from page.data
        left = None if left is None else left - len(page.data)
        if page.meta.cursor is None or left == 0:
            return
        request = replace(request, cursor=page.meta.cursor)


__all__ = ["every_memory"]
