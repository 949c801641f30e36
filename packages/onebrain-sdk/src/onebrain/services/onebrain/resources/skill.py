"""Skills (SkillForge): reusable prompts that learn from how they do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from onebrain._core.codec import UNSET, Unset, is_set
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.former import formerly
from onebrain._core.paging import Page
from onebrain._core.service import DELETE, GET, PATCH, POST, Spec, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.errors import OneBrainValidationError
from onebrain.services.onebrain.fields import skill_body, skill_row
from onebrain.services.onebrain.models import Json, Skill, SkillEvent, SkillRun, SkillStatus
from onebrain.services.onebrain.resources.resource import Resource, check_limit, one_of, strings


class Skills(Resource[Mode]):
    """Skills."""

    def _skill(self, spec: Spec) -> Steps[Skill]:
        return read(Skill, skill_row((yield from self._data(spec))), service="onebrain")

    @endpoint
    def create(
        self,
        name: str | None = None,
        *,
        title: str | None = None,
        description: str | None = None,
        prompt_template: str | None = None,
        body: str | None = None,
        context_scope: str | None = None,
        trigger_conditions: Iterable[Mapping[str, Any]] | None = None,
        verification_steps: Iterable[Mapping[str, Any]] | None = None,
        source_memory_ids: Iterable[str] | None = None,
        confidence_score: float | None = None,
    ) -> Steps[Skill]:
        """Create a skill.

        Args:
            name: Its name; `title` is the wire's name for it.
            title: The same, by its other name.
            description: Its use.
            prompt_template: The prompt, with ``{{input}}``, ``{{context}}`` and variables; `body` is the wire's name.
            body: The same, by its other name.
            context_scope: The scope of the context to put in.
            trigger_conditions: At most ten of ``{type, pattern, description?}``.
            verification_steps: At most ten of ``{order, instruction, expectedOutcome?}``.
            source_memory_ids: At most 20 memories that it was learnt from.
            confidence_score: 0..1; the server's default is 0.5.
        """
        prompt = str(one_of(prompt_template=prompt_template, body=body))
        fields: Json = {
            "title": one_of(name=name, title=title),
            "body": skill_body(prompt, description, context_scope),
            "promptTemplate": prompt if prompt_template is not None else None,
            "description": description,
            "contextScope": context_scope,
            "triggerConditions": None
            if trigger_conditions is None
            else [dict(c) for c in trigger_conditions],
            "verificationSteps": None
            if verification_steps is None
            else [dict(s) for s in verification_steps],
            "sourceMemoryIds": None
            if source_memory_ids is None
            else strings("source_memory_ids", source_memory_ids),
            "confidenceScore": confidence_score,
        }
        return (yield from self._skill(POST("/v1/skills", **fields)))

    @endpoint
    @formerly(skill_id="id")
    def get(self, id: str) -> Steps[Skill]:
        """Return one skill."""
        return (yield from self._skill(GET(path("/v1/skills/{}", id))))

    @endpoint
    def update(
        self,
        id: str,
        *,
        name: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        prompt_template: str | Unset = UNSET,
        context_scope: str | Unset | None = UNSET,
        status: SkillStatus | Unset = UNSET,
        confidence_score: float | Unset = UNSET,
        trigger_conditions: Iterable[Mapping[str, Any]] | Unset = UNSET,
        verification_steps: Iterable[Mapping[str, Any]] | Unset = UNSET,
    ) -> Steps[Skill]:
        """Change the given fields of a skill and return it.

        For `description`, `prompt_template` and `context_scope` the skill is read first, because servers keep them together.
        """
        fields: Json = {"title": name, "status": status, "confidenceScore": confidence_score}
        for wire, value in (
            ("triggerConditions", trigger_conditions),
            ("verificationSteps", verification_steps),
        ):
            fields[wire] = UNSET if isinstance(value, Unset) else [dict(item) for item in value]
        if is_set(description) or is_set(prompt_template) or is_set(context_scope):
            old = yield from self._skill(GET(path("/v1/skills/{}", id)))
            new = {
                "promptTemplate": prompt_template if is_set(prompt_template) else old.prompt_template,
                "description": description if is_set(description) else old.description,
                "contextScope": context_scope if is_set(context_scope) else old.context_scope,
            }
            fields |= new
            fields["body"] = skill_body(str(new["promptTemplate"]), new["description"], new["contextScope"])
        if not any(is_set(value) for value in fields.values()):
            raise OneBrainValidationError("update: nothing to change was given")
        return (yield from self._skill(PATCH(path("/v1/skills/{}", id), **fields)))

    @endpoint
    def delete(self, id: str) -> Steps[None]:
        """Dismiss a skill."""
        yield from self._none(DELETE(path("/v1/skills/{}", id)))

    @endpoint
    def execute(
        self, skill_id: str, *, input: str, variables: Mapping[str, Any] | None = None
    ) -> Steps[SkillRun]:
        """Fill a skill's prompt with context and input, and run it.

        Args:
            skill_id: The skill.
            input: The text for ``{{input}}``.
            variables: The texts for other names in double braces.

        Raises:
            UnsupportedByServer: The server does not execute skills, as OneBrain's hosted one.
        """
        spec = POST(path("/v1/skills/{}/execute", skill_id), input=input, variables=variables)
        return (yield from self._one(SkillRun, spec))

    @endpoint
    @formerly(skill_id="id")
    def feedback(
        self, id: str, event_type: SkillEvent, *, context: Mapping[str, Any] | None = None
    ) -> Steps[bool]:
        """Tell how a skill did, which moves its confidence; return whether it was recorded.

        Args:
            id: The skill.
            event_type: applied, referenced, dismissed or served.
            context: A JSON object of your own.
        """
        spec = POST(path("/v1/skills/{}/feedback", id), eventType=event_type, context=context)
        return bool((yield from self._object(spec)).get("recorded"))

    def _list(
        self,
        *,
        status: SkillStatus | None = None,
        min_confidence: float | None = None,
        sort_by: Literal["confidence", "usage", "recency"] | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Steps[Page[Skill]]:
        """List skills: ``list`` returns a page, ``all`` iterates over the rows of all pages.

        Args:
            status: Only this status.
            min_confidence: Only with at least this confidence, 0..1.
            sort_by: confidence (the server's default), usage or recency.
            cursor: ``page.meta.cursor`` of the page before.
            limit: Rows of a page, 1 to 100; the server's default is 20.
        """
        check_limit(limit)
        spec = GET(
            "/v1/skills",
            status=status,
            minConfidence=min_confidence,
            sortBy=sort_by,
            cursor=cursor,
            limit=limit,
        )
        return (yield from self._page(Skill, spec, skill_row))

    all = listing(_list)
    list = endpoint(_list)
