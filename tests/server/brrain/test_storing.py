"""Storing: what is a duplicate, what is refused, batches, and how much fits."""

from __future__ import annotations

import threading
import uuid

import httpx
import pytest

from onebrain_server.settings import Settings
from onebrain_server.state.tables import idempotency
from onebrain_server.testing import live_server


def store(client, content="the lighthouse", **fields):
    return client.post("/v1/memory/store", json={"content": content, **fields})


# ---- the same content -----------------------------------------------------------------------------------------------


def test_the_same_text_in_a_workspace_is_refused_and_the_first_one_named(client, refused):
    id = client.stored("the lighthouse", metadata={"category": "a"})
    error = refused(store(client, metadata={"category": "b"}), 409, "duplicate_content")
    assert error["existing_id"] == id
    assert client.get(f"/v1/memory/{id}").json()["metadata"] == {"category": "a"}


def test_the_same_text_is_allowed_in_another_workspace(client):
    ids = {client.stored("the lighthouse", workspace_id=workspace) for workspace in ("ws_a", "ws_b")}
    assert len(ids | {client.stored("the lighthouse")}) == 3


def test_a_text_that_differs_in_a_space_is_another_one(client):
    assert client.stored("the lighthouse") != client.stored("the lighthouse ")


def test_a_deleted_text_may_be_stored_again(client):
    id = client.stored("the lighthouse", metadata={"category": "old"})
    client.delete(f"/v1/memory/{id}")
    again = client.stored("the lighthouse", metadata={"category": "new"})
    assert client.get(f"/v1/memory/{again}").json()["metadata"] == {"category": "new"}
    assert client.found("lighthouse") == [again]


def test_of_many_that_store_a_text_at_once_one_succeeds(client, key, address):
    headers = {"authorization": f"Bearer {key}"}
    answers = []

    def send():
        body = {"content": "the lighthouse", "idempotency_key": uuid.uuid4().hex}
        answers.append(httpx.post(f"{address}/v1/memory/store", json=body, headers=headers))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert len(client.found("lighthouse")) == 1


# ---- idempotency ----------------------------------------------------------------------------------------------------


def test_a_repeated_request_is_refused_and_its_memory_named(client, refused):
    id = client.stored("the lighthouse", idempotency_key="k1")
    error = refused(store(client, idempotency_key="k1"), 409, "duplicate_request")
    assert error["existing_id"] == id


@pytest.mark.parametrize(
    "other",
    [{"content": "another"}, {"metadata": {"a": 1}}, {"ttl_seconds": 5}, {"workspace_id": "ws_other"}],
)
def test_a_key_for_another_request_is_refused_and_no_memory_named(client, refused, other):
    client.stored("the lighthouse", idempotency_key="k1")
    error = refused(store(client, **{"idempotency_key": "k1", **other}), 409, "idempotency_conflict")
    assert "existing_id" not in error


def test_a_key_stays_used_when_its_memory_is_deleted(client, refused):
    id = client.stored("the lighthouse", idempotency_key="k1")
    client.delete(f"/v1/memory/{id}")
    refused(store(client, idempotency_key="k1"), 409, "duplicate_request")
    assert client.found("lighthouse") == []


def test_a_key_of_a_refused_request_is_not_used(client, refused):
    client.stored("the lighthouse")
    refused(store(client, idempotency_key="k1"), 409, "duplicate_content")
    client.stored("another", idempotency_key="k1")


def test_keys_are_an_accounts_own(client, stranger):
    client.stored("the lighthouse", idempotency_key="k1")
    stranger.stored("another", idempotency_key="k1")


def test_a_key_is_good_again_after_a_day(client, live, tenant, refused):
    client.stored("the lighthouse", idempotency_key="k1")
    account = tenant.name.removesuffix("/brrain")
    # A day is too long to wait.
    with live.server.database.writing(account) as connection:
        mine = idempotency.c.tenant == account
        yesterday = idempotency.c.created_at - 86_400_000_001
        assert connection.execute(idempotency.update().where(mine).values(created_at=yesterday)).rowcount == 1
    client.stored("another", idempotency_key="k1")
    refused(store(client, "a third", idempotency_key="k1"), 409, "idempotency_conflict")


def test_a_server_may_answer_a_repeated_request_as_the_first_time():
    settings = Settings(
        database_url="sqlite://", rate_limit_max=0, log_level="error", brrain_idempotent_replay=True
    )
    with live_server(settings) as live:
        base = live.url + "/compat/brrain"
        with httpx.Client(base_url=base, headers={"authorization": f"Bearer {live.key}"}) as client:
            first = store(client, idempotency_key="k1", metadata={"a": 1})
            again = store(client, idempotency_key="k1", metadata={"a": 1})
            assert (again.status_code, again.json()) == (201, first.json())
            assert store(client, "another", idempotency_key="k1").status_code == 409
            batch = {
                "memories": [{"content": "the lighthouse", "metadata": {"a": 1}, "idempotency_key": "k1"}]
            }
            answer = client.post("/v1/memory/batch", json=batch)
            assert answer.json()["results"] == [{"id": first.json()["id"], "status": "stored"}]


# ---- batches --------------------------------------------------------------------------------------------------------


