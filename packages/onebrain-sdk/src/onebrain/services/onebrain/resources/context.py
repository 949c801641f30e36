"""The brain's profile, and contexts: texts for an agent's prompt.

Servers know four scopes: brief, assistant, project and deep. The documentation also has free ones, such as "coding", with a
language, a project and a token budget. OneBrain's Python server serves those itself; on others `_Contextual` composes such a
context of calls that they have: the profile, and the memories that a search for the scope's words finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast, get_args

from onebrain._core.codec import UNSET, Unset
from onebrain._core.endpoint import endpoint
from onebrain._core.paging import Page
from onebrain._core.service import GET, PUT, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.errors import OneBrainValidationError
from onebrain.memory.context import estimate_tokens
from onebrain.memory.fence import on_one_line
from onebrain.services.onebrain.models import (
    Context,
    ContextEntity,
    ContextScope,
    ContextScopeInfo,
    Json,
    Memory,
    Profile,
)
from onebrain.services.onebrain.resources.memory import MOST_HITS, Memories
from onebrain.services.onebrain.resources.resource import Resource

WIRE_SCOPES = frozenset(get_args(ContextScope))
_FALLBACK_TOKENS = 2000


class _Contextual(Resource[Mode]):
    """Contexts for both resources that give them."""

    def _context(
        self,
        scope: str | None,
        language: str | None,
        project_id: str | None,
        max_tokens: int | None,
    ) -> Steps[Context]:
        if max_tokens is not None and (isinstance(max_tokens, bool) or max_tokens < 1):
            raise OneBrainValidationError(f"max_tokens: must be 1 or more, not {max_tokens!r:.40}")
        narrowed = language is not None or project_id is not None
        free = scope is not None and scope not in WIRE_SCOPES
        if (free or narrowed) and not (yield from self._service.has("context.scopes")):
            return (yield from self._focused(scope, language, project_id, max_tokens))
        where = "/v1/brain/context" if scope is None else path("/v1/context/{}", scope)
        spec = GET(where, language=language, projectId=project_id, maxTokens=max_tokens)
        data = yield from self._object(spec)
        return _budgeted(_read_context(data, scope), max_tokens)

    def _focused(
        self,
        scope: str | None,
        language: str | None,
        project_id: str | None,
        max_tokens: int | None,
    ) -> Steps[Context]:
        """Compose a context of parts that every server has: the profile, and a search for the focus."""
        memories = Memories(self._mode, self._service)
        words = " ".join(word for word in (None if scope in WIRE_SCOPES else scope, language) if word)
        profile = yield from self._one(Profile, GET("/v1/brain/profile"))
        found: list[Memory] = []
        linked = yield from self._linked(None, project_id)
        if words:
            hits = yield from Memories.search.plan(memories, words, limit=MOST_HITS)
            found = [hit for hit in hits.data if linked is None or hit.id in linked]
        if linked is not None:
            known = {memory.id for memory in found}
            rest = sorted(linked - known)[: MOST_HITS - len(found)]
            others = yield from Memories.get_many.plan(memories, rest)
            found += [memory for memory in others if memory.status == "active"]
        context = _written(Context(scope=scope, profile=profile, memories=tuple(found)))
        return _budgeted(context, max_tokens or _FALLBACK_TOKENS)


class Brain(_Contextual[Mode]):
    """The profile that is built of all memories, and contexts for prompts."""

    @endpoint
    def profile(self) -> Steps[Profile]:
        """Return the owner's profile: ``summary``, ``key_facts``, ``traits`` and ``preferences``."""
        return (yield from self._one(Profile, GET("/v1/brain/profile")))

    @endpoint
    def update_profile(
        self,
        *,
        summary: str | Unset | None = UNSET,
        traits: Mapping[str, Any] | Unset = UNSET,
        preferences: Mapping[str, Any] | Unset = UNSET,
    ) -> Steps[Profile]:
        """Change the given fields of the profile and return it; each given object is replaced as a whole."""
        spec = PUT("/v1/brain/profile", summary=summary, traits=traits, preferences=preferences)
        return (yield from self._one(Profile, spec))

    @endpoint
    def context(
        self, *, scope: str | None = None, project_id: str | None = None, max_tokens: int | None = None
    ) -> Steps[Context]:
        """Return a text for an agent's prompt.

        Args:
            scope: brief, assistant, project or deep, or a focus of your own, such as ``"work"``; without it, the newest
                memories, entities and projects.
            project_id: Only memories of this project.
            max_tokens: The most tokens of the text.
        """
        return (yield from self._context(scope, None, project_id, max_tokens))


