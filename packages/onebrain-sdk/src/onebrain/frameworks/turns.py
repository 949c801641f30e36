"""Messages of a conversation as memories: which are stored, once, under which id."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onebrain.errors import OneBrainError
from onebrain.frameworks.ids import encode
from onebrain.frameworks.plans import Plan, ask
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.models import Memory, NewMemory, Scope, StoreResults
from onebrain.memory.remembering.model import ModelLike, asked

# Messages that are looked up at a time, from the last one back, to find the end of those that are stored already.
_LOOK_BACK = 50
# Messages that are known to be stored without a question to the brain.
_KNOWN = 10_000
_log = logging.getLogger("onebrain")


def facts(memory: Memory) -> dict[str, Any]:
    """Return the known facts about a memory as JSON: the metadata of a document that it becomes.

    The facts are ``title``, ``type``, ``source``, ``importance``, ``superseded_by``, ``tags``, ``created_at``,
    ``updated_at``, ``valid_from`` and ``valid_until`` (ISO 8601), and the parts of the scope. A fact that is not known has no key, and a key of the memory's own metadata wins.
    """
    known: dict[str, Any] = {}
    for name in ("title", "type", "source", "importance", "superseded_by"):
        value = getattr(memory, name)
        if value is not None:
            known[name] = value
    if memory.tags:
        known["tags"] = list(memory.tags)
    for name in ("created_at", "updated_at", "valid_from", "valid_until"):
        moment = getattr(memory, name)
        if moment is not None:
            known[name] = moment.isoformat()
    known |= memory.scope.model_dump(exclude_none=True)
    return known | memory.metadata


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message that a person or the assistant said.

    Attributes:
        text: The words, without recalled memories (see `recall.said`).
        role: The framework's name of the role, kept in the metadata.
        speaker: The name in front of the words in the memory, such as ``User``.
        id: The framework's id, unique in the conversation; None if it gives none.
    """

    text: str
    role: str
    speaker: str
    id: str | None = None


def model_or_none(remember: ModelLike | bool) -> ModelLike | None:
    """Return the model in an option that is True, False or a model; None if it is none.

    Raises:
        ConfigurationError: It is something else.
    """
    if isinstance(remember, bool):
        return None
    # Whether sync code can ask it is not known before it is asked.
    if remember != "service":
        asked(remember, asynchronous=True)
    return remember


class TurnRecorder:
    """Stores the messages of conversations, each one once, as memories of `kind` in the scope of the conversation.

    A message is stored under an id made of its own, so storing it again replaces it. The recorder remembers the latest
    thousands of stored messages, and asks the brain about others, so a new process stores nothing twice either.

    Example:
        >>> import onebrain
        >>> from onebrain.frameworks.plans import run
        >>> brain, monday = onebrain.connect("sqlite://"), Scope(user="maria", session="monday")
        >>> chat = [Spoken("Hello", "user", "User", id="1"), Spoken("Hi!", "assistant", "Assistant", id="2")]
        >>> recorder = TurnRecorder()
        >>> run(brain, recorder.record(chat, monday)), run(brain, recorder.record(chat, monday))
        (None, None)
        >>> [memory.content for memory in brain.list(scope=monday, order="sequence")]
        ['User: Hello', 'Assistant: Hi!']
        >>> brain.close()
    """

    def __init__(self, kind: str = "turn") -> None:
        self._kind = kind
        self._known: dict[str, tuple[int, str]] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[TurnRecorder], tuple[str]]:
        return TurnRecorder, (self._kind,)

    def memory_ids(self, ids: Sequence[str], scope: Scope) -> list[str]:
        """Return the ids of the memories that keep the latest of the messages with these `ids`."""
        own = [self._id(scope, id) for id in ids[-2 * _LOOK_BACK :]]
        return [self._stored_as(id) or id for id in own]

    def record(
        self, messages: Sequence[Spoken], scope: Scope, *, latest: Sequence[Spoken] | None = None
    ) -> Plan[None]:
        """Store the messages of a conversation, in order, that are not stored yet.

        Args:
            messages: The conversation; a message without an id is left out if the service takes ids.
            scope: The scope of the conversation.
            latest: The end of the conversation that is certainly new, for services that take no ids of their callers;
                the default is the whole conversation. A message with an id that this recorder stored is left out.
        """
        can: Capabilities = yield ask("capabilities")
        if can.client_ids:
            new = yield from self._unstored([message for message in messages if message.id], scope)
        else:
            end = messages if latest is None else latest
            new = [message for message in end if not (message.id and self._knows(scope, message))]
        if not new:
            return
        items = [self._memory(message, scope, can.client_ids) for message in new]
        stored: StoreResults = yield ask("store_many", items)
        for message, id in zip(new, stored.ids, strict=True):
            self._note(self._id(scope, message.id), message.text, id)

    def remember(self, messages: Sequence[Spoken], scope: Scope, model: ModelLike) -> Plan[None]:
        """Look for facts in messages that are recorded, in the background; a failure is logged.

        Args:
            messages: The messages of one turn.
            scope: The scope of the conversation.
            model: The model that finds facts, as `onebrain.Brain.remember` takes it.
        """
        ids = self.memory_ids([message.id for message in messages if message.id], scope)
        try:
            memories: list[Memory] = yield ask("get_many", ids, scope=scope)
            if memories:
                yield ask("remember", memories, scope=scope, model=model, wait=False)
        except OneBrainError as error:
            # The answer of the agent is there, and its words are kept.
            _log.warning("facts of a turn were not looked for: %s", error)

    def _unstored(self, messages: Sequence[Spoken], scope: Scope) -> Plan[list[Spoken]]:
        """Return the messages that are not stored yet, in order; all messages before a stored one are stored, too."""
        new: list[Spoken] = []
        end = len(messages)
        while end > 0:
            part = {
                self._id(scope, message.id): message for message in messages[max(0, end - _LOOK_BACK) : end]
            }
            # A message that is known with another text has been changed since it was stored.
            unknown = [id for id in part if self._stored_as(id) is None]
            if unknown:
                found: list[Memory] = yield ask("get_many", unknown, scope=scope)
                for memory in found:
                    self._note(memory.id, part[memory.id].text, memory.id)
            missing = [message for message in part.values() if not self._knows(scope, message)]
            new = missing + new
            if len(missing) < len(part):
                break
            end -= len(part)
        return new

    def _id(self, scope: Scope, id: str | None) -> str:
        return encode(scope, id or "", kind=self._kind, hashed=True)

    def _memory(self, message: Spoken, scope: Scope, client_ids: bool) -> NewMemory:
        return NewMemory.checked(
            id=self._id(scope, message.id) if client_ids else None,
            content=f"{message.speaker}: {message.text}",
            scope=scope,
            source="chat",
            metadata={"kind": self._kind, "role": message.role},
        )

    def _knows(self, scope: Scope, message: Spoken) -> bool:
        """Return whether a message is known to be stored with its text."""
        known = self._known.get(self._id(scope, message.id))
        return known is not None and known[0] == hash(message.text)

    def _stored_as(self, id: str) -> str | None:
        """Return the id of the memory that keeps a message; None if that is not known."""
        known = self._known.get(id)
        return None if known is None else known[1]

    def _note(self, id: str, text: str, memory_id: str) -> None:
        with self._lock:
            self._known[id] = (hash(text), memory_id)
            while len(self._known) > _KNOWN:
                del self._known[next(iter(self._known))]
