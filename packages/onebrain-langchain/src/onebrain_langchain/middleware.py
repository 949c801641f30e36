"""`OneBrainMiddleware`: an agent that remembers."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langgraph.config import get_config
from langgraph.runtime import Runtime
from pydantic import SecretStr

from onebrain import ConfigurationError, Context, F, Memory, NewMemory, Scope, StoreResults
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.checks import check_whole
from onebrain.memory.context import CountTokens
from onebrain.memory.fence import unfence
from onebrain.memory.filters import every, parse
from onebrain.memory.models import SearchMode
from onebrain_langchain.connection import AnyBrain, Connection, ScopeLike, as_scope
from onebrain_langchain.documents import new_memory
from onebrain_langchain.filters import FilterLike, checked
from onebrain_langchain.ids import encode
from onebrain_langchain.messages import text_of
from onebrain_langchain.scoping import ScopeSource, check_source, resolve_scope
from onebrain_langchain.verbs import Plan, arun, ask, run

_KIND = "turn"
_LOOK_BACK = (
    50  # how many messages are looked up at a time, from the last one back, to find those already stored
)
_KNOWN = 10_000  # how many messages are known to be stored without asking
_SPEAKERS = {"human": "User", "ai": "Assistant"}


# What of a conversation is new at a step, where the service cannot tell.
Latest: TypeAlias = Callable[[Sequence[BaseMessage]], Sequence[BaseMessage]]


class OneBrainMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """Recalls what an agent should know before each call of its model, and stores the conversation as it goes.

    What is recalled goes into the system message of that one call, fenced as data; it is never part of the agent's
    state and never stored again. Messages that are in the conversation already are not recalled. What is stored is
    what the user and the assistant said, one memory for each message, once, in the session of the thread; tool calls,
    system messages and notices of other middleware are not. The user's messages are stored before the model is called and
    the assistant's as they come, so other middleware may shorten or summarize the conversation in the same run.

    Args:
        brain: A `Brain`, an `AsyncBrain` or both as a pair.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key.
        base_url: OneBrain's address, as an alternative to `url`.
        scope: Whose memory, where that is the same for all runs.
        scope_from: Whose memory, from the run: ``{"user": "user_id"}`` takes the user from ``user_id`` in the runtime
            context or the config; a function is given the context. A run that does not say is refused.
        recall: Whether to recall.
        remember: Whether to store.
        max_tokens: The most tokens that recalled memories may cost in one call.
        limit: The most memories to consider.
        min_score: Only memories with at least this score, 0..1.
        filter: Which memories may be recalled.
        search_mode: ``hybrid``, ``keyword`` or ``vector``.
        count_tokens: Counts the tokens of a text; the default is a quarter of its UTF-8 bytes.
        name: Tells several of these in one agent apart.

    Example:
        >>> import onebrain
        >>> from langchain.agents import create_agent
        >>> from langchain_core.language_models import GenericFakeChatModel
        >>> from langchain_core.messages import AIMessage
        >>> brain = onebrain.connect("sqlite://")
        >>> model = GenericFakeChatModel(messages=iter([AIMessage("Noted."), AIMessage("By the window.")]))
        >>> memory = OneBrainMiddleware(brain=brain, scope_from={"user": "user_id"})
        >>> agent = create_agent(model, middleware=[memory], context_schema=dict)
        >>> _ = agent.invoke({"messages": [("user", "I like window seats.")]}, context={"user_id": "maria"})
        >>> [memory.content for memory in brain.list(scope=onebrain.Scope(user="maria"), order="sequence")]
        ['User: I like window seats.', 'Assistant: Noted.']
        >>> brain.close()
    """

    def __init__(
        self,
        *,
        brain: AnyBrain | None = None,
        url: str | None = None,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
        scope: ScopeLike | None = None,
        scope_from: ScopeSource | None = None,
        recall: bool = True,
        remember: bool = True,
        max_tokens: int = 1500,
        limit: int = 20,
        min_score: float = 0.0,
        filter: FilterLike | None = None,
        search_mode: SearchMode | None = None,
        count_tokens: CountTokens | None = None,
        name: str = "OneBrainMiddleware",
    ) -> None:
        super().__init__()
        check_whole("max_tokens", max_tokens, error=ConfigurationError)
        check_whole("limit", limit, error=ConfigurationError)
        self.tools = []
        self._connection = Connection(brain, url=url, api_key=api_key, base_url=base_url)
        self._scope = as_scope(scope)
        self._scope_from = check_source(scope_from)
        self._recalls = recall
        self._remembers = remember
        self._filter = parse(checked(filter))
        self._options: dict[str, Any] = {
            "max_tokens": max_tokens,
            "limit": limit,
            "min_score": min_score,
            "mode": search_mode,
            "count_tokens": count_tokens,
        }
        self._name = name
        self._stored = _Stored()

    def __repr__(self) -> str:
        where = repr(self._connection)
        return f"{type(self).__name__}({where + ', ' if where else ''}name={self._name!r})"

    @property
    def name(self) -> str:
        """What tells this middleware from others in the same agent."""
        return self._name

    def close(self) -> None:
        """Close what was opened here; a brain that was given stays open."""
        self._connection.close()

    async def aclose(self) -> None:
        """Close what was opened here; a brain that was given stays open."""
        await self._connection.aclose()

    # ---- recall -----------------------------------------------------------------------------------------------------

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Call the model with what the brain knows about the conversation in its system message."""
        # First, and also where nothing is recalled: a wrong scope must not cost a call of the model.
        scope = self._scope_of(request.runtime)
        if not self._recalls:
            return handler(request)
        plan = self._recall(request.messages, scope)
        return handler(_inject(request, run(self._connection.sync, plan)))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Do what `wrap_model_call` does, asynchronously."""
        scope = self._scope_of(request.runtime)
        if not self._recalls:
            return await handler(request)
        plan = self._recall(request.messages, scope)
        return await handler(_inject(request, await arun(await self._connection.open(), plan)))

    def _recall(self, messages: Sequence[BaseMessage], scope: Scope) -> Plan[Context]:
        ids = [_id(scope, message) for message in messages[-2 * _LOOK_BACK :] if message.id]
        there = [self._stored.of(id) or id for id in ids]
        asked = next((message for message in reversed(messages) if message.type == "human"), None)
        context: Context = yield ask(
            "context",
            None if asked is None else _said(asked),
            # Every session of the user counts, not only this one.
            scope=scope.model_copy(update={"session": None}),
            filter=every(self._filter, F.id.not_in(there)) if there else self._filter,
            **self._options,
        )
        return context

    # ---- remember ---------------------------------------------------------------------------------------------------

    # Other middleware may take messages out of the state at any of these steps, to shorten or to summarize it. So each
    # message is stored at the first step that sees it.

    def before_agent(self, state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Store what the user says, and what was said since the last run."""
        self._remember(state, runtime, _asked)
        return None

    async def abefore_agent(self, state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Do what `before_agent` does, asynchronously."""
        await self._aremember(state, runtime, _asked)
        return None

    def after_model(self, state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Store what the assistant says, before tools are called and before the next call of the model."""
        self._remember(state, runtime, _answered)
        return None

    async def aafter_model(self, state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Do what `after_model` does, asynchronously."""
        await self._aremember(state, runtime, _answered)
        return None

    def after_agent(self, state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Store what is not stored yet."""
        self._remember(state, runtime, _answered)
        return None

    async def aafter_agent(self, state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Do what `after_agent` does, asynchronously."""
        await self._aremember(state, runtime, _answered)
        return None

    def _remember(self, state: AgentState[Any], runtime: Runtime[Any], latest: Latest) -> None:
        if self._remembers:
            brain = self._connection.sync
            run(brain, self._store(state["messages"], self._scope_of(runtime), brain.capabilities, latest))

    async def _aremember(self, state: AgentState[Any], runtime: Runtime[Any], latest: Latest) -> None:
        if self._remembers:
            brain = await self._connection.open()
            plan = self._store(state["messages"], self._scope_of(runtime), brain.capabilities, latest)
            await arun(brain, plan)

    def _store(
        self, messages: Sequence[BaseMessage], scope: Scope, can: Capabilities, latest: Latest
    ) -> Plan[None]:
        if can.client_ids:
            new = yield from self._unstored(messages, scope)
        else:  # without ids of our own there is no telling what is stored: take what this step has seen come
            kept = [message for message in latest(messages) if _worth_keeping(message)]
            new = [
                message
                for message in kept
                if not message.id or not self._stored.knows(_id(scope, message), _said(message))
            ]
        if not new:
            return
        stored: StoreResults = yield ask(
            "store_many", [_memory(message, scope, can.client_ids) for message in new]
        )
        for message, id in zip(new, stored.ids, strict=True):
            self._stored.note(_id(scope, message), _said(message), id)

    def _unstored(self, messages: Sequence[BaseMessage], scope: Scope) -> Plan[list[BaseMessage]]:
        """Return the messages that are not stored yet, in order; those before a stored one are stored, too."""
        candidates = [message for message in messages if message.id and _worth_keeping(message)]
        new: list[BaseMessage] = []
        end = len(candidates)
        while end > 0:
            part = {_id(scope, message): message for message in candidates[max(0, end - _LOOK_BACK) : end]}
            fresh = [id for id, message in part.items() if not self._stored.knows(id, _said(message))]
            # One that is known with other words has been changed since it was stored.
            asked = [id for id in fresh if self._stored.of(id) is None]
            if asked:
                found: list[Memory] = yield ask("get_many", asked, scope=scope)
                for memory in found:
                    self._stored.note(memory.id, _said(part[memory.id]), memory.id)
            missing = [id for id in fresh if not self._stored.knows(id, _said(part[id]))]
            new = [part[id] for id in missing] + new
            if len(missing) < len(part):
                break
            end -= len(part)
        return new

    def _scope_of(self, runtime: Runtime[Any]) -> Scope:
        """Return the scope of a run; its session is the thread, where nothing else was said."""
        configurable = cast("Mapping[str, Any]", get_config().get("configurable") or {})
        scope = resolve_scope(self._scope, self._scope_from, runtime.context, configurable)
        return scope.within(Scope(session=configurable.get("thread_id")))


def _inject(request: ModelRequest[Any], context: Context) -> ModelRequest[Any]:
    """Return the request with `context` at the end of its system message."""
    if not context.text:
        return request
    system = request.system_message
    if system is None:
        return request.override(system_message=SystemMessage(context.text))
    content: str | list[Any]
    if isinstance(system.content, str):
        content = f"{system.content}\n\n{context.text}"
    else:
        content = [*system.content, {"type": "text", "text": context.text}]
    return request.override(system_message=system.model_copy(update={"content": content}))


def _said(message: BaseMessage) -> str:
    """Return what a message says itself, without recalled memories that were put into it."""
    return unfence(text_of(message)).strip()


def _worth_keeping(message: BaseMessage) -> bool:
    """Whether a message is something that a person or the assistant said, rather than a notice of other middleware."""
    said_by_someone = isinstance(message, HumanMessage | AIMessage)
    return said_by_someone and "lc_source" not in message.additional_kwargs and bool(_said(message))


def _asked(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Return the question at the end, which may be several messages."""
    start = len(messages)
    while start > 0 and messages[start - 1].type == "human":
        start -= 1
    return messages[start:]


def _answered(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Return the answer at the end, if one is there."""
    return messages[-1:] if messages and messages[-1].type == "ai" else ()


class _Stored:
    """Which messages this process has stored or found stored: the latest thousands."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, str]] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[_Stored], tuple[()]]:
        return _Stored, ()

    def knows(self, id: str, text: str) -> bool:
        """Return whether a message is stored with this text."""
        known = self._known.get(id)
        return known is not None and known[0] == hash(text)

    def of(self, id: str) -> str | None:
        """Return the id of the memory that keeps a message; None where that is not known."""
        known = self._known.get(id)
        return None if known is None else known[1]

    def note(self, id: str, text: str, memory_id: str) -> None:
        """Note that a message is stored."""
        with self._lock:
            self._known[id] = (hash(text), memory_id)
            while len(self._known) > _KNOWN:
                del self._known[next(iter(self._known))]


def _id(scope: Scope, message: BaseMessage) -> str:
    return encode(scope, message.id or "", kind=_KIND, hashed=True)


def _memory(message: BaseMessage, scope: Scope, client_ids: bool) -> NewMemory:
    speaker = message.name or _SPEAKERS[message.type]
    return new_memory(
        id=_id(scope, message) if client_ids else None,
        content=f"{speaker}: {_said(message)}",
        scope=scope,
        source="chat",
        metadata={"kind": _KIND, "role": message.type},
    )
