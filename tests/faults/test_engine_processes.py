"""Several processes, several threads each, write and search one file at once."""

from __future__ import annotations

import json
import subprocess
import sys

import onebrain
from onebrain import Scope

PROCESSES, THREADS, SECONDS = 8, 4, 10

WORKER = """
import json, sys, threading, time
import onebrain
from onebrain import Scope

url, number, threads, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
brain = onebrain.connect(url)
stored, problems, foreign = [], [], set()
lock = threading.Lock()
print("ready", flush=True)
sys.stdin.readline()
deadline = time.monotonic() + seconds

def work(thread):
    count = 0
    try:
        while time.monotonic() < deadline:
            text = f"process {number} thread {thread} memory {count} lighthouse"
            id = brain.store(text, scope=Scope(user=f"p{number}")).id
            with lock:
                stored.append(id)
            mine = brain.search(text, scope=Scope(user=f"p{number}"), limit=500, mode="keyword")
            if id not in {hit.id for hit in mine} and count < 100:
                problems.append(f"own write not found: {text}")
            if count % 5 == 0:
                for memory in brain.page(limit=100, order="-sequence").data:
                    foreign.add(memory.scope.user)
            count += 1
            time.sleep(0.02)
    except Exception as error:
        problems.append(repr(error))

workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
[worker.start() for worker in workers]
[worker.join() for worker in workers]
brain.close()
print(json.dumps({"stored": stored, "problems": problems, "foreign": sorted(foreign)}), flush=True)
"""


def test_no_write_is_lost_and_everybody_sees_everybody(tmp_path):
    url = f"sqlite:///{tmp_path}/brain.db"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, url, str(number), str(THREADS), str(SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        reports = [json.loads(worker.communicate(timeout=300)[0]) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert [report["problems"] for report in reports] == [[]] * PROCESSES
    everyone = [f"p{number}" for number in range(PROCESSES)]
    assert [report["foreign"] for report in reports] == [everyone] * PROCESSES
    stored = {id for report in reports for id in report["stored"]}
    assert len(stored) == sum(len(report["stored"]) for report in reports)
    with onebrain.connect(url) as brain:
        assert {memory.id for memory in brain.list()} == stored
        for number, report in enumerate(reports):
            assert brain.count(scope=Scope(user=f"p{number}")) == len(report["stored"])
