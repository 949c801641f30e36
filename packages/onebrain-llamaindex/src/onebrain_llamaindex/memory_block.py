"""`OneBrainMemoryBlock`: long-term memory for LlamaIndex's `Memory`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.memory import BaseMemoryBlock, Memory
from llama_index.core.settings import Settings
from pydantic import Field

from onebrain import Capabilities, Context, NewMemory, RememberResult, Scope
from onebrain import Memory as Kept
from onebrain.frameworks.connection import Method
from onebrain.frameworks.ids import digest, store_under_ids, with_ids
from onebrain.frameworks.plans import Plan, ask, call
from onebrain.frameworks.turns import model_or_none
from onebrain.memory.context import estimate_tokens
from onebrain.memory.fence import unfence
from onebrain.memory.filters import every, negate
from onebrain.memory.ids import Id
from onebrain_llamaindex.connection import Connected
from onebrain_llamaindex.filters import RESERVED, own, translate
from onebrain_llamaindex.ids import encode
from onebrain_llamaindex.messages import is_spoken, message_id, text_of

# The element in which `Memory` put a recalled text, once that text is gone.
_EMPTY_ELEMENT: Final = re.compile(r"<memory>\s*<([^<>\s]{1,200})>\s*</\1>\s*</memory>")


class OneBrainMemoryBlock(Connected, BaseMemoryBlock[str]):
    """A memory block that recalls memories for the latest user message, and keeps the messages that `Memory` flushes.

    The recalled text is fenced as data, dated, and within `max_tokens`. If `Memory` has too little room, it is cut to
    the best memories that fit; with ``priority=0`` it is never cut.

    `Memory` hands a block only the messages that no longer fit its token limit, so a short chat never reaches it.
    Call `save` or `asave` when a chat ends: a message that is saved twice is kept once.

    Attributes:
        scope: Whose memories. Recalled memories come from all sessions of the scope, kept messages go into the
            session that `Memory` names.
        max_tokens: How long the recalled text may be.
        limit: How many memories to consider at most.
        min_score: Only memories with at least this score, 0..1.
        min_confidence: Recall nothing but pinned memories if the answer is less likely than this to be among them, 0..1. None
            is the default of `Brain.context`, which leaves out memories that have nothing to do with the message; 0 turns it off.
        filters: Which memories count: `MetadataFilters`, a brain's filter, or a Mongo-style dict.
        count_tokens: Counts the tokens of a text; the default is a quarter of its UTF-8 bytes.
        llm: The model that finds the facts in the messages which are kept, as `onebrain.Brain.remember` takes it; True for
            ``Settings.llm``, None for no facts. `save` waits for them; those of flushed messages are looked for in the
            background.

    Example:
        >>> import asyncio, onebrain
        >>> from llama_index.core.llms import ChatMessage
        >>> from llama_index.core.memory import Memory
        >>> async def main() -> bool:
        ...     brain = onebrain.connect("sqlite://")
        ...     block = OneBrainMemoryBlock(brain=brain, scope={"user": "maria"})
        ...     await block.asave([ChatMessage("I always take the window seat")], session_id="monday")
        ...     memory = Memory.from_defaults(memory_blocks=[block])
        ...     messages = await memory.aget(input="Which seat should I book?")
        ...     brain.close()
        ...     return "I always take the window seat" in messages[0].content
        >>> asyncio.run(main())
        True
    """

    name: str = "long_term_memory"
    description: str | None = "What was said in earlier conversations."
    priority: int = 1
    max_tokens: int = Field(default=1000, ge=0, strict=True)
    limit: int = Field(default=20, ge=0, strict=True)
    min_score: float = Field(default=0.0, ge=0, le=1, strict=True)
    min_confidence: float | None = Field(default=None, ge=0, le=1, strict=True)
    filters: Any = Field(default=None, exclude=True)
    count_tokens: Callable[[str], int] | None = Field(default=None, exclude=True)
    llm: Any = Field(default=None, exclude=True, repr=False)

    def model_post_init(self, context: Any, /) -> None:
        """Check the filters and the model; open nothing."""
        super().model_post_init(context)
        translate(self.filters)
        if self.llm is not None and self.llm is not True:
            model_or_none(self.llm)

    @classmethod
    def class_name(cls) -> str:
        """The name in serialized form."""
        return "OneBrainMemoryBlock"

    def _save(self, chat: Memory | Sequence[ChatMessage], *, session_id: Id | None = None) -> Plan[None]:
        """Keep a chat, or a `Memory` with all its messages; a message that was kept before is not kept twice."""
        if isinstance(chat, Memory):
            session_id = chat.session_id if session_id is None else session_id
            messages: Sequence[ChatMessage] = yield call(chat.get_all, chat.aget_all)
        else:
            messages = chat
        yield from self._keep(messages, session_id, wait=True)

    save = Method(_save).sync
    asave = Method(_save).asynchronous

    async def _aget(
        self, messages: list[ChatMessage] | None = None, session_id: str | None = None, **block_kwargs: Any
    ) -> str:
        # Other blocks of the same Memory may have arguments of their own, so the rest is theirs.
        query = next(
            (_said(message) for message in reversed(messages or []) if message.role is MessageRole.USER),
            None,
        )
        if query is None:
            return ""
        return await self._recalled(query, self.max_tokens)

    async def _aput(self, messages: list[ChatMessage]) -> None:
        await self._connection.arun(self._keep(messages, None, wait=False))

    async def atruncate(self, content: str, tokens_to_truncate: int) -> str | None:
        """Recall again within fewer tokens, so that the best memories stay; None where nothing fits any more.

        `Memory` drops a block that is cut too little, and its tokenizer is not known here: give `count_tokens` to count
        as it does. Without it a third more is cut than was asked for.
        """
        if self.count_tokens is not None:
            left = self.count_tokens(content) - tokens_to_truncate
        else:
            left = estimate_tokens(content) - tokens_to_truncate * 4 // 3
        if left <= 0 or not isinstance(content, _Recalled):
            return None
        return await self._recalled(content.query, left) or None

    async def _recalled(self, query: str, max_tokens: int) -> str:
        found = await self._connection.arun(self._recall(query, max_tokens))
        text = _Recalled(found.text)
        text.query = query
        return text

    def _recall(self, query: str, max_tokens: int) -> Plan[Context]:
        # A chat store in the same brain may hold the same words; its messages are short-term memory.
        condition = every(translate(self.filters), negate(own("chat").exists()))
        found: Context = yield ask(
            "context",
            query,
            scope=self.scope,
            max_tokens=max_tokens,
            limit=self.limit,
            min_score=self.min_score,
            min_confidence=self.min_confidence,
            filter=condition,
            count_tokens=self.count_tokens,
        )
        return found

    def _keep(self, messages: Sequence[ChatMessage], session_id: Id | None, *, wait: bool) -> Plan[None]:
        items: list[NewMemory] = []
        for message in messages:
            if not is_spoken(message):
                continue
            session = message.additional_kwargs.get("session_id") if session_id is None else session_id
            scope = self.scope.within(Scope(session=session))
            text = _said(message)
            if not text:
                continue
            # The same message flushed twice, or saved and then flushed, has the same id: it is kept once.
            mark = message_id(message) or digest(f"{message.role.value}\0{text}")[:32]
            items.append(
                NewMemory.checked(
                    id=encode(scope, "message", mark),
                    content=text,
                    scope=scope,
                    source="chat",
                    metadata={"role": message.role.value, RESERVED: {"kept": True}},
                )
            )
        if self.llm is None:
            yield from store_under_ids(items, self.scope, RESERVED)
            return
        for scope in dict.fromkeys(item.scope for item in items):
            yield from self._remember([item for item in items if item.scope == scope], scope, wait=wait)

    def _remember(self, items: Sequence[NewMemory], scope: Scope, *, wait: bool) -> Plan[None]:
        """Keep messages of one session, and look for facts in them."""
        there = yield from self._there(items, scope)
        known = {memory.content for memory in there}
        # Storing a message again would lose what is noted beside it: that its facts are known.
        new = [item for item in items if item.content not in known]
        if new:
            yield from store_under_ids(new, self.scope, RESERVED)
            there = yield from self._there(items, scope)
        position = {item.content: number for number, item in enumerate(items)}
        there.sort(key=lambda memory: position.get(memory.content, 0))
        if there:
            model = Settings.llm if self.llm is True else self.llm
            result: RememberResult = yield ask("remember", there, scope=scope, model=model, wait=wait)
            if wait:
                result.raise_for_error()

    def _there(self, items: Sequence[NewMemory], scope: Scope) -> Plan[list[Kept]]:
        """Return the memories that keep messages already."""
        can: Capabilities = yield ask("capabilities")
        ids = [str(item.id) for item in items]
        found: list[Kept] = yield ask("list", scope=scope, filter=with_ids(can, ids, RESERVED))
        return found


def _said(message: ChatMessage) -> str:
    """Return the words of a message without the recalled memories in it."""
    text = text_of(message)
    own = unfence(text)
    return text if own == text else _EMPTY_ELEMENT.sub("", own).strip()


class _Recalled(str):
    """A recalled text that holds the query for which it was recalled: `Memory` hands it back when it has to be cut."""

    query: str
