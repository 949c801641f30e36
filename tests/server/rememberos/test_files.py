"""Files: read at once or in the background, each failure told; and what would need object storage."""

from __future__ import annotations

import io
import zipfile

import pytest

from onebrain.errors import OneBrainInternalError, OneBrainNotFoundError, OneBrainValidationError
from onebrain.services.rememberos import Upload
from onebrain_server.clock import now_micros
from onebrain_server.dialects.rememberos.routes import files

C = "/memory/collections/notes"
NOTE = ("note.txt", b"Maria prefers window seats.")


def sent(*given):
    return [("files", one) for one in given]


def docx(*paragraphs):
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("word/document.xml", f"<w:document {space}><w:body>{body}</w:body></w:document>")
    return made.getvalue()


def test_each_file_of_a_folder_becomes_one_memory(client):
    given = sent(NOTE, ("page.md", b"# Lisbon"), ("letter.docx", docx("Dear Maria", "Yours, Pedro")))
    answer = client.post(f"{C}/memories/folder?container_tag=maria", files=given)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["created"], made["failed"], made["errors"]) == (3, 0, [])
    assert [row["text"] for row in made["memories"]] == [
        "Maria prefers window seats.", "# Lisbon", "Dear Maria\nYours, Pedro",
    ]  # fmt: skip
    assert [row["metadata"] for row in made["memories"]] == [
        {"filename": name} for name in ("note.txt", "page.md", "letter.docx")
    ]
    assert made["ids"] == [row["id"] for row in made["memories"]]
    assert {row["container_tag"] for row in made["memories"]} == {"maria"}
    assert len(client.get(f"{C}/memories").json()) == 3


def test_the_fields_of_a_form_are_checked(client):
    given = {"importance": "0.2", "category": "minutes", "container_tag": "maria"}
    made = client.post(f"{C}/memories/folder", files=sent(NOTE), data=given).json()["memories"][0]
    assert (made["importance"], made["category"], made["container_tag"]) == (0.2, "minutes", "maria")
    answer = client.post(f"{C}/memories/folder", files=sent(NOTE), data={"importance": "7"})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("importance: ")


BAD = {
    "empty.txt": b" \n", "speech.mp3": b"ID3", "page.pdf": b"%PDF", "broken.json": b"{", "fake.docx": b"no zip",
    "large.txt": b"x" * (10 * 1024 * 1024 + 1),
}  # fmt: skip
REASONS = {
    "empty.txt": "no text", "speech.mp3": "Only .txt", "page.pdf": "cannot be read as .pdf", "broken.json": "cannot be read",
    "fake.docx": "cannot be read", "large.txt": "larger than 10 MB",
}  # fmt: skip


def test_each_file_that_fails_says_why_and_the_others_are_stored(client):
    given = sent(*BAD.items(), ("long.txt", b"x" * 10_001), NOTE)
    made = client.post(f"{C}/memories/folder", files=given).json()
    assert (made["created"], made["failed"]) == (1, 7)
    told = {one["filename"]: one["error"] for one in made["errors"]}
    for name, reason in {**REASONS, "long.txt": "more than 10000 characters"}.items():
        assert reason in told[name]
    dropped = client.post(f"{C}/drop", files=sent(*BAD.items(), NOTE)).json()
    assert (dropped["created"], dropped["failed"]) == (1, 6)
    assert {one["filename"] for one in dropped["errors"]} == set(BAD)


@pytest.mark.parametrize("path", ["memories/folder", "drop", "drop?async_ingest=true"])
def test_where_no_file_can_be_read_nothing_is_made(client, path):
    answer = client.post(f"{C}/{path}", files=sent(("a.pdf", b"%PDF")))
    assert answer.status_code == 400
    assert "a.pdf: The file cannot be read as .pdf" in answer.json()["detail"]
    assert client.get("/memory/collections").json() == []


@pytest.mark.parametrize("path", ["memories/folder", "drop"])
def test_one_to_fifty_files_at_a_time(client, path):
    answer = client.post(f"{C}/{path}", files=sent(*[(f"{n}.txt", b"x y z") for n in range(51)]))
    assert (answer.status_code, answer.json()["detail"]) == (400, "At most 50 files in one request")
    answer = client.post(f"{C}/{path}", files=sent(*[(f"{n}.txt", b"x y z") for n in range(50)]))
    assert (answer.status_code, answer.json()["created"]) == (201 if path == "memories/folder" else 200, 50)
    answer = client.post(f"{C}/{path}", files={"no": (None, b"file")})
    assert (answer.status_code, "No file came" in answer.text) == (400, True)
    assert client.post(f"{C}/{path}", json={}).status_code == 415


LONG = "\n\n".join(f"Paragraph {n} of the minutes. " + "We talked about trains. " * 20 for n in range(12))


def test_a_dropped_file_is_cut_and_found(client):
    answer = client.post(f"{C}/drop", files=sent(("minutes.txt", LONG.encode())))
    assert answer.status_code == 200
    made = answer.json()
    rows = client.get(f"{C}/memories?limit=200").json()[::-1]
    assert [row["id"] for row in rows] == made["ids"]
    assert len(rows) == made["created"] > 3
    assert all(len(row["text"]) <= 1500 for row in rows)
    assert "".join("".join(row["text"].split()) for row in rows) == "".join(LONG.split())
    assert [row["metadata"] for row in rows] == [
        {"filename": "minutes.txt", "chunk": n, "chunks": len(rows)} for n in range(len(rows))
    ]
    assert {(row["category"], row["source"]) for row in rows} == {("document", "drop")}
    hit = client.post(f"{C}/search", json={"query": "paragraph 11 minutes"}).json()["results"][0]
    assert "Paragraph 11 " in hit["text"]


