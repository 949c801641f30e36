"""Recall: what the brain knows about the user's words, for one call of the model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, Unpack

from agents import Agent, RunContextWrapper
from agents.run import CallModelData, ModelInputData

from onebrain.frameworks.recall import Recaller, RecallerOptions
from onebrain_openai_agents.items import context_of, last_question

Filter: TypeAlias = Callable[[CallModelData[Any]], Awaitable[ModelInputData]]
Instructions: TypeAlias = Callable[[RunContextWrapper[Any], Agent[Any]], Awaitable[str]]


def memory_filter(*, session_id: str | None = None, **options: Unpack[RecallerOptions]) -> Filter:
    """Return a ``call_model_input_filter`` that adds recalled memories to the instructions of each call of a model.

    The memories are fenced as data. Only the model sees them: they are in no session and in no result of the run.

    Args:
        session_id: The running conversation, whose memories the model sees already; they are not recalled. The default
            is the session of the scope.
        options: ``brain``, ``url``, ``api_key``, ``base_url``, ``scope`` and ``scope_from``, as for
            `onebrain.frameworks.scope.Scoped`; ``max_tokens`` (1500), ``limit`` (20), ``min_score`` (0),
            ``min_confidence`` (None, the default of `Brain.context`; 0 turns it off), ``filter``,
            ``search_mode`` and ``count_tokens``, as for `onebrain.frameworks.recall.Recall`.

    Example:
        >>> import onebrain
        >>> from agents import RunConfig
        >>> brain = onebrain.connect("sqlite://")
        >>> recall = memory_filter(brain=brain, scope_from={"user": "user_id"})
        >>> config = RunConfig(call_model_input_filter=recall)
        >>> brain.close()
    """
    recaller = Recaller(**options)

    async def filter(data: CallModelData[Any]) -> ModelInputData:
        given = data.model_data
        query, run = last_question(given.input), context_of(data.context)
        text = await recaller.arun(recaller.recalled(query, run, session=session_id))
        return ModelInputData(input=given.input, instructions=_joined(given.instructions, text))

    return filter


def memory_instructions(
    instructions: str | Instructions = "",
    *,
    session_id: str | None = None,
    **options: Unpack[RecallerOptions],
) -> Instructions:
    """Return instructions for an agent that end in the memories recalled for the user's words.

    Args:
        instructions: The agent's own instructions: a text, or an async function of the run's context and the agent.
        session_id: The running conversation, whose memories are not recalled.
        options: As for `memory_filter`.

    Example:
        >>> import onebrain
        >>> from agents import Agent
        >>> brain = onebrain.connect("sqlite://")
        >>> told = memory_instructions("You are a travel agent.", brain=brain, scope={"user": "maria"})
        >>> agent = Agent("Travel", instructions=told)
        >>> brain.close()
    """
    recaller = Recaller(**options)

    async def recalled(context: RunContextWrapper[Any], agent: Agent[Any]) -> str:
        own = instructions if isinstance(instructions, str) else await instructions(context, agent)
        query, run = last_question(context.turn_input), context_of(context)
        text = await recaller.arun(recaller.recalled(query, run, session=session_id))
        return _joined(own, text) or ""

    return recalled


def _joined(instructions: str | None, text: str) -> str | None:
    return "\n\n".join(part for part in (instructions, text) if part) or instructions
