"""The resources and prompts of an MCP server: texts of the memory that a person attaches to a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from onebrain.errors import OneBrainNotFoundError, OneBrainValidationError
from onebrain.frameworks.plans import Plan, ask
from onebrain.frameworks.tools import context, list_, memories_answer
from onebrain.memory.models import Memory, Scope

CONTEXT_URI: Final = "onebrain://context"
MEMORIES_URI: Final = "onebrain://memories"
MEMORY_TEMPLATE: Final = "onebrain://memories/{id}"

# Memories in the resource that lists them.
_LATEST: Final = 50


@dataclass(frozen=True, slots=True)
class View:
    """A resource or a template of resources."""

    uri: str
    name: str
    title: str
    description: str


RESOURCES: Final = (
    View(
        CONTEXT_URI,
        "context",
        "What is known",
        "What is pinned, and the latest memories, within 1,500 tokens.",
    ),
    View(MEMORIES_URI, "memories", "Latest memories", f"The latest {_LATEST} memories, with their ids."),
)
TEMPLATES: Final = (View(MEMORY_TEMPLATE, "memory", "One memory", "A memory by its id, percent-encoded."),)


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt: a text for the conversation, which a person chooses.

    Attributes:
        name: The name, which clients show as a command.
        title: The name for people.
        description: The effect.
        arguments: The description of each argument; all of them are required.
    """

    name: str
    title: str
    description: str
    arguments: Mapping[str, str]


RECALL: Final = Template(
    "recall",
    "Recall",
    "Put what is known about a subject into the conversation.",
    {"about": "The subject, in plain words."},
)
SAVE: Final = Template(
    "save", "Save this conversation", "Store what this conversation showed that will matter later.", {}
)
REVIEW: Final = Template("review", "Review candidates", "Go through the memories that wait for approval.", {})
_TEXTS: Final = {
    SAVE.name: (
        "Go through our conversation. For each fact, preference, decision and goal that should be known in later "
        "conversations, search the memory first. If it is not there, store it with onebrain_write as one complete sentence "
        "that can be understood on its own. If it contradicts a memory, replace that one. Store nothing that only "
        "mattered today, and no passwords or keys. Then tell me in a short list what you stored."
    ),
    REVIEW.name: (
        "List the memories that wait for approval with onebrain_candidates and show them to me, numbered. Ask me which ones "
        "to keep. Approve those with onebrain_approve and remove the others with onebrain_reject, and nothing that I did "
        "not mention."
    ),
}


def prompts(*, read_only: bool, review: bool) -> list[Template]:
    """Return the prompts that go with the tools of a server."""
    if read_only:
        return [RECALL]
    return [RECALL, SAVE, REVIEW] if review else [RECALL, SAVE]


def resource(uri: str, scope: Scope) -> Plan[str]:
    """Return the text of a resource.

    Raises:
        OneBrainNotFoundError: No resource has this URI.
    """
    if uri == CONTEXT_URI:
        return (yield from context(scope)).text
    if uri == MEMORIES_URI:
        return (yield from list_(scope, limit=_LATEST)).text
    id = unquote(uri.removeprefix(f"{MEMORIES_URI}/"))
    if not uri.startswith(f"{MEMORIES_URI}/") or not id:
        raise OneBrainNotFoundError("no resource with this URI")
    found: list[Memory] = yield ask("get_many", [id], scope=scope)
    if not found:
        raise OneBrainNotFoundError("no memory with this id in this scope")
    return memories_answer(found).text


def prompt(template: Template, arguments: Mapping[str, str], scope: Scope) -> Plan[str]:
    """Return the text of a prompt.

    Raises:
        OneBrainValidationError: An argument is missing, blank or unknown.
    """
    missing = [name for name in template.arguments if not arguments.get(name, "").strip()]
    if missing or len(arguments) > len(template.arguments):
        takes = ", ".join(template.arguments) or "no arguments"
        raise OneBrainValidationError(f"arguments: the prompt {template.name} takes {takes}")
    if template.name in _TEXTS:
        return _TEXTS[template.name]
    about = arguments["about"]
    recalled = yield from context(scope, query=about, min_confidence=0)
    return f"{recalled.text}\n\nUse it where it helps. I would like to talk about this: {about}"
