"""PostgreSQL goes away and comes back under load: errors are typed and short, and nothing is lost or doubled."""

from __future__ import annotations

import threading
import time

import httpx
import psycopg
import pytest

import onebrain
from onebrain.errors import OneBrainConnectionError
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

SECRET = "walrus"
THREADS = 6


@pytest.fixture(scope="module")
def url(cluster):
    with psycopg.connect(cluster.admin_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    return cluster.admin_url


class Load:
    """Threads that store under ids of their own, and again until each is acknowledged; others search."""

    def __init__(self, brain) -> None:
        self.brain = brain
        self.acknowledged: dict[str, list[str]] = {}
        self.errors: list[Exception] = []
        self.strange: list[BaseException] = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(THREADS)]
        self._threads += [threading.Thread(target=self._search) for _ in range(2)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Wait until so many more memories are acknowledged."""
        goal = len(self.acknowledged) + more
        deadline = time.monotonic() + 180
        while len(self.acknowledged) < goal:
            assert time.monotonic() < deadline, self.errors[-3:] + self.strange
            time.sleep(0.01)

    def _write(self, number: int) -> None:
        count = 0
        while not self.stopping.is_set():
            id = f"{number}-{count}"
            try:
                results = self.brain.store_many(
                    [{"content": f"{SECRET} {id}", "id": id}]
                ).raise_for_failures()
            except OneBrainConnectionError as error:
                self.errors.append(error)
                time.sleep(0.02)
                continue
            except BaseException as error:
                self.strange.append(error)
                return
            with self._lock:
                self.acknowledged[id] = [result.status for result in results]
            count += 1

    def _search(self) -> None:
        while not self.stopping.is_set():
            try:
                self.brain.search(SECRET, mode="keyword", limit=5)
            except OneBrainConnectionError as error:
                self.errors.append(error)
                time.sleep(0.02)
            except BaseException as error:
                self.strange.append(error)
                return


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_service_resumes_by_itself_when_the_server_is_back(cluster, url, new_tenant, mode):
    tenant = new_tenant()
    with onebrain.connect(url, tenant=tenant, embedder=None) as brain:
        with Load(brain) as load:
            load.wait_for(50)
            cluster.stop(mode)
            cluster.start()
            load.wait_for(50)
        assert load.strange == []
        assert load.errors, "the restart was not noticed"
        for error in load.errors:
            assert SECRET not in repr(error)
            assert len(str(error)) < 400
            assert error.__cause__ is None
        listed = [memory.id for memory in brain.list(order="sequence")]
    with onebrain.connect(url, tenant=tenant, embedder=None) as fresh:
        kept = [memory.id for memory in fresh.list(order="sequence")]
    assert kept == listed
    assert len(kept) == len(set(kept))
    # What a thread was writing when it was told to stop may have been kept without an answer.
    assert set(load.acknowledged) <= set(kept)
    assert len(kept) <= len(load.acknowledged) + THREADS


def test_an_answer_lost_while_committing_is_called_in_doubt(cluster, url, new_tenant):
    tenant = new_tenant()
    with onebrain.connect(url, tenant=tenant, embedder=None) as brain:
        brain.store("before")

        def write_while_the_server_goes():
            with brain.driver.engine.store.writing() as write:
                write.open_space(tenant, "half")
                cluster.stop("immediate")

        with pytest.raises(OneBrainConnectionError) as caught:
            write_while_the_server_goes()
        assert caught.value.in_doubt
        cluster.start()
        assert brain.count() == 1


def test_our_server_answers_503_while_its_database_is_away_and_loses_nothing(cluster, url):
    """Clients send each write with an idempotency key, again until it is acknowledged, as ours do."""
    settings = Settings(database_url=url, rate_limit_max=0, log_level="error")
    acknowledged: list[str] = []
    refusals: list[httpx.Response] = []
    strange: list[object] = []
    stopping = threading.Event()

    def write(number: int, live) -> None:
        count = 0
        headers = {"authorization": f"ApiKey {live.key}"}
        with httpx.Client(base_url=live.url, headers=headers, timeout=180) as client:
            while not stopping.is_set():
                text = f"{SECRET} {number}-{count}"
                try:
                    answer = client.post(
                        "/v1/memory", json={"body": text}, headers={"idempotency-key": text.replace(" ", "-")}
                    )
                except httpx.HTTPError as error:
                    strange.append(error)
                    return
                if answer.status_code == 201:
                    acknowledged.append(text)
                    count += 1
                elif answer.status_code in (409, 503):
                    # 409: the first try is still at work.
                    refusals.append(answer)
                    time.sleep(0.05)
                else:
                    strange.append((answer.status_code, answer.text))
                    return

    def wait_for(more: int) -> None:
        goal, deadline = len(acknowledged) + more, time.monotonic() + 180
        while len(acknowledged) < goal:
            assert time.monotonic() < deadline, strange
            assert not strange
            time.sleep(0.01)

    with live_server(settings) as live:
        threads = [threading.Thread(target=write, args=(number, live)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            wait_for(50)
            cluster.stop("immediate")
            cluster.start()
            wait_for(50)
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
        assert strange == []
        assert any(answer.status_code == 503 for answer in refusals), "the restart was not noticed"
        for answer in refusals:
            assert "retry-after" in answer.headers
            assert SECRET not in answer.text
            assert len(answer.text) < 400
        with httpx.Client(base_url=live.url, headers={"authorization": f"ApiKey {live.key}"}) as client:
            kept, cursor = [], None
            while True:
                page = client.get(
                    "/v1/memory", params={"limit": 100, **({"cursor": cursor} if cursor else {})}
                )
                kept += [row["body"] for row in page.json()["data"]]
                cursor = page.json()["meta"]["pagination"]["cursor"]
                if cursor is None:
                    break
    assert len(kept) == len(set(kept))
    assert set(acknowledged) <= set(kept)
    assert len(kept) <= len(acknowledged) + THREADS
