"""Messages as `remember` takes them, and the memories that keep them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias, cast

from onebrain._core.codec import as_array, to_json
from onebrain.errors import OneBrainValidationError
from onebrain.memory.acceptance import in_utc, zoned
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.checks import check_id
from onebrain.memory.driver import Changes
from onebrain.memory.models import MOST_LINKS, Memory, NewMemory, Scope
from onebrain.memory.remembering.model import joined
from onebrain.memory.remembering.shapes import fields_of, is_message, is_tool_traffic, role_of, unknown_keys

# `Any` stands for a message of a framework, taken by its shape.
Messages: TypeAlias = (
    "str | Memory | Mapping[str, Any] | Iterable[str | Memory | Mapping[str, Any] | Any] | Any"
)

# The type of a memory that keeps a message, and the kind in its metadata by which deletions know it.
TYPE: Final = "message"
KIND: Final = "message"
# The key of its metadata that holds what calls of `remember` found.
RECORD: Final = "remembered"
# The key of its metadata under which a service without ids of the caller's keeps its id.
OWN_ID: Final = "message_id"
# The key of a fact's metadata with the ids of the messages that it was drawn from.
SOURCES: Final = "sources"
# The key of the metadata under which adapters of frameworks keep the identity of a memory.
ADAPTER: Final = "_onebrain"
# The keys of metadata that say of one message, or of one fact of `remember`, how it came to be.
_OF_MESSAGE: Final = frozenset({"kind", "role", "message", OWN_ID, "said_at"})
_OF_FACT: Final = frozenset(
    {
        "session",
        "agent",
        "quote",
        SOURCES,
        "model",
        "prompt",
        "remember_key",
        "suggested",
        "reason",
        "valid_from",
        "valid_until",
    }
)

_MOST: Final = 200
# Of all messages together. Models take about four characters to a token, and few more than 100,000 tokens.
_LONGEST: Final = 400_000


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        id: The id of the memory that keeps it, or that is to keep it.
        role: Who said it.
        text: The words.
        at: When it was said, in the time zone of the caller, whose days relative dates are counted in.
        told: Whether the caller told when it was said.
        memory: The memory that keeps it, if the caller gave one.
        own: Whether the caller gave its id.
    """

    id: str
    role: str
    text: str
    at: datetime
    told: bool
    memory: Memory | None = field(default=None, repr=False)
    own: bool = False

    def elsewhere(self, scope: Scope) -> str:
        """Return the id of this message in a scope, where a message of another scope has its own one."""
        return f"message:{_digest([*_parts(scope), self.id])[:40]}"

    def draft(self, scope: Scope, can: Capabilities) -> NewMemory:
        """Return the memory that is to keep this message."""
        metadata: dict[str, Any] = {"kind": KIND, "role": self.role}
        if not can.client_ids:
            metadata[OWN_ID] = self.id
        if self.told and not can.created_at:
            metadata["said_at"] = in_utc(self.at).isoformat()
        return NewMemory.checked(
            id=self.id if can.client_ids else None,
            content=self.text,
            scope=scope,
            type=TYPE,
            source="chat",
            created_at=self.at if self.told and can.created_at else None,
            metadata=metadata,
        )


def messages_of(given: Messages, scope: Scope, created_at: datetime | None, now: datetime) -> list[Message]:
    """Return messages in the order given, without the calls and answers of tools that have no text.

    A message without an id gets one of its scope, role, text, time and, among equal ones, position.

    Raises:
        OneBrainValidationError: They are not messages, or too many, or two of them have one id.
    """
    rows: Iterable[Any]
    if isinstance(given, str | Memory | Mapping) or is_message(given):
        rows = [given]
    elif isinstance(given, Iterable) and not isinstance(given, bytes):
        rows = cast("Iterable[Any]", given)
    else:
        raise OneBrainValidationError(
            f"messages: must be text or a list of messages with role and content, not {type(given).__name__}"
        )
    found: list[Message] = []
    alike: Counter[str] = Counter()
    seen: dict[str, Message] = {}
    for position, row in enumerate(rows):
        if position == _MOST:
            raise OneBrainValidationError(f"messages: at most {_MOST} in one call; split them")
        try:
            message = _message(row, scope, created_at, now, alike)
            if message is None:
                continue
            _check_repeated(message, seen.setdefault(message.id, message))
            found.append(message)
        except (ValueError, TypeError) as error:
            raise OneBrainValidationError(f"messages: number {position + 1} {_reason(error)}") from None
    if not found:
        raise OneBrainValidationError("messages: there are none with text")
    if sum(len(message.text) for message in found) > _LONGEST:
        raise OneBrainValidationError(f"messages: at most {_LONGEST} characters in one call; split them")
    return found


def _check_repeated(message: Message, first: Message) -> None:
    """Refuse a message with the id of an earlier one, unless both are the same memory."""
    if message is not first and (message.memory is None or message.memory != first.memory):
        raise ValueError("has the id of an earlier one; give each message an id of its own, or none")


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, OneBrainValidationError) else str(error)


