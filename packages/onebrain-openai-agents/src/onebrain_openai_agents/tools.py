"""Tools with which an agent uses a brain itself."""

# No postponed annotations here: the SDK reads the annotations of tools at run time.

import json
from collections.abc import Mapping
from typing import Any, Unpack

from agents import FunctionTool
from agents.tool_context import ToolContext

from onebrain.frameworks.scope import Scoped, ScopedOptions
from onebrain.frameworks.tools import ALL, MISTAKES, REMEMBER, MemoryTool
from onebrain.frameworks.values import is_object
from onebrain_openai_agents.items import context_of


def memory_tools(
    *, read_only: bool = False, model: Any = None, **options: Unpack[ScopedOptions]
) -> list[FunctionTool]:
    """Return the tools: search, context, entity, entities, write, supersede, update and forget, and remember with a model.

    Whose memory they use is set here, or taken from the run; the model neither sees nor chooses it. The model is told
    about its own mistakes, such as an unknown id; all other errors are raised.

    Args:
        read_only: Only the tools that change nothing.
        model: The model with which the tool that remembers finds facts, as `onebrain.Brain.remember` takes it; None leaves
            that tool out.
        options: ``brain``, ``url``, ``api_key``, ``base_url``, ``scope`` and ``scope_from``, as for
            `onebrain.frameworks.scope.Scoped`.

    Example:
        >>> import onebrain
        >>> from agents import Agent
        >>> brain = onebrain.connect("sqlite://")
        >>> tools = memory_tools(brain=brain, scope_from={"user": "user_id"}, read_only=True)
        >>> [tool.name for tool in Agent("Travel", tools=tools).tools]
        ['onebrain_search', 'onebrain_context', 'onebrain_entity', 'onebrain_entities']
        >>> brain.close()
    """
    memory = Scoped(**options)
    return [
        _wrapped(tool, memory, {"model": model} if tool is REMEMBER else {})
        for tool in ALL
        if (tool.read_only or not read_only) and (tool is not REMEMBER or model is not None)
    ]


def _wrapped(tool: MemoryTool, memory: Scoped, more: Mapping[str, Any]) -> FunctionTool:
    async def invoke(context: ToolContext[Any], arguments: str) -> str:
        plan = tool.called(memory.scope_of(context_of(context)), _parsed(arguments), **more)
        try:
            return (await memory.arun(plan)).text
        except MISTAKES as error:
            return error.message

    return FunctionTool(
        name=tool.name,
        description=tool.description,
        params_json_schema=tool.schema,
        on_invoke_tool=invoke,
        # In strict mode the model would have to give every optional argument.
        strict_json_schema=False,
    )


def _parsed(arguments: str) -> Mapping[str, Any]:
    try:
        given: Any = json.loads(arguments or "{}")
    except ValueError:
        given = None
    # A value that is no object has no arguments, and the tool answers which ones are missing.
    return given if is_object(given) else {}
