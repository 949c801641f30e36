"""Encryption at rest: nothing of a memory reaches the disk in clear, and no other key opens it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import psycopg
import pytest

import onebrain
from onebrain import F, NewMemory, Scope
from onebrain.errors import ConfigurationError, DatabaseCorrupt

KEY, OTHER_KEY = "5a" * 32, "a5" * 32
VECTOR = tuple(float(value) for value in np.random.default_rng(7).standard_normal(16).astype(np.float32))

SECRETS = {
    "content": "zanzibar",
    "title": "quokka",
    "type": "xylophone",
    "tags": "mandolin",
    "key": "trombone",
    "value": "papaya",
    "extra": "cassowary",
    "source": "kumquat",
}


def secret_memory(id, **more):
    return NewMemory(
        id=id,
        content=f"the {SECRETS['content']} ferry leaves at nine",
        title=SECRETS["title"],
        type=SECRETS["type"],
        tags=[SECRETS["tags"]],
        metadata={SECRETS["key"]: SECRETS["value"]},
        extra={"more": SECRETS["extra"]},
        source=SECRETS["source"],
        **more,
    )


def leaks(folder, more=()):
    """Return the secrets that stand in clear in any file of a folder, and where."""
    vector = np.array(VECTOR, np.float32)
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    wanted = {name: word.encode() for name, word in SECRETS.items()} | {word: word.encode() for word in more}
    # The beginning of a vector, as it is given, scaled, and in PostgreSQL's order of bytes.
    for name, data in (("vector", vector), ("unit", unit), ("network", vector.astype(">f4"))):
        wanted[name] = data.tobytes()[:16]
    return {
        (name, path.name)
        for path in Path(folder).rglob("*")
        if path.is_file()
        for name, word in wanted.items()
        if word in path.read_bytes()
    }


CRASH = """
import sys
import onebrain
sys.path.insert(0, sys.argv[3])
from test_encryption import VECTOR, secret_memory
from onebrain import Scope

