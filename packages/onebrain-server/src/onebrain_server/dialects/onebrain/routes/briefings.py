"""``/v1/briefings``: summaries of events, on demand, at fixed times, and after events."""

from __future__ import annotations

from collections import Counter
from datetime import date as Date
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from onebrain_engine.store.records import to_micros
from onebrain_server.clock import iso, iso_micros, now, now_micros
from onebrain_server.dialects.onebrain.mapping import Id
from onebrain_server.dialects.onebrain.rules import memories
from onebrain_server.dialects.onebrain.rules.documents import BRIEFINGS, SCHEDULES, TRIGGERS
from onebrain_server.dialects.onebrain.wire import Page, Paging, Query, Routes, Wire
from onebrain_server.http.operation import Answer, Given
from onebrain_server.http.problems import invalid
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.jobs import briefings as work
from onebrain_server.jobs.cron import Cron
from onebrain_server.security.addresses import AddressRefused
from onebrain_server.state.records import Record

routes = Routes("/v1/briefings", "briefings")

Type = Literal["morning", "midday", "evening", "event_triggered", "weekly_health"]
Status = Literal["pending", "generating", "ready", "delivered", "failed"]
Event = Literal["candidate_threshold", "confidence_conflict", "high_importance_memory", "weekly_health"]
Engagement = Literal["opened", "clicked", "dismissed", "acted_on"]
Channels = Annotated[list[Literal["email", "in_app", "webhook"]], Field(min_length=1, max_length=3)]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError("must be the name of a time zone, such as Europe/Lisbon") from None
    return name


def _cron(text: str) -> str:
    if Cron.parse(text).after(now(), ZoneInfo("UTC")) is None:
        raise ValueError("this never happens")
    return text


class Config(Wire):
    """When and where briefings are delivered; the secret is never shown."""

    id: str
    is_enabled: bool
    timezone: str
    quiet_hours_start: str | None
    quiet_hours_end: str | None
    webhook_url: str | None
    content_preferences: dict[str, Any]
    schedules_count: int
    triggers_count: int


def _config(call: Call) -> dict[str, Any]:
    found = work.config_of(call.server, call.tenant_id)
    return {
        "id": call.tenant_id,
        **{name: value for name, value in found.items() if name != "webhookSecret"},
        "schedulesCount": call.server.records.count(call.tenant_id, work.SCHEDULE),
        "triggersCount": call.server.records.count(call.tenant_id, work.TRIGGER),
    }


@routes.get("/config", needs="brain.read", answers=Config)
def get_config(call: Call) -> dict[str, Any]:
    """Return when and where briefings are delivered."""
    return _config(call)


class ConfigChanges(Wire):
    """Changes of the configuration; null removes the webhook or the quiet hours."""

    is_enabled: Given[bool] = None
    timezone: Given[Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_zone)]] = None
    quiet_hours_start: Clock | None = None
    quiet_hours_end: Clock | None = None
    webhook_url: Annotated[str, Field(min_length=9, max_length=2000, pattern=r"^https?://[^\s]+$")] | None = (
        None
    )
    webhook_secret: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    content_preferences: Given[dict[str, Any]] = None


_WIRE = {name: info.alias or name for name, info in ConfigChanges.model_fields.items()}


@routes.patch("/config", needs="brain.write", answers=Config)
async def change_config(call: Call, body: ConfigChanges) -> dict[str, Any]:
    """Change the given fields; a webhook at a private address is refused, now and whenever it is called."""
    if body.webhook_url is not None:
        try:
            await call.server.fetcher.check(body.webhook_url)
        except AddressRefused as refused:
            raise invalid(["webhookUrl"], str(refused)) from None
    changes = {_WIRE[name]: getattr(body, name) for name in body.model_fields_set}
    return await call.server.loop_run(_store_config, call, changes)


def _store_config(call: Call, changes: dict[str, Any]) -> dict[str, Any]:
    call.server.records.put(call.tenant_id, work.CONFIG, "config", changes, defaults=work.DEFAULTS)
    return _config(call)


