"""The context of the LangGraph run that calls."""

from __future__ import annotations

import sys
from typing import Any


def running_context() -> Any:
    """Return the runtime context of the LangGraph run that calls, or None outside of a run."""
    # If LangGraph is not loaded, no graph can be running.
    if "langgraph.runtime" not in sys.modules:
        return None
    from langgraph.runtime import get_runtime

    try:
        runtime: Any = get_runtime()
    except RuntimeError:
        return None
    return getattr(runtime, "context", None)
