"""Files: those whose text becomes memories, at once or in the background; and those that would have to be kept.

This server reads text and stores no files: what needs object storage, which is attaching files to memories and presigned
URLs, is refused, and no setting changes that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, NoReturn
from uuid import UUID, uuid5

from pydantic import BaseModel, Field, ValidationError

from onebrain.errors import OneBrainError
from onebrain.memory.models import NewMemory
from onebrain_server.dialects.rememberos import mapping
from onebrain_server.dialects.rememberos.mapping import Category, MemoryRow, NewFields, Source
from onebrain_server.dialects.rememberos.rules import collections, memories
from onebrain_server.dialects.rememberos.rules.background import Queue
from onebrain_server.dialects.rememberos.rules.chunks import chunks
from onebrain_server.dialects.rememberos.rules.collections import Collection, check_writable, writable
from onebrain_server.dialects.rememberos.rules.partition import Partition, author, partition_of
from onebrain_server.dialects.rememberos.wire import (
    MAX_TEXT,
    Routes,
    Share,
    Tagged,
    Wire,
    unconfigured,
)
from onebrain_server.files import FILE_LIMIT, PDF_SECONDS, file_text
from onebrain_server.http.operation import Answer, File, Form
from onebrain_server.http.problems import Problem, from_engine, invalid_input, not_found
from onebrain_server.http.requests import Call
from onebrain_server.state.records import Record

routes = Routes("/memory", "files")

MAX_FILES: Final = 50
# For all files of a request: only PDFs take time.
_SECONDS: Final = 60.0
_BATCH: Final = "rememberos.batch"
_STORAGE: Final = (
    "This server has no object storage, so that it keeps no files; send texts, or drop files to be read"
)


class FileFailure(Wire):
    """A file that did not become memories, and why."""

    filename: str
    error: str


def _failed(name: str, reason: str) -> dict[str, str]:
    return {"filename": name[:255], "error": reason}


def _texts(files: Sequence[File]) -> tuple[list[tuple[str, str]], list[dict[str, str]]]:
    """Return (name, text) of the files that can be read, and the failures of the others."""
    good: list[tuple[str, str]] = []
    failures: list[dict[str, str]] = []
    deadline = time.monotonic() + _SECONDS
    for file in files:
        if len(file.data) > FILE_LIMIT:
            failures.append(_failed(file.name, "The file is larger than 10 MB"))
            continue
        try:
            text = file_text(file, seconds=min(PDF_SECONDS, deadline - time.monotonic()))
        except Problem as problem:
            failures.append(_failed(file.name, problem.message))
            continue
        if text.strip():
            good.append((file.name[:255], text))
        else:
            failures.append(_failed(file.name, "The file has no text"))
    return good, failures


def _sent(form: Form) -> list[File]:
    files = [file for _, file in form.files]
    if not files:
        raise Problem(
            400, "UPLOAD_ERROR", "No file came: send files as multipart/form-data, in fields 'files'"
        )
    if len(files) > MAX_FILES:
        raise Problem(400, "UPLOAD_ERROR", f"At most {MAX_FILES} files in one request")
    return files


def _nothing(failures: Sequence[Mapping[str, str]]) -> Problem:
    """Return the failure where no file can become a memory."""
    told = "; ".join(f"{one['filename']}: {one['error']}" for one in failures[:5])
    return Problem(400, "UPLOAD_ERROR", f"No file can become a memory: {told}")


def _fields(model: type[BaseModel], given: Mapping[str, Any]) -> Any:
    """Return a form's fields, which are all texts, in their model."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid_input(error, "request body") from None


# ---- one memory each ------------------------------------------------------------------------------------------------


class FolderFields(Tagged):
    """The fields that all memories of a folder's files share."""

    importance: Share = 0.7
    category: Category = "document"
    source: Source = "upload"


class FolderAnswer(Wire):
    """The memories that the files became, in order, and the files that became none."""

    created: int
    ids: list[str]
    memories: list[MemoryRow]
    failed: int
    errors: list[FileFailure]


