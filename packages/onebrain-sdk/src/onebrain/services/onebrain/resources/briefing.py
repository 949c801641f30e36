"""Briefings (BrainPulse): the latest memories in a few sentences, delivered on a schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date as Date
from typing import Any, Literal

from onebrain._core.codec import UNSET, Unset
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.paging import Page
from onebrain._core.service import DELETE, GET, PATCH, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain.services.onebrain.fields import day
from onebrain.services.onebrain.models import (
    Briefing,
    BriefingAnalytics,
    BriefingConfig,
    BriefingSchedule,
    BriefingTrigger,
)
from onebrain.services.onebrain.resources.resource import Resource, check_limit, strings

BriefingType = Literal["morning", "midday", "evening", "event_triggered", "weekly_health"]
BriefingStatus = Literal["pending", "generating", "ready", "delivered", "failed"]
Channel = Literal["email", "in_app", "webhook"]
TriggerEvent = Literal[
    "candidate_threshold", "confidence_conflict", "high_importance_memory", "weekly_health"
]
Engagement = Literal["opened", "clicked", "dismissed", "acted_on"]


class Briefings(Resource[Mode]):
    """Briefings, and when and where they are delivered."""

    @endpoint
    def get(
        self, id: str | None = None, *, date: Date | str | None = None, project_id: str | None = None
    ) -> Steps[Briefing]:
        """Return the briefing of a day, made now where there is none yet; with an id, one that was delivered.

        Args:
            id: A delivered briefing, which every server can return.
            date: The day; today where left out.
            project_id: Only about this project.

        Raises:
            UnsupportedByServer: The server makes no briefings on demand, as OneBrain's hosted one; `list` returns those
                that it delivered.
        """
        if id is not None:
            return (yield from self._one(Briefing, GET(path("/v1/briefings/{}", id))))
        which = "today" if date is None else day("date", date)
        spec = GET(path("/v1/briefings/daily/{}", which), projectId=project_id)
        return (yield from self._one(Briefing, spec))

    @endpoint
    def config(self) -> Steps[BriefingConfig]:
        """Return when and where briefings are delivered."""
        return (yield from self._one(BriefingConfig, GET("/v1/briefings/config")))

    @endpoint
    def update_config(
        self,
        *,
        is_enabled: bool | Unset = UNSET,
        timezone: str | Unset = UNSET,
        quiet_hours_start: str | Unset | None = UNSET,
        quiet_hours_end: str | Unset | None = UNSET,
        webhook_url: str | Unset | None = UNSET,
        webhook_secret: str | Unset | None = UNSET,
        content_preferences: Mapping[str, Any] | Unset = UNSET,
    ) -> Steps[BriefingConfig]:
        """Change the given fields of the configuration and return it; the secret never comes back."""
        spec = PATCH(
            "/v1/briefings/config",
            isEnabled=is_enabled,
            timezone=timezone,
            quietHoursStart=quiet_hours_start,
            quietHoursEnd=quiet_hours_end,
            webhookUrl=webhook_url,
            webhookSecret=webhook_secret,
            contentPreferences=content_preferences,
        )
        return (yield from self._one(BriefingConfig, spec))

    @endpoint
    def schedules(self) -> Steps[tuple[BriefingSchedule, ...]]:
        """Return the schedules."""
        return (yield from self._many(BriefingSchedule, GET("/v1/briefings/schedules")))

    @endpoint
    def create_schedule(
        self, *, type: BriefingType, cron_expression: str, channels: Iterable[Channel]
    ) -> Steps[BriefingSchedule]:
        """Deliver a briefing at fixed times, as a cron expression says."""
        spec = POST(
            "/v1/briefings/schedules",
            type=type,
            cronExpression=cron_expression,
            channels=list(strings("channels", channels)),
        )
        return (yield from self._one(BriefingSchedule, spec))

    @endpoint
    def delete_schedule(self, id: str) -> Steps[None]:
        """Delete a schedule."""
        yield from self._none(DELETE(path("/v1/briefings/schedules/{}", id)))

    @endpoint
    def triggers(self) -> Steps[tuple[BriefingTrigger, ...]]:
        """Return the triggers."""
        return (yield from self._many(BriefingTrigger, GET("/v1/briefings/triggers")))

    @endpoint
    def create_trigger(
        self,
        *,
        event_type: TriggerEvent,
        channels: Iterable[Channel],
        threshold: float | None = None,
        cooldown_minutes: int | None = None,
    ) -> Steps[BriefingTrigger]:
        """Deliver a briefing after an event.

        Args:
            event_type: The event.
            channels: Where to deliver it.
            threshold: From how many on, for events that count.
            cooldown_minutes: Not again for 15 to 1440 minutes; the server's default is 60.
        """
        spec = POST(
            "/v1/briefings/triggers",
            eventType=event_type,
            threshold=threshold,
            channels=list(strings("channels", channels)),
            cooldownMinutes=cooldown_minutes,
        )
        return (yield from self._one(BriefingTrigger, spec))

    @endpoint
    def delete_trigger(self, id: str) -> Steps[None]:
        """Delete a trigger."""
        yield from self._none(DELETE(path("/v1/briefings/triggers/{}", id)))

    @endpoint
    def analytics(self, *, days: int | None = None) -> Steps[BriefingAnalytics]:
        """Return how briefings of the last `days` (the server's default is 30) were received."""
        return (yield from self._one(BriefingAnalytics, GET("/v1/briefings/analytics", days=days)))

    @endpoint
    def engage(self, id: str, action: Engagement) -> Steps[None]:
        """Record an action on a briefing."""
        yield from self._none(POST(path("/v1/briefings/{}/engagement", id), action=action))

    def _list(
        self,
        *,
        type: BriefingType | None = None,
        status: BriefingStatus | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Steps[Page[Briefing]]:
        """List briefings, newest first: ``list`` returns a page, ``all`` iterates over the rows of all pages.

        Args:
            type: Only this type.
            status: Only this status.
            cursor: ``page.meta.cursor`` of the page before.
            limit: Rows of a page, 1 to 100; the server's default is 20.
        """
        check_limit(limit)
        spec = GET("/v1/briefings", type=type, status=status, cursor=cursor, limit=limit)
        return (yield from self._page(Briefing, spec))

    all = listing(_list)
    list = endpoint(_list)
