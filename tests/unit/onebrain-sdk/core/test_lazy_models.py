from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, threading
from onebrain import Hit, Memory, NewMemory, Scope
sys.setswitchinterval(1e-6)  # threads take turns in the middle of everything
start, failures = threading.Barrier(4), []

def use():
    start.wait()
    try:
        scope = Scope(session="s")
        assert NewMemory(content="x", scope=scope) == NewMemory.model_validate({"content": "x", "scope": scope})
        Hit(memory=Memory(id="a", content="b"), score=0.5).model_dump()
    except Exception as error:
        failures.append(f"{type(error).__name__}: {error}")

threads = [threading.Thread(target=use) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit("; ".join(failures) or None)
"""


def test_threads_that_come_for_the_first_use_at_once_all_find_whole_models():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
