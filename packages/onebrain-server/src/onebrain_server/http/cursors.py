"""Cursors that stand for some values: JSON in the alphabet of URLs, which clients hand back as they got it."""

from __future__ import annotations

import base64
import json
from typing import Any


def encode(*values: Any) -> str:
    """Return the cursor of some values."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def decode(cursor: str) -> Any:
    """Return the values of a cursor, which any client may have written.

    Raises:
        ValueError: It is none.
    """
    try:
        return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except RecursionError:
        raise ValueError("not a cursor") from None


__all__ = ["decode", "encode"]
