"""One tenant's memories and documents, for requests and for background jobs; and the author of a request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from onebrain_engine import Tenant
from onebrain_server.dialects.rememberos.rules.model import model_of
from onebrain_server.dialects.rememberos.wire import NAME
from onebrain_server.http.requests import Call
from onebrain_server.language_model import LanguageModel
from onebrain_server.partitions import partition_name
from onebrain_server.state.records import Records

if TYPE_CHECKING:
    from onebrain_server.server import Server


@dataclass(frozen=True, slots=True)
class Partition:
    """One tenant's part of the server."""

    server: Server
    tenant: str

    @property
    def memories(self) -> Tenant:
        """The tenant's memories; a collection is a space of theirs."""
        return self.server.engine.tenant(partition_name(self.tenant, NAME))

    @property
    def records(self) -> Records:
        """Small documents; every call names the tenant."""
        return self.server.records

    def model(self, purpose: str) -> LanguageModel | None:
        """Return the language model for tasks that rules do less well: the tenant's own, else the server's; None for no model.

        Its tokens are counted under the purpose.
        """
        model = model_of(self.server, self.tenant)
        return (
            None if model is None else model.metered(partial(self.server.journal.spend, self.tenant, purpose))
        )


def partition_of(call: Call) -> Partition:
    """Return the partition that a request works on."""
    return Partition(call.server, call.tenant_id)


def author(call: Call) -> dict[str, str]:
    """Return who writes, as memories remember it: the key's agent identity, or the account's owner."""
    caller = call.known
    if caller.key is None:
        return {"id": caller.account.id, "label": "owner"}
    return {"id": caller.key.id, "label": caller.key.name}
