"""Agents: the actions of each API key, and the review of its memories."""

from __future__ import annotations

from typing import Literal

from onebrain._core.endpoint import endpoint, listing
from onebrain._core.paging import Page
from onebrain._core.service import GET, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain.services.onebrain.models import (
    Agent,
    AgentActivity,
    AgentSummary,
    CandidateReview,
    NewAgent,
)
from onebrain.services.onebrain.resources.resource import Resource, check_limit


class Agents(Resource[Mode]):
    """API keys as agents."""

    @endpoint
    def register(self, name: str, *, description: str, contact_url: str | None = None) -> Steps[NewAgent]:
        """Register an agent with a brain and a key of its own; needs no key, and ``key`` is shown this once.

        Args:
            name: 2 to 100 characters.
            description: Its purpose, 10 to 1,000 characters.
            contact_url: Where its owner can be reached.
        """
        spec = POST("/v1/agents/register", name=name, description=description, contactUrl=contact_url)
        return (yield from self._one(NewAgent, spec))

    @endpoint
    def summary(self, agent_id: str | None = None) -> Steps[AgentSummary]:
        """Return counts of the actions of one agent, or of all."""
        where = "/v1/agents/summary" if agent_id is None else path("/v1/agents/{}/summary", agent_id)
        return (yield from self._one(AgentSummary, GET(where)))

    @endpoint
    def review(self, agent_id: str, action: Literal["approve", "dismiss"]) -> Steps[CandidateReview]:
        """Approve or dismiss everything that waits for review of one agent."""
        return (
            yield from self._one(
                CandidateReview, POST(path("/v1/agents/{}/candidates", agent_id), action=action)
            )
        )

    def _activity(
        self, agent_id: str | None = None, *, cursor: str | None = None, limit: int | None = None
    ) -> Steps[Page[AgentActivity]]:
        """Return the actions of one agent, or of all, newest first: ``activity`` a page, ``all_activity`` all rows.

        Args:
            agent_id: One agent; all of them where left out.
            cursor: ``page.meta.cursor`` of the page before.
            limit: Rows of a page, 1 to 100.
        """
        check_limit(limit)
        where = "/v1/agents/activity" if agent_id is None else path("/v1/agents/{}/activity", agent_id)
        return (yield from self._page(AgentActivity, GET(where, cursor=cursor, limit=limit)))

    all_activity = listing(_activity)
    activity = endpoint(_activity)

    @endpoint
    def list(self) -> Steps[tuple[Agent, ...]]:
        """Return all agents."""
        return (yield from self._many(Agent, GET("/v1/agents")))
