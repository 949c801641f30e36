"""Changing the embedder of a space: what is found meanwhile and afterwards, and what interrupts it."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import onebrain
from onebrain import (
    EmbedderError,
    EmbedderMismatch,
    OneBrainValidationError,
    ReembedConflict,
    Scope,
    Unsupported,
)
from onebrain.memory.brain import Brain
from onebrain.testing.reference import ReferenceDriver

KEY = "0f" * 32
SPACE = Scope(space="s")
WAIT = 60.0


class Hashed:
    """An embedder of words by their digests; texts of other words are unlike."""

    def __init__(self, name, dimension=256):
        self.name, self.dimension = name, dimension
        self.fingerprint = f"hashed:{name}:{dimension}"
        self.documents, self.before = [], lambda texts: None

    def embed_documents(self, texts):
        self.before(texts)
        self.documents += texts
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text):
        vector = np.zeros(self.dimension)
        for word in text.lower().split():
            digest = hashlib.sha256(f"{self.name} {word}".encode()).digest()
            vector += np.random.default_rng(int.from_bytes(digest[:8], "big")).standard_normal(self.dimension)
        return vector


@pytest.fixture(params=["memory", "file", "sealed", "postgresql"])
def options(request, tmp_path):
    if request.param == "postgresql":
        return {"url": request.getfixturevalue("postgres").new_database()}
    if request.param == "memory":
        return {"url": "sqlite://"}
    key = {"encryption_key": KEY} if request.param == "sealed" else {}
    return {"url": f"sqlite:///{tmp_path}/brain.db", **key}


@pytest.fixture
def many():
    return [{"content": f"fact{n} about tea", "id": f"m{n}"} for n in range(300)]


def vectors(brain):
    return {
        memory.content: memory.embedding for memory in brain.list(with_embeddings=True, include_archived=True)
    }


def all_are_of(brain, embedder):
    for content, vector in vectors(brain).items():
        expected = embedder.embed_query(content)
        assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-5), content


def first(brain, query, scope=SPACE):
    return brain.search(query, scope=scope, mode="vector", limit=1)[0].content


def test_former_vectors_serve_until_the_last_new_one_is_made(options, many):
    old, new = Hashed("old"), Hashed("new", 128)
    seen, steps = [], []
    with onebrain.connect(**options, embedder=old) as brain:
        brain.store_many(many, scope=SPACE)
        new.before = lambda texts: seen.append((first(brain, "fact7"), brain.embedders().spaces["s"]))
        result = brain.reembed(embedder=new, scope=SPACE, progress=lambda *step: steps.append(step))
        assert (result.count, result.spaces, result.skipped) == (300, ("s",), ())
        assert result.embedder == brain.embedders().spaces["s"] == "hashed:new:128"
        assert seen == [("fact7 about tea", "hashed:old:256")] * 3
        assert steps == [(128, 300), (256, 300), (300, 300)]
        assert first(brain, "fact7") == "fact7 about tea"
        all_are_of(brain, new)
        brain.store("another fact", scope=SPACE)
        assert new.documents[-1] == "another fact"
        assert first(brain, "another") == "another fact"
        assert brain.reembed(embedder=new, scope=SPACE).count == 0


def test_what_is_written_meanwhile_has_new_vectors_in_the_end(options, many):
    old, new = Hashed("old"), Hashed("new")
    with onebrain.connect(**options, embedder=old) as brain:
        brain.store_many(many, scope=SPACE)
        rounds = iter(range(1000))

        def write(_):
            n = next(rounds)
            if n < 4:
                brain.store(f"late{n} memory", scope=SPACE, id=f"late{n}")
                brain.update(f"m{n}", content=f"changed{n} text", scope=SPACE)
                brain.update(f"m{250 + n}", metadata={"n": n}, scope=SPACE)
                assert brain.delete(f"m{100 + n}", scope=SPACE) == 1

        new.before = write
        brain.reembed(embedder=new)
        assert brain.count() == 300
        all_are_of(brain, new)
        assert first(brain, "late3") == "late3 memory"
        assert first(brain, "changed2") == "changed2 text"
        assert "fact102 about tea" not in vectors(brain)


def test_a_writer_in_every_round_does_not_keep_it_from_ending(options, many):
    old, new = Hashed("old"), Hashed("new")
    calls = []

    def write(texts):
        calls.append(len(texts))
        if len(calls) < 10:  # the tenth time the rest is embedded while writers wait
            brain.store(f"late{len(calls)} memory", scope=SPACE)

    with onebrain.connect(**options, embedder=old) as brain:
        brain.store_many(many[:10], scope=SPACE)
        new.before = write
        brain.reembed(embedder=new)
        assert calls == [10] + [1] * 9
        all_are_of(brain, new)
        assert first(brain, "late9") == "late9 memory"


def test_an_interrupted_run_goes_on_where_it_was(options, many):
    old, new = Hashed("old"), Hashed("new")
    with onebrain.connect(**options, embedder=old) as brain:
        brain.store_many(many, scope=SPACE)

        def fail(_):
            if len(new.documents) >= 128:
                raise ConnectionError("away")

        new.before = fail
        with pytest.raises(EmbedderError):
            brain.reembed(embedder=new, scope=SPACE)
        assert len(new.documents) == 128
        assert first(brain, "fact250") == "fact250 about tea"
        brain.delete("m0", scope=SPACE)
        new.before = lambda _: None
        steps = []
        assert brain.reembed(embedder=new, progress=lambda *step: steps.append(step)).count == 172
        assert steps == [(255, 299), (299, 299)]
        assert len(new.documents) == 300
        all_are_of(brain, new)


def test_another_run_meanwhile_is_a_conflict_until_it_replaces_the_first(options, many):
    old, one, two = Hashed("old"), Hashed("one"), Hashed("two")
    with onebrain.connect(**options, embedder=old) as brain:
        brain.store_many(many, scope=SPACE)
        seen = []

        def meanwhile(_):
            one.before = lambda _: None
            with pytest.raises(ReembedConflict, match=r"hashed:one:256.*hashed:two:256"):
                brain.reembed(embedder=two)
            seen.append(brain.reembed(embedder=two, replace=True).count)

        one.before = meanwhile
        with pytest.raises(ReembedConflict, match="hashed:one"):
            brain.reembed(embedder=one)
        assert seen == [300]
        all_are_of(brain, two)
        assert brain.reembed(embedder=one, replace=True).count == 300
        all_are_of(brain, one)


def test_the_same_run_twice_at_a_time_is_one(options, many):
    old, one, two = Hashed("old"), Hashed("new"), Hashed("new")
    with onebrain.connect(**options, embedder=old) as brain:
        brain.store_many(many, scope=SPACE)

        def meanwhile(_):
            one.before = lambda _: None
            brain.reembed(embedder=two)

        one.before = meanwhile
        brain.reembed(embedder=one)
        assert len(two.documents) == 300
        assert len(one.documents) == 128
        all_are_of(brain, one)


def test_a_memory_whose_vector_was_on_its_way_is_stored_with_a_new_one(options, many):
    old, new = Hashed("old"), Hashed("new", 64)
    with onebrain.connect(**options, embedder=old) as brain, ThreadPoolExecutor(2) as pool:
        brain.store_many(many[:5], scope=SPACE)
        busy, go_on = threading.Semaphore(0), threading.Event()

        def wait(_):
            busy.release()
            assert go_on.wait(WAIT)

        old.before = wait
        storing = pool.submit(brain.store, "on its way", scope=SPACE)
        changing = pool.submit(brain.update, "m1", content="changed on its way", scope=SPACE)
        assert busy.acquire(timeout=WAIT)
        assert busy.acquire(timeout=WAIT)
        brain.reembed(embedder=new)
        go_on.set()
        assert storing.result(WAIT).status == "created"
        assert changing.result(WAIT).content == "changed on its way"
        all_are_of(brain, new)


def test_other_programs_are_told_and_read_the_space_anew(options, many):
    if options["url"] == "sqlite://":
        pytest.skip("two brains cannot share a database in memory")
    old, new = Hashed("old"), Hashed("new", 64)
    with (
        onebrain.connect(**options, embedder=old) as brain,
        onebrain.connect(**options, embedder=old) as other,
    ):
        brain.store_many(many[:20], scope=SPACE)
        assert first(other, "fact7") == "fact7 about tea"
        brain.reembed(embedder=new)
        with pytest.raises(EmbedderMismatch, match=r"hashed:new:64.*hashed:old:256"):
            first(other, "fact7")
        with pytest.raises(EmbedderMismatch):
            other.store("tea", scope=SPACE)
        assert other.search("fact7", scope=SPACE, mode="keyword")[0].content == "fact7 about tea"
        assert other.reembed(embedder=new).count == 0
        assert first(other, "fact7") == "fact7 about tea"
        other.store("fact99 of tea", scope=SPACE)
    with onebrain.connect(**options, embedder=new) as brain:
        assert first(brain, "fact99") == "fact99 of tea"
        assert brain.reembed().spaces == ("s",)


def test_spaces_of_own_vectors_and_memories_without_one_stay_so(options):
    old, new = Hashed("old"), Hashed("new", 64)
    own, bare = Scope(space="own"), Scope(space="bare")
    with onebrain.connect(**options, embedder=old) as brain:
        brain.store("of the caller", embedding=[1.0, 0.0], scope=own)
        brain.store("no vector", embedding=False, scope=bare)
        brain.store("some tea", scope=SPACE)
        brain.store("no vector of tea", embedding=False, scope=SPACE)
        result = brain.reembed(embedder=new)
        assert (result.count, result.skipped) == (1, ("own",))
        assert set(result.spaces) == {"s", "bare"}
        assert new.documents == ["some tea"]
        with pytest.raises(EmbedderMismatch, match="caller's own"):
            brain.reembed(embedder=new, scope=own)
        assert brain.search(embedding=[1.0, 0.0], scope=own)[0].content == "of the caller"
        brain.store("tea of another space", scope=Scope(space="next"))
        assert brain.embedders().spaces["next"] == "hashed:new:64"


def test_a_scope_that_is_no_space_and_a_brain_without_embedder_are_refused():
    with onebrain.connect("sqlite://", embedder=None) as brain:
        with pytest.raises(OneBrainValidationError, match="a scope with a space only"):
            brain.reembed(scope=Scope(user="maria"))
        with pytest.raises(onebrain.ConfigurationError, match="no embedder"):
            brain.reembed()
    with Brain(ReferenceDriver()) as brain, pytest.raises(Unsupported, match="changing the embedder"):
        brain.reembed(embedder="wordllama")


def test_every_tenant_has_its_own(options, many):
    if options["url"] == "sqlite://":
        pytest.skip("two brains cannot share a database in memory")
    old, new = Hashed("old"), Hashed("new", 64)
    with (
        onebrain.connect(**options, embedder=old, tenant="a") as a,
        onebrain.connect(**options, embedder=old, tenant="b") as b,
    ):
        a.store_many(many[:5])
        b.store_many(many[:5])
        a.reembed(embedder=new)
        all_are_of(a, new)
        all_are_of(b, old)
        results = a.driver.engine.reembed(new)
        assert {tenant: result.count for tenant, result in results.items()} == {"a": 0, "b": 5}
        all_are_of(b, new)


def test_new_vectors_of_sealed_memories_are_sealed(tmp_path, many):
    old, new = Hashed("old"), Hashed("new", 64)
    url, file = f"sqlite:///{tmp_path}/brain.db", tmp_path / "brain.db"
    with onebrain.connect(url, embedder=old) as brain:
        brain.store("stored in clear", scope=SPACE)
    with onebrain.connect(url, embedder=old, encryption_key=KEY) as brain:
        brain.store_many(many, scope=SPACE)
        clear = new.embed_query("fact3 about tea")
        clear = (clear / np.linalg.norm(clear)).astype(np.float32).tobytes()

        def look(_):
            with closing(sqlite3.connect(file)) as database:
                kept = [data for (data,) in database.execute("SELECT data FROM next_vector")]
            assert clear not in kept

        new.before = look
        brain.reembed(embedder=new)
        all_are_of(brain, new)
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT count(*) FROM next_vector").fetchone() == (0,)
        assert clear not in [data for (data,) in database.execute("SELECT data FROM vector")]


def test_a_new_key_makes_an_unfinished_run_begin_anew(tmp_path, many):
    old, new = Hashed("old"), Hashed("new", 64)
    url = f"sqlite:///{tmp_path}/brain.db"
    with onebrain.connect(url, embedder=old) as brain:
        brain.store_many(many, scope=SPACE)

        def fail(_):
            if new.documents:
                raise ConnectionError("away")

        new.before = fail
        with pytest.raises(EmbedderError):
            brain.reembed(embedder=new)
    from onebrain_engine import encrypt

    encrypt(url, KEY)
    new.before = lambda _: None
    with onebrain.connect(url, embedder=old, encryption_key=KEY) as brain:
        assert brain.reembed(embedder=new).count == 300
        all_are_of(brain, new)


RUN = """
import sys, time
import onebrain
class Slow:
    fingerprint = "hashed:slow:4"
    def embed_documents(self, texts):
        print(len(texts), flush=True)
        time.sleep(0.05)
        return [self.embed_query(text) for text in texts]
    def embed_query(self, text):
        return [float(len(text)), 1.0, 0.0, 0.5]
