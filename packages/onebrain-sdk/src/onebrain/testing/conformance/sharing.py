"""Tests of concurrent callers, of sync and async code on one memory, and of errors without secrets."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from onebrain.errors import OneBrainError
from onebrain.memory.brain import AsyncBrain, Brain
from onebrain.memory.models import Scope
from onebrain.testing.conformance.looping import Call, Looped, at_once
from onebrain.testing.conformance.suite import Suite, found, ids, keep, keep_all, listed, needs

SECRET = "the combination is 31-7-12"


class SharingSuite(Suite):
    """Tests of a brain with several callers."""

    verb: ClassVar[str] = "sharing"

    def test_nothing_stored_at_the_same_time_is_lost(self, brain: Brain) -> None:
        calls: list[Call] = [("store", {"content": f"memory {n}", "wait": True}) for n in range(40)]
        stored = [result.id for result in at_once(brain, calls)]
        assert len(set(stored)) == 40
        contents = {memory.content for memory in brain.get_many(stored)}
        assert contents == {f"memory {n}" for n in range(40)}
        if brain.capabilities.list:
            assert listed(brain) == set(stored)

    def test_batches_stored_at_the_same_time_are_all_there(self, brain: Brain) -> None:
        texts = {user: [f"memory {user} {n}" for n in range(10)] for user in range(8)}
        calls: list[Call] = [
            ("store_many", {"items": items, "scope": Scope(user=user), "wait": True})
            for user, items in texts.items()
        ]
        for (user, items), results in zip(texts.items(), at_once(brain, calls), strict=True):
            memories = brain.get_many(results.ids, scope=Scope(user=user))
            assert [memory.content for memory in memories] == items

    def test_one_id_stored_by_many_is_one_memory(self, brain: Brain) -> None:
        needs(brain, "client_ids")
        at_once(brain, [("store", {"content": f"version {n}", "id": "one", "wait": True}) for n in range(16)])
        assert found(brain, "version") == {"one"}
        assert brain.get("one").content in {f"version {n}" for n in range(16)}

    def test_what_many_delete_is_counted_once(self, brain: Brain) -> None:
        needs(brain, "delete")
        stored = keep_all(brain, [f"memory {number}" for number in range(10)])
        assert sum(at_once(brain, [("delete", {"ids": stored})] * 8)) == 10

    def test_changes_at_the_same_time_are_all_kept(self, brain: Brain) -> None:
        needs(brain, "update")
        id = keep(brain, "shared", metadata={"start": True})
        at_once(brain, [("update", {"id": id, "metadata": {f"key {n}": n}}) for n in range(12)])
        assert brain.get(id).metadata == {"start": True, **{f"key {n}": n for n in range(12)}}

    def test_searches_go_on_while_others_write(self, brain: Brain) -> None:
        before = set(keep_all(brain, [f"the lighthouse {number}" for number in range(10)]))
        searching: Call = ("search", {"query": "lighthouse", "limit": 100})
        storing: list[Call] = [("store", {"content": f"the lighthouse at sea {n}"}) for n in range(20)]
        results = at_once(brain, [call for write in storing for call in (write, searching)])
        assert all(before <= set(ids(found)) for found in results[1::2])
        assert all(stored.ok for stored in results[::2])

    def test_sync_and_async_code_see_one_memory(self, brain: Brain) -> None:
        id = keep(brain, "the lighthouse")
        if isinstance(brain, Looped):
            twin = brain.brain.to_sync()
            assert isinstance(twin, Brain)
        else:
            face = Looped(brain.to_async())
            assert isinstance(face.brain, AsyncBrain)
            twin = face.as_brain()
        try:
            assert twin.get(id) == brain.get(id)
            other = keep(twin, "the harbour")
        finally:
            if isinstance(twin, Looped):
                twin.finish()
            else:
                twin.close()
        # Closing the copy leaves the original open.
        assert brain.get(other).content == "the harbour"

    def test_closing_twice_does_nothing(self, brain: Brain) -> None:
        keep(brain, "the lighthouse")
        brain.close()
        brain.close()


class ErrorSuite(Suite):
    """Tests that failures raise an error of onebrain that contains no secret."""

    verb: ClassVar[str] = "errors"

    @pytest.mark.parametrize(
        ("verb", "arguments"),
        [
            ("store", {"content": "x", "titel": "x"}),
            ("store_many", {"items": ["x"], "user": "x"}),
            ("search", {"query": "x", "k": 5}),
            ("context", {"query": "x", "tokens": 5}),
            ("get", {"id": "x", "user": "x"}),
            ("get_many", {"ids": ["x"], "user": "x"}),
            ("list", {"max_results": 5}),
            ("page", {"offset": 5}),
            ("count", {"query": "x"}),
            ("update", {"id": "x", "text": "x"}),
            ("delete", {"ids": ["x"], "user": "x"}),
            ("forget", {"query": "x"}),
        ],
    )
    def test_an_unknown_argument_is_a_type_error(
        self, brain: Brain, verb: str, arguments: dict[str, Any]
    ) -> None:
        with pytest.raises(TypeError, match=list(arguments)[-1]):
            getattr(brain, verb)(**arguments)

    @pytest.mark.parametrize(
        ("verb", "arguments"),
        [
            ("store", {"content": SECRET, "importance": 7}),
            ("store", {"content": SECRET, "metadata": {"x": float("nan")}}),
            ("store", {"content": SECRET + "\ud800"}),
            ("store", {"content": "x", "metadata": {SECRET: float("inf")}}),
            ("store", {"content": "x", "title": SECRET + "\ud800"}),
            ("store", {"content": "x", "created_at": SECRET}),
            ("store", {"content": {"content": SECRET, "unknown": SECRET}}),
            ("store", {"content": {"text": SECRET}}),
            ("store", {"content": "x", "tags": SECRET}),
            ("store", {"content": "x", "ttl": SECRET}),
            ("store", {"content": "x", "embedding": [SECRET]}),
            ("update", {"id": "x", "content": SECRET, "importance": 7}),
            ("search", {"query": SECRET, "limit": -1}),
            ("search", {"query": SECRET, "mode": "telepathy"}),
            ("get", {"id": SECRET}),
        ],
    )
    def test_an_error_does_not_hold_the_text_of_a_memory(
        self, brain: Brain, verb: str, arguments: dict[str, Any]
    ) -> None:
        with pytest.raises(OneBrainError) as caught:
            getattr(brain, verb)(**arguments)
        error = caught.value
        assert SECRET not in f"{error} {error!r} {error.details} {error.args}"
        assert len(str(error)) > 10
