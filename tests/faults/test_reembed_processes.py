"""Several processes write and search a space while another one gives it a new embedder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import onebrain
from onebrain import Scope

PROCESSES, EARLIER = 8, 400
SPACE = Scope(space="s")

EMBEDDER = '''
import hashlib
import numpy as np

class Hashed:
    """An embedder of words by their digests; texts of other words are unlike."""

    def __init__(self, name, dimension):
        self.name, self.dimension = name, dimension
        self.fingerprint = f"hashed:{name}:{dimension}"

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text):
        vector = np.zeros(self.dimension)
        for word in text.lower().split():
            seed = hashlib.sha256(f"{self.name} {word}".encode()).digest()[:8]
            vector += np.random.default_rng(int.from_bytes(seed, "big")).standard_normal(self.dimension)
        return vector
'''

# It stores and searches until the embedder has changed, goes on with the new one, and ends after twenty more.
WORKER = """
import json, sys, time
import onebrain
from hashed import Hashed
from onebrain import EmbedderMismatch, Scope

options, number = json.loads(sys.argv[1]), int(sys.argv[2])
SPACE = Scope(space="s")
brain = onebrain.connect(**options, embedder=Hashed("old", 64))
stored, problems, changed, count, more = {}, [], False, 0, 20
print("ready", flush=True)
sys.stdin.readline()
deadline = time.monotonic() + 240
while more and time.monotonic() < deadline:
    text = f"by{number}x{count} lighthouse"
    try:
        id = brain.store(text, scope=SPACE).id
        stored[id] = text
        found = brain.search(text, scope=SPACE, mode="vector", limit=1)[0]
        if found.id != id:
            problems.append(f"{text} found {found.content}, changed {changed}")
        found = brain.search(text, scope=SPACE, mode="keyword", limit=1)[0]
        if found.id != id:
            problems.append(f"{text} found by words {found.content}, changed {changed}")
        more -= changed
    except EmbedderMismatch as error:
        if changed:
            problems.append(repr(error))
        changed = True
        brain.close()
        brain = onebrain.connect(**options, embedder=Hashed("new", 96))
    except Exception as error:
        problems.append(repr(error))
    count += 1
brain.close()
print(json.dumps({"stored": stored, "problems": problems[:5], "changed": changed}), flush=True)
"""


@pytest.fixture(params=["sealed", "postgresql"])
def options(request, tmp_path):
    if request.param == "postgresql":
        return {"url": request.getfixturevalue("postgres").new_database()}
    key = {"encryption_key": "0f" * 32} if request.param == "sealed" else {}
    return {"url": f"sqlite:///{tmp_path}/brain.db", **key}


@pytest.fixture
def hashed(tmp_path, monkeypatch) -> Path:
    (tmp_path / "hashed.py").write_text(EMBEDDER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield
    sys.modules.pop("hashed", None)


@pytest.mark.usefixtures("hashed")
def test_eight_processes_keep_what_they_write_while_the_embedder_changes(options):
    from hashed import Hashed

    workers = []
    try:
        with onebrain.connect(**options, embedder=Hashed("old", 64)) as brain:
            brain.store_many([f"fact{n} about tea" for n in range(EARLIER)], scope=SPACE)
            workers += [
                subprocess.Popen(
                    [sys.executable, "-c", WORKER, json.dumps(options), str(number)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for number in range(PROCESSES)
            ]
            for worker in workers:
                assert worker.stdout.readline() == "ready\n"
            for worker in workers:
                worker.stdin.write("go\n")
                worker.stdin.flush()
            assert brain.reembed(embedder=Hashed("new", 96)).count >= EARLIER
        reports = [json.loads(worker.communicate(timeout=300)[0]) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert [(report["problems"], report["changed"]) for report in reports] == [([], True)] * PROCESSES
    stored = {id: text for report in reports for id, text in report["stored"].items()}
    new = Hashed("new", 96)
    with onebrain.connect(**options, embedder=new) as brain:
        memories = list(brain.list(scope=SPACE, with_embeddings=True))
        assert {memory.id: memory.content for memory in memories if memory.id in stored} == stored
        assert len(memories) == EARLIER + len(stored)
        for memory in memories:
            expected = new.embed_query(memory.content)
            assert np.allclose(memory.embedding, expected / np.linalg.norm(expected), atol=1e-5)
        for id, text in stored.items():
            assert brain.search(text, scope=SPACE, mode="vector", limit=1)[0].id == id