@routes.post(
    "/collections/{collection}/memories/folder",
    needs="write",
    answers=FolderAnswer,
    status=201,
    form=MAX_FILES + 1,
)
def upload_folder(call: Call, collection: str, query: Tagged, form: Form) -> dict[str, Any]:
    """Make one memory of each text file; the file's name stands in the metadata."""
    files = _sent(form)
    fields: FolderFields = _fields(FolderFields, {**query.model_dump(exclude_none=True), **form.fields})
    check_writable(call, collection)
    good, failures = _texts(files)
    long = f"The text has more than {MAX_TEXT} characters; drop the file, which cuts it"
    failures += [_failed(name, long) for name, text in good if len(text) > MAX_TEXT]
    good = [(name, text) for name, text in good if len(text) <= MAX_TEXT]
    if not good:
        raise _nothing(failures)
    found = writable(call, collection, create=True)
    drafts: list[NewMemory] = []
    for name, text in good:
        one = NewFields(
            text=text,
            importance=fields.importance,
            category=fields.category,
            source=fields.source,
            metadata={"filename": name},
            container_tag=fields.container_tag,
        )
        drafts.append(mapping.draft(one, found.name, author(call)))
    stored = memories.store(partition_of(call), drafts)
    return {
        "created": len(stored),
        "ids": [memory.id for memory in stored],
        "memories": [mapping.row(memory) for memory in stored],
        "failed": len(failures),
        "errors": failures,
    }


# ---- drop -----------------------------------------------------------------------------------------------------------


class DropQuery(Tagged):
    """Whether to answer before the files are worked on; the form may say so, too."""

    async_ingest: bool = False


class DropAnswer(Wire):
    """The result of dropped files: memories at once, or a batch that works on them."""

    batch_id: str | None
    queued: int
    failed: int
    errors: list[FileFailure]
    created: int
    ids: list[str]


class BatchStarted(Wire):
    """A batch that works on dropped files, and those that cannot be read."""

    batch_id: str
    queued: int
    failed: int
    errors: list[FileFailure]


@routes.post(
    "/collections/{collection}/drop",
    needs="write",
    answers=DropAnswer,
    form=MAX_FILES + 1,
    answers_also={202: ("The batch, with async_ingest=true", BatchStarted)},
)
def drop(call: Call, collection: str, query: DropQuery, form: Form) -> Answer:
    """Cut the texts of files into memories, at once or, with ``async_ingest``, in the background."""
    files = _sent(form)
    asked: DropQuery = _fields(DropQuery, {**query.model_dump(exclude_defaults=True), **form.fields})
    check_writable(call, collection)
    good, failures = _texts(files)
    if not good:
        raise _nothing(failures)
    partition, found = partition_of(call), writable(call, collection, create=True)
    if asked.async_ingest:
        id = batches.start(
            partition,
            {
                "collection": found.name,
                "container_tag": asked.container_tag,
                "by": author(call),
                "total": len(files),
                "done": 0,
                "failed": len(failures),
                "errors": failures,
                "waiting": good,
            },
        )
        started = {"batch_id": id, "queued": len(good), "failed": len(failures), "errors": failures}
        return Answer(started, status=202)
    ids: list[str] = []
    for name, text in good:
        try:
            stored = memories.store(partition, _drafts(name, text, found, asked.container_tag, author(call)))
        except (Problem, OneBrainError) as error:
            failures.append(_failed(name, _reason(error)))
        else:
            ids.extend(memory.id for memory in stored)
    return Answer(
        {
            "batch_id": None,
            "queued": 0,
            "failed": len(failures),
            "errors": failures,
            "created": len(ids),
            "ids": ids,
        }
    )


def _drafts(
    name: str, text: str, collection: Collection, container_tag: str | None, by: Mapping[str, str]
) -> list[NewMemory]:
    pieces = list(chunks(text))
    return [
        mapping.draft(
            NewFields(
                text=piece,
                category="document",
                source="drop",
                metadata={"filename": name, "chunk": number, "chunks": len(pieces)},
                container_tag=container_tag,
            ),
            collection.name,
            by,
        )
        for number, piece in enumerate(pieces)
    ]


def _reason(error: Problem | OneBrainError) -> str:
    return error.message if isinstance(error, Problem) else from_engine(error).message


