"""Work that is done in the background and survives a restart: a record for each job, claimed by one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from onebrain_server.clock import now_micros
from onebrain_server.dialects.rememberos.rules import collections
from onebrain_server.dialects.rememberos.rules.partition import Partition, partition_of
from onebrain_server.http.problems import not_found
from onebrain_server.http.requests import Call
from onebrain_server.ids import new_id
from onebrain_server.state.records import Record

if TYPE_CHECKING:
    from onebrain_server.server import Server

_SECOND: Final = 1_000_000
# A job that waits for longer was lost with the process that took it.
_WAITING: Final = 30 * _SECOND
_WORKING: Final = 600 * _SECOND
_KEPT: Final = 24 * 3600 * _SECOND


class Queue:
    """Jobs of one kind.

    A job's record has a ``state`` (queued, processing, done or failed) and the name of a ``collection``.

    Args:
        kind: The kind of its records.
        name: The name of the work in the log.
        work: Does a job and returns changes of its record; None, like an exception, says that it failed.
        spent: The fields that the record is emptied of at the end, so that no text is kept for longer than it is needed.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        work: Callable[[Partition, Record], Mapping[str, Any] | None],
        *,
        spent: Mapping[str, Any],
    ) -> None:
        self._kind = kind
        self._name = name
        self._work = work
        self._spent = spent

    def start(self, partition: Partition, body: Mapping[str, Any]) -> str:
        """Note a job and have it done soon; return its id."""
        whole = {**body, "state": "queued", "claim": None, "since": now_micros()}
        job = partition.records.add(partition.tenant, self._kind, whole, status="queued", bounded=False)
        self._soon(partition, job)
        return job.id

    def seen(self, call: Call, id: str) -> Record:
        """Return a job's record; raise if there is none, or the caller may not read its collection."""
        partition = partition_of(call)
        job = partition.records.get(partition.tenant, self._kind, id)
        if job is None:
            raise not_found("Job")
        if collections.find(partition, job.body["collection"]) is not None:
            collections.readable(call, job.body["collection"])
        return job

    def _soon(self, partition: Partition, job: Record) -> None:
        partition.server.later(partial(self._run, partition, job), self._name)

    def _run(self, partition: Partition, job: Record) -> None:
        """Do a job, unless another process has taken it."""
        mine = {"claim": new_id(), "state": "processing", "since": now_micros()}
        if not partition.records.change_if(
            partition.tenant, self._kind, job.id, "claim", job.body["claim"], mine
        ):
            return
        partition.records.change(partition.tenant, self._kind, job.id, {}, status="processing", touch=False)
        noted: Mapping[str, Any] | None = None
        try:
            noted = self._work(partition, job)
        finally:
            state = "failed" if noted is None else "done"
            done = {**(noted or {}), **self._spent, "state": state}
            # What waits in it becomes memories, which are bounded.
            partition.records.change(partition.tenant, self._kind, job.id, done, status=state, bounded=False)

    def resume(self, server: Server) -> None:
        """Do the jobs that were lost with the process that had taken them."""
        moment = now_micros()
        for tenant in server.records.tenants_with(self._kind):
            partition = Partition(server, tenant)
            for status, patience in (("queued", _WAITING), ("processing", _WORKING)):
                for job in server.records.all(tenant, self._kind, status=status):
                    if job.body["since"] < moment - patience:
                        self._soon(partition, job)

    def tidy(self, server: Server, moment: int | None = None) -> None:
        """Forget jobs that ended a day before now, or before another moment."""
        oldest = (moment or now_micros()) - _KEPT
        for tenant in server.records.tenants_with(self._kind):
            for status in ("done", "failed"):
                for job in server.records.all(tenant, self._kind, status=status):
                    if job.updated_at < oldest:
                        server.records.remove(tenant, self._kind, job.id)
