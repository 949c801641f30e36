"""`OneBrainMiddleware`: an agent that remembers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, Unpack, cast

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langgraph.config import get_config
from langgraph.runtime import Runtime

from onebrain import Context, F, Scope
from onebrain.frameworks.connection import Method
from onebrain.frameworks.plans import Plan
from onebrain.frameworks.recall import Recaller, RecallerOptions, said
from onebrain.frameworks.turns import Spoken, TurnRecorder, model_or_none
from onebrain.memory.filters import TRUE
from onebrain.memory.remembering.model import ModelLike
from onebrain_langchain.messages import text_of

_SPEAKERS = {"human": "User", "ai": "Assistant"}

# Returns the end of a conversation that is certainly new at a step, for services that take no ids of their callers.
Latest: TypeAlias = Callable[[Sequence[BaseMessage]], Sequence[BaseMessage]]


class OneBrainMiddleware(Recaller, AgentMiddleware[AgentState[Any], Any, Any]):
    """Recalls memories before each call of an agent's model, and stores the conversation as it goes.

    Recalled memories go into the system message of that one call, fenced as data; they are never part of the agent's
    state and never stored again. Messages that are in the conversation already are not recalled. The words of the user
    and the assistant are stored, one memory for each message, once, in the session of the thread. Tool calls,
    system messages and notices of other middleware are not stored. The user's messages are stored before the model is called and
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
        remember: Whether to store. With a model, as `onebrain.Brain.remember` takes it, the facts in each turn are looked for
            as well, in the background once the agent has answered; closing the memory waits for them.
        max_tokens: The most tokens that recalled memories may cost in one call.
        limit: The most memories to consider.
        min_score: Only memories with at least this score, 0..1.
        min_confidence: Recall nothing but pinned memories if the answer is less likely than this to be among them, 0..1. None
            is the default of `Brain.context`, which leaves out memories that have nothing to do with the message; 0 turns it off.
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
        recall: bool = True,
        remember: ModelLike | bool = True,
        name: str = "OneBrainMiddleware",
        **options: Unpack[RecallerOptions],
    ) -> None:
        super().__init__(**options)
        self.tools = []
        self._recalls = recall
        self._remembers = remember is not False
        self._model = model_or_none(remember)
        self._recorder = TurnRecorder()
        self._name = name

    def __repr__(self) -> str:
        where = repr(self._connection)
        return f"{type(self).__name__}({where + ', ' if where else ''}name={self._name!r})"

    @property
    def name(self) -> str:
        """The name, unique among the middleware of one agent."""
        return self._name

    # ---- recall -----------------------------------------------------------------------------------------------------

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Call the model with recalled memories in its system message."""
        return handler(self._connection.run(self._with_memories(request)))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Do the same as `wrap_model_call`, asynchronously."""
        return await handler(await self._connection.arun(self._with_memories(request)))

    def _with_memories(self, request: ModelRequest[Any]) -> Plan[ModelRequest[Any]]:
        # The scope comes first, also if nothing is recalled: a wrong scope must not cost a call of the model.
        scope = self._scope_of(request.runtime)
        if not self._recalls:
            return request
        messages = request.messages
        there = self._recorder.memory_ids([message.id for message in messages if message.id], scope)
        query = next((said(text_of(one)) for one in reversed(messages) if one.type == "human"), None)
        context = yield from self._recall.plan(query, scope, but=F.id.not_in(there) if there else TRUE)
        return _inject(request, context)

    # ---- remember ---------------------------------------------------------------------------------------------------

    # Other middleware may take messages out of the state at any of these steps, to shorten or to summarize it. So each
    # message is stored at the first step that sees it.

    def _store_question(self, state: AgentState[Any], runtime: Runtime[Any]) -> Plan[dict[str, Any] | None]:
        """Store the user's question, and the messages since the last run."""
        return self._store(state["messages"], runtime, _asked)

    def _store_answer(self, state: AgentState[Any], runtime: Runtime[Any]) -> Plan[dict[str, Any] | None]:
        """Store the assistant's message, before its tools and the next call of the model."""
        return self._store(state["messages"], runtime, _answered)

    def _store_rest(self, state: AgentState[Any], runtime: Runtime[Any]) -> Plan[dict[str, Any] | None]:
        """Store every message that is not stored yet, and look for facts in the turn that ends."""
        messages = state["messages"]
        yield from self._store(messages, runtime, _answered)
        if self._model is not None:
            yield from self._recorder.remember(_spoken(_turn(messages)), self._scope_of(runtime), self._model)
        return None

    before_agent = Method(_store_question).sync
    abefore_agent = Method(_store_question).asynchronous
    after_model = Method(_store_answer).sync
    aafter_model = Method(_store_answer).asynchronous
    after_agent = Method(_store_rest).sync
    aafter_agent = Method(_store_rest).asynchronous

    def _store(
        self, messages: Sequence[BaseMessage], runtime: Runtime[Any], latest: Latest
    ) -> Plan[dict[str, Any] | None]:
        if self._remembers:
            scope = self._scope_of(runtime)
            yield from self._recorder.record(_spoken(messages), scope, latest=_spoken(latest(messages)))
        return None

    def _scope_of(self, runtime: Runtime[Any]) -> Scope:
        """Return the scope of a run; its session is the thread unless another one was configured."""
        configurable = cast("Mapping[str, Any]", get_config().get("configurable") or {})
        scope = self.scope_of(runtime.context, configurable)
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


def _spoken(messages: Sequence[BaseMessage]) -> list[Spoken]:
    """Return the words of people and of the assistant, without the notices of other middleware."""
    return [
        Spoken(words, message.type, message.name or _SPEAKERS[message.type], message.id)
        for message in messages
        if isinstance(message, HumanMessage | AIMessage)
        and "lc_source" not in message.additional_kwargs
        and (words := said(text_of(message)))
    ]


def _asked(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Return the question at the end, which may be several messages."""
    start = len(messages)
    while start > 0 and messages[start - 1].type == "human":
        start -= 1
    return messages[start:]


def _turn(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Return the last question and all that follows it."""
    end = len(messages)
    while end > 0 and messages[end - 1].type != "human":
        end -= 1
    return [*_asked(messages[:end]), *messages[end:]]


def _answered(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Return the answer at the end, if one is there."""
    return messages[-1:] if messages and messages[-1].type == "ai" else ()