def _message(
    row: Any, scope: Scope, created_at: datetime | None, now: datetime, alike: Counter[str]
) -> Message | None:
    """Return a message; None for a call or an answer of a tool that has no text."""
    if isinstance(row, Memory):
        if not scope.covers(row.scope):
            raise ValueError("is a memory of another scope")
        role = row.metadata.get("role")
        said = created_at or row.created_at or now
        return Message(row.id, role if isinstance(role, str) else "user", row.content, said, True, row)
    fields = {"content": row} if isinstance(row, str) else fields_of(row)
    if fields is None:
        raise ValueError(
            "must be text, a dict with role and content, a message of a framework with these, or a Memory, not "
            f"{type(row).__name__}"
        )
    unknown = ", ".join(unknown_keys(fields)[:5])
    if unknown:
        raise ValueError(f"has unknown keys: {unknown:.100}; there are role, content, id and created_at")
    text = joined(fields.get("content"))
    if not isinstance(text, str) or not text.strip():
        if is_tool_traffic(fields) and (text is None or isinstance(text, str)):
            return None
        raise ValueError("has no text; leave it out")
    role = role_of(fields)
    if not isinstance(role, str) or not role.strip() or len(role) > 64:
        raise ValueError("has a role that is not a short text")
    given: Any = zoned(fields.get("created_at"))
    if given is not None and not isinstance(given, datetime):
        raise ValueError("has a created_at that is neither a datetime nor ISO 8601 text")
    at: datetime | None = given or created_at
    own = fields.get("id")
    if own is not None:
        id = check_id("id", own)
    else:
        name = _digest([*_parts(scope), role, text, None if at is None else in_utc(at).isoformat()])
        id = f"message:{_digest([name, alike[name]])[:40]}"
        alike[name] += 1
    return Message(id, role, text, at or now, at is not None, own=own is not None)


def _parts(scope: Scope) -> tuple[str | None, ...]:
    return scope.space, scope.user, scope.agent, scope.session


def _digest(value: Any) -> str:
    return hashlib.sha256(to_json(value, what="a message").encode()).hexdigest()


def key_of(messages: Iterable[Message], *parts: Any) -> str:
    """Return the key of one call: the same for the same messages, and the same `parts` beside them."""
    return _digest([[(message.id, message.text) for message in messages], *parts])[:32]


def fact_id(scope: Scope, normalized: str) -> str:
    """Return the id of a fact of one user in one space."""
    return f"fact:{_digest([scope.space, scope.user, normalized])[:40]}"


def is_source(memory: Memory) -> bool:
    """Return whether facts may have been drawn from a memory."""
    return tells_source(memory.metadata)


def tells_source(metadata: Mapping[str, Any]) -> bool:
    """Return whether metadata is that of a memory from which facts may have been drawn."""
    return metadata.get("kind") == KIND or RECORD in metadata


def sources_of(fact: Memory) -> tuple[str, ...]:
    """Return the ids of the messages that a fact was drawn from."""
    return tuple(id for id in as_array(fact.metadata.get(SOURCES)) if isinstance(id, str))


def with_sources(
    fact: Memory, can: Capabilities, *, more: Iterable[str] = (), gone: Collection[str] = ()
) -> Changes | None:
    """Return the changes that add messages to the sources of a fact or take some out; None if it has them so already.

    The words that were quoted from a message go with it. A fact without sources belongs to no message, and gets none.
    """
    known = sources_of(fact)
    left = [id for id in dict.fromkeys((*known, *more)) if id not in gone]
    if not known or left == list(known):
        return None
    fields: dict[str, Any] = {"metadata": {**fact.metadata, SOURCES: left}}
    if gone:
        fields["metadata"].pop("quote", None)
    if can.supersede:
        fields["sources"] = left[:MOST_LINKS]
    return Changes(fields=fields, merge_metadata=False)


def still_a_source(memory: Memory, changes: Changes) -> Changes:
    """Return changes of a memory after which the facts that were drawn from it still go with it.

    The keys of its metadata that say so stay, unless the changes set them.
    """
    if "metadata" not in changes.fields:
        return changes
    before, after = memory.metadata, changes.metadata(memory.metadata)
    names = [RECORD, OWN_ID] if is_source(memory) else []
    if "remember_key" in before:
        names += [SOURCES, "remember_key"]
    kept = {name: before[name] for name in names if name in before}
    if before.get("kind") == KIND:
        if after.get("kind", KIND) == KIND:
            kept["kind"] = KIND
        else:
            # A kind of the caller's own leaves the other mark.
            kept.setdefault(RECORD, {})
    merged = {**kept, **after}
    if merged == after:
        return changes
    return Changes(fields={**changes.fields, "metadata": merged}, merge_metadata=False)


def own_metadata(memory: Memory) -> dict[str, Any]:
    """Return the metadata of a memory without the keys that are about this one memory alone."""
    private = {ADAPTER, RECORD}
    if memory.metadata.get("kind") == KIND:
        private |= _OF_MESSAGE
    if "remember_key" in memory.metadata:
        private |= _OF_FACT
    return {key: value for key, value in memory.metadata.items() if key not in private}


__all__ = [
    "ADAPTER",
    "KIND",
    "OWN_ID",
    "RECORD",
    "SOURCES",
    "TYPE",
    "Message",
    "Messages",
    "fact_id",
    "is_source",
    "key_of",
    "messages_of",
    "own_metadata",
    "sources_of",
    "still_a_source",
    "tells_source",
    "with_sources",
]
