"""LangGraph's store on every brain that takes ids and can list: values, namespaces, filters, deletion."""

from __future__ import annotations

import pytest

from onebrain_langchain import OneBrainStore

pytestmark = pytest.mark.usefixtures("needs_ids", "needs_listing")


async def test_a_value_comes_back_equal_and_is_replaced(brain, call):
    store = OneBrainStore(brain=brain)
    value = {"text": "window seats", "nested": {"row": 12, "tags": ["a", "b"]}, "none": None, "yes": True}
    await call(store.put, ("users", "maria"), "seat", value)
    assert (await call(store.get, ("users", "maria"), "seat")).value == value
    await call(store.put, ("users", "maria"), "seat", {"text": "aisle seats"})
    assert (await call(store.get, ("users", "maria"), "seat")).value == {"text": "aisle seats"}
    assert await call(store.get, ("users", "mario"), "seat") is None


async def test_namespaces_are_compared_label_by_label(brain, call):
    store = OneBrainStore(brain=brain)
    for namespace in (("a",), ("ab",), ("a", "b"), ("a_", "%")):
        await call(store.put, namespace, "k", {"text": " ".join(namespace)})
    found = await call(store.search, ("a",))
    assert sorted(item.namespace for item in found) == [("a",), ("a", "b")]
    assert await call(store.list_namespaces) == sorted([("a",), ("ab",), ("a", "b"), ("a_", "%")])


async def test_a_filter_narrows_and_a_deletion_removes(brain, call):
    store = OneBrainStore(brain=brain)
    for year in (2024, 2025, 2026):
        await call(store.put, ("trips",), str(year), {"text": f"a trip in {year}", "year": year})
    late = await call(store.search, ("trips",), filter={"year": {"$gte": 2025}})
    assert sorted(item.key for item in late) == ["2025", "2026"]
    await call(store.delete, ("trips",), "2025")
    assert sorted(item.key for item in await call(store.search, ("trips",))) == ["2024", "2026"]


async def test_a_question_finds_the_item_that_answers_it(brain, call):
    store = OneBrainStore(brain=brain)
    await call(store.put, ("facts",), "seat", {"text": "Maria prefers window seats"})
    await call(store.put, ("facts",), "boat", {"text": "The boat is painted green"})
    found = await call(store.search, ("facts",), query="window seats", limit=1)
    assert [item.key for item in found] == ["seat"]
