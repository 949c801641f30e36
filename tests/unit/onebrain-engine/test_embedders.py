"""Embedders that are slow, that return what they should not, or that made only some of a brain's vectors."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import onebrain
from onebrain import ConfigurationError, EmbedderError, EmbedderMismatch, OneBrainError, Scope
from onebrain_engine.store.protocol import Contention
from onebrain_engine.store.sqlite import SqliteStore

WAIT = 60.0


class Slow:
    """An embedder whose queries end when they are allowed to."""

    def __init__(self):
        self.asked = []
        self.busy, self.go_on = threading.Semaphore(0), threading.Event()

    def embed_documents(self, texts):
        return [[1.0, 0.0, 0.5] for _ in texts]

    def embed_query(self, text):
        self.asked.append(text)
        self.busy.release()
        assert self.go_on.wait(WAIT)
        return [1.0, 0.0, 0.5]


class Other:
    """An embedder of another length."""

    def embed_documents(self, texts):
        return [[1.0] * 8 for _ in texts]

    def embed_query(self, text):
        return [1.0] * 8


@pytest.fixture(params=["memory", "file", "postgresql"])
def url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").new_database()
    return "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/brain.db"


def test_while_a_query_is_embedded_nothing_else_waits(url):
    embedder = Slow()
    options = {"pool_size": 2} if url.startswith("postgresql") else {}
    with onebrain.connect(url, embedder=embedder, **options) as brain, ThreadPoolExecutor(8) as pool:
        for n in range(6):
            brain.store(f"fact {n}", scope=Scope(space=f"s{n}"))
        searches = [pool.submit(brain.search, "fact", scope=Scope(space="s0")) for _ in range(5)]
        for _ in searches:
            assert embedder.busy.acquire(timeout=WAIT)
        # All five are at it, none of which holds a lock or a connection.
        assert brain.count() == 6
        assert brain.store("fact 6", scope=Scope(space="s0")).status == "created"
        assert brain.delete(brain.list(scope=Scope(space="s1"), limit=1).__iter__().__next__().id) == 1
        embedder.go_on.set()
        assert all("fact 6" in [hit.content for hit in search.result(WAIT)] for search in searches)


def test_a_query_is_embedded_once_however_many_spaces_there_are(url):
    embedder = Slow()
    embedder.go_on.set()
    with onebrain.connect(url, embedder=embedder) as brain:
        for n in range(6):
            brain.store(f"fact {n}", scope=Scope(space=f"s{n}"))
        assert len(brain.search("fact")) == 6
        assert embedder.asked == ["fact"]


@pytest.mark.parametrize("mode", ["hybrid", "vector"])
def test_a_space_of_another_embedder_does_not_cut_off_the_rest(url, mode):
    if url == "sqlite://":
        pytest.skip("two brains cannot share a database in memory")
    maria = Scope(user="maria")
    with onebrain.connect(url) as brain, onebrain.connect(url, embedder=Other()) as other:
        brain.store("Maria likes tea", scope=maria)
        other.store("a page about tea", scope=Scope(space="handbook"))
        found = brain.search("tea", scope=maria, mode=mode)
        assert [hit.content for hit in found] == ["Maria likes tea"]
        assert found.without_vectors == ()
        everything = brain.search("tea", mode=mode)
        assert everything.without_vectors == ("handbook",)
        expected = ["Maria likes tea", "a page about tea"] if mode == "hybrid" else ["Maria likes tea"]
        assert sorted(hit.content for hit in everything) == expected
        with pytest.raises(EmbedderMismatch, match="handbook"):
            brain.search("tea", scope=Scope(space="handbook"), mode=mode)
        with pytest.raises(EmbedderMismatch, match="handbook"):
            brain.search("tea", filter=onebrain.F("$space").eq("handbook"), mode=mode)


def test_a_search_names_the_spaces_of_own_vectors_that_a_text_is_not_compared_with(url):
    own, rest, bare = Scope(space="own"), Scope(space="rest"), Scope(space="bare")
    with onebrain.connect(url) as brain:
        brain.store("a page about tea", embedding=[1.0, 0.0], scope=Scope("own", "rui"))
        brain.store("Maria likes tea", scope=rest)
        brain.store("no vector of tea", embedding=False, scope=bare)
        for query in ("tea", "coffee"):
            assert brain.search(query, scope=own).without_vectors == ("own",)
        assert brain.search("tea").without_vectors == ("own",)
        assert brain.search("tea", scope=own, mode="keyword").without_vectors == ()
        assert brain.search(embedding=[1.0, 0.0], scope=own).without_vectors == ()
        for scope in (rest, bare, Scope(user="maria")):
            assert brain.search("tea", scope=scope).without_vectors == ()


def test_own_vectors_are_compared_where_their_length_fits(url):
    with onebrain.connect(url, embedder=None) as brain:
        brain.store("two", embedding=[1.0, 0.0], scope=Scope(space="two"))
        brain.store("three", embedding=[1.0, 0.0, 0.0], scope=Scope(space="three"))
        found = brain.search(embedding=[1.0, 0.0])
        assert [hit.content for hit in found] == ["two"]
        assert found.without_vectors == ("three",)
        with pytest.raises(EmbedderMismatch):
            brain.search(embedding=[1.0])


@pytest.mark.parametrize("extra", [-3, -1, 1, 2])
def test_an_embedder_that_returns_another_number_of_vectors_stores_nothing(extra):
    class Odd(Other):
        def embed_documents(self, texts):
            return [[1.0] * 8] * (len(texts) + extra)

    with onebrain.connect("sqlite://", embedder=Odd()) as brain:
        with pytest.raises(OneBrainError, match="one list of finite numbers for each text"):
            brain.store_many(["one", "two", "three"])
        assert brain.count() == 0


class Broken(Other):
    """An embedder that makes something odd as soon as `odd` is set."""

    fingerprint = "broken"

    def __init__(self):
        self.odd = None

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text):
        return [1.0] * 8 if self.odd is None else self.odd(text)


def fail(error):
    def odd(text):
        raise error(text)

    return odd


class Foreign:
    """A vector of another library, which does not turn into an array."""

    def __array__(self, *args, **kwargs):
        raise RuntimeError("on another device")


VERBS = {
    "store": lambda brain: brain.store("private text", scope=Scope(space="s")),
    "store_many": lambda brain: brain.store_many(
        ["private text"], scope=Scope(space="s")
    ).raise_for_failures(),
    "update": lambda brain: brain.update("1", content="private text", scope=Scope(space="s")),
    "search": lambda brain: brain.search("private text", scope=Scope(space="s")),
    "by vector": lambda brain: brain.search("private text", scope=Scope(space="s"), mode="vector"),
    "everywhere": lambda brain: brain.search("private text"),
    "context": lambda brain: brain.context("private text", scope=Scope(space="s")),
}


@pytest.fixture(params=VERBS)
def verb(request):
    return VERBS[request.param]


@pytest.fixture
def broken(tmp_path):
    embedder = Broken()
    with onebrain.connect(f"sqlite:///{tmp_path}/brain.db", embedder=embedder) as brain:
        brain.store("kept", id="1", scope=Scope(space="s"))
        yield brain, embedder
        embedder.odd = None
        assert [memory.content for memory in brain.list()] == ["kept"]
        brain.store("after", scope=Scope(space="s"))
        assert len(brain.search("after", mode="vector")) == 2


@pytest.mark.parametrize(
    "error", [RuntimeError, KeyError, StopIteration, TimeoutError, ConnectionError, OSError]
)
def test_an_embedder_that_fails_is_a_typed_error_in_every_verb(broken, verb, error):
    brain, embedder = broken
    embedder.odd = fail(error)
    with pytest.raises(EmbedderError, match=f"Broken failed with {error.__name__}") as raised:
        verb(brain)
    assert isinstance(raised.value.__cause__, error)
    assert "private" not in str(raised.value)
    assert [hit.content for hit in brain.search("kept", mode="keyword")] == ["kept"]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        3.0,
        "abcdefgh",
        [],
        [[1.0] * 8],
        [float("nan")] * 8,
        [1e300] * 8,
        [10**400] * 8,
        Foreign(),
        {1: 2.0},
    ],
)
def test_what_is_no_vector_is_a_typed_error_in_every_verb(broken, verb, odd):
    brain, embedder = broken
    embedder.odd = lambda text: odd
    with pytest.raises(ConfigurationError, match="one list of finite numbers"):
        verb(brain)


@pytest.mark.parametrize("length", [1, 7, 9])
def test_a_vector_of_another_length_is_a_typed_error_in_every_verb(broken, verb, length):
    brain, embedder = broken
    embedder.odd = lambda text: [1.0] * length
    if verb is VERBS["everywhere"]:
        brain.store("private text", scope=Scope(space="other"), embedding=False)
        assert brain.search("private text").without_vectors == ("s",)
        brain.forget(scope=Scope(space="other"))
        return
    with pytest.raises(EmbedderMismatch, match=f"8 dimensions; this is broken, {length} dimensions"):
        verb(brain)


def test_a_transaction_that_is_repeated_embeds_no_text_again(monkeypatch):
    class Counting(Other):
        texts = 0

        def embed_documents(self, texts):
            self.texts += len(texts)
            return super().embed_documents(texts)

    embedder, undone = Counting(), []

    @contextmanager
    def undoing(self):
        with writing(self) as write:
            yield write
            if len(undone) % 3 < 2:
                undone.append(True)
                error = Contention("undone", service="sqlite")
                error.patience = 60.0
                raise error
            undone.append(False)

    with onebrain.connect("sqlite://", embedder=embedder) as brain:
        brain.store("an anchor", id="m")
        writing = SqliteStore.writing
        monkeypatch.setattr(SqliteStore, "writing", undoing)
        for content in ("a bridge", "a canal"):
            assert brain.update("m", content=content).content == content
        brain.store_many(["a dam", "an eyot"])
        assert undone == [True, True, False] * 3
    assert embedder.texts == 5
