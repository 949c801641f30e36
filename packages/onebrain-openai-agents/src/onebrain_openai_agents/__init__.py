"""Components for the OpenAI Agents SDK over a OneBrain memory: session, recall, tools and run hooks.

Each takes ``brain=`` (a `Brain`, an `AsyncBrain`, or both), or ``url=`` and ``api_key=``, or nothing (then
`onebrain.connect` decides), and ``scope=`` or ``scope_from=``, which takes the scope from the run's context.
"""

from onebrain_openai_agents.hooks import OneBrainRunHooks
from onebrain_openai_agents.recall import memory_filter, memory_instructions
from onebrain_openai_agents.session import OneBrainSession
from onebrain_openai_agents.tools import memory_tools

__version__ = "2.0.0"

__all__ = [
    "OneBrainRunHooks",
    "OneBrainSession",
    "__version__",
    "memory_filter",
    "memory_instructions",
    "memory_tools",
]
