"""Graph memory: texts from which facts are extracted, and the known facts."""

from __future__ import annotations

import time
from typing import Any

from onebrain._core.codec import is_object
from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET, POST, path
from onebrain._core.steps import Mode, Sleep, Steps
from onebrain._core.wire import read
from onebrain.errors import OneBrainInternalError, OneBrainTimeoutError
from onebrain.services.rememberos.models import Job, Profile, Remembered
from onebrain.services.rememberos.service import (
    DEFAULT_COLLECTION,
    NAME,
    SLOW,
    Resource,
    check_number,
    collection_path,
    wrong,
)


class Graph(Resource[Mode]):
    """Facts extracted from texts; each supersedes the facts that it contradicts."""

    @endpoint
    def remember(
        self,
        content: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        importance: float | None = None,
        sync: bool = True,
        wait: bool = True,
        timeout: float = 60.0,
    ) -> Steps[Remembered]:
        """Extract the facts of a text and store them.

        A host may answer with the facts or with the job that will find them, whatever `sync` asks for; with `wait`
        a job is followed to its end. Over the spend cap the text is stored and no facts are extracted, which is a
        success, too.

        Args:
            content: The text.
            collection: Where to store the facts.
            importance: 0..1.
            sync: Ask for the facts in the answer itself.
            wait: Follow a job until it is done.
            timeout: Seconds to follow it for.

        Raises:
            OneBrainTimeoutError: The job was not done in time; ``details["job_id"]`` names it for `wait_for`.
            OneBrainInternalError: The job failed.
        """
        if not content.strip():
            raise wrong("content: must not be blank")
        check_number("importance", importance, 0, 1)
        spec = POST(collection_path(collection, "/remember"), content=content, importance=importance)
        spec = spec.but(query={"sync": sync or None}, timeout=SLOW if sync else None)
        reply = yield from self._service.ask(spec)
        body: Any = reply.data
        job_id = body.get("job_id") if is_object(body) else None
        if not isinstance(job_id, str):
            return read(Remembered, body, service=NAME)
        if not wait:
            return Remembered(job_id=job_id, state="queued")
        job = yield from Graph.wait_for.plan(self, job_id, timeout=timeout)
        return Remembered(job_id=job_id, state=job.state, facts=job.facts)

    @endpoint
    def job(self, job_id: str) -> Steps[Job]:
        """Return the state of an extraction job."""
        return (yield from self._service.get(Job, GET(path("/v1/memory/extract/job/{}", job_id))))

    @endpoint
    def wait_for(self, job_id: str, *, timeout: float = 60.0) -> Steps[Job]:
        """Follow a job until it is done and return its last state; raise where it failed or takes longer."""
        deadline = time.monotonic() + timeout
        pause = 0.1
        while True:
            job = yield from Graph.job.plan(self, job_id)
            if job.state == "failed":
                raise OneBrainInternalError(
                    "the extraction job failed; its text can be given to remember() again",
                    service=NAME,
                    details={"job_id": job_id},
                )
            if job.finished:
                return job
            left = deadline - time.monotonic()
            if left <= 0:
                raise OneBrainTimeoutError(
                    f"the extraction job is still {job.state!r:.20} after {timeout:g} s; "
                    "it goes on: ask again with wait_for(error.details['job_id'])",
                    service=NAME,
                    details={"job_id": job_id},
                )
            yield Sleep(min(pause, left))
            pause = min(pause * 1.5, 2.0)

    @endpoint
    def profile(self, collection: str = DEFAULT_COLLECTION) -> Steps[Profile]:
        """Return a summary of the facts and preferences that hold now, written by a language model."""
        return (
            yield from self._service.get(
                Profile, GET(collection_path(collection, "/profile")).but(timeout=SLOW)
            )
        )