brain = onebrain.connect(sys.argv[1], encryption_key=sys.argv[2])
brain.store_many([secret_memory(f"id{n}") for n in range(1500)]).raise_for_failures()
brain.store_many([secret_memory("own", embedding=VECTOR, scope=Scope(space="vectors"))]).raise_for_failures()
brain.search("zanzibar")
brain.update("id7", content="the zanzibar ferry is late", metadata={"trombone": "papaya two"})
brain.delete("id8")
print("stored", flush=True)
sys.stdin.readline()
"""


def crash(url):
    """Fill a brain in another process and kill it."""
    here = str(Path(__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", CRASH, url, KEY, here],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline().strip() == "stored"
        process.kill()


def test_no_file_of_an_sqlite_brain_holds_a_memory_in_clear(tmp_path):
    url = f"sqlite:///{tmp_path}/brain.db"
    crash(url)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["brain.db", "brain.db-shm", "brain.db-wal"]
    assert leaks(tmp_path) == set()
    # Recovers the WAL, and keeps a snapshot when closed.
    with onebrain.connect(url, encryption_key=KEY) as brain:
        assert brain.count() == 1500
        assert brain.get("id7").content == "the zanzibar ferry is late"
        hit = brain.search(
            "zanzibar ferry", scope=Scope(space="vectors"), with_embeddings=True, mode="keyword"
        )[0]
        assert hit.memory.embedding == VECTOR
        assert leaks(tmp_path) == set()
    assert (tmp_path / "brain.db.index").is_dir()
    assert leaks(tmp_path) == set()


def test_the_same_search_for_leaks_finds_them_without_a_key(tmp_path):
    with onebrain.connect(f"sqlite:///{tmp_path}/brain.db") as brain:
        brain.store_many([secret_memory("one", embedding=VECTOR)]).raise_for_failures()
    assert {name for name, _ in leaks(tmp_path)} == {*SECRETS, "vector"}


def test_no_file_of_a_postgresql_server_holds_a_memory_in_clear(cluster):
    with psycopg.connect(cluster.admin_url, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION IF NOT EXISTS vector")
        crash(cluster.admin_url)
        admin.execute("CHECKPOINT")
    assert leaks(cluster.folder) == set()
    with onebrain.connect(cluster.admin_url, encryption_key=KEY) as brain:
        assert brain.count() == 1500
        assert brain.get("own", with_embeddings=True).embedding == VECTOR
        assert brain.search("zanzibar ferry")[0].memory.title == SECRETS["title"]


def test_an_index_is_kept_encrypted_and_used_again(tmp_path):
    url = f"sqlite:///{tmp_path}/brain.db"
    with onebrain.connect(url, encryption_key=KEY) as brain:
        brain.store_many([secret_memory(f"id{n}") for n in range(1200)]).raise_for_failures()
        expected = brain.search("zanzibar", limit=20)
    [snapshot] = (tmp_path / "brain.db.index").iterdir()
    with onebrain.connect(url, encryption_key=KEY) as brain:
        assert brain.search("zanzibar", limit=20).hits == expected.hits
        [partition] = brain.driver.engine.indexes.partitions.values()
        # It was read from the snapshot.
        assert partition.snapshotted == 1200
    sealed = bytearray(snapshot.read_bytes())
    sealed[len(sealed) // 2] ^= 1
    snapshot.write_bytes(sealed)
    with onebrain.connect(url, encryption_key=KEY) as brain:
        assert brain.search("zanzibar", limit=20).hits == expected.hits
        [partition] = brain.driver.engine.indexes.partitions.values()
        # A changed one is not.
        assert partition.snapshotted == 0


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Return the URL of an empty database, and what tells whether anything was written to it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/brain.db", lambda: (tmp_path / "brain.db").read_bytes()
    url = request.getfixturevalue("postgres").new_database()

    def state():
        with psycopg.connect(url) as connection:
            connection.execute("SELECT set_config('onebrain.tenant', 'default', true)")
            return [
                connection.execute(f"SELECT xmin::text, * FROM onebrain.{table} ORDER BY 1, 2").fetchall()
                for table in ("migration", "setting", "space", "memory", "vector", "gone")
            ]

    return url, state


@pytest.mark.parametrize(
    ("key", "message"), [(OTHER_KEY, "another key"), (None, "is encrypted; give its encryption_key")]
)
def test_a_wrong_or_missing_key_is_refused_before_anything_is_written(place, key, message):
    url, state = place
    with onebrain.connect(url, encryption_key=KEY) as brain:
        brain.store_many([secret_memory("one")]).raise_for_failures()
    before = state()

    def use():
        with onebrain.connect(url, encryption_key=key) as brain:
            brain.store("written with the wrong key")

    with pytest.raises(ConfigurationError, match=message) as caught:
        use()
    assert KEY not in str(caught.value)
    assert OTHER_KEY not in str(caught.value)
    assert state() == before
    with onebrain.connect(url, encryption_key=KEY) as brain:
        assert brain.get("one").title == SECRETS["title"]


def test_memories_in_clear_can_be_read_beside_sealed_ones_and_are_sealed_when_they_change(place):
    url, _ = place
    with onebrain.connect(url) as brain:
        brain.store_many([secret_memory(f"old{n}") for n in range(3)]).raise_for_failures()
    with onebrain.connect(url, encryption_key=KEY) as brain:
        brain.store_many([secret_memory("new")]).raise_for_failures()
        assert brain.count(filter=F(SECRETS["key"]).eq(SECRETS["value"])) == 4
        assert len(brain.search("zanzibar", mode="keyword")) == 4
        brain.update("old0", archived=True)
        brain.store_many([secret_memory("old1")]).raise_for_failures()
        assert brain.get("old0", with_embeddings=True).embedding == pytest.approx(
            brain.get("old2", with_embeddings=True).embedding
        )
        for id in ("old0", "old1", "old2", "new"):
            assert brain.get(id).extra == {"more": SECRETS["extra"]}
    assert {id: sealed for id, sealed, _ in raw(url)} == {
        "old0": True,
        "old1": True,
        "old2": False,
        "new": True,
    }
    for _, sealed, columns in raw(url):
        assert any(word in str(columns) for word in SECRETS.values()) != sealed
    with onebrain.connect(url, encryption_key=KEY) as brain:
        assert len(brain.search("zanzibar", mode="keyword", include_archived=True)) == 4
        assert len(brain.search("zanzibar ferry", mode="vector", include_archived=True)) == 4


def raw(url):
    """Return id, whether it is sealed, and all columns of every memory, past the engine."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            rows = connection.execute("SELECT id, sealed IS NOT NULL, * FROM memory").fetchall()
        finally:
            connection.close()
    else:
        with psycopg.connect(url) as connection:
            connection.execute("SELECT set_config('onebrain.tenant', 'default', true)")
            rows = connection.execute("SELECT id, sealed IS NOT NULL, * FROM onebrain.memory").fetchall()
    return [(id, bool(sealed), columns) for id, sealed, *columns in rows]


