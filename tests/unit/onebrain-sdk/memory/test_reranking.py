"""Rerankers: any shape, the HTTP forms, and failures that lose nothing."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import threading
import time
from contextvars import ContextVar
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import onebrain
from onebrain import ConfigurationError, Scope, Unsupported
from onebrain.memory.reranking import Reranker, asking, from_name
from onebrain.memory.reranking.http import RerankAPI, RerankError

FACTS = ("Maria prefers window seats", "Maria sold her seat at the opera", "Maria sits on the board")
QUERY = "Maria seat"


class Shortest:
    """Ranks by length, and remembers what it saw."""

    def __init__(self):
        self.seen = []

    def rerank(self, query, texts):
        self.seen.append((query, list(texts)))
        return [-float(len(text)) for text in texts]


@pytest.fixture
def brain():
    with onebrain.connect("sqlite://", embedder="wordllama") as brain:
        brain.store_many(list(FACTS)).raise_for_failures()
        yield brain


def shortest_first(hits):
    return [hit.content for hit in hits] == sorted(FACTS, key=len)


def test_a_search_without_a_reranker_says_so(brain):
    assert brain.search(QUERY).reranked is None


def test_an_object_orders_the_hits_by_its_raw_values_and_scores_are_their_sigmoid(brain):
    result = brain.search(QUERY, rerank=Shortest())
    assert result.reranked is True
    assert shortest_first(result)
    assert [hit.score for hit in result] == [
        pytest.approx(1 / (1 + math.exp(len(hit.content)))) for hit in result
    ]
    assert isinstance(Shortest(), Reranker)


def test_a_function_of_the_same_shape_does(brain):
    result = brain.search(QUERY, rerank=lambda query, texts: [1 / len(text) for text in texts])
    assert shortest_first(result)
    # All are from 0 to 1, so they are scores already.
    assert result[0].score == 1 / len(result[0].content)


def test_it_sees_fifty_candidates_of_two_thousand_characters_once():
    with onebrain.connect("sqlite://", embedder=None) as brain:
        brain.store_many([f"seat {n} " + "x" * 3000 for n in range(60)]).raise_for_failures()
        seen = Shortest()
        result = brain.search("seat", limit=3, rerank=seen)
        [(query, texts)] = seen.seen
        assert query == "seat"
        assert len(texts) == 50
        assert {len(text) for text in texts} == {2000}
        assert len(result) == 3
        assert not result.exhausted
        more = brain.search("seat", limit=60, rerank=Shortest())
        assert len({hit.id for hit in more}) == 60
        scores = [hit.score for hit in more]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [1.0],
        [1.0, 2.0, math.nan],
        [1.0, math.inf, 2.0],
        None,
        "abc",
        "123",
        b"123",
        {1.0, 2.0, 3.0},
        {1: 0.3, 2: 0.2, 3: 0.1},
        [1.0, "x", 2.0],
        [[1.0]] * 3,
    ],
    ids=repr,
)
def test_a_wrong_answer_leaves_the_order(brain, answer):
    plain = brain.search(QUERY)
    result = brain.search(QUERY, rerank=lambda query, texts: answer)
    assert result.reranked is False
    assert result.hits == plain.hits


def test_a_failure_leaves_the_order_and_the_log_quotes_nothing(brain, caplog):
    def failing(query, texts):
        raise RuntimeError(texts[0])

    result = brain.search(QUERY, rerank=failing)
    assert result.reranked is False
    assert result.hits == brain.search(QUERY).hits
    assert "RuntimeError" in caplog.text
    assert "Maria" not in caplog.text


def test_nothing_to_rank_is_not_sent(brain):
    seen = Shortest()
    assert brain.search("zebra", mode="keyword", rerank=seen).reranked is False
    assert brain.search(rerank=seen).reranked is None
    assert not seen.seen


def test_rerank_and_min_confidence_go_together(brain):
    result = brain.search(QUERY, rerank=Shortest(), confidence=True)
    assert result.reranked
    assert 0 <= result.confidence <= 1
    assert not brain.search("How is the weather?", rerank=Shortest(), min_confidence=0.5)


@pytest.mark.parametrize(
    "wrong",
    [3, object(), Shortest, "", "nonsense", "nonsense:x", "fastembed:"],
    ids=lambda wrong: str(wrong).partition(" at ")[0],
)
def test_something_else_is_refused(brain, wrong):
    with pytest.raises(ConfigurationError, match="rerank"):
        brain.search(QUERY, rerank=wrong)


def test_it_is_refused_also_by_a_search_for_no_hits(brain):
    with pytest.raises(ConfigurationError, match="rerank"):
        brain.search(QUERY, limit=0, rerank=3)
    assert not brain.search(QUERY, limit=0, rerank=Shortest())


def test_the_services_own_reranker_is_unsupported_where_it_has_none(brain):
    with pytest.raises(Unsupported, match="rerank"):
        brain.search(QUERY, rerank=True)


async def ranked_later(query, texts):
    await asyncio.sleep(0)
    return [-len(text) for text in texts]


def test_an_async_function_is_refused_on_a_brain(brain):
    with pytest.raises(ConfigurationError, match="AsyncBrain"):
        brain.search(QUERY, rerank=ranked_later)


async def test_a_plain_function_may_return_an_awaitable_in_async_code(brain, monkeypatch):
    other = brain.to_async()
    result = await other.search(QUERY, rerank=lambda query, texts: ranked_later(query, texts))
    assert result.reranked is True
    assert shortest_first(result)
    monkeypatch.setattr(asking, "TIMEOUT", 0.01)
    assert (await other.search(QUERY, rerank=lambda query, texts: asyncio.sleep(60))).reranked is False


@pytest.mark.filterwarnings("error")
def test_a_plain_function_that_returns_an_awaitable_is_refused_on_a_brain(brain):
    with pytest.raises(ConfigurationError, match="AsyncBrain"):
        brain.search(QUERY, rerank=lambda query, texts: ranked_later(query, texts))
    gc.collect()


async def test_an_async_brain_takes_both_colours(brain, monkeypatch):
    other = brain.to_async()
    assert shortest_first(await other.search(QUERY, rerank=ranked_later))
    assert shortest_first(await other.search(QUERY, rerank=Shortest()))

    async def slow(query, texts):
        await asyncio.sleep(60)

    monkeypatch.setattr(asking, "TIMEOUT", 0.01)
    result = await other.search(QUERY, rerank=slow)
    assert result.reranked is False
    assert len(result) == len(FACTS)


# ---- over HTTP ------------------------------------------------------------------------------------------------------


class Server:
    """Answers rerank requests in the form of each service, or as it is told."""

    def __init__(self):
        self.requests = []
        self.answer = None
        self.status = 200
        self.delay = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.requests.append((self.path, dict(self.headers), body))
                time.sleep(outer.delay)
                data = outer.answer if outer.answer is not None else outer.ranked(self.path, body)
                data = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response(outer.status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    @staticmethod
    def ranked(path, body):
        tei = "texts" in body
        texts = body["texts" if tei else "documents"]
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        field = "score" if tei else "relevance_score"
        rows = [{"index": at, field: 1 / (1 + place)} for place, at in enumerate(order)]
        return rows if tei else {"data": rows} if "top_k" in body else {"results": rows}


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.mark.parametrize("kind", ["cohere", "jina", "vllm", "litellm", "voyage", "tei"])
def test_each_form_is_spoken(brain, server, monkeypatch, kind):
    monkeypatch.setenv("ONEBRAIN_RERANKER_API_KEY", "secret")
    name = f"{kind}+{server.url}/v2/rerank" + ("" if kind == "tei" else "#some-model")
    result = brain.search(QUERY, rerank=name)
    assert result.reranked is True
    assert shortest_first(result)
    assert [hit.score for hit in result] == pytest.approx([1, 1 / 2, 1 / 3])
    [(path, headers, body)] = server.requests
    assert path == "/v2/rerank"
    assert headers["authorization"] == "Bearer secret"
    assert body["query"] == QUERY
    if kind == "tei":
        assert set(body) == {"query", "texts", "raw_scores"}
    else:
        assert set(body) == {"model", "query", "documents", "top_k" if kind == "voyage" else "top_n"}
        assert body["model"] == "some-model"


@pytest.mark.parametrize(
    "answer",
    [
        b"no json",
        b"[]",
        {},
        {"results": []},
        {"results": [{"index": 0, "relevance_score": 1.0}]},
        {"results": [{"index": 0, "relevance_score": 0.5}] * 3},
        {"results": [{"index": n, "relevance_score": "high"} for n in range(3)]},
        b'{"results": [{"index": 0, "relevance_score": NaN}, {"index": 1, "relevance_score": 1}, {"index": 2, "relevance_score": 1}]}',
        {"results": [{"index": n, "relevance_score": 0.5} for n in range(4)]},
    ],
    ids=str,
)
def test_nonsense_over_http_leaves_the_order(brain, server, answer):
    server.answer = answer
    result = brain.search(QUERY, rerank=f"vllm+{server.url}/rerank#m")
    assert result.reranked is False
    assert result.hits == brain.search(QUERY).hits


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_a_refusal_leaves_the_order_and_is_not_tried_again(brain, server, status):
    server.status = status
    assert brain.search(QUERY, rerank=f"cohere+{server.url}/v2/rerank#m").reranked is False
    assert len(server.requests) == 1
    with pytest.raises(RerankError, match=str(status)) as caught:
        from_name(f"cohere+{server.url}/v2/rerank#m").rerank("Maria", ["seat"])
    assert "Maria" not in str(caught.value)


def test_a_slow_server_leaves_the_order(brain, server):
    server.delay = 2.0
    reranker = RerankAPI("jina", f"{server.url}/v1/rerank", "m", timeout=0.05)
    result = brain.search(QUERY, rerank=reranker)
    assert result.reranked is False
    assert len(result) == len(FACTS)
    reranker.close()


def test_a_server_that_is_not_there_leaves_the_order(brain):
    assert brain.search(QUERY, rerank="tei+http://127.0.0.1:9/rerank").reranked is False


@pytest.mark.parametrize(
    "name",
    [
        "cohere+ftp://host/rerank#m",
        "cohere+http://user:password@host/rerank#m",
        "cohere+http://host/rerank",
        "cohere:",
        "vllm:model",
        "voyage+http:///rerank#m",
    ],
)
def test_a_wrong_address_is_refused_without_its_password(name):
    with pytest.raises(ConfigurationError, match="rerank") as caught:
        from_name(name)
    assert "password" not in str(caught.value)


def test_a_makers_key_goes_to_its_own_address_alone(server, monkeypatch):
    monkeypatch.delenv("ONEBRAIN_RERANKER_API_KEY", raising=False)
    monkeypatch.setenv("COHERE_API_KEY", "theirs")
    from_name(f"cohere+{server.url}/v2/rerank#m").rerank("q", ["a", "b"])
    assert "authorization" not in server.requests[0][1]
    assert from_name("cohere:rerank-v3.5").url == "https://api.cohere.com/v2/rerank"


def test_offline_no_other_machine_is_called(brain, monkeypatch):
    monkeypatch.setenv("ONEBRAIN_OFFLINE", "1")
    with pytest.raises(ConfigurationError, match="ONEBRAIN_OFFLINE"):
        brain.search(QUERY, rerank="cohere+http://rerank.example/v2/rerank#m")


def test_other_packages_register_kinds(brain, monkeypatch):
    class Point:
        name = "theirs"

        @staticmethod
        def load():
            return lambda model, **options: Shortest()

    def points(*, group, name=None):
        assert group == "onebrain.rerankers"
        return [Point] if name in (None, "theirs") else []

    monkeypatch.setattr("importlib.metadata.entry_points", points)
    assert shortest_first(brain.search(QUERY, scope=Scope(), rerank="theirs:model"))


def test_the_best_by_a_reranker_fit_into_a_context():
    texts = [f"Maria keeps the key of gate {n} in the shed" for n in range(8)]
    with onebrain.connect("sqlite://") as brain:
        brain.store_many(texts)

        def last(query, found):
            return [float(text == texts[7]) for text in found]

        context = brain.context("Where is Maria's key of the gate?", max_tokens=45, rerank=last)
        assert texts[7] in context.text
        assert len(context.memories) < len(texts)


def test_a_function_that_does_not_end_leaves_the_order(brain, monkeypatch, caplog):
    monkeypatch.setattr(asking, "BLOCKING", 0.01)
    plain, end = brain.search(QUERY), threading.Event()

    def slow(query, texts):
        end.wait(10)
        return [1.0] * len(texts)

    result = brain.search(QUERY, rerank=slow)
    end.set()
    assert (result.reranked, result.hits) == (False, plain.hits)
    assert "TimeoutError" in caplog.text


def test_a_function_has_the_context_of_the_call_and_may_end_the_program(brain):
    known = ContextVar("known", default="")
    known.set("here")
    seen = []

    def rerank(query, texts):
        seen.append(known.get())
        return [1.0] * len(texts)

    def ending(query, texts):
        raise SystemExit(3)

    assert brain.search(QUERY, rerank=rerank).reranked
    assert seen == ["here"]
    with pytest.raises(SystemExit):
        brain.search(QUERY, rerank=ending)
