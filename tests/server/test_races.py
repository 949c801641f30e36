"""Requests that store the same at the same moment, at two replicas on PostgreSQL and on SQLite: one does, none fails."""

from __future__ import annotations

import collections
import threading
import uuid
from contextlib import ExitStack

import httpx
import pytest

from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

AT_ONCE = 6
ROUNDS = 3


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def addresses(request, tmp_path_factory):
    """Return addresses of one database, and a key of an account that may do everything."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('races')}/server.db"
        else:
            url = request.getfixturevalue("postgres").new_database()
        settings = Settings(database_url=url, rate_limit_max=0, log_level="error")
        replicas = [
            stack.enter_context(live_server(settings)) for _ in range(1 + (request.param != "sqlite"))
        ]
        key = replicas[0].account(f"{uuid.uuid4().hex}@example.com")
        yield [replica.url for replica in replicas], key


def at_once(addresses, path, body, *, headers=None, method="POST"):
    """Send one request several times at the same moment; return the answers."""
    urls, key = addresses
    barrier = threading.Barrier(AT_ONCE)
    answers, failures = [], []
    both = {"authorization": f"Bearer {key}", "x-api-key": key, **(headers or {})}

    def send(number):
        try:
            with httpx.Client(base_url=urls[number % len(urls)], headers=both, timeout=120) as client:
                client.get("/health")
                barrier.wait(60)
                answers.append(client.request(method, path, json=body(number) if callable(body) else body))
        except Exception as error:
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return answers


def statuses(answers):
    return collections.Counter(answer.status_code for answer in answers)


@pytest.mark.parametrize(
    ("path", "body", "first", "others"),
    [
        (
            "/v1/auth/register",
            lambda name: {"email": f"{name}@example.com", "password": "password1"},
            201,
            409,
        ),
        ("/v1/tags", lambda name: {"name": name}, 201, 409),
        ("/v1/entities", lambda name: {"name": name, "type": "person"}, 201, 409),
        # Names of projects need not differ, and an agent that registers again is the same agent.
        ("/v1/projects", lambda name: {"name": name}, 201, 201),
        ("/compat/ai-memory/api/v1/agents", lambda name: {"agent_id": name, "agent_type": "human"}, 201, 201),
        ("/compat/rememberos/v1/memory/collections", lambda name: {"name": name}, 201, 400),
    ],
)
def test_one_name_is_taken_once_and_nobody_gets_a_server_error(addresses, path, body, first, others):
    for _ in range(ROUNDS):
        answers = at_once(addresses, path, body(f"n{uuid.uuid4().hex[:12]}"))
        assert sorted(answer.status_code for answer in answers) == sorted([first, *[others] * (AT_ONCE - 1)])


def test_a_name_that_two_records_change_to_at_once_is_one_ones(addresses):
    urls, key = addresses
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=urls[0], headers=headers, timeout=120) as client:
        for _ in range(ROUNDS):
            made = [
                client.post("/v1/entities", json={"name": uuid.uuid4().hex, "type": "person"}).json()["data"][
                    "id"
                ]
                for _ in range(AT_ONCE)
            ]
            name = uuid.uuid4().hex
            barrier = threading.Barrier(AT_ONCE)
            found = []

            def rename(number, name=name, made=made, barrier=barrier, found=found):
                with httpx.Client(base_url=urls[number % len(urls)], headers=headers, timeout=120) as one:
                    one.get("/health")
                    barrier.wait(60)
                    found.append(one.patch(f"/v1/entities/{made[number]}", json={"name": name}).status_code)

            threads = [threading.Thread(target=rename, args=(number,)) for number in range(AT_ONCE)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(found) == [200, *[409] * (AT_ONCE - 1)]


def test_a_link_that_is_made_twice_at_once_is_there_once(addresses):
    urls, key = addresses
    with httpx.Client(base_url=urls[0], headers={"authorization": f"Bearer {key}"}, timeout=120) as client:
        memory = client.post("/v1/memory", json={"body": "Maria"}).json()["data"]["id"]
        entity = client.post("/v1/entities", json={"name": uuid.uuid4().hex, "type": "person"}).json()[
            "data"
        ]["id"]
        body = {"memoryItemId": memory, "linkType": "about"}
        found = statuses(at_once(addresses, f"/v1/entities/{entity}/links", body))
        assert found == {201: 1, 409: AT_ONCE - 1}
        tagged = statuses(at_once(addresses, f"/v1/memory/{memory}/tags", {"tags": [uuid.uuid4().hex]}))
        assert all(status < 500 for status in tagged), tagged


def test_a_memory_with_an_id_of_its_own_is_stored_once(addresses):
    for _ in range(ROUNDS):
        id = str(uuid.uuid4())
        answers = at_once(addresses, "/v1/memory", {"id": id, "type": "fact", "body": "the same"})
        assert set(statuses(answers)) <= {200, 201, 409}
        assert {answer.json()["data"]["id"] for answer in answers if answer.status_code < 300} == {id}


def test_repetitions_of_a_request_with_one_key_are_one_request(addresses):
    urls, key = addresses
    for _ in range(ROUNDS):
        text = uuid.uuid4().hex
        answers = at_once(addresses, "/v1/memory", {"body": text}, headers={"idempotency-key": text})
        assert set(statuses(answers)) <= {201, 409}
        assert len({answer.json()["data"]["id"] for answer in answers if answer.status_code == 201}) == 1
        with httpx.Client(
            base_url=urls[-1], headers={"authorization": f"Bearer {key}"}, timeout=120
        ) as client:
            again = client.post("/v1/memory", json={"body": text}, headers={"idempotency-key": text})
            assert again.status_code == 201
            rows = client.get("/v1/memory", params={"limit": 100}).json()["data"]
            assert [row["body"] for row in rows].count(text) == 1


def test_one_title_of_ai_memory_is_one_memory(addresses):
    path = "/compat/ai-memory/api/v1/memories"
    for _ in range(ROUNDS):
        title = uuid.uuid4().hex
        answers = at_once(
            addresses, path, lambda number, title=title: {"title": title, "content": f"text {number}"}
        )
        assert {answer.status_code for answer in answers} <= {200, 201}, [answer.text for answer in answers]
        assert len({answer.json()["id"] for answer in answers}) == 1
        found = at_once(addresses, f"{path}?limit=200", None, method="GET")[0].json()["memories"]
        assert [memory["title"] for memory in found].count(title) == 1


def test_one_text_of_brrain_is_one_memory(addresses):
    for _ in range(ROUNDS):
        body = {"content": f"the lighthouse {uuid.uuid4().hex}"}
        answers = at_once(addresses, "/compat/brrain/v1/memory/store", body)
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * (AT_ONCE - 1)


def test_no_change_of_a_list_is_lost(addresses):
    urls, key = addresses
    with httpx.Client(base_url=urls[0], headers={"authorization": f"ApiKey {key}"}, timeout=120) as client:
        for _ in range(ROUNDS):
            memory = client.post("/v1/memory", json={"title": "t", "body": "b", "type": "fact"}).json()[
                "data"
            ]["id"]
            tags = [
                client.post("/v1/tags", json={"name": uuid.uuid4().hex}).json()["data"]["id"]
                for _ in range(AT_ONCE)
            ]
            answers = at_once(
                addresses, f"/v1/memory/{memory}/tags", lambda number, tags=tags: {"tagId": tags[number]}
            )
            assert {answer.status_code for answer in answers} <= {200, 201}, [
                answer.text for answer in answers
            ]
            found = client.get(f"/v1/memory/{memory}").json()["data"]
            assert len(found["tags"]) == AT_ONCE