def _ingest(partition: Partition, job: Record) -> dict[str, Any] | None:
    """Work on the files of a batch that wait; each is noted when it is done, so that another process can go on there."""
    collection = collections.find(partition, job.body["collection"])
    noted: dict[str, Any] = {name: job.body[name] for name in ("waiting", "done", "failed", "errors")}
    while noted["waiting"]:
        name, text = noted["waiting"][0]
        try:
            if collection is None:
                raise collections.unknown()
            drafts = _drafts(name, text, collection, job.body["container_tag"], job.body["by"])
            # The same ids each time, should this file be begun twice.
            number = len(noted["waiting"])
            memories.store(
                partition,
                [
                    one.model_copy(update={"id": str(uuid5(UUID(job.id), f"{number}/{chunk}"))})
                    for chunk, one in enumerate(drafts)
                ],
            )
        except (Problem, OneBrainError) as error:
            failure = _failed(name, _reason(error))
            noted = {**noted, "failed": noted["failed"] + 1, "errors": [*noted["errors"], failure]}
        else:
            noted = {**noted, "done": noted["done"] + 1}
        noted["waiting"] = noted["waiting"][1:]
        partition.records.change(partition.tenant, _BATCH, job.id, noted, bounded=False)
    return noted


batches: Final = Queue(_BATCH, "rememberos files", _ingest, spent={"waiting": []})


class BatchRow(Wire):
    """The progress of a batch; `errors` says why files failed."""

    total: int
    done: int
    failed: int
    pending: int
    complete: bool
    errors: list[FileFailure]


@routes.get("/ingest/batch/{batch_id}", needs="read", answers=BatchRow, errors=(404,))
def get_batch(call: Call, batch_id: str) -> dict[str, Any]:
    """Return the progress of a batch; it is known for a day."""
    body = batches.seen(call, batch_id).body
    complete = body["state"] in ("done", "failed")
    pending = body["total"] - body["done"] - body["failed"]
    # A batch that broke off has not done the rest.
    failed = body["failed"] + (pending if complete else 0)
    return {
        "total": body["total"],
        "done": body["done"],
        "failed": failed,
        "pending": 0 if complete else pending,
        "complete": complete,
        "errors": body["errors"],
    }


# ---- with object storage --------------------------------------------------------------------------------------------


def _no_storage(call: Call, collection: str) -> NoReturn:
    check_writable(call, collection)
    raise unconfigured(_STORAGE)


@routes.post(
    "/collections/{collection}/memories/upload",
    needs="write",
    answers=MemoryRow,
    status=201,
    form=MAX_FILES + 1,
)
def upload_memory(call: Call, collection: str, form: Form) -> NoReturn:
    """Store a memory with files attached: not here, for there is no object storage."""
    _no_storage(call, collection)


@routes.post(
    "/collections/{collection}/memories/{id}/images",
    needs="write",
    answers=MemoryRow,
    errors=(404,),
    form=MAX_FILES + 1,
)
def attach_file(call: Call, collection: str, id: str, form: Form) -> NoReturn:
    """Attach a file to a memory: not here, for there is no object storage."""
    memories.one(partition_of(call), writable(call, collection), id)
    raise unconfigured(_STORAGE)


@routes.delete("/collections/{collection}/memories/{id}/images/{index}", needs="write", errors=(404,))
def detach_file(call: Call, collection: str, id: str, index: str) -> NoReturn:
    """Detach a file from a memory; no memory here has one."""
    memories.one(partition_of(call), writable(call, collection), id)
    raise not_found("File")


class FileToPut(Wire):
    """A file that a client would put."""

    filename: Annotated[str, Field(min_length=1, max_length=255)]
    content_type: Annotated[str, Field(max_length=255)]
    size: Annotated[int, Field(ge=0)]


class PresignedFile(Wire):
    """Where to put a file."""

    filename: str
    key: str
    url: str
    oversize: bool


class FilePut(Wire):
    """A file that a client has put."""

    key: Annotated[str, Field(min_length=1, max_length=1024)]
    filename: Annotated[str, Field(min_length=1, max_length=255)]
    mime: Annotated[str, Field(max_length=255)]
    size: Annotated[int, Field(ge=0)]


@routes.post("/collections/{collection}/drop/presign", needs="write", answers=list[PresignedFile])
def presign(
    call: Call, collection: str, body: Annotated[list[FileToPut], Field(min_length=1, max_length=MAX_FILES)]
) -> NoReturn:
    """Return URLs to put files to: not here, for there is no object storage."""
    _no_storage(call, collection)


@routes.post("/collections/{collection}/drop/complete", needs="write", answers=BatchStarted, status=202)
def complete(
    call: Call, collection: str, body: Annotated[list[FilePut], Field(min_length=1, max_length=MAX_FILES)]
) -> NoReturn:
    """Work on files that were put: not here, for there is no object storage."""
    _no_storage(call, collection)


__all__ = ["batches", "routes"]
