"""`OneBrainToolSpec` with the four tools of version 0.1 and their arguments."""

# No postponed annotations here: LlamaIndex makes the tools' schemas of them.

from typing import Any

from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE
from pydantic import SecretStr

from onebrain import Context, Entity, StoreResult
from onebrain.memory.fence import fence, on_one_line
from onebrain_llamaindex.steps import Steps, ask
from onebrain_llamaindex.tools import OneBrainToolSpec as ToolSpec

# Tokens of an answer for each of the names that version 0.1 had for them.
_TOKENS = {"brief": 500, "assistant": 1500, "project": 3000, "deep": 6000}


class OneBrainToolSpec(ToolSpec):
    """Tools with which an agent searches and writes memories, with the arguments of version 0.1.

    Args:
        api_key: The service's key.
        base_url: OneBrain's address.
        options: The further arguments of `onebrain_llamaindex.OneBrainToolSpec`.

    Example:
        >>> tools = OneBrainToolSpec(url="sqlite://")
        >>> written = tools.write_memory("Maria prefers window seats", memory_type="preference")
        >>> "window" in tools.search_memory("where does Maria sit?", top_k=3)
        True
        >>> tools.close()
    """

    spec_functions: list[SPEC_FUNCTION_TYPE] = [  # noqa: RUF012  # the base declares it so
        ("search_memory", "asearch_memory"),
        ("write_memory", "awrite_memory"),
        ("get_context", "aget_context"),
        ("list_entities", "alist_entities"),
    ]

    def __init__(
        self, api_key: SecretStr | str | None = None, base_url: str | None = None, **options: Any
    ) -> None:
        super().__init__(api_key=api_key, base_url=base_url, **options)

    # The docstrings below are read by the model.

    def search_memory(  # pyright: ignore[reportIncompatibleMethodOverride]  # as version 0.1 had it
        self, query: str, top_k: int = 10
    ) -> str:
        """Search long-term memory for facts, preferences and past events. Returns the best matches with their ids."""
        return self._connection.run(self._search(query, top_k))

    async def asearch_memory(  # pyright: ignore[reportIncompatibleMethodOverride]  # as version 0.1 had it
        self, query: str, top_k: int = 10
    ) -> str:
        """Search long-term memory for facts, preferences and past events. Returns the best matches with their ids."""
        return await self._connection.arun(self._search(query, top_k))

    def write_memory(self, content: str, memory_type: str = "fact") -> str:  # type: ignore[override]
        """Remember something: a fact, preference, decision, goal, experience or skill."""
        return self._connection.run(self._write_typed(content, memory_type))

    async def awrite_memory(self, content: str, memory_type: str = "fact") -> str:  # type: ignore[override]
        """Remember something: a fact, preference, decision, goal, experience or skill."""
        return await self._connection.arun(self._write_typed(content, memory_type))

    def get_context(self, scope: str = "assistant") -> str:  # type: ignore[override]
        """Get what is worth knowing as one text; scope is brief, assistant, project or deep."""
        return self._connection.run(self._overview(scope))

    async def aget_context(self, scope: str = "assistant") -> str:  # type: ignore[override]
        """Get what is worth knowing as one text; scope is brief, assistant, project or deep."""
        return await self._connection.arun(self._overview(scope))

    def list_entities(self, entity_type: str | None = None) -> str:  # type: ignore[override]
        """List the people, organizations, places and things that memories name, of one type or of all."""
        return self._connection.run(self._named(entity_type))

    async def alist_entities(self, entity_type: str | None = None) -> str:  # type: ignore[override]
        """List the people, organizations, places and things that memories name, of one type or of all."""
        return await self._connection.arun(self._named(entity_type))

    def _write_typed(self, content: str, memory_type: str) -> Steps[str]:
        result: StoreResult = yield ask("store", content, scope=self._scope, type=memory_type)
        return f"remembered (id {result.id})"

    def _overview(self, scope: str) -> Steps[str]:
        if scope not in _TOKENS:
            return f"scope must be one of {', '.join(_TOKENS)}, not {on_one_line(scope)}"
        found: Context = yield ask(
            "context", None, scope=self._scope, max_tokens=_TOKENS[scope], filter=self._filter
        )
        return found.text or "No memories found."

    def _named(self, entity_type: str | None) -> Steps[str]:
        found: list[Entity] = yield ask("entities", scope=self._scope, type=entity_type, limit=50)
        if not found:
            return "No entities found."
        return fence("\n".join(f"- {on_one_line(one.name)} ({on_one_line(one.type)})" for one in found))
