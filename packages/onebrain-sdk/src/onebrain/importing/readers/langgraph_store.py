"""Items of a LangGraph store: namespace, key, value and times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from onebrain._core.codec import as_object, to_json
from onebrain.importing.entries import Draft, Entry, Row, Skipped, scope_of
from onebrain.importing.rows import rows
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Source

# The key of a value under which its text stands; a value without one is stored as JSON.
_TEXTS = ("content", "text", "memory", "data", "fact", "value")


def detects(sample: Sample) -> bool:
    """Whether these are items of a LangGraph store."""
    return sample.first.keys() >= {"namespace", "key", "value"}


def read(source: Source) -> Iterator[Entry]:
    """Return the items."""
    return rows(source, lambda row, place: draft(row, place), keys=frozenset({"items"}))


def draft(row: Row, place: str, name: str = "langgraph-store") -> Entry:
    """Make a draft of an item. Its namespace and key are in the metadata, and its id is of both."""
    namespace, key, value = row.take("namespace"), row.take("key"), row.left.pop("value", None)
    path = namespace.split(".") if isinstance(namespace, str) else namespace
    if not isinstance(path, list | tuple) or not isinstance(key, str):
        return Skipped(place, "has no namespace or no key")
    parts = [str(part) for part in path]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    inner = Row(dict(as_object(value)))
    text = inner.text(*_TEXTS) if isinstance(value, Mapping) else value if isinstance(value, str) else ""
    if not text.strip():
        inner.left = {}
        text = to_json(value, what="the value") if value is not None else ""
    created, changed = row.time("created_at"), row.time("updated_at")
    row.left.pop("score", None)
    kept: dict[str, Any] = {**inner.left, **row.left, "namespace": parts, "key": key}
    fields = {
        "content": text,
        "id": to_json([*parts, key]),
        "scope": scope_of(user_of(parts)),
        "created_at": created,
        "source": name,
        "metadata": kept,
    }
    return Draft(place, fields, changed)


def user_of(namespace: list[str]) -> str | None:
    """Return the user that a namespace such as ``("users", "maria", "memories")`` or ``("memories", "maria")`` names."""
    known = ("user", "users", "memories", "memory")
    for word, following in pairwise(namespace):
        if word in known and following not in known:
            return following
    return None
