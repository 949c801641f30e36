"""A row that was shown before shows every change of its memory, in lists and in searches."""

from __future__ import annotations

from datetime import UTC, datetime

from onebrain.memory.models import Memory, Scope
from onebrain_server import rendered
from onebrain_server.rendered import Rendered

CHANGES = (
    {"title": "Breakfast"},
    {"metadata": {"n": 1, "of": [1, {"a": "ü"}]}},
    {"tags": ["a", "b"]},
    {"importance": 0.5, "pinned": True},
    {"confidence": 0.25, "source": "diary"},
    {"body": "j"},
    {"metadata": None},
    {"expiresAt": "2999-01-01T00:00:00Z"},
)


def test_every_change_is_shown(client):
    made = [
        client.post("/v1/memory", json={"body": text, "scope": {"user": "maria"}}).json()["data"]["id"]
        for text in ("jam and toast", "jam without toast")
    ]
    for change in ({}, *CHANGES):
        if change:
            assert client.patch(f"/v1/memory/{made[0]}", json=change).status_code == 200
        single = [client.get(f"/v1/memory/{id}").json()["data"] for id in made]
        for _ in range(2):
            assert client.get("/v1/memory").json()["data"] == single[::-1]
            assert client.post("/v1/memory/query", json={}).json()["data"] == single[::-1]
            found = client.post("/v1/memory/search", json={"query": "jam j", "limit": 5}).json()["data"]
            for hit in found["results"]:
                for name in ("score", "diceScore", "vectorScore"):
                    assert 0 <= hit.pop(name) <= 1
                assert hit in single
            assert len(found["results"]) == 2


def test_rows_are_kept_up_to_a_size_and_forgotten_with_their_account(monkeypatch):
    monkeypatch.setattr(rendered, "_MOST", 100)
    rows = Rendered()

    def memory(id: str) -> Memory:
        moment = datetime(2024, 5, 1, tzinfo=UTC)
        return Memory(id=id, content=f"text of {id}", scope=Scope(), created_at=moment, updated_at=moment)

    one, two = memory("one"), memory("two")
    rows.put("acme", one, None, b"x" * 40)
    rows.put("other", two, None, b"y" * 40)
    assert (rows.get("acme", one, None), rows.get("other", two, None)) == (b"x" * 40, b"y" * 40)
    assert rows.get("acme", one, "elsewhere") is None
    assert rows.get("acme", one.model_copy(update={"content": "text of another"}), None) is None
    rows.forget("acme")
    assert rows.get("acme", one, None) is None
    assert rows.get("other", two, None) == b"y" * 40
    rows.put("acme", one, None, b"z" * 90)
    assert rows.get("other", two, None) is None
    assert rows.get("acme", one, None) == b"z" * 90
