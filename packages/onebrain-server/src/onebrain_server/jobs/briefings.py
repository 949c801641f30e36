"""Making briefings and delivering them: on demand, by schedule, and after events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from onebrain._core.codec import to_json
from onebrain.memory.driver import ListRequest
from onebrain.memory.filters import Cmp, Filter, every
from onebrain.memory.models import EVERYTHING, Memory
from onebrain_engine import Tenant
from onebrain_engine.store.records import to_micros
from onebrain_server.clock import iso, iso_micros, now, now_micros
from onebrain_server.jobs.cron import Cron
from onebrain_server.server import Server
from onebrain_server.state.records import Record

KIND: Final = "briefing"
CONFIG: Final = "briefing-config"
SCHEDULE: Final = "briefing-schedule"
TRIGGER: Final = "briefing-trigger"
DEFAULTS: Final[dict[str, Any]] = {
    "isEnabled": False,
    "timezone": "Europe/Berlin",
    "quietHoursStart": "22:00",
    "quietHoursEnd": "07:00",
    "webhookUrl": None,
    "webhookSecret": None,
    "contentPreferences": {},
}
_WORDS: Final = {
    "morning": "Morning",
    "midday": "Midday",
    "evening": "Evening",
    "event_triggered": "Event",
    "weekly_health": "Weekly health",
}


def config_of(server: Server, tenant: str) -> dict[str, Any]:
    """Return a tenant's configuration, the defaults where it has none."""
    found = server.records.get(tenant, CONFIG, "config")
    return {**DEFAULTS, **(found.body if found is not None else {})}


def compose(
    server: Server, tenant: str, first: datetime, last: datetime, narrowed: Filter | None = None
) -> dict[str, Any]:
    """Return the events between two moments: summary, highlights and things to do, taken from the memories themselves."""
    span = every(Cmp("$updated_at", "ge", first), Cmp("$updated_at", "lt", last))
    wanted = span if narrowed is None else every(span, narrowed)
    memories = server.engine.tenant(tenant)
    page = memories.list(ListRequest(filter=wanted, order="-updated_at", limit=200))
    waiting = _reviewed(memories, "candidate")
    total = page.meta.total or len(page.data)
    summary = _summary(total, Counter(memory.type or "fact" for memory in page.data), waiting)
    order = sorted(
        page.data, key=lambda one: (not one.pinned, -float(one.extra.get("confidence", 1)), -_time(one))
    )
    highlights = [_line(one) for one in order if one.type not in ("goal",)][:5]
    to_do = [_line(one) for one in order if one.type in ("goal", "decision")][:5]
    if waiting:
        to_do.append(f"Review {waiting} {'memory' if waiting == 1 else 'memories'}")
    return {"summary": summary, "highlights": highlights, "actionItems": to_do}


def _reviewed(memories: Tenant, status: str) -> int:
    """Return how many memories wait for their owner with a status; the engine holds them among the archived ones."""
    waiting = every(Cmp("$archived", "eq", True), Cmp("$extra.status", "eq", status))
    return memories.count(EVERYTHING, waiting, include_archived=True)


def _summary(total: int, kinds: Mapping[str, int], waiting: int) -> str:
    counted = ", ".join(f"{count} {kind}{'s' if count != 1 else ''}" for kind, count in sorted(kinds.items()))
    summary = f"{total} {'memory' if total == 1 else 'memories'} new or changed" + (
        f": {counted}." if counted else "."
    )
    if waiting:
        summary += f" {waiting} {'waits' if waiting == 1 else 'wait'} for review."
    return summary


def text_of(content: dict[str, Any]) -> str:
    """Return a briefing as text."""
    parts = [content["summary"]]
    for heading, lines in (("Highlights", content["highlights"]), ("To do", content["actionItems"])):
        if lines:
            parts.append("\n".join([f"{heading}:", *(f"- {line}" for line in lines)]))
    return "\n\n".join(parts)


