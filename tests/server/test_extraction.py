"""OneBrain's extraction with a language model: what it says is checked, and what fails the checks is done without it."""

from __future__ import annotations

import httpx
import pytest

from onebrain.memory.remembering.chat import ChatModel
from onebrain_server.language_model import LanguageModel, said_in, server_model

TEXT = "Ewa prefers tea. She moved to Utrecht in May."
HOME = {"text": "Ewa moved to Utrecht", "quote": "She moved to Utrecht", "from": 1, "type": "experience"}
LIE = {"text": "Ewa has 7 cats", "quote": "Ewa prefers tea", "from": 1}
BY_RULES = ["Ewa prefers tea.", "She moved to Utrecht in May."]


@pytest.fixture
def own(clever, request):
    """A client of an account of its own on a server with a model."""
    key = clever.account(f"{abs(hash(request.node.nodeid))}@example.com")
    with httpx.Client(base_url=clever.url, headers={"authorization": f"ApiKey {key}"}) as made:
        yield made


def extract(own, **fields):
    answer = own.post("/v1/memory/ai-extract", json={"text": TEXT, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def parse(own, transcript):
    return own.post("/v1/memory/parse-chat", json={"transcript": transcript}).json()["data"]["candidates"]


def test_what_has_its_quote_is_proposed(own, model):
    model.says = [{"facts": [HOME, LIE]}]
    assert extract(own) == {
        "memories": [
            {
                "title": "Ewa moved to Utrecht",
                "body": "Ewa moved to Utrecht",
                "type": "experience",
                "confidence": 0.6,
            }
        ],
        "provider": "gpt-4o-mini",
    }


@pytest.mark.parametrize(
    "says", [[], ["nonsense", "more"], [{"facts": [LIE]}], [{"memories": [{"body": "Ewa lies"}]}] * 2]
)
def test_a_model_that_fails_or_lies_is_done_without(own, model, says):
    model.says = list(says)
    answer = extract(own, store=True)
    assert answer["provider"] == "fallback"
    assert [row["body"] for row in answer["memories"]] == BY_RULES


def test_an_answer_that_is_no_json_is_asked_for_once_more(own, model):
    model.says = ["Certainly!", {"facts": [HOME]}]
    assert [row["body"] for row in extract(own)["memories"]] == ["Ewa moved to Utrecht"]
    assert len(model.asked) == 2


def test_the_same_call_stores_once_and_asks_once(own, model):
    model.says = [{"facts": [HOME]}]
    first = extract(own, store=True)
    assert extract(own, store=True) == first
    assert len(model.asked) == 1
    assert [row["body"] for row in own.get("/v1/memory").json()["data"]] == ["Ewa moved to Utrecht"]
    # Other tags make it another call.
    model.says = [{"facts": []}]
    assert extract(own, store=True, tags=["x"])["memories"] == []


def test_a_chat_is_read_without_the_words_of_an_assistant(own, model):
    model.says = [{"facts": [{"text": "Ewa left on 2024-11-12", "quote": "I left yesterday", "from": 2}]}]
    chat = "[2024-11-13 10:00] Ewa: Hi!\n[2024-11-13 10:01] Ewa: I left yesterday.\nAssistant: I love that."
    assert [row["body"] for row in parse(own, chat)] == ["Ewa left on 2024-11-12"]
    assert "love that" not in model.heard[-1]
    model.says = []
    assert [row["body"] for row in parse(own, "User: I prefer dark mode.\nAI: Noted.")] == [
        "I prefer dark mode."
    ]


def test_an_entity_that_the_text_does_not_name_is_left_out(own, model):
    memory = own.post("/v1/memory", json={"body": "Ewa moved to Utrecht"}).json()["data"]["id"]
    for named, expected in (
        (["Ewa", "Max"], ["Ewa"]),
        (["Max"], ["Ewa", "Utrecht"]),
    ):
        model.says = [{"entities": [{"name": name, "type": "person"} for name in named]}]
        found = own.post("/v1/entities/auto-extract", json={"memoryId": memory}).json()["data"]
        assert [row["name"] for row in found["extracted"]] == expected


def test_a_model_that_does_not_answer_in_time_gives_nothing(unanswering):
    model = LanguageModel(ChatModel(unanswering, "slow", timeout=0.05))
    assert model.proposals([said_in(TEXT)]) is None
    assert model.entities(TEXT) is None
    assert model.chat([{"role": "user", "content": TEXT}]) is None
    model.close()


def test_an_operators_url_may_hold_a_user_and_a_password(model):
    model.says = ["Hello"]
    made = server_model(model.url.replace("http://", "http://maria:a%40b@"), api_key=None, name="m")
    assert made.complete("Be brief.", "Hi") == "Hello"
    assert model.keys == ["Basic bWFyaWE6YUBi"]
    assert [message["role"] for message in model.asked[0]["messages"]] == ["system", "user"]
    made.close()
