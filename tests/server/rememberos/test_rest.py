"""With a key set, nothing of texts, names, labels of jobs, or secrets is in the files; a key set later changes nothing."""

from __future__ import annotations

from dataclasses import replace

import httpx

from onebrain_server.dialects.rememberos.routes import pulse
from onebrain_server.testing import live_server

WORDS = (
    "Wolkenkratzer", "Zitronengras", "Quittengelee", "Nebelhorn", "Fingerhut", "xoxb-Sonnenblume", "Kanalbrücke",
    "Apfelstrudel", "Windmühle",
)  # fmt: skip
KEY = bytes(range(32))


def _client(live):
    return httpx.Client(
        base_url=f"{live.url}/compat/rememberos/v1/memory", headers={"authorization": f"Bearer {live.key}"}
    )


def test_nothing_is_in_the_files_in_clear(settings, tmp_path, until):
    url = f"sqlite:///{tmp_path / 'server.db'}"
    with live_server(replace(settings, database_url=url, memory_encryption_key=KEY)) as live:
        with _client(live) as client:
            made = client.put("/webhook/config", json={"url": "http://127.0.0.1:9/Nebelhorn"}).json()
            client.post("/collections", json={"name": "notes", "description": "Quittengelee"})
            client.post(
                "/collections/notes/memories",
                json={"text": "Wolkenkratzer", "category": "Fingerhut", "metadata": {"Zitronengras": 1}},
            )
            client.post("/collections/notes/remember", json={"content": "Maria lives in Wolkenkratzer."})
            client.post(
                "/collections/notes/remember?sync=true", json={"content": "Maria moved to Zitronengras."}
            )
            client.get("/collections/notes/summary")
            source = {
                "provider": "slack",
                "collection": "notes",
                "credentials": {"token": "xoxb-Sonnenblume"},
            }
            connection = client.post(
                "/connections", json={**source, "config": {"channel_id": "Kanalbrücke"}}
            ).json()
            client.post(f"/connections/{connection['id']}/sync")
            dropped = client.post(
                "/collections/notes/drop?async_ingest=true",
                files={"files": ("Windmühle.txt", b"We baked Apfelstrudel.")},
            ).json()
            until(client, f"/ingest/batch/{dropped['batch_id']}", "complete")
            beacon = f"{live.url}/compat/rememberos/v1/pulse"
            assert httpx.post(beacon, json={"path": "/Nebelhorn"}).status_code == 204
            pulse.flush(live.server)
            found = client.post("/collections/notes/search", json={"query": "Wolkenkratzer"}).json()
            assert "Wolkenkratzer" in found["results"][0]["text"]
        _search(tmp_path, [*WORDS, made["secret"]])
    _search(tmp_path, [*WORDS, made["secret"]])


def _search(folder, words):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        for word in words:
            assert word.encode() not in content, (path.name, word)


def test_a_key_that_is_set_later_leaves_collections_where_they_are(settings, tmp_path):
    first = replace(settings, database_url=f"sqlite:///{tmp_path / 'server.db'}")
    with live_server(first) as live, _client(live) as client:
        client.post("/collections/notes/memories", json={"text": "before"})
        key = live.key
    sealed = replace(first, memory_encryption_key=KEY)
    with live_server(sealed) as live, _client(replace(live, key=key)) as client:
        assert [row["text"] for row in client.get("/collections/notes/memories").json()] == ["before"]
        client.post("/collections/notes/memories", json={"text": "after"})
        assert [row["memory_count"] for row in client.get("/collections").json()] == [2]
