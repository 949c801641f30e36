"""Searches with ``rerank`` on a server with a reranker, which answers a script, nonsense, slowly, and not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from onebrain.errors import ConfigurationError
from onebrain.memory.reranking.http import RerankAPI
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

C = "/memory/collections/notes"
TEXTS = ("Maria sits at the window", "Maria sits on the aisle", "Maria sits on the board")
NONSENSE = [b"<html>", b"{}", b'{"results": [{"index": 0, "relevance_score": 1}]}', None]


class Reranker:
    """Gives the scores of the test by a text's last word; answers other bytes, or 500, if the test says so."""

    def __init__(self):
        self.asked, self.scores, self.instead = [], {}, False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append(asked)
                rows = [
                    {"index": index, "relevance_score": outer.scores.get(text.split()[-1], 0.1)}
                    for index, text in enumerate(asked["documents"])
                ]
                plain = json.dumps({"results": rows}).encode()
                data = plain if outer.instead is False else outer.instead or b""
                self.send_response(500 if outer.instead is None else 200)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.name = f"vllm+http://127.0.0.1:{self.server.server_port}/rerank#m"


@pytest.fixture(scope="module")
def reranker(serving):
    made = Reranker()
    with serving(made.server):
        yield made


@pytest.fixture(scope="module")
def notes(reranker, settings):
    """A client of a server with the reranker, and the server."""
    with live_server(replace(settings, reranker=reranker.name)) as live:
        headers = {"authorization": f"Bearer {live.key}"}
        with httpx.Client(base_url=f"{live.url}/compat/rememberos/v1", headers=headers) as client:
            for text in TEXTS:
                client.post(f"{C}/memories", json={"text": text})
            yield client, live.server


def search(client, query, **fields):
    answer = client.post(f"{C}/search", json={"query": query, "min_score": 0, "rerank": True, **fields})
    assert answer.status_code == 200, answer.text
    return [row["text"] for row in answer.json()["results"]], answer.json()["reranked"]


def test_the_reranker_orders_hits_beyond_the_limit(notes, reranker):
    reranker.scores, reranker.instead = {"board": 0.9, "aisle": 0.5}, False
    assert search(notes[0], "where does Maria sit", limit=2) == ([TEXTS[2], TEXTS[1]], True)
    assert sorted(reranker.asked[-1]["documents"]) == sorted(TEXTS)
    asked = len(reranker.asked)
    assert search(notes[0], "Maria at the window", rerank=False)[1] is False
    assert len(reranker.asked) == asked


@pytest.mark.parametrize("answer", NONSENSE)
def test_an_answer_that_is_no_ranking_leaves_the_order(notes, reranker, answer):
    reranker.instead = answer
    query = f"where does Maria sit {NONSENSE.index(answer)}"
    plain, _ = search(notes[0], query, rerank=False)
    assert search(notes[0], query) == (plain, False)


def test_no_answer_in_time_leaves_the_order(notes, unanswering, monkeypatch):
    slow = RerankAPI("vllm", f"{unanswering}/rerank", "m", timeout=0.05)
    monkeypatch.setattr(notes[1], "reranker", slow)
    plain, _ = search(notes[0], "who sits where", rerank=False)
    assert search(notes[0], "who sits where") == (plain, False)
    slow.close()


def test_a_reranker_that_cannot_be_loaded_leaves_the_order(notes, monkeypatch):
    def missing(query, texts):
        raise ConfigurationError("rerank: a library is missing")

    monkeypatch.setattr(notes[1], "reranker", missing)
    assert search(notes[0], "who sits at all")[1] is False


def test_a_name_that_means_nothing_is_refused_at_the_start():
    with pytest.raises(ConfigurationError, match="RERANKER: must be the name"):
        Settings.from_environment({"RERANKER": "my-secret-model"})
