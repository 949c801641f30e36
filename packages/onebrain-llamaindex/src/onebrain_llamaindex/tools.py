"""`OneBrainToolSpec`: a brain's verbs as tools for an agent."""

from typing import Any, ClassVar

from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE, BaseToolSpec
from pydantic import SecretStr

from onebrain import OneBrainNotFoundError, OneBrainValidationError
from onebrain.frameworks import tools
from onebrain.frameworks.connection import AnyBrain, Component, Connection, Method, ScopeLike, as_scope
from onebrain.frameworks.plans import Plan
from onebrain.memory.checks import check_whole
from onebrain_llamaindex.filters import Filters, translate


class BrainToolSpec(Component, BaseToolSpec):
    """The base of the tools of a brain: one memory, one scope, one filter."""

    # The further tools of a specification with a model.
    with_llm: ClassVar[list[SPEC_FUNCTION_TYPE]] = []

    def __init__(
        self,
        *,
        brain: AnyBrain | None = None,
        url: str | None = None,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
        scope: ScopeLike | None = None,
        filters: Filters | None = None,
        llm: Any = None,
    ) -> None:
        self._connection = Connection(brain, url=url, api_key=api_key, base_url=base_url)
        self._scope = as_scope(scope)
        self._filter = translate(filters)
        self._llm = llm
        if llm is not None:
            self.spec_functions = [*self.spec_functions, *self.with_llm]

    def _found(self, query: str, limit: int) -> Plan[str]:
        return _text(tools.search(self._scope, query=query, top_k=limit, filter=self._filter))

    def _written(self, content: str, **options: Any) -> Plan[str]:
        answer = yield from tools.write(self._scope, content=content, **options)
        pending = answer.data["status"] == "pending"
        state = "accepted; it can be found in a moment" if pending else "remembered"
        return f"{state} (id {answer.data['id']})"

    def _known(self, query: str | None, max_tokens: int) -> Plan[str]:
        return _text(
            tools.context(
                self._scope,
                query=query,
                max_tokens=max_tokens,
                filter=self._filter,
                nothing=tools.NOTHING_FOUND,
            )
        )


class OneBrainToolSpec(BrainToolSpec):
    """Tools with which an agent searches, writes, changes and forgets memories, in sync and async runs alike.

    The scope is fixed here and never visible to the model, so it cannot reach another user's memories. The tools
    return text: memories with their ids, fenced as data. Leave tools out with
    ``to_tool_list(spec_functions=[("search_memory", "asearch_memory")])``.

    Args:
        brain: A `Brain`, an `AsyncBrain`, or both as a pair.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key.
        base_url: OneBrain's address, as an alternative to `url`.
        scope: Whose memories the tools see, and where they write.
        filters: Which memories the tools find: `MetadataFilters`, a brain's filter, or a Mongo-style dict.

        llm: The model with which the tool that remembers messages finds facts, as `onebrain.Brain.remember` takes it; None
            leaves that tool out.

    Example:
        >>> tools = OneBrainToolSpec(url="sqlite://", scope={"user": "maria"})
        >>> write, search = tools.to_tool_list()[1], tools.to_tool_list()[0]
        >>> written = write.call(content="Maria prefers window seats", tags=["travel"])
        >>> "Maria prefers window seats" in search.call(query="where does Maria sit?").content
        True
        >>> tools.close()
    """

    spec_functions: list[SPEC_FUNCTION_TYPE] = [  # noqa: RUF012  # the base declares it so
        ("search_memory", "asearch_memory"),
        ("write_memory", "awrite_memory"),
        ("get_context", "aget_context"),
        ("list_entities", "alist_entities"),
        ("supersede_memory", "asupersede_memory"),
        ("update_memory", "aupdate_memory"),
        ("forget_memory", "aforget_memory"),
    ]
    with_llm: ClassVar[list[SPEC_FUNCTION_TYPE]] = [("remember_message", "aremember_message")]

    # The docstrings below are read by the model.

    def _search_memory(self, query: str, limit: int = 10) -> Plan[str]:
        """Search long-term memory for facts, preferences and past events. Returns the best matches with their ids."""
        return self._found(query, limit)

    def _write_memory(self, content: str, tags: list[str] | None = None) -> Plan[str]:
        """Remember one fact for good. Write a full sentence that makes sense without the conversation around it."""
        return self._written(content, tags=tags or ())

    def _get_context(self, query: str, max_tokens: int = 1000) -> Plan[str]:
        """Get everything worth knowing about a subject as one text, oldest first and dated."""
        return self._known(query, max_tokens)

    def _list_entities(self, limit: int = 50) -> Plan[str]:
        """List what long-term memory is about: entities, topics (tags), kinds and people, with the number of memories."""
        return _text(tools.entities(self._scope, limit=check_whole("limit", limit), filter=self._filter))

    def _supersede_memory(self, memory_id: str, content: str) -> Plan[str]:
        """Replace a memory that is no longer true by what is true now, and keep the old one. Search first to get its id."""
        try:
            answer = yield from tools.supersede(self._scope, id=memory_id, content=content)
        except OneBrainNotFoundError:
            return f"There is no memory with the id {memory_id}; nothing was changed."
        except OneBrainValidationError as error:
            return error.message
        return f"remembered (id {answer.data['id']})"

    def _remember_message(self, text: str, role: str = "user") -> Plan[str]:
        """Keep what somebody said, word for word, and the facts in it."""
        return _text(tools.remember(self._scope, text=text, role=role, model=self._llm))

    def _update_memory(self, memory_id: str, content: str) -> Plan[str]:
        """Correct a mistake in a memory: replace its text. Search first to get its id."""
        try:
            yield from tools.update(self._scope, id=memory_id, content=content)
        except OneBrainNotFoundError:
            return f"There is no memory with the id {memory_id}; nothing was changed."
        return f"updated (id {memory_id})"

    def _forget_memory(self, memory_id: str) -> Plan[str]:
        """Delete a memory for good, such as one that is wrong or unwanted. Search first to get its id."""
        try:
            yield from tools.forget(self._scope, ids=[memory_id])
        except OneBrainNotFoundError:
            return f"There is no memory with the id {memory_id}."
        return f"forgotten (id {memory_id})"

    search_memory = Method(_search_memory).sync
    asearch_memory = Method(_search_memory).asynchronous
    write_memory = Method(_write_memory).sync
    awrite_memory = Method(_write_memory).asynchronous
    get_context = Method(_get_context).sync
    aget_context = Method(_get_context).asynchronous
    list_entities = Method(_list_entities).sync
    alist_entities = Method(_list_entities).asynchronous
    supersede_memory = Method(_supersede_memory).sync
    asupersede_memory = Method(_supersede_memory).asynchronous
    remember_message = Method(_remember_message).sync
    aremember_message = Method(_remember_message).asynchronous
    update_memory = Method(_update_memory).sync
    aupdate_memory = Method(_update_memory).asynchronous
    forget_memory = Method(_forget_memory).sync
    aforget_memory = Method(_forget_memory).asynchronous


def _text(plan: Plan[tools.Answer]) -> Plan[str]:
    answer = yield from plan
    return answer.text