def _channels(body: Any) -> list[str]:
    if "email" in body.channels:
        raise invalid(["channels"], "this server sends no mail; use in_app or webhook")
    return list(dict.fromkeys(body.channels))


class ScheduleRow(Wire):
    """A briefing at fixed times."""

    id: str
    type: Type
    cron_expression: str
    channels: list[str]
    is_active: bool
    next_fire_at: str | None
    last_fired_at: str | None


def _schedule(record: Record) -> dict[str, Any]:
    return row_of(ScheduleRow, record, is_active=True)


@routes.get("/schedules", needs="brain.read", answers=list[ScheduleRow])
def list_schedules(call: Call) -> list[dict[str, Any]]:
    """List the schedules, newest first."""
    return [_schedule(record) for record in SCHEDULES.all(call)]


class ScheduleFields(Wire):
    """A schedule to make."""

    type: Type
    cron_expression: Annotated[str, Field(min_length=9, max_length=100), AfterValidator(_cron)]
    channels: Channels


@routes.post("/schedules", needs="brain.write", answers=ScheduleRow, status=201)
def create_schedule(call: Call, body: ScheduleFields) -> dict[str, Any]:
    """Deliver a briefing at fixed times, in the account's time zone."""
    zone = ZoneInfo(work.config_of(call.server, call.tenant_id)["timezone"])
    following = Cron.parse(body.cron_expression).after(now(), zone)
    fields = {
        "type": body.type,
        "cronExpression": body.cron_expression,
        "channels": _channels(body),
        "nextFireAt": None if following is None else to_micros(following),
        "lastFiredAt": None,
    }
    return _schedule(SCHEDULES.add(call, fields))


@routes.delete("/schedules/{id}", needs="brain.write")
def delete_schedule(call: Call, id: str) -> None:
    """Delete a schedule."""
    SCHEDULES.remove(call, id)


class NewTriggerRow(Wire):
    """A trigger just made."""

    id: str
    event_type: Event
    threshold: float | None
    channels: list[str]


class TriggerRow(NewTriggerRow):
    """A briefing after an event."""

    is_active: bool
    cooldown_minutes: int


def _trigger(record: Record) -> dict[str, Any]:
    return row_of(TriggerRow, record, is_active=True)


@routes.get("/triggers", needs="brain.read", answers=list[TriggerRow])
def list_triggers(call: Call) -> list[dict[str, Any]]:
    """List the triggers, newest first."""
    return [_trigger(record) for record in TRIGGERS.all(call)]


class TriggerFields(Wire):
    """A trigger to make."""

    event_type: Event
    threshold: Annotated[float, Field(ge=0, le=1_000_000)] | None = None
    channels: Channels
    cooldown_minutes: Annotated[int, Field(ge=15, le=1440)] = 60


@routes.post("/triggers", needs="brain.write", answers=NewTriggerRow, status=201)
def create_trigger(call: Call, body: TriggerFields) -> dict[str, Any]:
    """Deliver a briefing after an event."""
    fields = {
        "eventType": body.event_type,
        "threshold": body.threshold,
        "channels": _channels(body),
        "cooldownMinutes": body.cooldown_minutes,
        "lastFiredAt": None,
    }
    return row_of(NewTriggerRow, TRIGGERS.add(call, fields))


@routes.delete("/triggers/{id}", needs="brain.write")
def delete_trigger(call: Call, id: str) -> None:
    """Delete a trigger."""
    TRIGGERS.remove(call, id)


class DaysQuery(Query):
    """How far back to look."""

    days: Annotated[int, Field(ge=1, le=365)] = 30


class Analytics(Wire):
    """How briefings were received."""

    total_briefings: int
    delivered_count: int
    engagement_rate: float
    by_type: list[dict[str, Any]]
    by_channel: list[dict[str, Any]]
    top_actions: list[dict[str, Any]]