def test_one_bad_memory_of_a_batch_fails_alone_and_says_why(client):
    id = client.stored("known")
    answer = client.post(
        "/v1/memory/batch",
        json={
            "memories": [
                {"content": "one"},
                {"content": ""},
                {"content": "known"},
                {"content": "one"},
                {"content": "two", "ttl": 5},
                {"content": "two", "workspace_id": "ws_a", "ttl_seconds": 60, "idempotency_key": "k"},
                {"content": "three", "idempotency_key": "k"},
            ]
        },
    )
    assert answer.status_code == 200
    body = answer.json()
    assert (body["stored"], body["failed"]) == (2, 5)
    assert [item["status"] for item in body["results"]] == [
        "stored", "failed", "failed", "failed", "failed", "stored", "failed",
    ]  # fmt: skip
    failures = {item["index"]: item["error"] for item in body["results"] if item["status"] == "failed"}
    assert {index: error["code"] for index, error in failures.items()} == {
        1: "validation_error",
        2: "duplicate_content",
        3: "duplicate_content",
        4: "validation_error",
        6: "idempotency_conflict",
    }
    assert failures[2]["existing_id"] == id
    assert failures[3]["existing_id"] == body["results"][0]["id"]
    assert "ttl" in failures[4]["message"]
    assert client.get(f"/v1/memory/{body['results'][5]['id']}").json()["workspace_id"] == "ws_a"


def test_a_repeated_batch_names_what_it_stored(client):
    batch = {"memories": [{"content": f"text {n}", "idempotency_key": f"k{n}"} for n in range(3)]}
    first = client.post("/v1/memory/batch", json=batch).json()
    again = client.post("/v1/memory/batch", json=batch)
    assert again.status_code == 200
    assert [item["error"]["existing_id"] for item in again.json()["results"]] == [
        item["id"] for item in first["results"]
    ]


@pytest.mark.parametrize("memories", [[], [{"content": "x"}] * 101, "x", [1], None])
def test_a_batch_of_the_wrong_shape_is_refused_whole(client, refused, memories):
    refused(client.post("/v1/memory/batch", json={"memories": memories}), 400, "validation_error")


def test_a_hundred_are_stored_at_once(client):
    batch = {"memories": [{"content": f"lighthouse {n}"} for n in range(100)]}
    answer = client.post("/v1/memory/batch", json=batch)
    assert (answer.status_code, answer.json()["stored"]) == (201, 100)
    assert len(client.found("lighthouse", limit=100)) == 100


def test_an_account_that_registered_itself_stores_what_its_plan_allows():
    settings = Settings(
        database_url="sqlite://", rate_limit_max=0, log_level="error", free_plan={"memories": 2}
    )
    with live_server(settings) as live:
        headers = {"authorization": f"Bearer {live.account('free@example.com', plan='free')}"}
        with httpx.Client(base_url=live.url + "/compat/brrain", headers=headers) as client:
            batch = {"memories": [{"content": text} for text in ("one", "one", "two", "three")]}
            results = client.post("/v1/memory/batch", json=batch).json()["results"]
            assert [item.get("error", {}).get("code") for item in results] == [
                None, "duplicate_content", None, "quota_exceeded",
            ]  # fmt: skip
            assert store(client, "three").status_code == 403
            assert client.get("/v1/memory/retrieve", params={"q": "one"}).json()["total"] == 2


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "content"),
        ({"content": ""}, "content"),
        ({"content": None}, "content"),
        ({"content": 5}, "content"),
        ({"content": "ü" * 524_289}, "1048576"),
        ({"content": "x", "ttl_seconds": 0}, "ttl_seconds"),
        ({"content": "x", "ttl_seconds": "60"}, "ttl_seconds"),
        ({"content": "x", "ttl_seconds": True}, "ttl_seconds"),
        ({"content": "x", "metadata": []}, "metadata"),
        ({"content": "x", "metadata": {"tags": "a"}}, "tags"),
        ({"content": "x", "metadata": {"tags": [1]}}, "tags"),
        ({"content": "x", "metadata": {"category": 1}}, "category"),
        ({"content": "x", "workspace_id": " "}, "workspace_id"),
        ({"content": "x", "idempotency_key": ""}, "idempotency_key"),
        ({"content": "x", "text": "y"}, "text"),
        ([], "object"),
    ],
)
def test_a_wrong_memory_is_refused_and_the_field_named(client, refused, body, named):
    assert named in refused(client.post("/v1/memory/store", json=body), 400, "validation_error")["message"]
    assert client.found("x") == []


def test_a_megabyte_of_utf8_is_stored(client):
    content = "ü" * 524_288
    answer = store(client, content)
    assert (answer.status_code, answer.json()["byte_size"]) == (201, 1_048_576)
    assert client.get(f"/v1/memory/{answer.json()['id']}").json()["content"] == content


def test_a_request_that_no_server_would_read_is_refused_as_the_document_says(client, refused):
    error = refused(store(client, "x" * (13 * 1024 * 1024)), 400, "validation_error")
    assert "KB" in error["message"]


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "validation_error"),
        (b"", "application/json", 400, "validation_error"),
        (b"content=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ],
)
def test_a_body_that_is_no_json_is_refused(client, refused, content, media_type, status, code):
    answer = client.post("/v1/memory/store", content=content, headers={"content-type": media_type})
    refused(answer, status, code)


def test_a_failure_does_not_repeat_the_text(client):
    answer = store(client, "a secret text", ttl_seconds="a secret time")
    assert answer.status_code == 400
    assert "secret" not in answer.text