with onebrain.connect(sys.argv[1]) as brain:
    print("made", brain.reembed(embedder=Slow()).count, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill")
def test_a_killed_run_loses_no_vector_that_it_kept(tmp_path):
    url = f"sqlite:///{tmp_path}/brain.db"
    with onebrain.connect(url) as brain:
        brain.store_many([f"fact{n} about tea" for n in range(1000)])
    kept = 0
    for _ in range(3):
        run = subprocess.Popen([sys.executable, "-c", RUN, url], stdout=subprocess.PIPE, text=True)
        assert run.stdout is not None
        for _ in range(2):
            assert run.stdout.readline()
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        run.stdout.close()
        with closing(sqlite3.connect(tmp_path / "brain.db")) as database:
            [(now,)] = database.execute("SELECT count(*) FROM next_vector").fetchall()
        assert now > kept
        kept = now
        with onebrain.connect(url) as brain:
            assert brain.search("fact7", mode="vector", limit=1)[0].content
    done = subprocess.run([sys.executable, "-c", RUN, url], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"made {1000 - kept}"
    with closing(sqlite3.connect(tmp_path / "brain.db")) as database:
        assert database.execute(
            "SELECT count(*), min(length(data)), max(length(data)) FROM vector"
        ).fetchone() == (
            1000,
            16,
            16,
        )


def test_a_large_space_is_served_with_new_vectors(postgres):
    import psycopg

    postgres_url = postgres.new_database()
    old, new = Hashed("old"), Hashed("new", 64)
    with onebrain.connect(postgres_url, embedder=old, large_space=50) as brain:
        brain.store_many([f"fact{n} about tea" for n in range(200)], scope=SPACE)

        def indexes():
            with psycopg.connect(postgres_url) as connection:
                found = connection.execute(
                    "SELECT indexname FROM pg_indexes JOIN pg_class ON relname = indexname "
                    "JOIN pg_index ON indexrelid = pg_class.oid WHERE indisvalid AND starts_with(indexname, 'large_')"
                ).fetchall()
            return {name.split("_", 2)[2] for (name,) in found}

        def wait_for(index):
            deadline = time.monotonic() + WAIT
            while index not in indexes():
                assert time.monotonic() < deadline
                first(brain, "fact7")
                time.sleep(0.1)

        wait_for("near_256")
        new.before = lambda _: first(brain, "fact7") == "fact7 about tea" or pytest.fail("not found")
        brain.reembed(embedder=new, scope=SPACE)
        assert first(brain, "fact7") == "fact7 about tea"
        all_are_of(brain, new)
        wait_for("near_64")
        assert "near_256" not in indexes()
        assert first(brain, "fact70") == "fact70 about tea"
        brain.store("late tea", scope=SPACE)
        assert first(brain, "late") == "late tea"


def test_a_brain_of_an_earlier_version_gets_another_embedder(tmp_path):
    dump = Path(__file__).with_name("brain_of_version_3.sql")
    with closing(sqlite3.connect(tmp_path / "brain.db")) as database:
        database.executescript(dump.read_text(encoding="utf-8"))
    new = Hashed("new", 64)
    with onebrain.connect(f"sqlite:///{tmp_path}/brain.db") as brain:
        assert brain.search("where does Maria like to sit?", scope=Scope(user="maria"))[0].id == "seats"
        assert brain.reembed(embedder=new).count == 3
        all_are_of(brain, new)
        assert brain.search("window seats", scope=Scope(user="maria"))[0].id == "seats"


def test_vectors_of_the_old_reading_are_made_again_and_a_stopped_run_goes_on(options, many):
    """An earlier version made them without the label before a colon, by an embedder of the same name."""
    embedder = Hashed("own")
    whole = embedder.embed_query
    embedder.embed_query = lambda text: whole(text.partition(": ")[2] or text)
    with onebrain.connect(**options, embedder=embedder) as brain:
        brain.store_many([{**one, "content": f"Heading: {one['content']}"} for one in many], scope=SPACE)
        embedder.embed_query = whole
        # Nothing changes by itself: an embedder may cost money.
        assert brain.reembed(scope=SPACE).count == 0

        def stop(*_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            brain.reembed(scope=SPACE, anew=True, progress=stop)
        brain.update("m0", content="Heading: another", scope=SPACE)
        assert brain.reembed(scope=SPACE, anew=True).count == 300 - 128 + 1
        all_are_of(brain, embedder)
        assert brain.reembed(scope=SPACE).count == 0


def test_the_command_gives_another_embedder(tmp_path):
    testing = pytest.importorskip("click.testing")
    from onebrain.cli.app import cli

    url = f"sqlite:///{tmp_path}/brain.db"
    with onebrain.connect(url, embedder=Hashed("old")) as brain:
        brain.store("Maria prefers window seats")
        brain.store("of the caller", embedding=[1.0, 0.0], scope=Scope(space="own"))
    done = testing.CliRunner().invoke(cli, ["reembed", "--url", url, "wordllama"])
    assert done.exit_code == 0
    assert "1 of 1" in done.output
    assert "space 'own' is left as it is" in done.output
    assert "1 vector of wordllama:l2_supercat_256" in done.output
    with onebrain.connect(url) as brain:
        assert brain.search("window", mode="vector")[0].content.startswith("Maria")
    again = testing.CliRunner().invoke(cli, ["reembed", "--url", url, "--anew", "wordllama"])
    assert "1 vector of wordllama:l2_supercat_256" in again.output
    wrong = testing.CliRunner().invoke(cli, ["reembed", "--url", url, "nonsense:x"])
    assert wrong.exit_code == 1
    assert "no kind 'nonsense'" in wrong.output
