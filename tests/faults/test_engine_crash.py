"""A writer is killed at random moments: whatever it was told is stored must be there, and the file must open."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest

import onebrain
from onebrain import Scope

ROUNDS = 50
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

# Forks a writer for each line it reads, so that Python and the engine are loaded only once. The writer acknowledges
# each store on its own line; the parent kills it as many milliseconds after its first store as the line said, and every
# fifth one after that time from its start, so that opening is hit, too.
WRITERS = """
import os, signal, sys, time
import onebrain
from onebrain import Scope
from onebrain_engine.wordllama import default_embedder

url = sys.argv[1]
default_embedder().embed_documents(["loaded", "before the first fork"])
for line in sys.stdin:
    number, milliseconds = line.split()
    begun, begin = os.pipe()
    child = os.fork()
    if child == 0:
        brain = onebrain.connect(url)
        count = 0
        while True:
            if count % 7 == 3:
                batch = [{"content": f"batch {number} {count} {n} lantern"} for n in range(20)]
                ids = [result.id for result in brain.store_many(batch, scope=Scope(user="batch"))]
                text = f"batch {number} {count}"
            else:
                text = f"writer {number} memory {count} lighthouse"
                ids = [brain.store(text, scope=Scope(user="one"), metadata={"n": count}).id]
            os.write(1, ("ack " + " ".join(ids) + "|" + text + "\\n").encode())
            if count == 0:
                os.write(begin, b"1")
            count += 1
    if int(number) % 5:
        os.read(begun, 1)
    os.close(begun), os.close(begin)
    time.sleep(int(milliseconds) / 1000)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.write(1, b"killed\\n")
"""


def test_every_acknowledged_memory_survives_a_killed_writer(tmp_path):
    url = f"sqlite:///{tmp_path}/brain.db"
    rng = random.Random(20261120)
    acknowledged: dict[str, str] = {}
    with subprocess.Popen(
        [sys.executable, "-c", WRITERS, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as writers:
        assert writers.stdin is not None
        assert writers.stdout is not None
        for number in range(ROUNDS):
            writers.stdin.write(f"{number} {rng.randint(20, 220)}\n")
            writers.stdin.flush()
            for line in writers.stdout:
                if line == "killed\n":
                    break
                ids, _, text = line.removeprefix("ack ").rstrip("\n").partition("|")
                acknowledged.update(dict.fromkeys(ids.split(), text))
            if number % 10 == 9:
                check(url, acknowledged)
        writers.stdin.close()
    assert len(acknowledged) > ROUNDS
    check(url, acknowledged)


def check(url: str, acknowledged: dict[str, str]) -> None:
    """Every acknowledged memory is there with its text; search and content agree; batches are whole."""
    with onebrain.connect(url) as brain:
        there = {memory.id: memory for memory in brain.list(scope=Scope())}
        missing = acknowledged.keys() - there.keys()
        assert not missing
        assert all(there[id].content.startswith(text) for id, text in acknowledged.items())
        batches: dict[str, int] = {}
        for memory in brain.list(scope=Scope(user="batch")):
            name = memory.content.rsplit(" ", 2)[0]
            batches[name] = batches.get(name, 0) + 1
        assert set(batches.values()) <= {20}
        found = brain.search("lighthouse", scope=Scope(user="one"), mode="keyword", limit=len(there) + 1)
        assert {hit.id for hit in found} == {id for id, memory in there.items() if memory.scope.user == "one"}
        for hit in found:
            assert hit.content == there[hit.id].content


FORKED = """
import json, os, sys
import onebrain

def seats():
    return sorted(hit.content for hit in brain.search("seats"))

with onebrain.connect(sys.argv[1]) as brain:
    brain.store("Maria prefers window seats")
    assert len(brain.search("window")) == 1
    child = os.fork()
    if child == 0:
        try:
            brain.store("Jon prefers aisle seats")
            answer = seats()
        except BaseException as error:
            answer = repr(error)
        print(json.dumps(answer), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(json.dumps(seats()))
"""


def test_a_brain_works_again_in_a_forked_child(tmp_path, program):
    child, parent = map(json.loads, program(FORKED, f"sqlite:///{tmp_path}/brain.db").splitlines())
    assert child == parent == ["Jon prefers aisle seats", "Maria prefers window seats"]
