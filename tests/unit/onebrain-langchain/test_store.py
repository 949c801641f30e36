from __future__ import annotations

import asyncio

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)

import onebrain
from onebrain import F, Scope
from onebrain_langchain import OneBrainStore


@pytest.fixture
def store(brain):
    return OneBrainStore(brain=brain)


def keys(items):
    return [item.key for item in items]


async def test_what_is_put_comes_back(store, call):
    value = {"text": "window", "n": 1, "deep": {"list": [1, None, {"a": True}]}, "é": "日本"}
    await call(store.put, ("users", "maria"), "seat", value)
    item = await call(store.get, ("users", "maria"), "seat")
    assert (item.namespace, item.key, item.value) == (("users", "maria"), "seat", value)
    assert item.created_at <= item.updated_at
    await call(store.delete, ("users", "maria"), "seat")
    assert await call(store.get, ("users", "maria"), "seat") is None


async def test_an_update_replaces_the_value_and_keeps_when_it_was_created(store, call):
    await call(store.put, ("a",), "k", {"n": 1})
    first = await call(store.get, ("a",), "k")
    await call(store.put, ("a",), "k", {"m": 2})
    second = await call(store.get, ("a",), "k")
    assert second.value == {"m": 2}
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at
    assert len(await call(store.search, ("a",))) == 1


@pytest.mark.parametrize(
    ("prefix", "strangers"),
    [
        (("a",), [("ab",), ("A",), ("a b",)]),
        (("user_1",), [("user_10",), ("userX1",), ("user%1",)]),
        (("100%",), [("1000",), ("100",), ("100x",)]),
        (("a", "b"), [("a",), ("a", "bc"), ("ab",), ("b", "a"), ("a/b",)]),
        (("a\\",), [("a",), ("a\\\\",)]),
        (("*",), [("a",), ("**",)]),
        (("é",), [("e\u0301",), ("É",), ("e",)]),
    ],
)
async def test_namespaces_are_compared_label_by_label(store, call, prefix, strangers):
    for namespace in [prefix, (*prefix, "child"), *strangers]:
        await call(store.put, namespace, "k", {"text": "the same words"})
    own = {prefix, (*prefix, "child")}
    assert {item.namespace for item in await call(store.search, prefix)} == own
    assert {item.namespace for item in await call(store.search, prefix, query="the same words")} == own
    listed = await call(store.list_namespaces, prefix=prefix)
    if prefix != ("*",):
        assert set(listed) == own
    everything = await call(store.search, (), limit=100)
    assert len(everything) == len(strangers) + 2


@pytest.mark.parametrize(
    ("namespace", "key"),
    [
        (("a", "/x"), "k"),
        (("a",), "/x.k"),
        (("a",), "x./k"),
        (("a",), ".k"),
        (("a",), ""),
        (("a",), " "),
        (("a",), "#" * 600),
        (("a" * 300, "b" * 300), "k" * 300),
        (("a",), "\n'\"%_\\"),
    ],
)
async def test_a_key_and_a_namespace_may_hold_anything_that_the_framework_allows(store, call, namespace, key):
    others = [(("a",), "k"), (("a", "x"), "k"), (("a",), "x.k"), (("a",), "k" * 299)]
    for place, (label, name) in enumerate(others):
        await call(store.put, label, name, {"n": place})
    await call(store.put, namespace, key, {"n": "own"})
    assert (await call(store.get, namespace, key)).value == {"n": "own"}
    assert (await call(store.get, namespace, key)).key == key
    for place, (label, name) in enumerate(others):
        assert (await call(store.get, label, name)).value == {"n": place}


async def test_an_invalid_namespace_is_refused_also_in_a_batch(store, call):
    for operation in [
        PutOp(("a.b",), "k", {}),
        GetOp(("",), "k"),
        SearchOp(("a", "b\x00"), None),
        ListNamespacesOp((MatchCondition("prefix", ("a.b",)),)),
    ]:
        with pytest.raises(InvalidNamespaceError):
            await call(store.batch, [operation])


