"""Items of LangGraph's store as memories, and back.

One memory keeps one item: its namespace, key and value as metadata, the text of its indexed fields as content. Where the
caller brings the vectors, the memory has that of the first text; every further text is a *part*, an archived memory of
its own beside the item, so that lists, counts and searches of others see one memory for one item. A part repeats the
fields that filters read, and the time of the put that wrote it: a part of an earlier put counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    PutOp,
    get_text_at_path,
    tokenize_path,
)

from onebrain import F, Memory, NewMemory, OneBrainValidationError, Scope
from onebrain.frameworks.ids import encode
from onebrain.frameworks.values import is_object, is_sequence
from onebrain.memory.filters import Filter

# A label holds no dot and is not empty, so labels that each end with one are an injective encoding of a namespace in
# which prefixes compare label by label: ("a",) is "a.", which "ab." does not begin with.
NAMESPACE = F("item.namespace")
INDEXED = F("item.indexed")
_OWNER = F("item.of")
_WRITTEN = F("item.updated_at")

# Minutes; dates end some millennia later.
_LONGEST_TTL = 60 * 24 * 365 * 1000


def path_of(namespace: Sequence[str]) -> str:
    """Return a namespace as text, in which prefixes compare label by label."""
    return _path(tuple(namespace))


@lru_cache(maxsize=1024)
def _path(namespace: tuple[str, ...]) -> str:
    path = "".join(label + "." for label in namespace)
    # Older releases of LangGraph let this character pass.
    if "\x00" in path:
        raise InvalidNamespaceError("a namespace label cannot hold NUL")
    return path


def labels_of(path: str) -> tuple[str, ...]:
    """Return the namespace that `path_of` wrote."""
    return tuple(path.split(".")[:-1])


def item_id(scope: Scope, op: GetOp | PutOp) -> str:
    """Return the id of the memory that keeps an item."""
    return encode(scope, _name(op), kind="item", hashed=True)


def part_ids(scope: Scope, op: PutOp, first: int, last: int) -> list[str]:
    """Return the ids of an item's parts from number `first` to `last`; the first part is number 1."""
    return [
        encode(scope, f"{number}.{_name(op)}", kind="part", hashed=True) for number in range(first, last + 1)
    ]


def parts_of(memory: Memory) -> int:
    """Return how many parts an item has."""
    parts: int = memory.metadata["item"].get("parts", 0)
    return parts


class Text(NamedTuple):
    """A text of an item that is searched."""

    shown: str
    """The text as a person reads it, which is stored and searched by words."""
    whole: bool = False
    """Whether it is the text of the whole value."""

    def embedded(self, op: PutOp) -> str:
        """Return the text for the caller's embedder, as LangGraph's stores give it: JSON for a whole value."""
        if not self.whole:
            return self.shown
        try:
            (text,) = get_text_at_path(dict(op.value or {}), "$")
        except (TypeError, ValueError) as error:
            raise OneBrainValidationError(f"a value must be a JSON object: {error}") from error
        return text


def texts_of(op: PutOp, fields: Sequence[str]) -> list[Text]:
    """Return the texts of an item that are searched, one for each indexed field or element of one; none without any.

    `fields` are indexed unless the operation names others; ``"$"`` is all the text that a person would read in the
    value, as one text.
    """
    if op.value is None or op.index is False:
        return []
    texts: list[Text] = []
    for field in fields if op.index is None else op.index:
        if field == "$":
            shown = "\n".join(line for line in _readable(op.value) if line.strip())
            texts.append(Text(shown, whole=True))
        else:
            texts.extend(map(Text, get_text_at_path(op.value, tokenize_path(field))))
    return list(dict.fromkeys(text for text in texts if text.shown.strip()))


def memories_of(
    op: PutOp, texts: Sequence[Text], scope: Scope, vectors: Sequence[Sequence[float]] | None, *, bare: bool
) -> Iterator[NewMemory]:
    """Return the memory that keeps an item, and its parts.

    Args:
        op: The put.
        texts: The item's texts.
        scope: Where the store's memories are.
        vectors: A vector of each text; None where the brain makes one of all of them.
        bare: Whether the memory of an item without texts can be stored without a vector.
    """
    item: dict[str, Any] = {
        "namespace": path_of(op.namespace),
        "key": op.key,
        "value": dict(op.value or {}),
        "indexed": bool(texts),
        "updated_at": datetime.now(UTC).isoformat(),
    }
    if op.ttl is not None:
        item["ttl"] = op.ttl
    ttl = None if op.ttl is None else lifetime(op.ttl)
    parts = len(vectors) - 1 if vectors else 0
    id = item_id(scope, op)
    yield NewMemory.checked(
        id=id,
        # Without a text it is found by get and by filters.
        content="\n".join(text.shown for text in texts).strip()
        or f"({(path_of(op.namespace) + op.key).strip()})",
        scope=scope,
        metadata={"item": {**item, "parts": parts} if parts else item},
        ttl=ttl,
        embedding=tuple(vectors[0]) if vectors else False if bare and not texts else None,
    )
    for number, part in enumerate(part_ids(scope, op, 1, parts), 1):
        assert vectors is not None
        yield NewMemory.checked(
            id=part,
            content=texts[number].shown,
            scope=scope,
            metadata={"item": {**item, "part": number, "of": id}},
            archived=True,
            ttl=ttl,
            embedding=tuple(vectors[number]),
        )


def fields_of(memory: Memory) -> dict[str, Any]:
    """Return the fields of the `Item` that a memory keeps."""
    item = memory.metadata["item"]
    # The time of the last put; a refreshed lifetime is no update.
    updated = datetime.fromisoformat(item["updated_at"])
    created = memory.created_at or updated
    return {
        "namespace": labels_of(item["namespace"]),
        "key": item["key"],
        "value": item["value"],
        "created_at": created,
        "updated_at": max(created, updated),
    }


def owner_of(memory: Memory) -> str:
    """Return the id of the item that a memory keeps, or is a part of."""
    owner: str = memory.metadata["item"].get("of", memory.id)
    return owner


def belongs(memory: Memory, item: Memory | None) -> bool:
    """Return whether `memory` is `item` itself or a part that its last put wrote, and the item is one to be found."""
    if item is None or item.archived:
        return False
    return (
        memory.id == item.id or memory.metadata["item"]["updated_at"] == item.metadata["item"]["updated_at"]
    )


def left_behind(memories: Iterable[Memory]) -> Filter:
    """Return which parts these are; not those that a later put writes under the same ids."""
    parts = list(memories)
    return _OWNER.in_([owner_of(memory) for memory in parts]) & _WRITTEN.in_(
        [memory.metadata["item"]["updated_at"] for memory in parts]
    )


def lifetime(minutes: float) -> timedelta:
    """Return how long an item lives."""
    if not minutes > 0:
        raise OneBrainValidationError("ttl: must be more than 0 minutes; None keeps an item for ever")
    return timedelta(minutes=min(minutes, _LONGEST_TTL))


def _name(op: GetOp | PutOp) -> str:
    # Labels hold no dot, so the first empty one, which two dots in a row make, ends the namespace.
    return path_of(op.namespace) + "." + op.key


def _readable(value: Any) -> list[str]:
    """Return the text in a value as lines, as a person would read it, without the punctuation of JSON."""
    if isinstance(value, str):
        return [value]
    if is_object(value):
        lines: list[str] = []
        for key, item in value.items():
            inner = _readable(item)
            lines.extend(f"{key}: {line}" for line in inner)
        return lines
    if is_sequence(value):
        return [line for item in value for line in _readable(item)]
    return [] if value is None else [str(value)]
