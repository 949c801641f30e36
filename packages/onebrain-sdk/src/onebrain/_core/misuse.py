"""Calls with arguments that a method does not have: the error names the method as its users know it, and the right argument.

Nothing here runs unless a call has failed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final

from onebrain.errors import OneBrainArgumentError

# Parts of a scope, by the names that other libraries give them.
_PARTS: Final[Mapping[str, str]] = {
    "space": "space",
    "namespace": "space",
    "collection": "space",
    "collection_name": "space",
    "user": "user",
    "user_id": "user",
    "agent": "agent",
    "agent_id": "agent",
    "session": "session",
    "session_id": "session",
    "run_id": "session",
    "thread": "session",
    "thread_id": "session",
    "conversation_id": "session",
}
# Other arguments, by names that other libraries give them.
_SYNONYMS: Final[Mapping[str, Collection[str]]] = {
    "limit": {"k", "n", "top_k", "top_n", "n_results", "num_results", "max_results", "size", "page_size"},
    "filter": {"filters", "where", "metadata_filter", "conditions"},
    "query": {"q", "text", "question", "query_str", "search"},
    "content": {"text", "memory", "body", "data", "page_content", "document"},
    "id": {"memory_id", "key", "uid", "uuid"},
    "ids": {"id", "memory_id", "memory_ids", "keys"},
    "metadata": {"meta", "metadatas"},
    "min_score": {"score_threshold", "threshold"},
    "max_tokens": {"token_limit", "budget"},
    "mode": {"search_mode", "search_type"},
    "embedding": {"vector", "embeddings"},
}


def misuse(
    error: TypeError, owner: object, name: str, plan: Callable[..., Any], kwargs: Mapping[str, Any]
) -> OneBrainArgumentError:
    """Return the error for a call of the method `name` whose arguments do not fit, as `error` says.

    Raises:
        TypeError: `error` itself, where it came from inside the method.
    """
    if error.__traceback__ is None or error.__traceback__.tb_next is not None:
        raise error
    method = f"{type(owner).__name__}.{name}()"
    # The first parameter is the object itself.
    known = list(inspect.signature(plan).parameters.values())[1:]
    names = [parameter.name for parameter in known]
    unknown = [word for word in kwargs if word not in names]
    if unknown:
        return OneBrainArgumentError("; ".join(_unknown(method, word, names) for word in unknown))
    message = str(error).replace(f"{plan.__qualname__}()", method)
    if "positional" in message and "were given" in message:
        placed = [one.name for one in known if one.kind is not inspect.Parameter.KEYWORD_ONLY]
        named = [one for one in names if one not in placed]
        message = f"{method} takes {', '.join(placed) or 'nothing'} by position" + (
            f", and by name {', '.join(named)}" if named else ""
        )
    return OneBrainArgumentError(message)


def _unknown(method: str, word: str, names: Collection[str]) -> str:
    instead = _instead(word, names)
    hint = f"write {instead}" if instead else f"it has {', '.join(names) or 'none'}"
    return f"{method} has no argument {word!r}; {hint}"


def _instead(word: str, names: Collection[str]) -> str | None:
    """Return the right spelling of an argument that a method does not have, or None."""
    lower = word.lower()
    if "scope" in names and lower in _PARTS:
        return f"scope=Scope({_PARTS[lower]}=...)"
    for name in names:
        if lower in _SYNONYMS.get(name, ()):
            return f"{name}=..."
    close = get_close_matches(lower, names, 1)
    if close:
        return f"{close[0]}=..."
    part = get_close_matches(lower, _PARTS, 1) if "scope" in names else []
    return f"scope=Scope({_PARTS[part[0]]}=...)" if part else None