async def test_reads_in_a_batch_see_the_state_before_its_puts_and_the_last_put_wins(store, call):
    await call(store.put, ("a",), "k", {"n": 0})
    results = await call(
        store.batch,
        [
            PutOp(("a",), "k", {"n": 1}),
            GetOp(("a",), "k"),
            PutOp(("a",), "gone", {"n": 1}),
            SearchOp(("a",)),
            PutOp(("a",), "k", {"n": 2}),
            PutOp(("a",), "gone", None),
            ListNamespacesOp(),
            GetOp(("a",), "missing"),
        ],
    )
    assert results[1].value == {"n": 0}
    assert [item.value for item in results[3]] == [{"n": 0}]
    assert results[6] == [("a",)]
    assert [results[place] for place in (0, 2, 4, 5, 7)] == [None] * 5
    assert (await call(store.get, ("a",), "k")).value == {"n": 2}
    assert await call(store.get, ("a",), "gone") is None


async def test_a_batch_asks_the_brain_as_few_times_as_it_has_kinds_of_operations(brain, call):
    asked = []

    class Counting:
        def __init__(self, driver):
            self._driver = driver

        def __getattr__(self, name):
            value = getattr(self._driver, name)
            if name in ("store", "search", "get", "list", "update", "delete"):
                asked.append(name)
            return value

    store = OneBrainStore(brain=onebrain.Brain(Counting(brain.driver)))
    await call(store.batch, [PutOp(("a",), str(n), {"n": n}) for n in range(50)])
    assert asked == ["store"]
    asked.clear()
    operations = [GetOp(("a",), str(n % 25)) for n in range(50)]
    operations += [SearchOp(("a",), query="x"), SearchOp(("a",), query="x")]
    operations += [PutOp(("a",), str(n), None) for n in range(25)]
    results = await call(store.batch, operations)
    assert [item.key for item in results[:50]] == [str(n % 25) for n in range(50)]
    # What is not indexed is listed only where the ranked items leave room.
    assert [name for name in sorted(asked) if name != "list"] == ["delete", "get", "search"]
    assert asked.count("list") <= 1


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"n": 1}, ["a"]),
        ({"n": {"$gt": 1}}, ["b", "c"]),
        ({"n": {"$gte": 2, "$lt": 3}}, ["b"]),
        ({"n": {"$lte": 1}}, ["a"]),
        ({"n": {"$ne": 1}}, ["b", "c", "d"]),
        ({"n": {"$eq": 3}}, ["c"]),
        ({"n": None}, ["d"]),
        ({"tags": ["x", "y"]}, ["a"]),
        ({"tags": ["y", "x"]}, []),
        ({"deep": {"city": "Lisbon"}}, ["b"]),
        ({"deep": {"city": {"$ne": "Lisbon"}}}, ["c"]),
        ({"deep": {"at": {"n": {"$gt": 4}}}}, ["c"]),
        ({"a.b": 1}, ["d"]),
        ({"flag": True}, ["a"]),
        ({"n": 1, "flag": True}, ["a"]),
        ({"n": 2, "flag": True}, []),
    ],
)
async def test_filters_mean_what_langgraph_says(store, call, filter, expected):
    rows = {
        "a": {"n": 1, "tags": ["x", "y"], "flag": True},
        "b": {"n": 2, "deep": {"city": "Lisbon", "at": {"n": 4}}, "flag": 1},
        "c": {"n": 3, "deep": {"city": "Porto", "at": {"n": 5}}},
        "d": {"a.b": 1, "a": {"b": 2}},
    }
    for key, value in rows.items():
        await call(store.put, ("f",), key, value)
    assert sorted(keys(await call(store.search, ("f",), filter=filter))) == expected
    ranked = await call(store.search, ("f",), filter=filter, query="Lisbon")
    assert set(keys(ranked)) <= set(expected)


@pytest.mark.parametrize(
    "filter", [{"n": {"$in": [1]}}, {"n": {"$gt": 1, "x": 2}}, {"$and": []}, {"n": [{"$gt": 1}]}, {"n": {}}]
)
async def test_a_filter_that_langgraph_has_not_is_an_error(store, call, filter):
    await call(store.put, ("f",), "k", {"n": 1})
    if "$and" in filter:
        # The name of a field, to LangGraph.
        assert await call(store.search, ("f",), filter=filter) == []
        return
    with pytest.raises(ValueError, match="filter"):
        await call(store.search, ("f",), filter=filter)