def day_span(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return when a day begins and ends in a time zone."""
    first = datetime.combine(day, time(), tzinfo=zone)
    return first.astimezone(UTC), (datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)).astimezone(
        UTC
    )


def send(server: Server, tenant: str, kind: str, channels: list[str], *, title: str | None = None) -> Record:
    """Make a briefing of the last day, or week, keep it, and deliver it."""
    last = now()
    first = last - timedelta(days=7 if kind == "weekly_health" else 1)
    content = compose(server, tenant, first, last)
    body: dict[str, Any] = {
        "title": title or f"{_WORDS[kind]} briefing, {last.date().isoformat()}",
        "contentText": text_of(content),
        "deliveredVia": [],
        **content,
    }
    record = server.records.add(tenant, KIND, body, status="ready", label=kind)
    config = config_of(server, tenant)
    done = ["in_app"] if "in_app" in channels else []
    failed = False
    if "webhook" in channels:
        event: dict[str, Any] = {
            "event": "briefing.delivered",
            "briefingId": record.id,
            "title": body["title"],
            "contentText": body["contentText"],
            "timestamp": iso(last),
        }
        url = config["webhookUrl"]
        if url is not None and server.deliveries.send_once(
            tenant, "onebrain", record.id, url=url, secret=config["webhookSecret"], body=to_json(event)
        ):
            done.append("webhook")
        else:
            failed = True
    status = "failed" if failed and not done else "delivered"
    return server.records.change(tenant, KIND, record.id, {"deliveredVia": done}, status=status) or record


def run_schedules(server: Server) -> None:
    """Deliver the briefings that are due; several replicas do not deliver one twice."""
    moment = now()
    for tenant in server.records.tenants_with(SCHEDULE):
        config = config_of(server, tenant)
        zone = ZoneInfo(config["timezone"])
        for schedule in server.records.all(tenant, SCHEDULE):
            due = schedule.body["nextFireAt"]
            if due is None or due > to_micros(moment):
                continue
            following = Cron.parse(schedule.body["cronExpression"]).after(moment, zone)
            upcoming = None if following is None else to_micros(following)
            with server.once(tenant, f"schedule {schedule.id} {due}"):
                claimed = server.records.change_if(
                    tenant,
                    SCHEDULE,
                    schedule.id,
                    "nextFireAt",
                    due,
                    {"nextFireAt": upcoming, "lastFiredAt": now_micros()},
                )
                if claimed and config["isEnabled"] and not quiet(config, moment, zone):
                    send(server, tenant, schedule.body["type"], schedule.body["channels"])


def run_triggers(server: Server) -> None:
    """Deliver the briefings that events ask for, each after its rest."""
    for tenant in server.records.tenants_with(TRIGGER):
        config = config_of(server, tenant)
        if not config["isEnabled"]:
            continue
        for trigger in server.records.all(tenant, TRIGGER):
            last = trigger.body["lastFiredAt"]
            rest = trigger.body["cooldownMinutes"] * 60_000_000
            if last is not None and now_micros() - last < rest:
                continue
            if _happened(server, tenant, trigger) and server.records.change_if(
                tenant, TRIGGER, trigger.id, "lastFiredAt", last, {"lastFiredAt": now_micros()}
            ):
                name = trigger.body["eventType"]
                kind = "weekly_health" if name == "weekly_health" else "event_triggered"
                send(
                    server, tenant, kind, trigger.body["channels"], title=name.replace("_", " ").capitalize()
                )


def _happened(server: Server, tenant: str, trigger: Record) -> bool:
    name, threshold = trigger.body["eventType"], trigger.body["threshold"]
    memories = server.engine.tenant(tenant)
    if name == "candidate_threshold":
        return _reviewed(memories, "candidate") >= (threshold or 1)
    if name == "confidence_conflict":
        return _reviewed(memories, "conflicted") >= (threshold or 1)
    if name == "high_importance_memory":
        since = trigger.body["lastFiredAt"] or trigger.created_at
        important = every(
            Cmp("$importance", "ge", 0.8 if threshold is None else threshold),
            Cmp("$created_at", "gt", iso_micros(since)),
        )
        return memories.count(EVERYTHING, important, include_archived=False) > 0
    last = trigger.body["lastFiredAt"] or trigger.created_at
    return now_micros() - last >= 7 * 86_400 * 1_000_000


def quiet(config: dict[str, Any], moment: datetime, zone: ZoneInfo) -> bool:
    """Return whether a moment is within a tenant's quiet hours."""
    first, last = config["quietHoursStart"], config["quietHoursEnd"]
    if not first or not last or first == last:
        return False
    clock = moment.astimezone(zone).strftime("%H:%M")
    return bool(first <= clock < last if first < last else clock >= first or clock < last)


def _line(memory: Memory) -> str:
    text = " ".join(memory.content.split())
    return text if len(text) <= 160 else text[:159].rpartition(" ")[0] + "…"


def _time(memory: Memory) -> float:
    return memory.updated_at.timestamp() if memory.updated_at is not None else 0.0
