"""The messages of chats as an ordered log in a brain, which both chat stores and `OneBrainMemory` use.

Each message is a memory of the session that its chat's key names, in the order of storing. Replacing a chat is one
atomic write on services whose batches are atomic: the new messages carry a tag, and a marker at their end makes that
tag the chat. Readers see the old chat until the marker is there and the new one from then on; the replaced messages
are invisible at once and removed afterwards. More messages than fit a batch become visible with the last batch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

from llama_index.core.base.llms.types import ChatMessage

from onebrain import Memory, NewMemory, OneBrainNotFoundError, OneBrainValidationError, Scope
from onebrain.frameworks.ids import digest
from onebrain.frameworks.plans import Plan, ask
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.checks import check_id
from onebrain.memory.filters import either
from onebrain_llamaindex.filters import RESERVED, own
from onebrain_llamaindex.messages import dump, is_recalled, is_spoken, load, message_id, text_of

ACTIVE, ARCHIVED = "active", "archived"


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a chat, and the memories that hold it: several where a message was stored again under its id."""

    ids: tuple[str, ...]
    memory: Memory

    @property
    def message(self) -> ChatMessage:
        """The message."""
        return load(self.memory)


class ChatLog:
    """Plans over the chats in one scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def where(self, key: str) -> Scope:
        """Return the scope of one chat: its key is the session, hashed where a session cannot have that name."""
        key = check_id("key", key)
        fits = 0 < len(key) <= 512 and bool(key.strip()) and key.isprintable()
        session = key if fits else "#" + digest(key)
        return Scope(self.scope.space, self.scope.user, self.scope.agent, session)

    def read(self, key: str, status: str | None = None, *, newest: int | None = None) -> Plan[list[Entry]]:
        """Return the messages of a chat in order; with `newest`, only about that many from its end."""
        return _visible((yield from self._rows(key, status, newest)))

    def tail(self, key: str, newest: int) -> Plan[tuple[list[Entry], bool]]:
        """Return about the last `newest` messages of a chat in order, and whether they begin with the chat."""
        rows = yield from self._rows(key, None, newest)
        return _visible(rows), len(rows) < newest

    def add(self, key: str, messages: Sequence[ChatMessage], status: str = ACTIVE) -> Plan[None]:
        """Append messages to a chat; all or none where they fit a batch of a service whose batches are atomic."""
        can: Capabilities = yield ask("capabilities")
        items = [
            self._memory(key, message, status, None, can) for message in messages if not is_recalled(message)
        ]
        if items:
            (yield ask("store_many", items, wait=True)).raise_for_failures()

    def insert(self, key: str, message: ChatMessage, position: int) -> Plan[None]:
        """Add a message before the one at `position`, as a list would; the whole chat is written again."""
        if isinstance(position, bool) or not isinstance(position, int):
            raise OneBrainValidationError(f"idx: must be a whole number, not {type(position).__name__}")
        key = check_id("key", key)
        rows = yield from self._rows(key)
        entries = _visible(rows)
        position = max(0, position + len(entries)) if position < 0 else position
        id = message_id(message)
        if position >= len(entries) or (
            id is not None and id in {message_id(entry.message) for entry in entries}
        ):
            yield from self.add(key, [message])
            return
        chat = [(entry.message, _status_of(entry.memory)) for entry in entries]
        chat.insert(position, (message, ACTIVE))
        yield from self._replace(key, chat, rows)
        yield from self._keep_late(key, {row.id for row in rows})

    def _keep_late(self, key: str, known: AbstractSet[str]) -> Plan[None]:
        """Move messages that others added while the chat was written again behind the marker."""
        rows = yield from self._rows(key)
        marker = max((index for index, row in enumerate(rows) if _facts(row).get("marker")), default=0)
        late = [
            row
            for row in rows[:marker]
            if row.id not in known and "message" in _facts(row) and "set" not in _facts(row)
        ]
        for row in late:
            yield from self.add(key, [load(row)], _status_of(row))
        if late:
            yield ask("delete", [row.id for row in late], scope=self.where(key))

    def set(self, key: str, messages: Sequence[ChatMessage], status: str = ACTIVE) -> Plan[None]:
        """Replace a chat."""
        key = check_id("key", key)
        old = yield from self._rows(key)
        yield from self._replace(key, [(message, status) for message in messages], old)

    def _replace(
        self, key: str, chat: Sequence[tuple[ChatMessage, str]], old: Sequence[Memory]
    ) -> Plan[None]:
        """Write a chat of messages with their status, and remove the memories `old`."""
        can: Capabilities = yield ask("capabilities")
        tag = uuid4().hex
        items = [
            self._memory(key, message, status, tag, can)
            for message, status in chat
            if not is_recalled(message)
        ]
        marker = NewMemory.checked(
            content="[chat replaced]",
            scope=self.where(key),
            metadata={RESERVED: {"chat": key, "marker": tag, "at": _now()}},
            archived=can.archive,
        )
        results = yield ask("store_many", [*items, marker], wait=True)
        if results.failed:
            # The marker may be in; the chat before it must come back, so the half-made one goes as a whole.
            yield ask(
                "delete", [result.id for result in results if result.id is not None], scope=self.where(key)
            )
            results.raise_for_failures()
        if old:
            yield ask("delete", [row.id for row in old], scope=self.where(key))

    def remove(self, key: str, entry: Entry) -> Plan[bool]:
        """Remove one message; return whether it was still there."""
        return bool((yield ask("delete", entry.ids, scope=self.where(key))))

    def clear(self, key: str, status: str | None = None) -> Plan[list[Entry]]:
        """Remove a chat, or its messages of one status, and return them."""
        rows = yield from self._rows(key, status)
        entries = _visible(rows)
        # With the whole chat go its markers and the messages of a replacement that broke off.
        ids = [row.id for row in rows] if status is None else [id for entry in entries for id in entry.ids]
        if ids:
            yield ask("delete", ids, scope=self.where(key))
        return entries

    def archive(self, key: str, count: int) -> Plan[list[Entry]]:
        """Mark the oldest `count` active messages as archived and return them."""
        oldest = (yield from self.read(key, ACTIVE))[: max(0, count)]
        for entry in oldest:
            for id in entry.ids:
                facts = {**_facts(entry.memory), "status": ARCHIVED}
                try:
                    yield ask("update", id, scope=self.where(key), metadata={RESERVED: facts})
                except OneBrainNotFoundError:
                    # Another caller removed it meanwhile.
                    continue
        return oldest

    def keys(self) -> Plan[list[str]]:
        """Return the keys of all chats, oldest first."""
        rows: list[Memory] = yield ask(
            "list", filter=own("chat").exists(), scope=self.scope, order="sequence", include_archived=True
        )
        return list(dict.fromkeys(_facts(row)["chat"] for row in rows))

    def exists(self, key: str) -> Plan[bool]:
        """Return whether there is a chat under `key`, even an empty one."""
        return bool((yield from self._rows(key, newest=1)))

    def _rows(self, key: str, status: str | None = None, newest: int | None = None) -> Plan[list[Memory]]:
        can: Capabilities = yield ask("capabilities")
        condition = own("chat").eq(check_id("key", key))
        rows: list[Memory] = yield ask(
            "list",
            filter=condition
            if status is None
            else condition & either(own("status").eq(status), own("marker").exists()),
            scope=self.where(key),
            order="sequence" if newest is None else "-sequence",
            limit=newest,
            include_archived=True,
        )
        if newest is not None:
            rows.reverse()
        if "sequence" not in can.orders:
            rows.sort(key=lambda row: cast("int", _facts(row)["at"]))
        return rows

    def _memory(
        self, key: str, message: ChatMessage, status: str, tag: str | None, can: Capabilities
    ) -> NewMemory:
        facts: dict[str, Any] = {
            "chat": check_id("key", key),
            "status": status,
            "role": message.role.value,
            "message": dump(message),
            "at": _now(),
        }
        if tag is not None:
            facts["set"] = tag
        if (id := message_id(message)) is not None:
            facts["message_id"] = id
        return NewMemory.checked(
            content=text_of(message),
            scope=self.where(key),
            source="chat",
            metadata={RESERVED: facts},
            # Instructions and the traffic of tools stay in the chat and out of searches.
            archived=can.archive and not is_spoken(message),
        )


def _visible(rows: Sequence[Memory]) -> list[Entry]:
    """Return the messages among `rows`, all memories of one chat in order, that belong to the chat as it is now."""
    marker = max((index for index, row in enumerate(rows) if _facts(row).get("marker")), default=-1)
    current = _facts(rows[marker])["marker"] if marker >= 0 else None
    entries: dict[str, Entry] = {}
    for index, row in enumerate(rows):
        facts = _facts(row)
        tag = facts.get("set")
        if "message" not in facts or (tag != current if tag is not None else index < marker):
            continue
        id = facts.get("message_id") or row.id
        # A message that is stored again keeps its position and gets its new content.
        entries[id] = Entry((*entries[id].ids, row.id) if id in entries else (row.id,), row)
    return list(entries.values())


def _status_of(memory: Memory) -> str:
    return cast("str", _facts(memory)["status"])


def _facts(memory: Memory) -> dict[str, Any]:
    return cast("dict[str, Any]", memory.metadata[RESERVED])


_clock = threading.Lock()
_last = 0


def _now() -> int:
    """Return nanoseconds that never repeat or go back in this process, for services that keep no order themselves."""
    global _last
    with _clock:
        _last = max(_last + 1, time.time_ns())
        return _last
