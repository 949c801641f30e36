"""``/v1/memory/spend-cap``: the monthly cap on a tenant's cost of the server's language model; see `model`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from onebrain_server.dialects.rememberos.rules.model import CAP, ID, cap_of
from onebrain_server.dialects.rememberos.wire import Routes, Wire
from onebrain_server.http.requests import Call

routes = Routes("/memory/spend-cap", "account")


class SpendCap(Wire):
    """The cap in US dollars a month, and the cost of this month; null for no cap."""

    monthly_usd: float | None
    spent_usd: float


class SpendCapFields(Wire):
    """The cap in US dollars a month; null clears it."""

    monthly_usd: Annotated[float, Field(ge=0, le=1_000_000)] | None


@routes.get("", needs="read", answers=SpendCap)
def get_spend_cap(call: Call) -> dict[str, Any]:
    """Return the cap."""
    return {"monthly_usd": cap_of(call.server, call.tenant_id), "spent_usd": 0.0}


@routes.put("", needs="admin", answers=SpendCap)
def put_spend_cap(call: Call, body: SpendCapFields) -> dict[str, Any]:
    """Set or clear the cap; where it is reached, ``remember`` stores texts without looking for facts in them."""
    call.server.records.put(call.tenant_id, CAP, ID, {"monthly_usd": body.monthly_usd})
    call.audit("rememberos.spend-cap")
    return {"monthly_usd": body.monthly_usd, "spent_usd": 0.0}
