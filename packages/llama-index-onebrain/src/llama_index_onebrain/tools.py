"""`OneBrainToolSpec` with the four tools of version 0.1 and their arguments."""

# No postponed annotations here: LlamaIndex makes the tools' schemas of them.

from typing import Any

from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE
from pydantic import SecretStr

from onebrain.frameworks.connection import Method
from onebrain.frameworks.lazy import FORMER_LENGTHS
from onebrain.frameworks.plans import Plan
from onebrain.frameworks.tools import named_entities
from onebrain.memory.fence import on_one_line
from onebrain_llamaindex.tools import BrainToolSpec


class OneBrainToolSpec(BrainToolSpec):
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

    def _search_memory(self, query: str, top_k: int = 10) -> Plan[str]:
        """Search long-term memory for facts, preferences and past events. Returns the best matches with their ids."""
        return self._found(query, top_k)

    def _write_memory(self, content: str, memory_type: str = "fact") -> Plan[str]:
        """Remember something: a fact, preference, decision, goal, experience or skill."""
        return self._written(content, memory_type=memory_type)

    def _get_context(self, scope: str = "assistant") -> Plan[str]:
        """Get what is worth knowing as one text; scope is brief, assistant, project or deep."""
        if scope not in FORMER_LENGTHS:
            yield from ()
            return f"scope must be one of {', '.join(FORMER_LENGTHS)}, not {on_one_line(scope)}"
        return (yield from self._known(None, FORMER_LENGTHS[scope]))

    def _list_entities(self, entity_type: str | None = None) -> Plan[str]:
        """List the people, organizations, places and things that memories name, of one type or of all."""
        return (yield from named_entities(self._scope, type=entity_type)).text

    search_memory = Method(_search_memory).sync
    asearch_memory = Method(_search_memory).asynchronous
    write_memory = Method(_write_memory).sync
    awrite_memory = Method(_write_memory).asynchronous
    get_context = Method(_get_context).sync
    aget_context = Method(_get_context).asynchronous
    list_entities = Method(_list_entities).sync
    alist_entities = Method(_list_entities).asynchronous