async def test_pages_of_a_search_follow_each_other(store, call):
    for n in range(25):
        await call(store.put, ("p",), f"k{n}", {"n": n})
    pages = [await call(store.search, ("p",), limit=10, offset=offset) for offset in (0, 10, 20, 30)]
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert keys([item for page in pages for item in page]) == [f"k{n}" for n in reversed(range(25))]
    assert len(await call(store.search, ("p",), limit=1000)) == 25
    assert await call(store.search, ("p",), limit=0) == []


async def test_a_query_ranks_and_what_is_not_indexed_follows_without_a_score(store, call):
    await call(store.put, ("q",), "seat", {"text": "Maria prefers window seats on flights"})
    await call(store.put, ("q",), "food", {"text": "Maria eats no window glass"}, index=False)
    await call(store.put, ("q",), "empty", {})
    items = await call(store.search, ("q",), query="window seats")
    assert keys(items)[0] == "seat"
    assert 0 < items[0].score <= 1
    assert {item.key: item.score for item in items[1:]} == {"empty": None, "food": None}
    assert (await call(store.get, ("q",), "food")).value == {"text": "Maria eats no window glass"}
    assert keys(await call(store.search, ("q",), query="window seats", limit=1)) == ["seat"]
    unranked = await call(store.search, ("q",))
    assert [item.score for item in unranked] == [None] * 3


async def test_only_the_configured_fields_are_searched(brain, call):
    store = OneBrainStore(brain=brain, index={"fields": ["title", "parts[*].text"]})
    await call(store.put, ("q",), "one", {"title": "window", "secret": "aisle"})
    await call(store.put, ("q",), "two", {"parts": [{"text": "aisle"}, {"text": "middle"}]})
    await call(store.put, ("q",), "three", {"secret": "aisle", "other": "door"}, index=["other"])
    ranked = [item for item in await call(store.search, ("q",), query="aisle") if item.score]
    assert keys(ranked)[0] == "two"
    contents = sorted([memory.content for memory in brain.list(scope=Scope(space="langgraph"))])
    assert contents == ["aisle\nmiddle", "door", "window"]


async def test_embeddings_of_ones_own_are_used_and_checked(brain, call):
    embed = DeterministicFakeEmbedding(size=8)
    store = OneBrainStore(brain=brain, index={"dims": 8, "embed": embed, "fields": ["text"]})
    for word in ("window", "aisle", "middle"):
        await call(store.put, ("e",), word, {"text": word})
    items = await call(store.search, ("e",), query="aisle")
    assert items[0].key == "aisle"
    assert items[0].score == pytest.approx(1, abs=1e-5)
    assert len(items) == 3
    wrong = OneBrainStore(brain=brain, index={"dims": 9, "embed": embed})
    with pytest.raises(onebrain.EmbedderMismatch, match=r"9.*8"):
        await call(wrong.put, ("e",), "x", {"text": "x"})


async def test_a_function_may_embed(brain, call):
    def embed(texts):
        return [[float(len(text)), 1.0] for text in texts]

    store = OneBrainStore(brain=brain, index={"dims": 2, "embed": embed, "fields": ["text"]})
    await call(store.put, ("e",), "k", {"text": "abc"})
    assert (await call(store.search, ("e",), query="abc"))[0].score == pytest.approx(1, abs=1e-5)


async def test_an_item_expires_and_reading_refreshes_it(brain, store, call):
    await call(store.put, ("t",), "short", {"n": 1}, ttl=1e-6)
    await call(store.put, ("t",), "long", {"n": 1}, ttl=10)
    await call(store.put, ("t",), "ever", {"n": 1})
    await asyncio.sleep(0.005)
    assert await call(store.get, ("t",), "short") is None
    assert sorted(keys(await call(store.search, ("t",)))) == ["ever", "long"]

    def expires():
        memories = brain.list(scope=Scope(space="langgraph"), filter=F("item.key").eq("long"))
        return next(iter(memories)).expires_at

    before = expires()
    await call(store.get, ("t",), "long", refresh_ttl=False)
    await call(store.search, ("t",), refresh_ttl=False)
    assert expires() == before
    updated = (await call(store.get, ("t",), "long")).updated_at
    after = expires()
    assert after > before
    await call(store.search, ("t",))
    assert expires() > after
    assert (await call(store.get, ("t",), "long", refresh_ttl=False)).updated_at == updated
    await call(store.put, ("t",), "long", {"n": 2})
    assert expires() is None


