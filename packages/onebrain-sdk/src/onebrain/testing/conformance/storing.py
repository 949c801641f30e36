"""Tests that `store` and `store_many` keep every value unchanged."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, ClassVar

import pytest

from onebrain.errors import OneBrainError, OneBrainNotFoundError, OneBrainValidationError, Unsupported
from onebrain.memory.brain import Brain
from onebrain.memory.models import NewMemory, Scope
from onebrain.testing.conformance.suite import (
    FUTURE,
    PAST,
    Suite,
    assert_same_json,
    found,
    keep,
    keep_all,
    listed,
    needs,
    needs_room,
    queries,
    supported,
)

TEXTS = {
    "plain": "Maria prefers window seats",
    "leading and trailing blanks": "  \t indented, and a blank at the end \n ",
    "line ends of Windows": "first\r\nsecond\r\n",
    "line ends of old Macs": "first\rsecond",
    "several lines": "first\n\n\nfourth",
    "accents": "Übergrößenträger – naïve café, niño",
    "decomposed accents": unicodedata.normalize("NFD", "Übergrößenträger café"),
    "other scripts": "玛丽亚喜欢靠窗的座位 マリアは窓側 ماريا تفضل المقعد मारिया Мария",
    "right to left marks": "\u202eabc\u202c \u200fשלום",
    "emoji": "🪟👩🏽‍🚀🇵🇹 1️⃣",
    "beyond the basic plane": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U0010fffd",
    "invisible": "a\u200bb\ufeffc\u00adde\u2028f\u0085g",
    "markup": "<b>bold</b> &amp; </memories> <!-- x --> {{template}} %s {0}",
    "quotes": "it's \"quoted\" \\ back`tick` 'single' -- ; DROP TABLE memory",
    "JSON": '{"role": "user", "content": null, "n": [1, 2.50]}',
    "control characters": "bell\x07 escape\x1b[31m backspace\x08 delete\x7f",
    "one character": "x",
}

METADATA: dict[str, Any] = {
    "text": "Lisbon",
    "empty": "",
    "integer": 42,
    "negative": -7,
    "large": 2**53 - 1,
    "float": 0.1,
    "small": 1e-300,
    "zero": 0,
    "true": True,
    "false": False,
    "null": None,
    "list": [1, "two", None, [3.5, False], {"four": 4}],
    "empty list": [],
    "object": {"city": "Porto", "deep": {"deeper": {"deepest": [None]}}},
    "empty object": {},
    "ключ 🔑": "ü",
    "dotted.key": 1,
    "$dollar": 2,
    "key with 'quotes' and \"more\" \\": 3,
    "UPPER": 1,
    "upper": 2,
    "date": "2025-01-01T00:00:00+02:00",
    "number in a string": "007",
    "user": "not the scope",
    "id": "not the id",
    "tags": ["not the tags"],
}


class StoreSuite(Suite):
    """Tests of `store` and `store_many`."""

    verb: ClassVar[str] = "store"

    def test_store_returns_an_id_that_gets_the_memory(self, brain: Brain) -> None:
        result = brain.store("Maria prefers window seats", wait=True)
        assert result.ok
        assert result.status == "created"
        assert result.id is not None
        memory = brain.get(result.id)
        assert memory.id == result.id
        assert memory.content == "Maria prefers window seats"

    @pytest.mark.parametrize("name", TEXTS)
    def test_content_comes_back_byte_for_byte(self, brain: Brain, name: str) -> None:
        id = keep(brain, TEXTS[name])
        assert brain.get(id).content == TEXTS[name]
        assert [memory.content for memory in brain.get_many([id])] == [TEXTS[name]]
        if brain.capabilities.list:
            assert [memory.content for memory in brain.list()] == [TEXTS[name]]

    def test_a_memory_of_a_million_characters_comes_back(self, brain: Brain) -> None:
        needs_room(brain, 1_000_000)
        text = "".join(f"line {number}: the tide turns ü\r\n" for number in range(40_000))[:1_000_000]
        assert brain.get(keep(brain, text)).content == text

    def test_content_up_to_the_limit_is_kept_and_beyond_it_refused(self, brain: Brain) -> None:
        needs(brain, "content_limit")
        limit = brain.capabilities.content_limit or 0
        assert brain.get(keep(brain, "x" * limit)).content == "x" * limit
        with pytest.raises(OneBrainValidationError):
            brain.store("x" * (limit + 1))

    def test_a_nul_is_kept_or_refused(self, brain: Brain) -> None:
        try:
            result = brain.store("before\x00after", wait=True)
        except (OneBrainValidationError, Unsupported):
            # Many databases cannot store it, and the error says so.
            return
        assert result.id is not None
        assert brain.get(result.id).content == "before\x00after"

    def test_identical_texts_stay_two_memories(self, brain: Brain) -> None:
        first, second = keep(brain, "the same text"), keep(brain, "the same text")
        assert first != second
        assert len(brain.get_many([first, second])) == 2

    def test_every_field_comes_back(self, brain: Brain) -> None:
        fields = supported(
            brain.capabilities,
            {
                "title": "Seats – 🪟",
                "type": "preference",
                "tags": ["travel", "Seats"],
                "importance": 0.75,
                "source": "chat with ü",
                "created_at": PAST,
                "expires_at": FUTURE,
                "pinned": True,
                "metadata": {"year": 2026},
            },
        )
        scope = Scope(space="trips", user="maria", agent="planner", session="s-1")
        memory = brain.get(keep(brain, "Maria prefers window seats", scope=scope, **fields))
        assert memory.scope == scope
        expected = {**fields, "tags": tuple(fields.get("tags", ()))}
        assert {name: getattr(memory, name) for name in expected} == expected
        assert memory.updated_at is None or memory.updated_at.tzinfo is not None
        if brain.capabilities.list:
            assert list(brain.list(scope=scope)) == [memory]

    def test_what_is_left_out_is_empty(self, brain: Brain) -> None:
        memory = brain.get(keep(brain, "nothing but text"))
        assert memory.scope == Scope()
        assert (memory.tags, memory.metadata) == ((), {})
        assert (memory.pinned, memory.archived, memory.expires_at) == (False, False, None)
        assert (memory.title, memory.source, memory.embedding) == (None, None, None)

    def test_metadata_comes_back_as_given(self, brain: Brain) -> None:
        assert_same_json(brain.get(keep(brain, "with metadata", metadata=METADATA)).metadata, METADATA)

    def test_metadata_nested_thirty_deep_comes_back(self, brain: Brain) -> None:
        metadata: dict[str, Any] = {"leaf": 1}
        for _ in range(30):
            metadata = {"branch": metadata}
        assert brain.get(keep(brain, "deep", metadata=metadata)).metadata == metadata

    @pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, -(2**63), 2**64, 10**30])
    def test_a_huge_integer_is_kept_exactly_or_refused(self, brain: Brain, number: int) -> None:
        try:
            result = brain.store("a number", metadata={"n": number}, wait=True)
        except (OneBrainValidationError, Unsupported):
            return
        assert result.id is not None
        assert_same_json(brain.get(result.id).metadata, {"n": number})

    def test_dates_in_metadata_become_iso_text(self, brain: Brain) -> None:
        metadata = {"day": date(2025, 1, 2), "at": datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)}
        memory = brain.get(keep(brain, "dated", metadata=metadata))
        assert memory.metadata == {"day": "2025-01-02", "at": "2025-01-02T03:04:05+00:00"}

    def test_tags_keep_their_order_and_lose_their_repeats(self, brain: Brain) -> None:
        needs(brain, "tags")
        tags = ["zebra", "Apple", "apple", "two words", "comma, here", 'quote"', "ü 🪟", "a/b", "zebra"]
        assert brain.get(keep(brain, "tagged", tags=tags)).tags == tuple(dict.fromkeys(tags))

    @pytest.mark.parametrize("importance", [0.0, 0.1, 0.5, 1.0])
    def test_importance_comes_back(self, brain: Brain, importance: float) -> None:
        needs(brain, "importance")
        assert brain.get(keep(brain, "weighed", importance=importance)).importance == importance

    @pytest.mark.parametrize(
        "moment",
        [
            PAST,
            datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC),
            datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
            datetime(2024, 6, 1, 12, 0, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        ],
    )
    def test_a_time_of_the_callers_own_comes_back_as_the_same_instant(
        self, brain: Brain, moment: datetime
    ) -> None:
        needs(brain, "created_at")
        created_at = brain.get(keep(brain, "back then", created_at=moment)).created_at
        assert created_at == moment
        assert created_at is not None
        assert created_at.tzinfo is not None

    def test_without_a_time_it_is_now(self, brain: Brain) -> None:
        created_at = brain.get(keep(brain, "just now")).created_at
        assert created_at is not None
        # A tolerance of a day, because this tests the meaning of the field and not clocks.
        assert abs(datetime.now(UTC) - created_at) < timedelta(days=1)

    def test_a_memory_with_a_time_to_live_expires_then(self, brain: Brain) -> None:
        needs(brain, "expiry")
        memory = brain.get(keep(brain, "for thirty days", ttl=timedelta(days=30)))
        assert memory.expires_at is not None
        assert abs(memory.expires_at - datetime.now(UTC) - timedelta(days=30)) < timedelta(days=1)

    def test_an_expired_memory_is_in_no_answer(self, brain: Brain) -> None:
        needs(brain, "expiry")
        result = brain.store("expired lighthouse", expires_at=PAST)
        assert result.id is not None
        alive = keep(brain, "lasting lighthouse", expires_at=FUTURE)
        with pytest.raises(OneBrainNotFoundError):
            brain.get(result.id)
        assert brain.get_many([result.id, alive]) == [brain.get(alive)]
        assert all(found(brain, query) == {alive} for query in queries(brain, "lighthouse"))
        assert "expired" not in brain.context("lighthouse").text
        if brain.capabilities.list:
            assert listed(brain) == {alive}
            assert brain.count() == 1
        if brain.capabilities.update:
            with pytest.raises(OneBrainNotFoundError):
                brain.update(result.id, title="back from the dead")
        if brain.capabilities.delete:
            assert brain.delete(result.id) == 0

    def test_an_id_of_the_callers_own_is_kept_or_refused(self, brain: Brain) -> None:
        if not brain.capabilities.client_ids:
            with pytest.raises(Unsupported):
                brain.store("mine", id="my-id")
            return
        for id in ("my-id", "doc/1#2?x=%20&y", "with blank", "ü🪟", "A", "a", "'quoted\"", "x" * 512):
            assert brain.store(f"text of {id}", id=id, wait=True).id == id
            assert brain.get(id).content == f"text of {id}"
        assert brain.get("A").content == "text of A"

    def test_storing_an_id_again_replaces_the_whole_memory(self, brain: Brain) -> None:
        needs(brain, "client_ids")
        first = brain.store("old lighthouse", id="one", title="old", metadata={"a": 1, "b": 2}, wait=True)
        second = brain.store("new harbour", id="one", metadata={"b": 3}, wait=True)
        assert (first.status, second.status) == ("created", "updated")
        memory = brain.get("one")
        assert (memory.content, memory.title, memory.metadata) == ("new harbour", None, {"b": 3})
        assert found(brain, "harbour") == {"one"}
        if brain.capabilities.list:
            assert brain.count() == 1

    def test_storing_many_returns_one_result_each_in_order(self, brain: Brain) -> None:
        items: list[Any] = [
            "plain text",
            {"content": "a dict", "metadata": {"n": 1}},
            NewMemory(content="an object"),
        ]
        results = brain.store_many(items, wait=True)
        assert [result.status for result in results] == ["created"] * 3
        assert results.failed == ()
        contents = [memory.content for memory in brain.get_many(results.ids)]
        assert contents == ["plain text", "a dict", "an object"]

    def test_storing_many_takes_more_than_a_batch_from_a_generator(self, brain: Brain) -> None:
        batch = min(brain.capabilities.batch_size, 1000)
        total = min(2 * batch + 1, 250) if batch <= 100 else batch + 1
        done: list[int] = []
        results = brain.store_many(
            (f"memory number {number}" for number in range(total)), on_progress=done.append, wait=True
        )
        assert len(set(results.ids)) == total
        assert done == sorted(done)
        assert done[-1] == total
        last = brain.get_many(results.ids[-3:])
        assert [memory.content for memory in last] == [
            f"memory number {number}" for number in range(total - 3, total)
        ]

    def test_storing_nothing_is_no_error(self, brain: Brain) -> None:
        assert len(brain.store_many([])) == 0

    def test_a_bad_item_fails_alone(self, brain: Brain) -> None:
        items: list[Any] = ["good", {"content": "typo", "titel": "x"}, "   ", {"content": "also good"}, 7]
        results = brain.store_many(items, wait=True)
        assert [result.status for result in results] == ["created", "failed", "failed", "created", "failed"]
        assert results.failed == (1, 2, 4)
        assert all(isinstance(results[index].error, OneBrainValidationError) for index in results.failed)
        assert [results[index].id for index in results.failed] == [None, None, None]
        with pytest.raises(OneBrainValidationError):
            results.raise_for_failures()
        good = [result.id for result in results if result.id is not None]
        assert [memory.content for memory in brain.get_many(good)] == ["good", "also good"]

    def test_an_id_twice_in_one_batch_is_one_memory_and_the_last_wins(self, brain: Brain) -> None:
        needs(brain, "client_ids")
        keep_all(brain, [{"id": "one", "content": "first"}, {"id": "one", "content": "second"}])
        assert brain.get("one").content == "second"
        assert [memory.id for memory in brain.get_many(["one"])] == ["one"]

    def test_an_item_without_a_scope_takes_that_of_the_call(self, brain: Brain) -> None:
        items = ["open", {"content": "own", "scope": {"user": "mario"}}]
        open_id, own_id = keep_all(brain, items, scope=Scope(user="maria", session="s"))
        assert brain.get(open_id).scope == Scope(user="maria", session="s")
        assert brain.get(own_id).scope == Scope(user="mario", session="s")

    @pytest.mark.parametrize(
        "fields",
        [
            {"content": ""},
            {"content": " \n\t "},
            {"content": "lone \ud800 surrogate"},
            {"content": "x", "metadata": {"n": float("nan")}},
            {"content": "x", "metadata": {"n": float("inf")}},
            {"content": "x", "metadata": {"text": "\udfff"}},
            {"content": "x", "metadata": {"object": object()}},
            {"content": "x", "metadata": "not an object"},
            {"content": "x", "importance": 1.5},
            {"content": "x", "importance": -0.1},
            {"content": "x", "tags": "one string"},
            {"content": "x", "ttl": 0},
            {"content": "x", "ttl": -5},
            {"content": "x", "created_at": "yesterday"},
            {"content": "x", "ttl": 60, "expires_at": FUTURE},
        ],
        ids=lambda fields: "-".join(fields),
    )
    def test_an_invalid_memory_is_refused_and_nothing_is_stored(
        self, brain: Brain, fields: dict[str, Any]
    ) -> None:
        with pytest.raises(OneBrainValidationError):
            brain.store(**fields)
        (result,) = brain.store_many([fields])
        assert result.status == "failed"
        assert isinstance(result.error, OneBrainError)
        for query in queries(brain, "x"):
            assert len(brain.search(query, limit=5)) == 0

    def test_what_the_service_cannot_keep_is_refused(self, brain: Brain) -> None:
        fields: dict[str, Any] = {
            "id": "mine",
            "created_at": PAST,
            "expires_at": FUTURE,
            "pinned": True,
            "tags": ["a"],
            "importance": 0.5,
            "embedding": [1.0, 0.0],
        }
        kept = supported(brain.capabilities, fields)
        for name in fields.keys() - kept.keys():
            with pytest.raises(Unsupported):
                brain.store("x", **{name: fields[name]})

    def test_a_text_is_stored_once_if_the_caller_wants_that(self, brain: Brain) -> None:
        ewa, olek = Scope(user="ewa"), Scope(user="olek")
        first = keep(brain, "Ewa likes tea.", scope=ewa)
        for text in ("Ewa likes tea.", "ewa  likes TEA", " Ewa likes tea!"):
            result = brain.store(text, scope=ewa, dedupe="exact", wait=True)
            assert (result.id, result.status) == (first, "duplicate")
        other = brain.store("Ewa likes tea.", scope=olek, dedupe="exact", wait=True)
        assert other.id not in (None, first)
        results = brain.store_many(
            ["the mill is closed", "Ewa likes tea", "The mill is closed.", "Ewa likes teas"],
            scope=ewa,
            dedupe="exact",
            wait=True,
        )
        assert [result.status == "duplicate" for result in results] == [False, True, True, False]
        assert results[1].id == first
        assert results[0].id == results[2].id
        with pytest.raises(OneBrainValidationError, match="dedupe"):
            brain.store("anything", dedupe="alike")  # type: ignore[arg-type]

    def test_similar_memories_are_returned_as_a_hint(self, brain: Brain) -> None:
        known = keep(brain, "Ewa likes green tea")
        keep(brain, "somebody else likes green tea", scope=Scope(space="elsewhere"))
        result = brain.store("Ewa likes green tea with mint", similar=1, wait=True)
        assert result.status == "created"
        assert [hit.id for hit in result.similar] == [known]
        assert brain.store("Ewa likes green tea with milk", wait=True).similar == ()