@pytest.mark.parametrize("where", ["query", "form"])
def test_files_are_worked_on_in_the_background(client, until, where):
    flag = {"async_ingest": "true"}
    answer = client.post(
        f"{C}/drop",
        files=sent(NOTE, ("a.pdf", b"%PDF"), ("minutes.txt", LONG.encode())),
        **({"params": flag} if where == "query" else {"data": flag}),
    )
    assert answer.status_code == 202
    started = answer.json()
    assert (started["queued"], started["failed"]) == (2, 1)
    assert started["errors"][0]["filename"] == "a.pdf"
    batch = until(client, f"/memory/ingest/batch/{started['batch_id']}", "complete")
    assert {name: batch[name] for name in ("total", "done", "failed", "pending")} == {
        "total": 3, "done": 2, "failed": 1, "pending": 0,
    }  # fmt: skip
    assert batch["errors"] == started["errors"]
    assert {row["metadata"]["filename"] for row in client.get(f"{C}/memories").json()} == {
        "note.txt",
        "minutes.txt",
    }


def left_behind(live, key, waiting, **changed):
    account = live.server.accounts.by_key(key).account.id
    body = {
        "state": "processing", "claim": "another process", "since": now_micros() - 3_600_000_000, "total": 2,
        "done": 1, "failed": 0, "errors": [], "collection": "notes", "container_tag": None,
        "by": {"id": "k", "label": "k"}, "waiting": waiting, **changed,
    }  # fmt: skip
    return live.server.records.add(account, "rememberos.batch", body, status="processing").id


def test_another_process_goes_on_with_a_batch_and_stores_nothing_twice(live, client, key, until):
    client.post("/memory/collections", json={"name": "notes"})
    id = left_behind(live, key, [["note.txt", "Maria prefers window seats."]])
    files.batches.resume(live.server)
    assert until(client, f"/memory/ingest/batch/{id}", "complete")["done"] == 2
    [made] = client.get(f"{C}/memories").json()
    # The process had died between storing a file and noting that.
    account = live.server.accounts.by_key(key).account.id
    again = {
        "state": "processing",
        "since": 0,
        "waiting": [["note.txt", "Maria prefers window seats."]],
        "done": 1,
    }
    live.server.records.change(account, "rememberos.batch", id, again, status="processing")
    files.batches.resume(live.server)
    until(client, f"/memory/ingest/batch/{id}", "complete")
    assert [row["id"] for row in client.get(f"{C}/memories").json()] == [made["id"]]
    assert live.server.records.get(account, "rememberos.batch", id).body["waiting"] == []


def test_a_batch_of_a_collection_that_was_deleted_fails(live, client, key, until):
    id = left_behind(live, key, [["note.txt", "Maria prefers window seats."]])
    files.batches.resume(live.server)
    batch = until(client, f"/memory/ingest/batch/{id}", "complete")
    assert (batch["done"], batch["failed"], batch["errors"]) == (
        1, 1, [{"filename": "note.txt", "error": "Collection not found"}],
    )  # fmt: skip


def test_what_needs_object_storage_is_answered_as_by_an_operator_without(client, add):
    made = add("x")
    put = [{"filename": "a.txt", "content_type": "text/plain", "size": 1}]
    done = [{"key": "k", "filename": "a.txt", "mime": "text/plain", "size": 1}]
    for answer in (
        client.post(f"{C}/drop/presign", json=put),
        client.post(f"{C}/drop/complete", json=done),
        client.post(f"{C}/memories/upload", files=sent(NOTE), data={"text": "x"}),
        client.post(f"{C}/memories/{made['id']}/images", files={"file": NOTE}),
    ):
        assert answer.status_code == 503, answer.text
        assert answer.json().keys() == {"detail"}
        assert "no object storage" in answer.json()["detail"]
    answer = client.delete(f"{C}/memories/{made['id']}/images/0")
    assert (answer.status_code, answer.json()) == (404, {"detail": "File not found"})
    assert client.get(f"{C}/memories").json() == [made]


def test_the_client_drops_and_uploads(ask):
    note = Upload(*NOTE)
    made = ask(lambda c: c.memories.upload_folder([note, Upload("a.pdf", b"%PDF")], collection="notes"))
    assert (made.created, len(made.ids), [row.text for row in made.memories]) == (
        1, 1, ["Maria prefers window seats."],
    )  # fmt: skip
    dropped = ask(lambda c: c.files.drop([note], collection="notes"))
    assert (dropped.batch_id, dropped["created"], dropped.failed) == (None, 1, 0)
    started = ask(lambda c: c.files.drop([note], collection="notes", async_ingest=True))
    assert (started.queued, started.failed) == (1, 0)
    batch = ask(lambda c: c.files.wait_for(started.batch_id))
    assert (batch.total, batch.done, batch.complete) == (1, 1, True)
    assert ask(lambda c: c.files.batch(started.batch_id)) == batch
    for refused in (
        lambda c: c.memories.upload("x", [note], collection="notes"),
        lambda c: c.memories.attach(made.ids[0], note, collection="notes"),
        lambda c: c.files.upload([note], collection="notes"),
    ):
        with pytest.raises(OneBrainInternalError, match="no object storage") as caught:
            ask(refused)
        assert caught.value.status_code == 503
    with pytest.raises(OneBrainNotFoundError, match="File not found"):
        ask(lambda c: c.memories.detach(made.ids[0], 0, collection="notes"))
    with pytest.raises(OneBrainValidationError, match="No file can become a memory"):
        ask(lambda c: c.memories.upload_folder([Upload("a.pdf", b"%PDF")], collection="notes"))
