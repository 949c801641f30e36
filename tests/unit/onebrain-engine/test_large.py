"""Spaces that PostgreSQL's own indexes serve: those are true, are used, keep to their tenant, and leave nothing behind."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onebrain
from onebrain import F, NewMemory, Scope
from onebrain.errors import ConfigurationError, OneBrainTimeoutError
from onebrain.memory.driver import ListRequest, SearchRequest
from onebrain.memory.models import EVERYTHING
from onebrain_engine import Engine
from onebrain_engine.background import Background
from onebrain_engine.store.encryption import Cipher
from onebrain_engine.store.postgres import PostgresStore
from onebrain_engine.store.postgres_large import parts

KEY = "0f" * 32
WORDS = ("lamp", "river", "piano", "kiwi", "tulip", "amber", "cobalt", "zebra")


class Database:
    """A database as its plain role sees it, one tenant at a time."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, tenant: str, statement: str, *values: object, words: str = "!'@'") -> list[tuple]:
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "SELECT set_config('onebrain.tenant', %s, true), set_config('onebrain.words', %s, true)",
                (tenant, words),
            )
            return connection.execute(statement, values).fetchall()

    def spaces(self, tenant: str) -> list[tuple]:
        return self.rows(
            tenant, "SELECT key, filled, filling, served FROM onebrain.space WHERE tenant = %s", tenant
        )

    def indexes(self, key: int) -> set[str]:
        found = self.rows(
            "", "SELECT indexname FROM pg_indexes WHERE starts_with(indexname, %s)", f"large_{key}_"
        )
        return {name.removeprefix(f"large_{key}_") for (name,) in found}

    def words(self, tenant: str) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for row, words in self.rows(
            tenant, 'SELECT "row", tsvector_to_array(words) FROM onebrain.word WHERE tenant = %s', tenant
        ):
            found.setdefault(row, set()).update(words)
        return found

    def expected(self, tenant: str) -> dict[int, set[str]]:
        """The words that the memories of all spaces have."""
        stored = self.rows(tenant, 'SELECT "row", content FROM onebrain.memory WHERE tenant = %s', tenant)
        return {
            row: {word for _, words in parts(content) for word in words.split()}
            for row, content in stored
            if parts(content)
        }


@pytest.fixture
def database(postgres_url) -> Database:
    return Database(postgres_url)


@pytest.fixture
def own_database(postgres) -> Database:
    return Database(postgres.new_database())


def engine_on(url: str, large: int | None = 0, **options: object) -> Engine:
    return Engine(PostgresStore(url), large=large, embedder=None, **options)


def engine_closing(url: str, large: int | None, **options: object) -> closing[Engine]:
    return closing(engine_on(url, large, **options))


def fill(tenant: onebrain.Tenant, count: int, *, users: int = 3) -> None:
    rng = random.Random(count)
    tenant.store(
        [
            NewMemory(
                id=str(n),
                content=f"{' '.join(rng.choices(WORDS, k=4))} number{n}",
                scope=Scope(user=f"user-{n % users}", session=f"session-{n // 20}"),
                metadata={"n": n},
            )
            for n in range(count)
        ]
    )


def ids(found) -> list[str]:
    return [hit.memory.id for hit in found.hits]


# ---- the index stays true ---------------------------------------------------------------------------------------------

