"""Several processes on one file: nothing is lost, nothing is there twice, order is kept."""

from __future__ import annotations

import subprocess
import sys

import onebrain
from onebrain_langchain import OneBrainChatMessageHistory, OneBrainStore

WRITER = """
import sys, threading
from langchain_core.messages import HumanMessage
from onebrain_langchain import OneBrainChatMessageHistory, OneBrainStore
url, process = sys.argv[1:]
store = OneBrainStore(url=url)

def write(writer):
    history = OneBrainChatMessageHistory("shared", url=url)
    name = f"{process}{writer}"
    for start in range(0, 1250, 50):
        batch = [HumanMessage(f"{name}-{n}", id=f"{name}-{n}") for n in range(start, start + 50)]
        history.add_messages(batch)
        if start % 250 == 0:
            history.add_messages(batch)  # a retry after a lost answer
    store.put(("writers", process), name, {"n": 1250})
    store.put(("shared",), "last", {"by": name})
    history.close()

threads = [threading.Thread(target=write, args=(writer,)) for writer in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
store.close()
"""


def test_two_processes_with_two_writers_each_share_a_history_and_a_store(url):
    with onebrain.connect(url) as brain:
        OneBrainStore(brain=brain).put(("shared",), "last", {"by": "nobody"})
    command = [sys.executable, "-W", "error", "-c", WRITER, url]
    running = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in "ab"]
    for process in running:
        _, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")
    with onebrain.connect(url) as brain:
        messages = OneBrainChatMessageHistory("shared", brain=brain).messages
        assert len(messages) == 5000
        for name in ("a0", "a1", "b0", "b1"):
            own = [message.content for message in messages if message.content.startswith(f"{name}-")]
            assert own == [f"{name}-{n}" for n in range(1250)]
        store = OneBrainStore(brain=brain)
        assert store.list_namespaces(prefix=("writers",)) == [("writers", "a"), ("writers", "b")]
        assert {item.key for item in store.search(("writers",))} == {"a0", "a1", "b0", "b1"}
        assert store.get(("shared",), "last").value["by"] in {"a0", "a1", "b0", "b1"}
