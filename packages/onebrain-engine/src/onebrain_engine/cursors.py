"""Cursors of lists: the order's value and the row of the last memory of a page, so that later stores shift nothing."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from onebrain.errors import OneBrainValidationError


def encode(key: Any, row: int, order: str) -> str:
    """Return an opaque cursor."""
    return base64.urlsafe_b64encode(json.dumps([order, key, row]).encode()).decode().rstrip("=")


def decode(cursor: str | None, order: str) -> tuple[Any, int] | None:
    """Return the value and row of a cursor; raise where it is none of ours, or of another order."""
    if cursor is None:
        return None
    try:
        made_for, key, row = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        number = int(row)
        if not isinstance(key, int | float):
            raise TypeError
    except (ValueError, TypeError, binascii.Error):
        raise OneBrainValidationError("cursor: not a cursor that a list returned") from None
    if made_for != order:
        raise OneBrainValidationError(f"cursor: made for order {made_for!r:.40}, not {order!r:.40}")
    return key, number
