"""Files: forms as the service reads them, and the way by presigned URLs."""

from __future__ import annotations

import pytest

from onebrain.errors import (
    OneBrainConnectionError,
    OneBrainInternalError,
    OneBrainTimeoutError,
    OneBrainValidationError,
)
from onebrain.services.rememberos import Upload

MEMORY = {"id": "m1", "text": "x", "images": [{"name": "a.txt"}]}
C = "/v1/memory/collections/notes"
NOTE = Upload("a.txt", b"hello\x00\xff")
PICTURE = Upload("ü.png", b"\x89PNG")


def test_a_memory_is_uploaded_with_its_files(client, stub, tmp_path):
    path = tmp_path / "page.html"
    path.write_bytes(b"<p>")
    stub.answer(MEMORY, status=201)
    memory = client(
        lambda c: c.memories.upload(
            "x",
            [NOTE, PICTURE, path],
            collection="notes",
            importance=0.5,
            metadata={"a": [1]},
            container_tag="t",
        )
    )
    assert memory.images == ({"name": "a.txt"},)
    assert (stub.only.method, stub.only.path) == ("POST", f"{C}/memories/upload")
    fields = {name: content for name, filename, _, content in stub.only.form if filename is None}
    assert fields == {"text": b"x", "importance": b"0.5", "metadata": b'{"a":[1]}', "container_tag": b"t"}
    files = [part for part in stub.only.form if part[1] is not None]
    assert files == [
        ("files", "a.txt", "text/plain", b"hello\x00\xff"),
        ("files", "ü.png", "image/png", b"\x89PNG"),
        ("files", "page.html", "text/html", b"<p>"),
    ]


@pytest.mark.parametrize(
    ("answer", "ids", "memories"),
    [
        ([MEMORY], (), ("m1",)),
        ({"memories": [MEMORY], "created": 1}, (), ("m1",)),
        ({"created": 1, "ids": ["m1"]}, ("m1",), ()),
    ],
)
def test_a_folder_becomes_memories_however_the_host_says_it(client, stub, answer, ids, memories):
    stub.answer(answer, status=201)
    result = client(lambda c: c.memories.upload_folder([NOTE, PICTURE], collection="notes"))
    assert (stub.only.path, [part[0] for part in stub.only.form]) == (
        f"{C}/memories/folder",
        ["files", "files"],
    )
    assert result.ids == ids
    assert tuple(memory.id for memory in result.memories) == memories


def test_a_file_is_attached_to_a_memory(client, stub):
    stub.answer({"attached": True})
    stub.answer(MEMORY)
    assert client(lambda c: c.memories.attach("m1", NOTE, collection="notes")).id == "m1"
    assert stub.got[0].path == f"{C}/memories/m1/images"
    assert stub.got[0].form == [("file", "a.txt", "text/plain", NOTE.content)]


def test_files_are_dropped(client, stub):
    stub.answer({"batch_id": "b1", "queued": 1, "failed": 0}, status=202)
    drop = client(lambda c: c.files.drop([NOTE], collection="notes", async_ingest=True))
    assert (drop.batch_id, drop.queued, drop.failed) == ("b1", 1, 0)
    assert (stub.only.path, stub.only.query) == (f"{C}/drop", [("async_ingest", "true")])
    assert [(name, content) for name, _, _, content in stub.only.form] == [
        ("async_ingest", b"true"),
        ("files", NOTE.content),
    ]


def test_a_batch_is_followed_until_it_is_complete(client, stub):
    stub.answer({"total": 2, "done": 1, "failed": 0, "pending": 1, "complete": False})
    stub.answer({"total": 2, "done": 1, "failed": 1, "pending": 0, "complete": True})
    assert client(lambda c: c.files.wait_for("b1")).failed == 1