class Contexts(_Contextual[Mode]):
    """Contexts by scope."""

    @endpoint
    def get(
        self,
        scope: str = "deep",
        *,
        language: str | None = None,
        project_id: str | None = None,
        max_tokens: int | None = None,
    ) -> Steps[Context]:
        """Return the context of a scope, ready for a prompt.

        Args:
            scope: brief (about 500 tokens), assistant (2,000), project (3,000) or deep (8,000), or a focus of your own,
                such as ``"coding"``.
            language: For a focus of your own: the programming language.
            project_id: Only memories of this project.
            max_tokens: The most tokens of the text.
        """
        return (yield from self._context(scope, language, project_id, max_tokens))

    @endpoint
    def text(self, scope: ContextScope = "deep") -> Steps[str]:
        """Return the context of a scope as plain text."""
        reply = yield from self._service.ask(GET(path("/v1/context/{}", scope)).but(expect="text"))
        return str(reply.data or "")

    @endpoint
    def list_scopes(self) -> Steps[Page[ContextScopeInfo]]:
        """Return the scopes of this server; `UnsupportedByServer` where it does not tell, as OneBrain's hosted one."""
        return (yield from self._page(ContextScopeInfo, GET("/v1/context")))


def _read_context(row: Json, scope: str | None) -> Context:
    """Read all three shapes: the documented one, the one by scope, and the bare one of ``/v1/brain/context``."""
    if "systemPrompt" in row:
        return read(Context, {"scope": scope, **row}, service="onebrain")
    structured = row.get("structured")
    if isinstance(structured, Mapping) or "formatted" in row:
        parts = dict(cast("Json", structured or {}))
        meta = cast("Json", row.get("meta") or {})
        return read(
            Context,
            {
                **parts,
                "scope": row.get("scope") or scope,
                "systemPrompt": row.get("formatted") or "",
                "tokenCount": meta.get("tokenEstimate") or estimate_tokens(row.get("formatted") or ""),
                "truncated": bool(meta.get("truncated")),
                "meta": meta,
            },
            service="onebrain",
        )
    bare = read(
        Context,
        {
            "scope": scope,
            "profile": row.get("profile"),
            "memories": row.get("recentMemories") or [],
            "entities": row.get("topEntities") or [],
            "projects": row.get("activeProjects") or [],
            "stats": row.get("stats"),
        },
        service="onebrain",
    )
    return _written(bare)


def _written(context: Context) -> Context:
    """Write the text of a context that the server left as data, in the sections that servers use themselves."""
    sections: list[str] = []
    profile = context.profile
    if profile is not None:
        lines = [on_one_line(profile.summary)] if profile.summary else []
        for label, values in (("Traits", profile.traits), ("Preferences", profile.preferences)):
            if values:
                pairs = [f"{on_one_line(name)}={on_one_line(str(value))}" for name, value in values.items()]
                lines.append(f"{label}: {', '.join(pairs)}")
        if lines:
            sections.append("\n".join(["## User Profile", *lines]))
    for heading, lines in (
        ("Known Facts & Memories", [_line(memory) for memory in context.memories]),
        ("Key Entities", _named(context.entities)),
        ("Projects", [f"- {on_one_line(project.name)}" for project in context.projects]),
    ):
        if lines:
            sections.append("\n".join([f"## {heading}", *lines]))
    text = "\n\n".join(sections)
    return context.model_copy(update={"system_prompt": text, "token_count": estimate_tokens(text)})


def _named(entities: Iterable[ContextEntity]) -> list[str]:
    return [f"- {on_one_line(entity.name)} ({on_one_line(entity.type)})" for entity in entities]


def _line(memory: Memory) -> str:
    text = on_one_line(memory.content)
    title = on_one_line(memory.title.rstrip(" …"))
    return (
        f"- [{memory.type}] {text}"
        if not title or text.startswith(title)
        else f"- [{memory.type}] {title}: {text}"
    )


def _budgeted(context: Context, max_tokens: int | None) -> Context:
    """Keep a context within a budget that the server did not know of: drop memories from the end, then cut the text."""
    if max_tokens is None or estimate_tokens(context.system_prompt) <= max_tokens:
        return context
    low, high = 0, len(context.memories)
    while low < high:
        middle = (low + high + 1) // 2
        shorter = _written(context.model_copy(update={"memories": context.memories[:middle]}))
        if shorter.token_count <= max_tokens:
            low = middle
        else:
            high = middle - 1
    fitting = _written(context.model_copy(update={"memories": context.memories[:low]}))
    text = fitting.system_prompt.encode()[: 4 * max_tokens].decode(errors="ignore")
    return fitting.model_copy(
        update={"system_prompt": text, "token_count": estimate_tokens(text), "truncated": True}
    )


__all__ = ["WIRE_SCOPES", "Brain", "Contexts"]
