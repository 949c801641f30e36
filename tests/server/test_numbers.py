"""Whole numbers, however a language writes them."""

from __future__ import annotations

import pytest

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("number", ["2", "2.0", "20e-1", "0.2E1"])
def test_a_whole_number_may_be_written_as_a_fraction(client, number):
    answer = client.post("/v1/memory/search", content=f'{{"query": "tea", "top_k": {number}}}', headers=JSON)
    assert answer.status_code == 200


def test_a_body_with_such_a_number_is_otherwise_read_as_it_is(client):
    made = client.post(
        "/v1/memory",
        headers=JSON,
        content='{"content": "gr\\u00fcn", "metadata": {"year": 2026.0}, "pinned": true}',
    ).json()["data"]
    listed = client.post(
        "/v1/memory/query", headers=JSON, content='{"limit": 3.0, "filter": {"year": {"$eq": 2026.0}}}'
    ).json()["data"]
    assert [row["id"] for row in listed] == [made["id"]]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("2.5", "Input should be a valid integer"),
        ("51.0", "Number must be less than or equal to 50"),
        ("1e300", "Number must be less than or equal to 50"),
        ("1e400", "Input should be a valid integer"),
        ('"2.0"', "Input should be a valid integer"),
        ("true", "Input should be a valid integer"),
    ],
)
def test_what_is_no_such_number_is_refused(client, number, message):
    answer = client.post("/v1/memory/search", content=f'{{"query": "tea", "top_k": {number}}}', headers=JSON)
    assert answer.status_code == 400
    [issue] = answer.json()["error"]["details"]
    assert (issue["path"], issue["message"]) == (["top_k"], message)


@pytest.mark.parametrize("number", ["1e300", "-1e39", "1e400"])
@pytest.mark.parametrize("path", ["/v1/memory", "/v1/memory/search"])
def test_a_vector_holds_what_single_precision_can_hold(client, path, number):
    body = f'{{"content": "tea", "query": "tea", "embedding": [{number}]}}'
    answer = client.post(path, content=body, headers=JSON)
    assert answer.status_code == 400
    assert [issue["path"] for issue in answer.json()["error"]["details"]] == [["embedding", 0]]
