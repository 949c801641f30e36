"""The account's own small things, and leaving."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

from pydantic import Field

from onebrain_server.clock import iso, iso_micros, now
from onebrain_server.dialects.onebrain import mapping
from onebrain_server.dialects.onebrain.routes import keys
from onebrain_server.dialects.onebrain.routes.transfer import whole
from onebrain_server.dialects.onebrain.rules import memories
from onebrain_server.dialects.onebrain.rules.documents import ORGANIZATIONS, unique
from onebrain_server.dialects.onebrain.wire import Routes, Wire
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.security.scopes import ACCOUNT
from onebrain_server.state.records import Record

routes = Routes("/v1", "account")


@routes.get("/user/export", needs=ACCOUNT, answers=dict[str, Any], limit="user.export")
def export_user(call: Call) -> dict[str, Any]:
    """Return everything that is stored about the account; once an hour."""
    account = call.known.account
    past = call.server.history.all(call.tenant_id)
    owners = call.server.owners.of(call.tenant_id, list({memory.id for _, memory in past}))
    return {
        "exportedAt": iso(now()),
        "user": {
            "id": account.id,
            "email": account.email,
            "displayName": account.display_name,
            "locale": account.locale,
            "createdAt": iso_micros(account.created_at),
        },
        **{
            name: value
            for name, value in whole(call).items()
            if name not in ("format", "version", "exportedAt")
        },
        "history": [
            {
                "changedAt": iso_micros(changed_at),
                "memory": mapping.shown(memory, call.tenant_id, owners[memory.id]),
            }
            for changed_at, memory in past
        ],
        "apiKeys": [keys.whole_row(key) for key in call.server.accounts.keys(call.tenant_id)],
        "audit": [
            {
                **{name: row[name] for name in ("id", "actor", "action", "target")},
                "createdAt": iso_micros(row["created_at"]),
            }
            for row in call.server.journal.audited(call.tenant_id)
        ],
    }


class Streak(Wire):
    """On how many days in a row something was stored."""

    streak_count: int
    last_date: str | None


@routes.get("/user/streak", needs="brain.read", answers=Streak)
def streak(call: Call) -> dict[str, Any]:
    """Say on how many days in a row, up to today or yesterday, a memory was stored."""
    today = now().date()
    days: set[date] = set()
    for memory in memories.everything(call, include_archived=True, most=5000):
        assert memory.created_at is not None
        days.add(memory.created_at.date())
    if not days:
        return {"streakCount": 0, "lastDate": None}
    last = max(day for day in days)
    count, day = 0, last
    while day in days and last >= today - timedelta(days=1):
        count, day = count + 1, day - timedelta(days=1)
    return {"streakCount": count, "lastDate": last.isoformat()}


class Notifications(Wire):
    """How the account wants to be notified."""

    email_daily: bool
    push_enabled: bool


@routes.get("/user/notifications", needs="brain.read", answers=Notifications)
def notifications(call: Call) -> dict[str, Any]:
    """Return how the account wants to be notified; this server sends neither mail nor pushes."""
    return {"emailDaily": False, "pushEnabled": False}


class DeleteFields(Wire):
    """The account's own address, so that nothing is deleted by mistake."""

    confirm_email: Annotated[str, Field(min_length=1, max_length=320)]


@routes.post("/user/delete", idempotent=False, needs=ACCOUNT, status=204, limit="write", errors=(403,))
def delete_account(call: Call, body: DeleteFields) -> None:
    """Delete the account and everything that it owns, at once and for good."""
    account = call.known.account
    if body.confirm_email.strip().lower() != account.email:
        raise Problem(403, "FORBIDDEN", "The address is not this account's")
    call.audit("account.delete")
    call.server.forget_account(account.id)


class OrganizationFields(Wire):
    """An organization to make."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    description: Annotated[str, Field(max_length=2000)] | None = None


class OrganizationRow(Wire):
    """An organization."""

    id: str
    name: str
    description: str | None
    member_count: int
    created_at: str


def _organization(record: Record) -> dict[str, Any]:
    return row_of(OrganizationRow, record, member_count=1)


@routes.get("/orgs", needs="brain.read", answers=list[OrganizationRow])
def list_organizations(call: Call) -> list[dict[str, Any]]:
    """List the account's organizations; memories are never shared through one."""
    return [_organization(record) for record in ORGANIZATIONS.all(call)]


@routes.post("/orgs", needs="brain.write", answers=OrganizationRow, status=201, errors=(409,))
def create_organization(call: Call, body: OrganizationFields) -> dict[str, Any]:
    """Make an organization."""
    fields = {"name": body.name, "description": body.description}
    with unique("an organization with this name"):
        return _organization(ORGANIZATIONS.add(call, fields, unique=body.name))


__all__ = ["routes"]