texts = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join).map(lambda text: f"Maria: {text}")
steps = st.one_of(
    st.just(("fill", None, None)),
    st.tuples(st.just("store"), st.integers(0, 15), texts),
    st.tuples(st.just("update"), st.integers(0, 15), texts),
    st.tuples(st.just("delete"), st.integers(0, 15), st.none()),
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(before=st.lists(texts, min_size=1, max_size=12), done=st.lists(steps, max_size=25))
def test_what_is_written_while_a_space_is_filled_stands_there_as_it_is(
    database, new_tenant, monkeypatch, before, done
):
    monkeypatch.setattr("onebrain_engine.filling._BATCH", 3)
    name = new_tenant()
    with_words, without = engine_on(database.url, 0), engine_on(database.url, None)
    # Nothing in the background: the steps below are all that is done.
    for engine in (with_words, without):
        monkeypatch.setattr(engine.filling, "consider", lambda *_: None)
    writers = [with_words.tenant(name), without.tenant(name)]
    writers[0].store([NewMemory(id=str(n), content=text) for n, text in enumerate(before)])
    filling = with_words.filling
    assert filling._begin(name, "")
    for place, (verb, number, text) in enumerate(done):
        writer, id = writers[place % 2], str(number)
        if verb == "fill":
            space = filling._space(name, "")
            if space.filled < space.filling:
                filling._fill_in(name, space)
        elif verb == "store":
            writer.store([NewMemory(id=id, content=text)])
        elif verb == "update" and writer.get([id], EVERYTHING):
            writer.update(id, onebrain.memory.driver.Changes(fields={"content": text}), EVERYTHING)
        elif verb == "delete":
            writer.delete([id], EVERYTHING)
    while (space := filling._space(name, "")).filled < space.filling:
        filling._fill_in(name, space)
    assert database.words(name) == database.expected(name)
    with_words.close()
    without.close()


SLOW_FILLER = """
import sys, time
import onebrain_engine.filling as filling
from onebrain_engine import Engine
from onebrain_engine.store.postgres import PostgresStore
from onebrain.memory.driver import SearchRequest

filling._BATCH = 20
fill_in = filling.Filling._fill_in

def slowly(self, tenant, space):
    fill_in(self, tenant, space)
    print("filled", flush=True)
    time.sleep(0.05)

filling.Filling._fill_in = slowly
engine = Engine(PostgresStore(sys.argv[1]), large=0, embedder=None)
engine.tenant(sys.argv[2]).search(SearchRequest(query="lamp"))
time.sleep(60)
"""


def test_a_filling_whose_process_is_killed_goes_on_in_the_next_one(database, new_tenant):
    name = new_tenant()
    with engine_closing(database.url, None) as writer:
        fill(writer.tenant(name), 500)
    killed = subprocess.Popen(
        [sys.executable, "-c", SLOW_FILLER, database.url, name], stdout=subprocess.PIPE, text=True
    )
    with killed:
        for _ in range(4):
            assert killed.stdout.readline() == "filled\n"
        killed.kill()
    [(_, filled, filling, served)] = database.spaces(name)
    assert 0 < filled < filling
    assert not served
    with engine_closing(database.url, 0) as engine:
        engine.tenant(name).delete([str(n) for n in range(0, 500, 7)], EVERYTHING)
        engine.tenant(name).search(SearchRequest(query="lamp"))
        assert engine.background.settle(300)
        assert database.spaces(name)[0][3]
        assert database.words(name) == database.expected(name)
        assert ids(engine.tenant(name).search(SearchRequest(query="number499"))) == ["499"]


def test_two_engines_that_fill_one_space_fill_it_once(database, new_tenant, monkeypatch):
    monkeypatch.setattr("onebrain_engine.filling._PATIENCE", 0.05)
    name = new_tenant()
    with engine_closing(database.url, 100) as one, engine_closing(database.url, 100) as other:
        fill(one.tenant(name), 1000)
        barrier = threading.Barrier(2)

        def search(engine):
            barrier.wait()
            engine.tenant(name).search(SearchRequest(query="lamp"))

        threads = [threading.Thread(target=search, args=(engine,)) for engine in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one.background.settle(300)
        assert other.background.settle(300)
        [(key, filled, filling, served)] = database.spaces(name)
        assert served
        assert filled == filling
        assert database.words(name) == database.expected(name)
        assert database.indexes(key) == {"word", "row", "time", "user", "talk", "agent"}
        for engine in (one, other):
            assert ids(engine.tenant(name).search(SearchRequest(query="number77"))) == ["77"]


def test_a_space_below_the_size_stays_in_memory_and_one_that_grows_moves(database, new_tenant):
    name = new_tenant()
    with engine_closing(database.url, 50) as engine:
        tenant = engine.tenant(name)
        fill(tenant, 49)
        tenant.search(SearchRequest(query="lamp"))
        assert engine.background.settle(300)
        assert database.spaces(name)[0][1:] == (None, None, False)
        assert len(engine.indexes.partitions.values()) == 1
        tenant.store([NewMemory(id=f"more {n}", content=f"lamp {n}") for n in range(20)])
        tenant.search(SearchRequest(query="lamp"))
        assert engine.background.settle(300)
        assert database.spaces(name)[0][3]
        assert len(ids(tenant.search(SearchRequest(query="lamp", limit=100)))) > 20
        assert len(engine.indexes.partitions.values()) == 0


def test_vectors_that_come_later_get_their_index_too(own_database):
    with engine_closing(own_database.url, 0) as engine:
        tenant = engine.tenant("acme")
        tenant.store([NewMemory(content="lamp")])
        assert engine.background.settle(300)
        [(key, *_)] = own_database.spaces("acme")
        assert "near_3" not in own_database.indexes(key)
        tenant.store([NewMemory(id="v", content="river", embedding=(1.0, 2.0, 3.0))])
        assert ids(tenant.search(SearchRequest(embedding=(1.0, 2.0, 3.0), mode="vector")))[0] == "v"
        assert engine.background.settle(300)
        assert "near_3" in own_database.indexes(key)


def test_an_index_that_was_not_finished_is_made_anew(postgres, own_database):
    with engine_closing(own_database.url, 0) as engine:
        engine.tenant("acme").store([NewMemory(id="a", content="lamp")])
        assert engine.background.settle(300)
    [(key, *_)] = own_database.spaces("acme")
    name = psycopg.conninfo.conninfo_to_dict(own_database.url)["dbname"]
    # As a process leaves it that is killed meanwhile.
    with psycopg.connect(postgres.admin_url, dbname=name) as admin:
        left = admin.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
            (f"onebrain.large_{key}_word",),
        )
        assert left.rowcount == 1
    with psycopg.connect(own_database.url, autocommit=True) as connection:
        connection.execute(f"DROP INDEX onebrain.large_{key}_talk")
    with engine_closing(own_database.url, 0) as engine:
        assert ids(engine.tenant("acme").search(SearchRequest(query="lamp", mode="keyword"))) == ["a"]
        assert engine.background.settle(300)
        space = engine.filling._space("acme", "")
        assert engine.filling._upkeep.missing(space) == []
        assert ids(engine.tenant("acme").search(SearchRequest(query="lamp", mode="keyword"))) == ["a"]


def test_an_index_in_the_making_is_given_up_when_the_engine_closes(database, new_tenant, monkeypatch):
    name = new_tenant()
    with engine_closing(database.url, None) as engine:
        engine.tenant(name).store([NewMemory(content="lamp")])
        space = engine.filling._space(name, "")
        upkeep = engine.filling._upkeep
        monkeypatch.setattr(
            "onebrain_engine.store.postgres_large.indexes", lambda space: {"one": "SELECT pg_sleep(600)"}
        )
        stop = threading.Event()
        threading.Timer(0.3, stop.set).start()
        with pytest.raises(OneBrainTimeoutError):
            upkeep.build(space, "one", stop)


# ---- it is used, and finds what there is --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Vectors in clusters, as those of texts are."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(60, 48))
    return (centres[rng.integers(0, 60, 6000)] + 0.6 * rng.normal(size=(6000, 48))).astype(np.float32)


@pytest.fixture(scope="module")
def crowded(postgres, vectors):
    """An engine with 6,000 memories in a space that the database serves, on a database of its own."""
    database = Database(postgres.new_database())
    engine = engine_on(database.url, 1000)
    rng = random.Random(5)
    tenant = engine.tenant("acme")
    for start in range(0, 6000, 1000):
        tenant.store(
            [
                NewMemory(
                    id=str(n),
                    content=f"{' '.join(rng.choices(WORDS, k=3))} word{n % 1500} number{n}",
                    scope=Scope(user=f"user-{n % 4}", agent=f"agent-{n % 2}", session=f"session-{n // 30}"),
                    embedding=tuple(vectors[n].tolist()),
                    metadata={"n": n, "few": n % 997},
                    archived=n % 10 == 9,
                )
                for n in range(start, start + 1000)
            ]
        )
    tenant.search(SearchRequest(query="lamp", mode="keyword"))
    assert engine.background.settle(300)
    yield engine, tenant, database
    engine.close()


def scans(database: Database) -> dict[str, int]:
    with psycopg.connect(database.url) as connection:
        found = connection.execute(
            "SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE starts_with(indexrelname, 'large_')"
        )
        return {name.split("_", 2)[2]: count for name, count in found}


def test_searches_and_lists_really_use_the_indexes_although_rows_are_secured(crowded, vectors):
    _, tenant, database = crowded
    before = scans(database)
    tenant.search(SearchRequest(query="word77", embedding=tuple(vectors[7].tolist())))
    tenant.list(ListRequest(limit=20))
    tenant.list(ListRequest(limit=20, order="sequence"))
    tenant.search(SearchRequest(query="word77", mode="keyword", scope=Scope(session="session-7")))
    deadline = time.monotonic() + 180
    used: set[str] = set()
    while time.monotonic() < deadline and not {"near_48", "word", "time", "row", "talk"} <= used:
        # A connection tells its counts within a second of its last transaction.
        time.sleep(0.1)
        tenant.search(SearchRequest(query="word78", embedding=tuple(vectors[8].tolist())))
        used = {name for name, count in scans(database).items() if count > before[name]}
    assert {"near_48", "word", "time", "row", "talk"} <= used


def test_hnsw_finds_what_comparing_everything_finds(crowded, vectors):
    _, tenant, _ = crowded
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    living = np.flatnonzero(np.arange(6000) % 10 != 9)
    rng = np.random.default_rng(2)
    shares = []
    for place in rng.integers(0, 6000, 40):
        query = vectors[place] + 0.3 * rng.normal(size=48).astype(np.float32)
        exact = living[np.argsort(-(unit[living] @ query), kind="stable")[:10]]
        hits = tenant.search(SearchRequest(embedding=tuple(query.tolist()), mode="vector")).hits
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        shares.append(len({int(hit.memory.id) for hit in hits} & set(exact.tolist())) / 10)
    assert np.mean(shares) >= 0.99


@pytest.mark.parametrize("mode", ["hybrid", "keyword", "vector"])
def test_what_is_rare_is_found_to_the_last_memory(crowded, vectors, mode, monkeypatch):
    _, tenant, _ = crowded
    monkeypatch.setattr("onebrain_engine.large._MOST", 400)
    request = {"query": "lamp river piano", "embedding": tuple(vectors[3].tolist()), "mode": mode}
    expected = {str(n) for n in range(6000) if n % 997 == 5 and n % 10 != 9}
    found = tenant.search(SearchRequest(**request, filter=F("few").eq(5), limit=50))
    if mode == "keyword":
        found_words = set(ids(found))
        assert found_words <= expected
        assert found_words
    else:
        assert set(ids(found)) == expected
    one = tenant.search(SearchRequest(**request, filter=F("$id").eq("1234"), scope=Scope(agent="agent-0")))
    assert set(ids(one)) <= {"1234"}
    assert (mode == "keyword") or ids(one) == ["1234"]


def test_a_search_returns_as_many_as_there_are(crowded, vectors):
    _, tenant, _ = crowded
    request = {"query": "zzz", "embedding": tuple(vectors[3].tolist())}
    assert len(ids(tenant.search(SearchRequest(**request, limit=1000)))) == 1000
    assert len(ids(tenant.search(SearchRequest(query="word3", mode="keyword", limit=100)))) == 4
    everything = tenant.search(SearchRequest(query="number1 lamp", mode="keyword", limit=1000))
    assert len(ids(everything)) == 1000
    assert tenant.matching(SearchRequest(query="word3", mode="keyword")) == 4
    assert tenant.matching(SearchRequest(**request)) == 5400
    assert tenant.count(EVERYTHING, F("n").lt(100), include_archived=True) == 100
    assert tenant.count(Scope(user="user-1"), F("n").lt(100), include_archived=False) == 20


def test_where_every_word_is_common_those_with_all_of_them_come_first(crowded, monkeypatch):
    engine, tenant, _ = crowded
    monkeypatch.setattr("onebrain_engine.large._BUDGET", 500)
    # Frequencies were counted up to another budget.
    engine.spaces.known._statistics.clear()
    wanted = {"lamp", "river", "piano"}
    everything = tenant.list(ListRequest(limit=6000, include_archived=True)).data
    whole = sum(wanted <= set(memory.content.split()) for memory in everything)
    with engine.store.reading() as read:
        space = read.space("acme", "")
        view = engine.spaces._whole(read, "acme", space, EVERYTHING)
        rows, complete = view._by_words(tuple(wanted), None, None, 300, 300)
        texts = {row: set(content.split()) for row, content in read.columns("acme", space, ["content"], rows)}
        frequencies = view._frequencies(["lamp", "word7"])
    assert frequencies["word7"] == 4
    # Memories beyond 1,000 are estimated.
    assert frequencies["lamp"] == pytest.approx(6000 * (1 - (7 / 8) ** 3), rel=0.2)
    assert len(rows) == 300
    assert not complete
    assert 30 < whole < 300
    assert [wanted <= texts[row] for row in rows] == [True] * whole + [False] * (300 - whole)
    assert len(tenant.search(SearchRequest(query=" ".join(wanted), mode="keyword", limit=300)).hits) == 300


def test_orders_without_an_index_page_through_all(crowded):
    _, tenant, _ = crowded
    seen: list[str] = []
    cursor = None
    while True:
        page = tenant.list(ListRequest(limit=70, order="-updated_at", filter=F("n").lt(300), cursor=cursor))
        seen += [memory.id for memory in page.data]
        assert page.meta.total == 270
        cursor = page.meta.cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 270
    assert set(seen) == {str(n) for n in range(300) if n % 10 != 9}


# ---- one user's memories ------------------------------------------------------------------------------------------------


def test_a_user_in_a_large_space_has_an_index_of_their_own(crowded):
    _, tenant, database = crowded
    with engine_closing(database.url, 2000) as fresh, engine_closing(database.url, None) as in_memory:
        mine, all_of_it = fresh.tenant("acme"), in_memory.tenant("acme")
        request = SearchRequest(query="lamp river", mode="keyword", scope=Scope(user="user-1"), limit=30)
        assert ids(mine.search(request)) == ids(all_of_it.search(request))
        [index] = fresh.indexes.partitions.values()
        assert index.size == 1500
        filtered = SearchRequest(
            query="lamp", mode="keyword", scope=Scope(user="user-1"), filter=F("n").lt(50)
        )
        assert ids(mine.search(filtered)) == ids(all_of_it.search(filtered))
        tenant.store(
            [NewMemory(id="new", content="lamp aurora", scope=Scope(user="user-1"), embedding=(1.0,) * 48)]
        )
        aurora = SearchRequest(query="aurora", mode="keyword", scope=Scope(user="user-1"))
        assert ids(mine.search(aurora)) == ["new"]
        tenant.delete(["new"], EVERYTHING)
        assert ids(mine.search(aurora)) == []
        assert fresh.indexes.partitions.values() == [index]


# ---- words that are hard to keep ----------------------------------------------------------------------------------------


def test_a_memory_with_very_many_and_very_long_words_is_found_by_each(database, new_tenant, connect_large):
    with connect_large(database.url, 0, new_tenant(), embedder=None) as brain:
        brain.store("a small one")
        long = "x" * 5000
        words = [f"verylongword{n:06}" for n in range(60_000)]
        brain.store(f"{' '.join(words)} {long} it's o'clock back\\slash", id="huge")
        assert len(database.words(brain.driver.tenant.name)) == 2
        for query in (words[0], words[-1], long, "o'clock", "back\\slash", f"{words[0]} {words[-1]}"):
            assert [hit.id for hit in brain.search(query, mode="keyword")] == ["huge"], query[:30]
        assert len(brain.search("x" * 4999, mode="keyword")) == 0
        brain.update("huge", content="short now")
        assert len(brain.search(words[5], mode="keyword")) == 0
        assert [hit.id for hit in brain.search("short", mode="keyword")] == ["huge"]


# ---- nothing is left, and nothing seen ----------------------------------------------------------------------------------


def test_no_query_sees_words_of_another_tenant_or_without_asking_for_them(database, new_tenant):
    name, other = new_tenant(), new_tenant()
    with engine_closing(database.url, 0) as engine:
        for tenant in (name, other):
            engine.tenant(tenant).store([NewMemory(content="a secret lighthouse")])
        assert engine.background.settle(300)
    count = "SELECT count(*) FROM onebrain.word"
    assert database.rows(name, count) == [(1,)]
    assert database.rows(name, count, words="'lighthous'") == [(1,)]
    assert database.rows(name, count, words="'lamp'") == [(0,)]
    assert database.rows(name, count, words="") == [(0,)]
    assert database.rows("", count) == [(0,)]
    assert database.rows(name, f"{count} WHERE tenant = %s", other) == [(0,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.rows(
            name,
            "INSERT INTO onebrain.word VALUES (%s, 1, 1, 0, 1, ''::tsvector) RETURNING 1",
            other,
        )


def test_forgetting_a_tenant_leaves_neither_words_nor_indexes(own_database):
    with engine_closing(own_database.url, 0) as engine:
        for name in ("kept", "gone"):
            fill(engine.tenant(name), 50)
        assert engine.background.settle(300)
        [(kept, *_)], [(gone, *_)] = own_database.spaces("kept"), own_database.spaces("gone")
        before = own_database.words("kept")
        engine.forget_tenant("gone")
        assert own_database.words("gone") == {}
        assert own_database.spaces("gone") == []
        assert own_database.indexes(gone) == set()
        assert own_database.words("kept") == before
        assert len(own_database.indexes(kept)) == 6
        assert engine.tenant("gone").search(SearchRequest(query="lamp")).hits == []


def test_once_a_cipher_is_given_nothing_stands_there_in_clear(own_database):
    with engine_closing(own_database.url, 0) as engine:
        fill(engine.tenant("acme"), 60)
        engine.tenant("acme").search(SearchRequest(query="lamp"))
        assert engine.background.settle(300)
        assert len(own_database.words("acme")) == 60
    [(key, *_)] = own_database.spaces("acme")
    sealed = Engine(PostgresStore(own_database.url, cipher=Cipher(KEY)), large=0, embedder=None)
    try:
        sealed.tenant("acme").store([NewMemory(id="sealed", content="lighthouse")])
        assert own_database.words("acme") == {}
        assert own_database.spaces("acme") == [(key, None, None, False)]
        assert ids(sealed.tenant("acme").search(SearchRequest(query="lighthouse number5", limit=2))) == [
            "sealed",
            "5",
        ]
        assert sealed.background.settle(300)
        assert own_database.indexes(key) == set()
    finally:
        sealed.close()


def test_an_older_pgvector_leaves_spaces_in_memory_and_says_so_once(
    database, new_tenant, monkeypatch, caplog
):
    monkeypatch.setattr("onebrain_engine.store.postgres_large.OLDEST", (99, 0))
    name = new_tenant()
    with engine_closing(database.url, 0) as engine, caplog.at_level(logging.WARNING, "onebrain_engine"):
        for _ in range(3):
            engine.tenant(name).store([NewMemory(content="lamp")])
            assert len(engine.tenant(name).search(SearchRequest(query="lamp")).hits) > 0
            assert engine.background.settle(300)
        assert database.spaces(name)[0][1:] == (None, None, False)
    [record] = [record for record in caplog.records if "stay in memory" in record.getMessage()]
    assert "older than 0.8" in record.getMessage()


# ---- options ------------------------------------------------------------------------------------------------------------


def test_large_space_is_an_option_of_postgresql_alone(database, new_tenant, tmp_path):
    with pytest.raises(ConfigurationError, match="large_space is an option of PostgreSQL"):
        onebrain.connect(f"sqlite:///{tmp_path}/brain.db", large_space=10)
    with pytest.raises(ConfigurationError, match="must not be negative"):
        onebrain.connect(database.url, large_space=-1)
    with onebrain.connect(database.url, tenant=new_tenant(), large_space=None, embedder=None) as brain:
        brain.store("lamp")
        assert len(brain.search("lamp")) == 1
        assert not brain.driver.engine.filling.possible


# ---- the thread ---------------------------------------------------------------------------------------------------------


def test_background_work_ends_when_it_is_told_to_and_is_never_begun_after():
    background = Background()
    begun, ended = threading.Event(), []

    def job(stop):
        begun.set()
        ended.append(stop.wait(180))

    background.do("one", job)
    background.do("two", lambda stop: ended.append("never"))
    assert begun.wait(180)
    assert not background.settle(0)
    background.stop()
    background.do("three", lambda stop: ended.append("never"))
    assert ended == [True]
    assert background.settle(0)


def test_a_job_that_fails_is_logged_without_its_data_and_the_next_one_is_done(caplog):
    background = Background()
    done = threading.Event()

    def fail(stop):
        raise ValueError("a secret text")

    with caplog.at_level(logging.WARNING, "onebrain_engine"):
        background.do("fails", fail)
        background.do("works", lambda stop: done.set())
        assert done.wait(180)
    background.stop()
    assert "secret" not in caplog.text
    assert "ValueError" in caplog.text


def test_a_superuser_whom_policies_let_through_gets_the_same_answers(postgres, own_database):
    name = psycopg.conninfo.conninfo_to_dict(own_database.url)["dbname"]
    with engine_closing(psycopg.conninfo.make_conninfo(postgres.admin_url, dbname=name), 0) as engine:
        for tenant in ("acme", "other"):
            fill(engine.tenant(tenant), 40)
        assert engine.background.settle(300)
        acme = engine.tenant("acme")
        assert ids(acme.search(SearchRequest(query="number7", mode="keyword"))) == ["7"]
        assert acme.matching(SearchRequest(query="number7", mode="keyword")) == 1
        acme.delete(["7"], EVERYTHING)
        assert ids(acme.search(SearchRequest(query="number7", mode="keyword"))) == []
        assert ids(engine.tenant("other").search(SearchRequest(query="number7", mode="keyword"))) == ["7"]
