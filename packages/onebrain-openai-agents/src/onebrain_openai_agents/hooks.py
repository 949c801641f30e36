"""`OneBrainRunHooks`: stores finished turns, for users who keep another session or none."""

from __future__ import annotations

from typing import Any, Unpack
from uuid import uuid4

from agents import Agent, AgentHookContext, RunHooks

from onebrain.frameworks.plans import to_the_end
from onebrain.frameworks.recall import said
from onebrain.frameworks.scope import Scoped, ScopedOptions
from onebrain.frameworks.turns import Spoken, TurnRecorder, model_or_none
from onebrain.memory.remembering.model import ModelLike
from onebrain_openai_agents.items import context_of, spoken_in


class OneBrainRunHooks(Scoped, RunHooks[Any]):
    """Stores the user's words and the final answer of each run, so that later runs can recall them.

    Use it with a session of another kind or without one; a `OneBrainSession` stores its items itself.

    Args:
        remember: A model that finds the facts in each turn, as `onebrain.Brain.remember` takes it; they are looked for in the
            background. None stores the words only.
        options: ``brain``, ``url``, ``api_key``, ``base_url``, ``scope`` and ``scope_from``, as for
            `onebrain.frameworks.scope.Scoped`.

    Example:
        >>> import asyncio, onebrain
        >>> from agents import Agent, RunConfig, Runner
        >>> from agents.testing import ScriptedModel, assistant_message
        >>> brain = onebrain.connect("sqlite://")
        >>> hooks = OneBrainRunHooks(brain=brain, scope_from={"user": "user_id"})
        >>> agent = Agent("Travel", model=ScriptedModel([[assistant_message("Noted.")]]))
        >>> run = Runner.run(agent, "I like window seats.", context={"user_id": "maria"}, hooks=hooks)
        >>> _ = asyncio.run(run)
        >>> [memory.content for memory in brain.list(scope=onebrain.Scope(user="maria"), order="sequence")]
        ['User: I like window seats.', 'Assistant: Noted.']
        >>> brain.close()
    """

    def __init__(self, *, remember: ModelLike | None = None, **options: Unpack[ScopedOptions]) -> None:
        super().__init__(**options)
        self._model = None if remember is None else model_or_none(remember)
        self._recorder = TurnRecorder()

    async def on_agent_end(self, context: AgentHookContext[Any], agent: Agent[Any], output: Any) -> None:
        """Store the turn that ends: the words since the last answer, and the answer."""
        turn: list[Spoken] = []
        # The SDK calls this hook once for each run, and gives the run no id.
        run = uuid4().hex
        for position, item in enumerate(context.turn_input):
            words = spoken_in(item, f"{run}/{position}")
            if words is not None and words.role == "user":
                turn.append(words)
            else:
                turn.clear()
        answer = said(output if isinstance(output, str) else str(output))
        if answer:
            turn.append(Spoken(answer, "assistant", "Assistant", f"{run}/answer"))
        scope = self.scope_of(context_of(context))
        await to_the_end(self.arun(self._recorder.record(turn, scope)))
        if self._model is not None:
            await to_the_end(self.arun(self._recorder.remember(turn, scope, self._model)))