async def test_the_ttl_configuration_gives_defaults(brain, call):
    store = OneBrainStore(brain=brain, ttl={"default_ttl": 10, "refresh_on_read": False})
    await call(store.put, ("t",), "k", {"n": 1})
    (memory,) = brain.list(scope=Scope(space="langgraph"))
    before = memory.expires_at
    await call(store.get, ("t",), "k")
    (memory,) = brain.list(scope=Scope(space="langgraph"))
    assert memory.expires_at == before is not None
    with pytest.raises(onebrain.ConfigurationError, match="omit_expired"):
        OneBrainStore(brain=brain, ttl={"omit_expired": False})
    with pytest.raises(onebrain.ConfigurationError, match="minutes"):
        OneBrainStore(brain=brain, ttl={"minutes": 5})


async def test_namespaces_are_listed_by_prefix_suffix_and_depth(store, call):
    for namespace in [
        ("users", "maria", "facts"),
        ("users", "mario", "facts"),
        ("users", "maria", "notes"),
        ("teams", "a", "facts"),
        ("users",),
    ]:
        for key in ("k1", "k2"):
            await call(store.put, namespace, key, {"n": 1})
    listed = store.list_namespaces
    assert len(await call(listed)) == 5
    assert await call(listed, prefix=("users", "*", "facts")) == [
        ("users", "maria", "facts"),
        ("users", "mario", "facts"),
    ]
    assert await call(listed, suffix=("facts",), prefix=("teams",)) == [("teams", "a", "facts")]
    assert await call(listed, suffix=("*", "facts"), max_depth=1) == [("teams",), ("users",)]
    assert await call(listed, max_depth=2) == [
        ("teams", "a"),
        ("users",),
        ("users", "maria"),
        ("users", "mario"),
    ]
    assert await call(listed, limit=2, offset=1) == (await call(listed))[1:3]
    await call(store.delete, ("users",), "k1")
    assert ("users",) in await call(listed)
    await call(store.delete, ("users",), "k2")
    assert ("users",) not in await call(listed)


async def test_many_namespaces_and_items_are_all_listed(store, call):
    await call(store.batch, [PutOp((f"n{n % 300}",), str(n), {"n": n}) for n in range(1200)])
    assert len(await call(store.list_namespaces, limit=1000)) == 300
    assert len(await call(store.search, (), limit=2000)) == 1200


async def test_stores_of_different_spaces_and_scopes_never_meet(brain, call):
    first = OneBrainStore(brain=brain, space="one")
    second = OneBrainStore(brain=brain, space="two")
    third = OneBrainStore(brain=brain, space="one", scope={"user": "maria"})
    for place, store in enumerate((first, second, third)):
        await call(store.put, ("a",), "k", {"n": place})
    assert [(await call(store.get, ("a",), "k")).value["n"] for store in (first, second, third)] == [0, 1, 2]
    await call(third.delete, ("a",), "k")
    assert (await call(first.get, ("a",), "k")).value == {"n": 0}
    assert await call(third.search, ()) == []


@pytest.mark.parametrize("value", ["text", [1], 5, {"n": float("nan")}, {"n": {1, 2}.__class__}])
async def test_a_value_that_is_no_json_object_is_refused(store, call, value):
    with pytest.raises(onebrain.OneBrainValidationError):
        await call(store.put, ("a",), "k", value)
    assert await call(store.get, ("a",), "k") is None


async def test_a_cancelled_batch_leaves_the_store_usable(brain):
    store = OneBrainStore(brain=brain)
    tasks = [asyncio.create_task(store.aput(("c",), str(n), {"n": n})) for n in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.aput(("c",), "after", {"n": -1})
    found = {item.key for item in await store.asearch(("c",), limit=100)}
    assert {"after", *(str(n) for n in range(1, 50, 2))} <= found


def test_a_misspelt_option_is_refused(brain):
    with pytest.raises(onebrain.ConfigurationError, match="dim"):
        OneBrainStore(brain=brain, index={"dim": 3})
    with pytest.raises(onebrain.ConfigurationError, match="space"):
        OneBrainStore(brain=brain, space="a", scope={"space": "b"})
    with pytest.raises(onebrain.ConfigurationError, match="scope"):
        OneBrainStore(brain=brain, scope={"users": "b"})