def test_a_batch_that_takes_too_long_is_given_up(client, stub):
    stub.answer({"total": 2, "done": 1, "failed": 0, "pending": 1, "complete": False})
    with pytest.raises(OneBrainTimeoutError, match="1 of 2 files") as caught:
        client(lambda c: c.files.wait_for("b1", timeout=0))
    assert caught.value.details == {"batch_id": "b1"}


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.files.drop([]),
        lambda c: c.files.drop("a.txt"),
        lambda c: c.files.drop([Upload("big.bin", bytes(10 * 1024 * 1024 + 1))]),
        lambda c: c.files.drop(["no-such-file.txt"]),
        lambda c: c.memories.upload_folder([NOTE] * 51),
        lambda c: c.memories.upload("", [NOTE]),
        lambda c: Upload("", b""),
        lambda c: Upload("a", "text"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(client, stub, call):
    with pytest.raises(OneBrainValidationError):
        client(call)
    assert stub.got == []


# ---- presigned URLs -------------------------------------------------------------------------------------------------


def _slots(stub, *names):
    return [
        {"filename": name, "key": f"t/{name}", "url": f"{stub.url}/bucket/{name}?X-Amz-Signature=s3cr3t"}
        for name in names
    ]


def test_files_are_presigned_put_and_completed(client, stub):
    stub.answer(_slots(stub, "a.txt", "b.png"))
    stub.answer(None)
    stub.answer(None)
    stub.answer({"batch_id": "b1", "queued": 2, "failed": []}, status=202)
    report = client(lambda c: c.files.upload([NOTE, PICTURE], collection="notes"))
    assert report.raise_for_failures().uploaded == ("a.txt", "ü.png")
    assert report.batch.batch_id == "b1"
    presign, first, second, complete = stub.got
    assert presign.json == [
        {"filename": "a.txt", "content_type": "text/plain", "size": 7},
        {"filename": "ü.png", "content_type": "image/png", "size": 4},
    ]
    assert (first.method, first.path, first.content) == ("PUT", "/bucket/a.txt", NOTE.content)
    assert (second.headers["content-type"], second.content) == ("image/png", PICTURE.content)
    assert "authorization" not in first.headers
    assert complete.json == [
        {"key": "t/a.txt", "filename": "a.txt", "mime": "text/plain", "size": 7},
        {"key": "t/b.png", "filename": "ü.png", "mime": "image/png", "size": 4},
    ]


def test_a_put_that_fails_does_so_alone_and_hides_its_url(client, stub):
    stub.answer(_slots(stub, "a.txt", "b.png"))
    stub.answer(b"<Error>SignatureDoesNotMatch</Error>", status=503)
    stub.answer(None)
    stub.answer({"batch_id": "b1"}, status=202)
    report = client(lambda c: c.files.upload([NOTE, PICTURE], collection="notes"))
    assert report.uploaded == ("ü.png",)
    (failed,) = report.failed
    assert failed.name == "a.txt"
    assert isinstance(failed.error, OneBrainInternalError)
    assert failed.error.status_code == 503
    assert "s3cr3t" not in str(failed.error)
    assert [file["filename"] for file in stub.got[-1].json] == ["ü.png"]
    with pytest.raises(OneBrainInternalError, match=r"a\.txt"):
        report.raise_for_failures()


def test_where_no_put_arrives_nothing_is_completed(client, stub):
    stub.answer(_slots(stub, "a.txt"))
    stub.answer(stub.lost)
    report = client(lambda c: c.files.upload([NOTE], collection="notes"))
    assert (report.batch, report.uploaded) == (None, ())
    assert isinstance(report.failed[0].error, OneBrainConnectionError)
    assert "s3cr3t" not in str(report.failed[0].error)


def test_an_oversize_file_is_reported_and_not_put(client, stub):
    stub.answer([{"filename": "a.txt", "oversize": True}])
    report = client(lambda c: c.files.upload([NOTE], collection="notes"))
    assert isinstance(report.failed[0].error, OneBrainValidationError)
    assert len(stub.got) == 1