def test_what_was_in_clear_leaves_no_trace_in_an_sqlite_file_once_it_is_sealed(tmp_path):
    url = f"sqlite:///{tmp_path}/brain.db"
    with onebrain.connect(url) as brain:
        brain.store_many([secret_memory("one", embedding=VECTOR)]).raise_for_failures()
    assert leaks(tmp_path)
    with onebrain.connect(url, encryption_key=KEY) as brain:
        brain.update("one", pinned=True)
    assert leaks(tmp_path) == set()


@pytest.mark.parametrize("table", ["memory", "vector"])
def test_a_record_moved_to_another_row_does_not_open(tmp_path, table):
    url = f"sqlite:///{tmp_path}/brain.db"
    with onebrain.connect(url, encryption_key=KEY) as brain:
        brain.store_many([secret_memory(f"id{n}", embedding=VECTOR) for n in range(2)]).raise_for_failures()
    column = "sealed" if table == "memory" else "data"
    connection = sqlite3.connect(tmp_path / "brain.db")
    first, second = connection.execute(f"SELECT row, {column} FROM {table} ORDER BY row").fetchall()
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE row = ?", (first[1], second[0]))
    connection.commit()
    connection.close()
    with (
        onebrain.connect(url, encryption_key=KEY) as brain,
        pytest.raises(DatabaseCorrupt, match="changed or moved") as caught,
    ):
        brain.get_many(["id0", "id1"], with_embeddings=True)
    assert SECRETS["content"] not in str(caught.value)


def test_a_record_of_another_tenant_does_not_open(tmp_path):
    url = f"sqlite:///{tmp_path}/brain.db"
    for tenant in ("acme", "globex"):
        with onebrain.connect(url, tenant=tenant, encryption_key=KEY) as brain:
            brain.store_many([secret_memory("id0")]).raise_for_failures()
    connection = sqlite3.connect(tmp_path / "brain.db")
    connection.execute("UPDATE space SET tenant = tenant || ' stolen' WHERE tenant = 'globex'")
    connection.execute("UPDATE space SET tenant = 'globex' WHERE tenant = 'acme'")
    connection.execute("UPDATE memory SET tenant = 'globex' WHERE tenant = 'acme'")
    connection.commit()
    connection.close()
    with (
        onebrain.connect(url, tenant="globex", encryption_key=KEY) as brain,
        pytest.raises(DatabaseCorrupt),
    ):
        brain.list().__next__()


def test_a_copy_of_the_files_opens_with_the_key_and_with_nothing_else(tmp_path):
    url = f"sqlite:///{tmp_path}/a/brain.db"
    with onebrain.connect(url, encryption_key=KEY) as brain:
        brain.store_many([secret_memory("one")]).raise_for_failures()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with onebrain.connect(f"sqlite:///{tmp_path}/b/brain.db", encryption_key=KEY.upper()) as brain:
        assert brain.get("one").source == SECRETS["source"]


def test_a_brain_with_a_key_does_not_travel_in_a_pickle(tmp_path):
    import pickle

    with (
        onebrain.connect(f"sqlite:///{tmp_path}/brain.db", encryption_key=KEY) as brain,
        pytest.raises(TypeError, match="encryption_key"),
    ):
        pickle.dumps(brain)
