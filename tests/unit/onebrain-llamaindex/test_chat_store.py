"""Both chat stores: order, round trips, atomic replacement, concurrency."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from blockbuster import blockbuster_ctx
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.storage.chat_store.base_db import MessageStatus

import onebrain
from onebrain import ConfigurationError, OneBrainValidationError, Scope
from onebrain_llamaindex import AsyncOneBrainChatStore, OneBrainChatStore

DATA = b"aGVsbG8="
BLOCKS = [
    TextBlock(text="hello"),
    ImageBlock(image=DATA, image_mimetype="image/png", detail="low"),
    ImageBlock(url="https://example.com/a.png"),
    AudioBlock(audio=DATA, format="mp3"),
    VideoBlock(video=DATA, video_mimetype="video/mp4"),
    DocumentBlock(data=DATA, title="a", document_mimetype="application/pdf"),
    CachePoint(cache_control=CacheControl(type="ephemeral")),
    CitableBlock(title="a", source="b", content=[TextBlock(text="quoted")]),
    CitationBlock(
        cited_content=TextBlock(text="c"), source="s", title="t", additional_location_info={"page": 3}
    ),
    ThinkingBlock(content="hmm", num_tokens=2, additional_information={"signature": "x"}),
    ToolCallBlock(
        tool_call_id="call-1", tool_name="search", tool_kwargs={"query": "a", "deep": [1, {"b": None}]}
    ),
]
MESSAGES = [
    *(ChatMessage(role="assistant", blocks=[block]) for block in BLOCKS),
    *(ChatMessage(role=role, content=f"as {role.value}") for role in MessageRole),
    ChatMessage(role="user", blocks=BLOCKS),
    ChatMessage(role="assistant", content=None),
    ChatMessage(role="user", content=""),
    ChatMessage(role="user", content=" \n "),
    ChatMessage(role="tool", content="42", additional_kwargs={"tool_call_id": "call-1", "name": "search"}),
    ChatMessage(
        role="assistant",
        content="Ünïcode 日本語 🧠",
        additional_kwargs={"tool_calls": [{"id": "call-1", "function": {"name": "f", "arguments": "{}"}}]},
    ),
]


def said(text: str, role: str = "user", **kwargs) -> ChatMessage:
    return ChatMessage(role=role, content=text, additional_kwargs=kwargs)


def words(messages) -> list[str]:
    return [message.content for message in messages]


async def test_messages_with_every_block_and_role_come_back_equal(brain, call):
    store = OneBrainChatStore(brain=brain)
    await call(store, "set_messages", "chat", MESSAGES)
    assert await call(store, "get_messages", "chat") == MESSAGES
    for message in MESSAGES:
        await call(store, "add_message", "one by one", message)
    assert await call(store, "get_messages", "one by one") == MESSAGES


async def test_a_chat_is_added_to_cut_and_removed(brain, call):
    store = OneBrainChatStore(brain=brain)
    assert await call(store, "get_messages", "a") == []
    assert await call(store, "delete_messages", "a") is None
    assert await call(store, "delete_last_message", "a") is None
    for text in "12345":
        await call(store, "add_message", "a", said(text))
    await call(store, "add_message", "b", said("other"))
    assert await call(store, "get_keys") == ["a", "b"]
    assert (await call(store, "delete_message", "a", 1)).content == "2"
    assert (await call(store, "delete_message", "a", -2)).content == "4"
    assert await call(store, "delete_message", "a", 9) is None
    assert (await call(store, "delete_last_message", "a")).content == "5"
    assert words(await call(store, "get_messages", "a")) == ["1", "3"]
    assert words(await call(store, "delete_messages", "a")) == ["1", "3"]
    assert await call(store, "get_messages", "a") == []
    assert await call(store, "get_keys") == ["b"]


async def test_setting_replaces_a_chat_and_leaves_nothing_behind(brain, call):
    store = OneBrainChatStore(brain=brain)
    for number in range(3):
        await call(store, "set_messages", "a", [said(f"{number}-{place}") for place in range(4)])
        await call(store, "add_message", "a", said("more"))
    assert words(await call(store, "get_messages", "a")) == ["2-0", "2-1", "2-2", "2-3", "more"]
    # The five, and the marker.
    assert brain.count(scope=Scope(session="a"), include_archived=True) == 6
    await call(store, "set_messages", "a", [])
    assert await call(store, "get_messages", "a") == []
    assert await call(store, "get_keys") == ["a"]
    assert await call(store, "delete_messages", "a") == []
    assert brain.count(scope=Scope(session="a"), include_archived=True) == 0


async def test_setting_that_fails_leaves_the_chat_as_it_was(brain, call):
    store = OneBrainChatStore(brain=brain)
    await call(store, "set_messages", "a", [said("1"), said("2")])
    bad = [said("3"), said("4", broken="\ud800"), said("5")]
    with pytest.raises(OneBrainValidationError):
        await call(store, "set_messages", "a", bad)
    assert words(await call(store, "get_messages", "a")) == ["1", "2"]


def test_a_writer_that_dies_before_the_end_of_setting_changes_nothing(sqlite, monkeypatch):
    store = OneBrainChatStore(brain=sqlite)
    store.set_messages("a", [said("1"), said("2")])
    batches = 0
    original = type(sqlite.driver).store

    def dies(self, items, /):
        nonlocal batches
        batches += 1
        if batches == 2:
            raise KeyboardInterrupt
        return original(self, items)

    monkeypatch.setattr(type(sqlite.driver), "store", dies)
    with pytest.raises(KeyboardInterrupt):
        store.set_messages("a", [said(f"new {number}") for number in range(1500)])
    monkeypatch.undo()
    assert sqlite.count(scope=Scope(session="a"), include_archived=True) > 1000
    assert words(store.get_messages("a")) == ["1", "2"]
    store.add_message("a", said("3"))
    assert words(store.get_messages("a")) == ["1", "2", "3"]
    store.set_messages("a", [said("4")])
    assert words(store.get_messages("a")) == ["4"]
    assert sqlite.count(scope=Scope(session="a"), include_archived=True) == 2


async def test_readers_see_the_old_chat_or_the_new_one(sqlite):
    store = OneBrainChatStore(brain=sqlite)
    chats = [[said(f"{number}") for _ in range(20)] for number in range(12)]
    await store.aset_messages("a", chats[0])
    torn = []

    async def read():
        while not done.is_set():
            seen = words(await store.aget_messages("a"))
            if len(seen) != 20 or len(set(seen)) != 1:
                torn.append(seen)

    done = asyncio.Event()
    readers = [asyncio.create_task(read()) for _ in range(3)]
    for chat in chats[1:]:
        await store.aset_messages("a", chat)
    done.set()
    await asyncio.gather(*readers)
    assert torn == []


async def test_a_message_with_an_id_comes_once_and_keeps_its_place(brain, call):
    store = OneBrainChatStore(brain=brain)
    await call(store, "add_message", "a", said("first", message_id="m1"))
    await call(store, "add_message", "a", said("second"))
    await call(store, "add_message", "a", said("first, corrected", message_id="m1"))
    assert words(await call(store, "get_messages", "a")) == ["first, corrected", "second"]
    await call(store, "delete_message", "a", 0)
    assert words(await call(store, "get_messages", "a")) == ["second"]
    await call(store, "set_messages", "a", [said("x", message_id="m1"), said("y")])
    await call(store, "add_message", "a", said("z", message_id="m1"))
    assert words(await call(store, "get_messages", "a")) == ["z", "y"]


@pytest.mark.parametrize("key", ["", " ", "a/b c", "ключ", "x" * 600, "user_1", "tab\tand\nline"])
async def test_any_text_is_a_key(brain, call, key):
    store = OneBrainChatStore(brain=brain)
    await call(store, "add_message", key, said("here"))
    await call(store, "add_message", key + "0", said("there"))
    assert words(await call(store, "get_messages", key)) == ["here"]
    assert set(await call(store, "get_keys")) == {key, key + "0"}


async def test_chats_of_other_scopes_are_not_seen(brain, call):
    maria, mario = (OneBrainChatStore(brain=brain, scope={"user": name}) for name in ("maria", "mario"))
    await call(maria, "add_message", "a", said("mine"))
    await call(mario, "add_message", "a", said("his"))
    await call(maria, "set_messages", "a", [said("mine again")])
    assert words(await call(mario, "get_messages", "a")) == ["his"]
    await call(maria, "delete_messages", "a")
    assert await call(mario, "get_keys") == ["a"]
    with pytest.raises(ConfigurationError, match="session"):
        OneBrainChatStore(brain=brain, scope={"session": "a"})


async def test_five_thousand_messages_keep_their_order(sqlite, call):
    store = OneBrainChatStore(brain=sqlite)
    expected = [f"message {number}" for number in range(5000)]
    await call(store, "set_messages", "long", [said(text) for text in expected])
    assert words(await call(store, "get_messages", "long")) == expected
    assert (await call(store, "delete_last_message", "long")).content == expected[-1]


def test_writers_in_many_threads_lose_nothing_and_keep_their_own_order(sqlite):
    store = OneBrainChatStore(brain=sqlite)

    def write(writer: int) -> None:
        for number in range(25):
            store.add_message("shared", said(f"{writer}:{number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    seen = words(store.get_messages("shared"))
    assert len(seen) == len(set(seen)) == 200
    for writer in range(8):
        assert [text for text in seen if text.startswith(f"{writer}:")] == [
            f"{writer}:{n}" for n in range(25)
        ]


def test_two_who_take_the_last_message_never_get_the_same(sqlite):
    store = OneBrainChatStore(brain=sqlite)
    store.set_messages("shared", [said(str(number)) for number in range(40)])
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: store.delete_last_message("shared").content, range(40)))
    assert sorted(taken, key=int) == [str(number) for number in range(40)]
    assert store.get_messages("shared") == []


def test_a_store_works_in_one_event_loop_after_another(sqlite):
    store = OneBrainChatStore(brain=sqlite)
    asyncio.run(store.async_add_message("a", said("1")))
    asyncio.run(store.async_add_message("a", said("2")))
    assert words(store.get_messages("a")) == words(asyncio.run(store.aget_messages("a"))) == ["1", "2"]


def test_searches_find_what_people_said_and_not_the_machinery(sqlite):
    store = OneBrainChatStore(brain=sqlite, scope={"user": "maria"})
    store.set_messages(
        "a",
        [
            said("You are a travel agent for window seats", "system"),
            said("I like window seats"),
            ChatMessage(
                role="assistant", blocks=[ToolCallBlock(tool_name="seats", tool_kwargs={"q": "window"})]
            ),
            said("window seats: 3 left", "tool"),
        ],
    )
    assert [hit.content for hit in sqlite.search("window seats")] == ["I like window seats"]


def test_both_stores_keep_the_same_chats(sqlite):
    OneBrainChatStore(brain=sqlite).add_message("a", said("1"))
    assert words(asyncio.run(AsyncOneBrainChatStore(brain=sqlite).get_messages("a"))) == ["1"]


# ---- the store of Memory ---------------------------------------------------------------------------------------------


async def test_messages_are_active_until_they_are_archived(brain):
    store = AsyncOneBrainChatStore(brain=brain)
    with blockbuster_ctx():
        await store.add_messages("a", [said(text) for text in "1234"])
        await store.add_message("a", said("old"), MessageStatus.ARCHIVED)
        await store.add_messages("a", [])
        assert words(await store.archive_oldest_messages("a", 2)) == ["1", "2"]
        assert words(await store.get_messages("a")) == ["3", "4"]
        assert words(await store.get_messages("a", status=MessageStatus.ARCHIVED)) == ["1", "2", "old"]
        assert words(await store.get_messages("a", status=None)) == ["1", "2", "3", "4", "old"]
        assert words(await store.get_messages("a", status=None, limit=2, offset=1)) == ["2", "3"]
        assert await store.count_messages("a") == 2
        assert await store.count_messages("a", status=None) == 5
        assert words(await store.delete_oldest_messages("a", 1)) == ["3"]
        assert (await store.delete_message("a", 0)).content == "4"
        assert await store.delete_message("a", 0) is None
        assert await store.archive_oldest_messages("a", 3) == []
        await store.delete_messages("a", MessageStatus.ARCHIVED)
        assert await store.get_messages("a", status=None) == []


async def test_setting_replaces_archived_messages_too(brain):
    store = AsyncOneBrainChatStore(brain=brain)
    await store.add_messages("a", [said("1"), said("2")])
    await store.archive_oldest_messages("a", 1)
    await store.set_messages("a", [said("3")])
    assert words(await store.get_messages("a", status=None)) == ["3"]
    assert await store.get_keys() == ["a"]
    await store.delete_messages("a")
    assert await store.get_keys() == []


async def test_a_negative_limit_raises():
    with onebrain.connect("sqlite://") as brain, pytest.raises(OneBrainValidationError, match="limit"):
        await AsyncOneBrainChatStore(brain=brain).get_messages("a", limit=-1)