@routes.get("/analytics", needs="brain.read", answers=Analytics)
def analytics(call: Call, query: DaysQuery) -> dict[str, Any]:
    """Say how the briefings of a number of days were received."""
    since = now_micros() - query.days * 86_400 * 1_000_000
    found = [one for one in BRIEFINGS.all(call) if one.created_at >= since]
    types = Counter(str(one.label) for one in found)
    channels = Counter(channel for one in found for channel in one.body["deliveredVia"])
    actions = Counter(action for one in found for action in one.body.get("engagement", ()))
    engaged = sum(bool(one.body.get("engagement")) for one in found)
    return {
        "totalBriefings": len(found),
        "deliveredCount": sum(one.status == "delivered" for one in found),
        "engagementRate": round(engaged / len(found), 4) if found else 0,
        "byType": [{"type": name, "count": count} for name, count in sorted(types.items())],
        "byChannel": [{"channel": name, "count": count} for name, count in sorted(channels.items())],
        "topActions": [{"action": name, "count": count} for name, count in actions.most_common()],
    }


class BriefingRow(Wire):
    """A briefing."""

    id: str
    type: Type
    status: Status
    title: str
    content_text: str
    content_html: str | None
    delivered_via: list[str]
    created_at: str
    summary: str
    highlights: list[str]
    action_items: list[str]
    date: str
    generated_at: str


def _row(record: Record) -> dict[str, Any]:
    made = iso_micros(record.created_at)
    return row_of(
        BriefingRow, record, type=record.label, content_html=None, date=made[:10], generated_at=made
    )


class ListQuery(Paging):
    """Which briefings to list."""

    type: Type | None = None
    status: Status | None = None


@routes.get("", needs="brain.read", answers=Page[BriefingRow])
def list_briefings(call: Call, query: ListQuery) -> Answer:
    """List delivered briefings, newest first."""
    return BRIEFINGS.page(call, query, _row, status=query.status, label=query.type)


class DailyQuery(Query):
    """The filter of a day's briefing."""

    project_id: Id | None = None


class DailyRow(Wire):
    """The briefing of a day, made when it is asked for."""

    id: str
    type: str
    status: str
    title: str
    date: str
    summary: str
    highlights: list[str]
    action_items: list[str]
    content_text: str
    project_id: str | None
    generated_at: str


Day = Annotated[str, Field(json_schema_extra={"anyOf": [{"const": "today"}, {"format": "date"}]})]


@routes.get("/daily/{date}", needs="brain.read", answers=DailyRow)
def daily(call: Call, date: Day, query: DailyQuery) -> dict[str, Any]:
    """Return the briefing of a day, ``today`` or one such as 2026-03-30; nothing is stored by reading it."""
    zone = ZoneInfo(work.config_of(call.server, call.tenant_id)["timezone"])
    try:
        day = now().astimezone(zone).date() if date == "today" else Date.fromisoformat(date)
        first, last = work.day_span(day, zone)
    except (ValueError, OverflowError):
        raise invalid(
            ["date"], "must be today, or a date such as 2026-03-30", where="path parameters"
        ) from None
    narrowed = None
    if query.project_id is not None:
        narrowed = memories.of_project(call, query.project_id)
    content = work.compose(call.server, call.tenant_id, first, last, narrowed)
    return {
        "id": f"daily-{day.isoformat()}",
        "type": "morning",
        "status": "ready",
        "title": f"Briefing, {day.isoformat()}",
        "date": day.isoformat(),
        **content,
        "contentText": work.text_of(content),
        "projectId": query.project_id,
        "generatedAt": iso(now()),
    }


@routes.get("/{id}", needs="brain.read", answers=BriefingRow)
def get_briefing(call: Call, id: str) -> dict[str, Any]:
    """Return one delivered briefing."""
    return _row(BRIEFINGS.one(call, id))


class EngagementFields(Wire):
    """The user's action on a briefing."""

    action: Engagement


class EngagementAnswer(Wire):
    """Whether it was recorded."""

    recorded: bool


@routes.post("/{id}/engagement", needs="brain.write", answers=EngagementAnswer)
def engage(call: Call, id: str, body: EngagementFields) -> dict[str, Any]:
    """Note the user's action on a briefing."""
    with call.server.changing(call.tenant_id, id):
        actions = [*BRIEFINGS.one(call, id).body.get("engagement", ()), body.action][-50:]
        BRIEFINGS.change(call, id, {"engagement": actions})
    return {"recorded": True}


__all__ = ["routes"]
