"""Decision chains and patterns: from the memories alone, by rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest


def ask(client, data, what, **body):
    return data(client.post(f"/api/v1/intelligence/{what}", json=body))


def test_a_chain_is_told_in_order_with_its_decisions(client, create, data):
    texts = [
        ("Q4 prices are too low, says Sarah", "episodic"),
        ("We agreed to raise the Q4 prices by ten percent", "episodic"),
        ("New Q4 prices: 11 instead of 10", "decision"),
        ("Maria prefers window seats", "semantic"),
    ]
    for text, kind in texts:
        create(client, text, kind, tenantId="one")
    found = ask(client, data, "decision-chain", topic="Q4 prices", tenantId="one")
    assert found["topic"] == "Q4 prices"
    assert [(link["step"], link["content"], link["role"]) for link in found["chain"]] == [
        (1, texts[0][0], "context"),
        (2, texts[1][0], "decision"),
        (3, texts[2][0], "decision"),
    ]
    assert all(0.25 <= link["relevance"] <= 1 for link in found["chain"])
    assert ask(client, data, "decision-chain", topic="Q4 prices", tenantId="two")["chain"] == []


def test_a_time_range_is_kept_to(client, create, data):
    create(client, "Q4 prices are too low")
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    for span, count in (
        ({}, 1),
        ({"from": (now - hour).isoformat()}, 1),
        ({"from": (now + hour).isoformat()}, 0),
        ({"to": (now - hour).isoformat()}, 0),
        ({"from": (now - hour).isoformat(), "to": (now + hour).isoformat()}, 1),
        ({"from": (now - hour).replace(tzinfo=None).isoformat(), "to": None}, 1),
    ):
        found = ask(client, data, "decision-chain", topic="Q4 prices", timeRange=span)
        assert len(found["chain"]) == count, span


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, "topic"),
        ({"topic": " "}, "topic"),
        ({"topic": "x", "timeRange": {"from": "soon"}}, "timeRange.from"),
        ({"topic": "x", "timeRange": {"to": "0001-01-01T00:00:00+14:00"}}, "timeRange.to"),
        ({"topic": "x", "timeRange": []}, "timeRange"),
    ],
    ids=str,
)
def test_a_wrong_question_is_refused(client, errors, body, wrong):
    answer = client.post("/api/v1/intelligence/decision-chain", json=body)
    assert errors(answer, 400) == [("VALIDATION_ERROR", wrong)]


def test_patterns_are_tags_and_names_that_return(client, create, data):
    made = [
        create(client, f"Met with Sarah Chen, round {n}", tags=["meeting", f"n{n}"], tenantId="one")
        for n in range(3)
    ]
    create(client, "Met with Sarah Chen again", tags=["meeting"], tenantId="two")
    found = ask(client, data, "implicit-patterns", tenantId="one")
    assert found["analyzed"] == 3
    assert {(row["kind"], *row["values"]): row["occurrences"] for row in found["patterns"]} == {
        ("tag", "meeting"): 3,
        ("entity", "Sarah Chen"): 3,
        ("together", "Sarah Chen", "meeting"): 3,
    }
    row = found["patterns"][0]
    assert row["memoryIds"] == [memory["id"] for memory in reversed(made)]
    assert (row["firstSeen"], row["lastSeen"]) == (made[0]["createdAt"], made[2]["createdAt"])


def test_a_pattern_must_occur_often_enough(client, create, data):
    for _ in range(2):
        create(client, "nothing in particular", tags=["rare"])
    assert ask(client, data, "implicit-patterns") == {"patterns": [], "analyzed": 2}
    found = ask(client, data, "implicit-patterns", minOccurrences=2)["patterns"]
    assert [(row["kind"], row["values"]) for row in found] == [("tag", ["rare"])]


def test_patterns_need_no_body(client, data):
    answer = client.post(
        "/api/v1/intelligence/implicit-patterns", headers={"content-type": "application/json"}
    )
    assert data(answer) == {"patterns": [], "analyzed": 0}
