"""`OneBrainMemory`: for chains of the time before agents, which take a `BaseMemory`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from langchain_classic.base_memory import BaseMemory
from langchain_core.messages import AIMessage, HumanMessage, get_buffer_string
from pydantic import BeforeValidator, Field, PrivateAttr

from onebrain import ConfigurationError, F
from onebrain.frameworks.connection import Method
from onebrain.frameworks.plans import Plan, ask
from onebrain.memory.ids import as_id
from onebrain_langchain.connection import STRICT, Connected
from onebrain_langchain.history import OneBrainChatMessageHistory


def _session(value: Any) -> Any:
    return None if value is None else as_id(value)


class OneBrainMemory(Connected, BaseMemory):
    """Gives a chain the session's latest messages, and memories from other sessions about its input.

    Attributes:
        session_id: The conversation; ``scope.session`` may be given instead.
        memory_key: The variable that holds the session's messages.
        recall_key: The variable that holds recalled memories, as text; None recalls nothing.
        input_key: Which input is the person's; needed where a chain has several.
        output_key: Which output is the answer; needed where a chain has several.
        return_messages: Give the messages as messages rather than as text.
        window: How many of the latest messages.
        max_tokens: The most tokens that recalled memories may cost.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> memory = OneBrainMemory(brain=brain, session_id="s1", scope=onebrain.Scope(user="maria"))
        >>> memory.save_context({"input": "I like window seats."}, {"output": "Noted."})
        >>> print(memory.load_memory_variables({"input": "Where do I sit?"})["history"])
        Human: I like window seats.
        AI: Noted.
        >>> brain.close()
    """

    model_config = STRICT

    session_id: Annotated[str | None, BeforeValidator(_session)] = None
    memory_key: str = "history"
    recall_key: str | None = "memories"
    input_key: str | None = None
    output_key: str | None = None
    return_messages: bool = False
    window: int | None = Field(default=20, ge=1, strict=True)
    max_tokens: int = Field(default=1000, ge=0, strict=True)

    _history: OneBrainChatMessageHistory = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Check how to connect; open nothing."""
        super().model_post_init(context)
        session = self.session_id or self.scope.session
        if session is None:
            raise ConfigurationError("session_id: must name the conversation")
        self._history = OneBrainChatMessageHistory(
            session, brain=self._connection.brains, scope=self.scope, window=self.window
        )

    @property
    def memory_variables(self) -> list[str]:
        """The variables that this memory gives to a chain."""
        return [self.memory_key, *([self.recall_key] if self.recall_key else [])]

    def _load(self, inputs: dict[str, Any]) -> Plan[dict[str, Any]]:
        """Return the session's messages, and memories about the input."""
        messages = yield from self._history.plan_read()
        variables: dict[str, Any] = {
            self.memory_key: messages if self.return_messages else get_buffer_string(messages)
        }
        if self.recall_key:
            context = yield ask("context", self._input(inputs), **self._recall())
            variables[self.recall_key] = context.text
        return variables

    def _save(self, inputs: dict[str, Any], outputs: dict[str, str]) -> Plan[None]:
        """Store one exchange."""
        answer = _one(outputs, self.output_key, "output_key", set())
        return self._history.plan_add([HumanMessage(self._input(inputs)), AIMessage(answer)])

    def _clear(self) -> Plan[None]:
        """Remove the session's messages."""
        return self._history.plan_clear()

    load_memory_variables = Method(_load).sync
    aload_memory_variables = Method(_load).asynchronous
    save_context = Method(_save).sync
    asave_context = Method(_save).asynchronous
    clear = Method(_clear).sync
    aclear = Method(_clear).asynchronous

    def _recall(self) -> dict[str, Any]:
        session = self._history.session_id
        return {
            "scope": self.scope.model_copy(update={"session": None}),
            "filter": F.session.ne(session),
            "max_tokens": self.max_tokens,
        }

    def _input(self, inputs: Mapping[str, Any]) -> str:
        return _one(inputs, self.input_key, "input_key", set(self.memory_variables))


def _one(values: Mapping[str, Any], key: str | None, option: str, ours: set[str]) -> str:
    """Return the value under `key`, or the only one there is apart from our own variables."""
    if key is not None:
        if key not in values:
            raise ConfigurationError(f"{option}: there is no {key!r}, only {', '.join(sorted(values))}")
        return str(values[key])
    names = sorted(set(values) - ours - {"stop"})
    if len(names) != 1:
        raise ConfigurationError(f"{option}: say which of {', '.join(names) or 'no values'} it is")
    return str(values[names[0]])
