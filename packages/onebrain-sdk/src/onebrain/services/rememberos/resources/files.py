"""Files that become memories: dropped in one request, or put where presigned URLs say."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET, Spec, path
from onebrain._core.steps import Mode, Send, Sleep, Steps
from onebrain._core.transport import Request, Response
from onebrain.errors import (
    OneBrainError,
    OneBrainInternalError,
    OneBrainResponseError,
    OneBrainTimeoutError,
    OneBrainTransportError,
)
from onebrain.services.rememberos.models import Batch, Drop, PresignedFile
from onebrain.services.rememberos.resources.uploads import FileLike, Upload, load, load_files
from onebrain.services.rememberos.service import (
    DEFAULT_COLLECTION,
    NAME,
    SLOW,
    Resource,
    collection_path,
    wrong,
)


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file that was not taken, and why."""

    name: str
    error: OneBrainError


@dataclass(frozen=True, slots=True)
class UploadReport:
    """The outcome of files that were put by presigned URLs.

    Attributes:
        batch: The batch that works on the files that arrived; None where none did.
        uploaded: Their names.
        failed: The others.
    """

    batch: Drop | None
    uploaded: tuple[str, ...] = ()
    failed: tuple[FailedFile, ...] = ()

    def raise_for_failures(self) -> UploadReport:
        """Return this report, or raise the first failure where there is one."""
        for file in self.failed:
            raise file.error
        return self


class Files(Resource[Mode]):
    """Files whose text, speech or pictures become memories."""

    @endpoint
    def drop(
        self,
        files: Sequence[FileLike],
        *,
        collection: str = DEFAULT_COLLECTION,
        async_ingest: bool = False,
    ) -> Steps[Drop]:
        """Send files of up to 10 MB; with `async_ingest` they are worked on in the background (see `batch`)."""
        parts = yield from load_files(files, "files")
        # The reference does not say whether the switch is a query parameter or a field of the form: it is sent as both.
        flag = {"async_ingest": "true"} if async_ingest else {}
        spec = Spec(
            "POST", collection_path(collection, "/drop"), query=flag, form=(parts, flag), timeout=SLOW
        )
        return (yield from self._service.get(Drop, spec))

    @endpoint
    def presign(
        self, files: Sequence[Mapping[str, Any]], *, collection: str = DEFAULT_COLLECTION
    ) -> Steps[list[PresignedFile]]:
        """Ask for a URL to PUT each file to, given as ``{"filename", "content_type", "size"}``."""
        body = [_described(file, ("filename", "content_type", "size")) for file in files]
        if not body:
            raise wrong("files: give at least one")
        spec = Spec("POST", collection_path(collection, "/drop/presign"), body=body)
        return (yield from self._service.get_rows(PresignedFile, spec, "files", "uploads", "urls"))

    @endpoint
    def complete(
        self, files: Sequence[Mapping[str, Any]], *, collection: str = DEFAULT_COLLECTION
    ) -> Steps[Drop]:
        """Say which files were put, as ``{"key", "filename", "mime", "size"}``; they are worked on in the background."""
        body = [_described(file, ("key", "filename", "mime", "size")) for file in files]
        if not body:
            raise wrong("files: give at least one")
        spec = Spec("POST", collection_path(collection, "/drop/complete"), body=body)
        return (yield from self._service.get(Drop, spec))

    @endpoint
    def upload(
        self, files: Sequence[FileLike], *, collection: str = DEFAULT_COLLECTION
    ) -> Steps[UploadReport]:
        """Presign, PUT and complete files in one call; a file that fails does so alone, and the report says why.

        The presigned URLs are asked without the API key.
        """
        uploads = yield from load(files, check_size=False)
        slots = yield from Files.presign.plan(
            self,
            [
                {"filename": file.name, "content_type": file.media_type, "size": len(file.content)}
                for file in uploads
            ],
            collection=collection,
        )
        if len(slots) != len(uploads):
            raise OneBrainResponseError(
                f"{len(uploads)} files were to be presigned and {len(slots)} answers came", service=NAME
            )
        failed: list[FailedFile] = []
        arrived: list[tuple[Upload, PresignedFile]] = []
        for file, slot in zip(uploads, slots, strict=True):
            problem = yield from self._put(file, slot)
            if problem is None:
                arrived.append((file, slot))
            else:
                failed.append(FailedFile(file.name, problem))
        batch: Drop | None = None
        if arrived:
            batch = yield from Files.complete.plan(
                self,
                [
                    {
                        "key": slot.key,
                        "filename": file.name,
                        "mime": file.media_type,
                        "size": len(file.content),
                    }
                    for file, slot in arrived
                ],
                collection=collection,
            )
        return UploadReport(batch, tuple(file.name for file, _ in arrived), tuple(failed))

    def _put(self, file: Upload, slot: PresignedFile) -> Steps[OneBrainError | None]:
        """Put one file; return the failure, if any. The URL is a secret of its own and stays out of errors."""
        if slot.oversize:
            return wrong(
                f"{file.name!r:.60} has {len(file.content)} bytes, which the service takes to be too large"
            )
        if not slot.url or not slot.key:
            return OneBrainResponseError(f"no URL came for {file.name!r:.60}", service=NAME)
        request = Request(
            "PUT",
            slot.url,
            {"content-type": file.media_type},
            file.content,
            max(SLOW, self._service.timeout or SLOW),
        )
        try:
            response: Response = yield Send(request)
        except OneBrainTransportError as error:
            return type(error)(
                f"{file.name!r:.60} could not be put: no answer from the object storage", service=NAME
            )
        if 200 <= response.status < 300:
            return None
        kind_of = OneBrainInternalError if response.status >= 500 else OneBrainResponseError
        return kind_of(
            f"{file.name!r:.60} could not be put: the object storage answered {response.status}",
            service=NAME,
            status_code=response.status,
        )

    @endpoint
    def batch(self, batch_id: str) -> Steps[Batch]:
        """Return the progress of a batch."""
        return (yield from self._service.get(Batch, GET(path("/v1/memory/ingest/batch/{}", batch_id))))

    @endpoint
    def wait_for(self, batch_id: str, *, timeout: float = 300.0) -> Steps[Batch]:
        """Follow a batch until it is complete; raise `OneBrainTimeoutError` where that takes longer."""
        deadline = time.monotonic() + timeout
        pause = 0.2
        while True:
            batch = yield from Files.batch.plan(self, batch_id)
            if batch.complete:
                return batch
            left = deadline - time.monotonic()
            if left <= 0:
                raise OneBrainTimeoutError(
                    f"{batch.pending} of {batch.total} files are still pending after {timeout:g} s; they go on",
                    service=NAME,
                    details={"batch_id": batch_id},
                )
            yield Sleep(min(pause, left))
            pause = min(pause * 1.5, 5.0)


def _described(file: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return `file` as the service wants it described; refuse missing or misspelt fields."""
    if set(file) != set(names):
        raise wrong(
            f"a file is described by exactly {', '.join(names)}, not by {', '.join(sorted(file)) or 'nothing'}"
        )
    return dict(file)
