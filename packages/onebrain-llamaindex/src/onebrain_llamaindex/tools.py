"""`OneBrainToolSpec`: a brain's verbs as tools for an agent."""

from collections import Counter

from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE, BaseToolSpec
from pydantic import SecretStr

from onebrain import Context, Memory, OneBrainNotFoundError, SearchResult, StoreResult
from onebrain.memory.checks import check_whole
from onebrain.memory.fence import fence, on_one_line
from onebrain_llamaindex.connection import AnyBrain, Connection, ScopeLike, as_scope
from onebrain_llamaindex.filters import Filters, translate
from onebrain_llamaindex.steps import Steps, ask

_SCANNED = 2000  # memories that list_entities looks at, newest first


class OneBrainToolSpec(BaseToolSpec):
    """Tools with which an agent searches, writes, changes and forgets memories, in sync and async runs alike.

    The scope is fixed here and never visible to the model, so it cannot reach another user's memories. What the tools
    return is text: memories with their ids, fenced as data. Leave tools out with
    ``to_tool_list(spec_functions=[("search_memory", "asearch_memory")])``.

    Args:
        brain: A `Brain`, an `AsyncBrain`, or both as a pair.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key.
        base_url: OneBrain's address, as an alternative to `url`.
        scope: Whose memories the tools see, and where they write.
        filters: Which memories the tools find: `MetadataFilters`, a brain's filter, or a Mongo-style dict.

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
        ("update_memory", "aupdate_memory"),
        ("forget_memory", "aforget_memory"),
    ]

    def __init__(
        self,
        *,
        brain: AnyBrain | None = None,
        url: str | None = None,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
        scope: ScopeLike | None = None,
        filters: Filters | None = None,
    ) -> None:
        self._connection = Connection(brain, url=url, api_key=api_key, base_url=base_url)
        self._scope = as_scope(scope)
        self._filter = translate(filters)

    def __repr__(self) -> str:
        where = repr(self._connection)
        return f"{type(self).__name__}({where + ', ' if where else ''}scope={self._scope!r})"

    # The docstrings below are read by the model.

    def search_memory(self, query: str, limit: int = 10) -> str:
        """Search long-term memory for facts, preferences and past events. Returns the best matches with their ids."""
        return self._connection.run(self._search(query, limit))

    async def asearch_memory(self, query: str, limit: int = 10) -> str:
        """Search long-term memory for facts, preferences and past events. Returns the best matches with their ids."""
        return await self._connection.arun(self._search(query, limit))

    def write_memory(self, content: str, tags: list[str] | None = None) -> str:
        """Remember one fact for good. Write a full sentence that makes sense without the conversation around it."""
        return self._connection.run(self._write(content, tags))

    async def awrite_memory(self, content: str, tags: list[str] | None = None) -> str:
        """Remember one fact for good. Write a full sentence that makes sense without the conversation around it."""
        return await self._connection.arun(self._write(content, tags))

    def get_context(self, query: str, max_tokens: int = 1000) -> str:
        """Get everything worth knowing about a subject as one text, oldest first and dated."""
        return self._connection.run(self._context(query, max_tokens))

    async def aget_context(self, query: str, max_tokens: int = 1000) -> str:
        """Get everything worth knowing about a subject as one text, oldest first and dated."""
        return await self._connection.arun(self._context(query, max_tokens))

    def list_entities(self, limit: int = 50) -> str:
        """List what long-term memory is about: its topics (tags), kinds and people, with the number of memories."""
        return self._connection.run(self._entities(limit))

    async def alist_entities(self, limit: int = 50) -> str:
        """List what long-term memory is about: its topics (tags), kinds and people, with the number of memories."""
        return await self._connection.arun(self._entities(limit))

    def update_memory(self, memory_id: str, content: str) -> str:
        """Correct a memory: replace its text. Search first to get its id."""
        return self._connection.run(self._update(memory_id, content))

    async def aupdate_memory(self, memory_id: str, content: str) -> str:
        """Correct a memory: replace its text. Search first to get its id."""
        return await self._connection.arun(self._update(memory_id, content))

    def forget_memory(self, memory_id: str) -> str:
        """Delete a memory for good, such as one that is wrong or unwanted. Search first to get its id."""
        return self._connection.run(self._forget(memory_id))

    async def aforget_memory(self, memory_id: str) -> str:
        """Delete a memory for good, such as one that is wrong or unwanted. Search first to get its id."""
        return await self._connection.arun(self._forget(memory_id))

    def close(self) -> None:
        """Close what these tools opened; a brain that was given stays open."""
        self._connection.close()

    async def aclose(self) -> None:
        """Close what these tools opened; a brain that was given stays open."""
        await self._connection.aclose()

    def _search(self, query: str, limit: int) -> Steps[str]:
        found: SearchResult = yield ask("search", query, scope=self._scope, limit=limit, filter=self._filter)
        if not found:
            return "No memories found."
        return fence("\n".join(map(_line, found.memories)))

    def _write(self, content: str, tags: list[str] | None) -> Steps[str]:
        result: StoreResult = yield ask("store", content, scope=self._scope, tags=tags or ())
        state = "accepted; it can be found in a moment" if result.status == "pending" else "remembered"
        return f"{state} (id {result.id})"

    def _context(self, query: str, max_tokens: int) -> Steps[str]:
        found: Context = yield ask(
            "context", query, scope=self._scope, max_tokens=max_tokens, filter=self._filter
        )
        return found.text or "No memories found."

    def _entities(self, limit: int) -> Steps[str]:
        check_whole("limit", limit)
        memories: list[Memory] = yield ask("list", scope=self._scope, filter=self._filter, limit=_SCANNED)
        seen: Counter[tuple[str, str]] = Counter()
        for memory in memories:
            seen.update(("topic", tag) for tag in memory.tags)
            seen.update((name, value) for name in ("type",) if (value := getattr(memory, name)))
            seen.update((name, value) for name in ("user", "agent") if (value := getattr(memory.scope, name)))
        if not seen:
            return "No memories found." if not memories else "The memories have no topics, types or people."
        return fence(
            "\n".join(
                f"{kind}: {on_one_line(name)} ({count})" for (kind, name), count in seen.most_common(limit)
            )
        )

    def _update(self, memory_id: str, content: str) -> Steps[str]:
        try:
            yield ask("update", memory_id, scope=self._scope, content=content)
        except OneBrainNotFoundError:
            return f"There is no memory with the id {memory_id}; nothing was changed."
        return f"updated (id {memory_id})"

    def _forget(self, memory_id: str) -> Steps[str]:
        count = yield ask("delete", memory_id, scope=self._scope)
        return f"forgotten (id {memory_id})" if count else f"There is no memory with the id {memory_id}."


def _line(memory: Memory) -> str:
    date = f", {memory.created_at:%Y-%m-%d}" if memory.created_at is not None else ""
    return f"- {on_one_line(memory.content)} (id {on_one_line(memory.id)}{date})"
