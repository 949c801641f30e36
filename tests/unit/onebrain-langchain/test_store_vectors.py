"""`OneBrainStore` with embeddings of the caller's own: items without, with one and with several vectors in one space."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from langgraph.store.base import PutOp
from langgraph.store.memory import InMemoryStore

import onebrain
from onebrain import F, Scope
from onebrain.testing.reference import REFERENCE, reference_brain
from onebrain_langchain import OneBrainStore

SPACE = Scope(space="langgraph")
AXES = ("red", "green", "blue", "sun")


def embed(texts):
    """A vector counts the words that it knows; a minus before one counts it down."""
    vectors = []
    for text in texts:
        words = re.findall(r"-?\w+", text)
        vector = [float(words.count(axis) - words.count(f"-{axis}")) for axis in AXES]
        vectors.append([*vector, 0.0 if any(vector) else 1.0])
    return vectors


def cosine(one, other):
    (a,), (b,) = embed([one]), embed([other])
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def configured(brain, fields=None, **options):
    index = {"dims": 5, "embed": embed, **options}
    return OneBrainStore(brain=brain, index=index if fields is None else {**index, "fields": fields})


def scores(items):
    return {item.key: None if item.score is None else round(item.score, 3) for item in items}


@pytest.fixture(params=["reference", "sqlite", "postgresql"])
def every_brain(request, new_tenant):
    if request.param == "postgresql":
        brain = onebrain.connect(request.getfixturevalue("postgres_url"), tenant=new_tenant())
    else:
        brain = reference_brain() if request.param == "reference" else onebrain.connect("sqlite://")
    yield brain
    brain.close()


# ---- items without a vector -------------------------------------------------------------------------------------------


async def test_items_without_a_vector_are_kept_and_follow_the_scored_ones(every_brain, call):
    brain = every_brain
    store = configured(brain, ["text"])
    await call(store.put, ("t",), "red", {"text": "red"})
    await call(store.put, ("t",), "off", {"text": "red"}, index=False)
    await call(store.put, ("t",), "none", {})
    await call(store.put, ("t",), "other", {"other": "red"})
    await call(store.put, ("t",), "blank", {"text": " "})
    assert {item.key for item in await call(store.search, ("t",))} == {"red", "off", "none", "other", "blank"}
    found = await call(store.search, ("t",), query="red")
    assert found[0].key == "red"
    assert scores(found) == {"red": 1, "off": None, "none": None, "other": None, "blank": None}
    assert scores(await call(store.search, ("t",), query="red", filter={"text": "red"})) == {
        "red": 1,
        "off": None,
    }
    assert [item.key for item in await call(store.search, ("t",), query="red", limit=1)] == ["red"]
    pages = [await call(store.search, ("t",), query="red", limit=2, offset=offset) for offset in (0, 2, 4)]
    assert len({item.key for page in pages for item in page}) == 5
    assert brain.count(scope=SPACE) == 5
    await call(store.delete, ("t",), "off")
    assert len(await call(store.search, ("t",))) == 4


@pytest.mark.parametrize("first", [{"index": False}, {}])
async def test_an_item_may_come_without_a_vector_first_and_with_one_later(brain, call, first):
    store = configured(brain)
    await call(store.put, ("t",), "a", {"text": "red"} if first else {}, **first)
    assert scores(await call(store.search, ("t",), query="red")) == {"a": None}
    await call(store.put, ("t",), "b", {"text": "blue"})
    await call(store.put, ("t",), "a", {"text": "red"})
    assert scores(await call(store.search, ("t",), query="red")) == {"a": 1, "b": 0}
    await call(store.put, ("t",), "a", {"text": "red"}, index=False)
    assert scores(await call(store.search, ("t",), query="red")) == {"b": 0, "a": None}
    await call(store.put, ("t",), "a", {"text": "red green"}, index=["text"])
    assert scores(await call(store.search, ("t",), query="red")) == {"a": 0.707, "b": 0}


async def test_one_batch_may_hold_items_with_and_without_vectors(brain, call):
    store = configured(brain)
    operations = [
        PutOp(("t",), "b", {"text": "y"}, index=False),
        PutOp(("t",), "a", {"text": "red"}),
        PutOp(("t",), "c", {}),
    ]
    await call(store.batch, operations)
    assert scores(await call(store.search, ("t",), query="red")) == {"a": 1, "b": None, "c": None}


def spoil(brain, label, key, value, scope=SPACE):
    """Keep an item that is not indexed as the first release did: with a vector that the brain made."""
    item = {
        "namespace": f"{label}.",
        "key": key,
        "value": value,
        "indexed": False,
        "updated_at": "2026-01-01T00:00:00+00:00",
    }
    id = f"@item:{scope.space}{':' + scope.user if scope.user else ''}/{label}..{key}"
    brain.store(f"({label}.{key})", id=id, scope=scope, metadata={"item": item})


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
async def test_a_space_that_holds_vectors_of_the_brain_for_what_is_not_indexed_takes_others(
    where, request, call, tmp_path, new_tenant
):
    sqlite = where == "sqlite"
    url = f"sqlite:///{tmp_path / 'brain.db'}" if sqlite else request.getfixturevalue("postgres_url")
    options = {} if sqlite else {"tenant": new_tenant()}
    with onebrain.connect(url, **options) as brain:
        spoil(brain, "t", "b", {"text": "red"})
        # Of another store in the space.
        spoil(brain, "u", "c", {}, Scope(space="langgraph", user="maria"))
    with onebrain.connect(url, **options) as brain, onebrain.connect(url, **options) as other:
        store = configured(brain)
        assert configured(other).search(("t",))[0].key == "b"
        assert scores(await call(store.search, ("t",), query="red")) == {"b": None}
        await call(store.put, ("t",), "a", {"text": "red"})
        for each in (store, configured(other)):
            assert scores(await call(each.search, ("t",), query="red")) == {"a": 1, "b": None}
            assert (await call(each.get, ("t",), "b")).value == {"text": "red"}
        await call(store.put, ("t",), "b", {"text": "blue"})
        assert scores(await call(store.search, ("t",), query="blue")) == {"b": 1, "a": 0}
    with onebrain.connect(url, **options) as brain:
        assert scores(configured(brain).search(("t",), query="red")) == {"a": 1, "b": 0}
        theirs = OneBrainStore(brain=brain, scope={"user": "maria"}, index={"dims": 5, "embed": embed})
        assert theirs.get(("u",), "c").value == {}


async def test_indexed_items_of_another_embedder_are_not_overwritten(call):
    with onebrain.connect("sqlite://") as brain:
        OneBrainStore(brain=brain).put(("t",), "a", {"text": "red"})
        store = configured(brain)
        for method, arguments in ((store.put, (("t",), "b", {"text": "red"})), (store.search, (("t",),))):
            with pytest.raises(onebrain.EmbedderMismatch):
                await call(method, *arguments, **({"query": "red"} if method == store.search else {}))
        assert [item.key for item in OneBrainStore(brain=brain).search(("t",), query="red")] == ["a"]


# ---- one vector for each field ------------------------------------------------------------------------------------------


async def test_the_best_field_decides(every_brain, call):
    brain = every_brain
    store = configured(brain, ["title", "body"])
    await call(store.put, ("t",), "both", {"title": "red", "body": "blue"})
    await call(store.put, ("t",), "mixed", {"title": "red blue", "body": "sun"})
    for query in ("red", "blue"):
        assert scores(await call(store.search, ("t",), query=query)) == {"both": 1, "mixed": 0.707}
    assert [item.key for item in await call(store.search, ("t",), query="sun")] == ["mixed", "both"]
    assert [item.key for item in await call(store.search, ("t",), query="sun", limit=1, offset=1)] == ["both"]


@pytest.mark.parametrize(
    ("fields", "texts"),
    [
        (["tags[*]"], ["red", "green", "blue"]),
        (["tags[0]"], ["red"]),
        (["tags[-1]"], ["blue"]),
        (["rows[*].name"], ["sun", "green"]),
        (["deep.one.two"], ["sun"]),
        (["deep.one.missing", "deep.one.two"], ["sun"]),
        (["{first,deep.one.two}"], ["green", "sun"]),
        (["deep.*"], ['{"two": "sun"}']),
        (["number"], ["7"]),
        (["nothing", "missing", "first.deep"], []),
    ],
)
async def test_every_text_at_a_path_has_a_vector(brain, call, fields, texts):
    value = {
        "tags": ["red", "green", "blue"],
        "rows": [{"name": "sun"}, {"name": "green"}, {"other": "red"}],
        "deep": {"one": {"two": "sun"}},
        "first": "green",
        "number": 7,
        "nothing": None,
    }
    for store, arguments in ((configured(brain, fields), {}), (configured(brain), {"index": fields})):
        await call(store.put, ("t",), "k", value, **arguments)
        for query in ("red", "green", "blue", "sun"):
            (item,) = await call(store.search, ("t",), query=query)
            best = max((cosine(query, text) for text in texts), default=None)
            assert item.score == (None if best is None else pytest.approx(best, abs=1e-5))
        await call(store.delete, ("t",), "k")
        assert brain.count(scope=SPACE, include_archived=True) == 0


async def test_an_embedder_gets_what_langgraphs_own_stores_give_it_and_readers_get_text(brain, call):
    values = {"one": {"text": "red", "n": 1}, "two": {"b": ["sun", "blau é"], "a": {"x": None}}, "three": {}}
    given: dict[str, list[str]] = {}
    for fields in (None, ["$"], ["text", "$"], ["b[*]"]):
        for name in ("langgraph", "onebrain"):
            given[name] = []

            def embedded(texts, seen=given[name]):
                seen.extend(texts)
                return embed(texts)

            index = {"dims": 5, "embed": embedded, **({"fields": fields} if fields else {})}
            store = (
                InMemoryStore(index=index) if name == "langgraph" else OneBrainStore(brain=brain, index=index)
            )
            for key, value in values.items():
                await call(store.put, ("t",), key, value)
        # A value without any text is not embedded here.
        assert set(given["onebrain"]) == set(given["langgraph"]) - {"{}"}
    await call(configured(brain).put, ("t",), "one", {"text": "red", "n": 1})
    assert "text: red\nn: 1" in [memory.content for memory in brain.list(scope=SPACE)]


async def test_a_value_that_cannot_be_json_is_refused_before_it_is_embedded(brain, call):
    store = configured(brain)
    for value in ({"text": object()}, {"text": {1, 2}}, {"text": "red", 1: "a"}):
        with pytest.raises(onebrain.OneBrainValidationError):
            await call(store.put, ("t",), "k", value)
    assert brain.count(scope=SPACE) == 0


async def test_fields_may_be_called_text_fields_as_in_the_store_on_sqlite(brain, call):
    store = configured(brain, text_fields=["title"])
    await call(store.put, ("t",), "k", {"title": "red", "body": "blue"})
    assert scores(await call(store.search, ("t",), query="red")) == {"k": 1}
    assert scores(await call(configured(brain, text_fields=None).search, ("t",), query="blue")) == {"k": 0}
    configured(brain, ["title"], text_fields=["title"])
    with pytest.raises(onebrain.ConfigurationError, match="text_fields"):
        configured(brain, ["body"], text_fields=["title"])


async def test_an_item_with_several_vectors_is_one_for_everything_else(brain, call):
    store = configured(brain, ["tags[*]"])
    for key in ("a", "b"):
        await call(store.put, ("t", key), "k", {"tags": list(AXES), "n": key}, ttl=10)
    assert brain.count(scope=SPACE) == len(list(brain.list(scope=SPACE))) == 2
    assert len(await call(store.search, ())) == len(await call(store.search, (), query="red", limit=100)) == 2
    assert await call(store.list_namespaces) == [("t", "a"), ("t", "b")]
    assert len(brain.search("red green blue sun", scope=SPACE, limit=100, mode="keyword")) == 2
    (item,) = await call(store.search, ("t",), query="sun", filter={"n": "b"})
    assert (item.namespace, item.value["n"], round(item.score, 3)) == (("t", "b"), "b", 1)
    everything = list(brain.list(scope=SPACE, include_archived=True))
    assert len({memory.expires_at is None for memory in everything}) == 1


async def test_an_update_leaves_no_vector_of_what_was_there(every_brain, call):
    brain = every_brain
    store = configured(brain, ["tags[*]"])
    await call(store.put, ("t",), "k", {"tags": ["red", "green", "blue"]})
    for tags in (["sun", "green"], ["sun"], ["sun", "green"], [], ["green", "sun"]):
        await call(store.put, ("t",), "k", {"tags": tags})
        for query in AXES:
            (item,) = await call(store.search, ("t",), query=query)
            assert item.score == ((1 if query in tags else 0) if tags else None)
        assert brain.count(scope=SPACE, include_archived=True) == max(1, len(tags))
    await call(store.put, ("t",), "k", {"tags": ["red", "green"]}, index=False)
    assert scores(await call(store.search, ("t",), query="red")) == {"k": None}
    await call(store.put, ("t",), "k", {"tags": ["red", "green"]})
    await call(OneBrainStore(brain=brain).delete, ("t",), "k")
    assert brain.count(scope=SPACE, include_archived=True) == 0


async def test_a_part_whose_item_is_gone_or_archived_is_not_found(brain, call):
    store = configured(brain, ["tags[*]"])
    for key in ("gone", "archived", "there"):
        await call(store.put, ("t",), key, {"tags": ["red", "green", "blue"]})
    ids = {memory.metadata["item"]["key"]: memory.id for memory in brain.list(scope=SPACE)}
    brain.delete(ids["gone"])
    brain.update(ids["archived"], archived=True, scope=SPACE)
    for query in ("red", "blue"):
        assert scores(await call(store.search, ("t",), query=query)) == {"there": 1}


async def test_a_search_removes_the_parts_of_items_that_are_gone_and_no_others(brain, call):
    store = configured(brain, ["tags[*]"])
    for key in ("gone", "back", "archived", "there"):
        await call(store.put, ("t",), key, {"tags": ["red", "green", "blue"]})
    ids = {memory.metadata["item"]["key"]: memory.id for memory in brain.list(scope=SPACE)}
    brain.delete([ids["gone"], ids["back"]])
    brain.update(ids["archived"], archived=True, scope=SPACE)
    await call(store.put, ("t",), "back", {"tags": ["red", "green"]})
    await call(store.search, ("t",), query="blue")
    left = [memory.metadata["item"] for memory in brain.list(scope=SPACE, include_archived=True)]
    # A put does not know of a third part, but that part is of an earlier put, so it counts for nothing.
    assert Counter(item["key"] for item in left) == {"back": 3, "archived": 3, "there": 3}
    assert scores(await call(store.search, ("t",), query="green")) == {"back": 1, "there": 1}
    assert scores(await call(store.search, ("t",), query="blue")) == {"there": 1, "back": 0}


async def test_reading_refreshes_all_of_an_item(brain, call):
    store = configured(brain, ["tags[*]"])
    await call(store.put, ("t",), "k", {"tags": ["red", "green"]}, ttl=10)

    def expiries():
        return [memory.expires_at for memory in brain.list(scope=SPACE, include_archived=True)]

    before = max(expiries())
    await call(store.search, ("t",), query="green")
    assert min(expiries()) > before
    before = max(expiries())
    await call(store.get, ("t",), "k")
    assert min(expiries()) > before


def test_an_export_holds_all_vectors_of_an_item(tmp_path):
    with onebrain.connect("sqlite://") as brain, onebrain.connect("sqlite://") as copy:
        configured(brain, ["tags[*]"]).put(("t",), "k", {"tags": ["red", "green"]})
        rows = list(brain.list(scope=SPACE, include_archived=True, with_embeddings=True, order="sequence"))
        kept = ("id", "content", "scope", "metadata", "archived", "embedding")
        copy.store_many([{name: getattr(row, name) for name in kept} for row in rows]).raise_for_failures()
        assert scores(configured(copy, ["tags[*]"]).search(("t",), query="green")) == {"k": 1}


FIELDS = ("title", "tags[*]")
WORDS = st.sampled_from(["red", "green", "blue", "sun", "red green", "-red blue", "-sun", ""])
VALUES = st.fixed_dictionaries({}, optional={"title": WORDS, "tags": st.lists(WORDS, max_size=3)})
INDEX = st.sampled_from([None, None, None, False, ["tags[0]"], ["title"], ["tags[-1]", "tags[*]"]])


class Items(RuleBasedStateMachine):
    """Any order of puts and deletes, and each search finds what a model of the store holds by now."""

    brain = staticmethod(lambda: onebrain.connect("sqlite://"))

    def __init__(self):
        super().__init__()
        self.memory = self.brain()
        self.store = configured(self.memory, list(FIELDS))
        self.model = {}

    def teardown(self):
        self.memory.close()

    @rule(key=st.sampled_from("abc"), value=VALUES, index=INDEX)
    def put(self, key, value, index):
        self.store.put(("t",), key, value, index=index)
        tags, title = value.get("tags", []), [value["title"]] if "title" in value else []
        chosen = {"tags[0]": tags[:1], "tags[-1]": tags[-1:], "tags[*]": tags, "title": title}
        paths = [] if index is False else FIELDS if index is None else index
        self.model[key] = [text for path in paths for text in chosen[path] if text]

    @rule(key=st.sampled_from("abc"))
    def delete(self, key):
        self.store.delete(("t",), key)
        self.model.pop(key, None)

    @rule(query=st.sampled_from(["red", "green", "blue", "sun", "-red"]), limit=st.integers(1, 4))
    def search(self, query, limit):
        expected = {
            key: max((cosine(query, text) for text in texts), default=None)
            for key, texts in self.model.items()
        }
        found = self.store.search(("t",), query=query, limit=limit)
        ranked = sorted((score for score in expected.values() if score is not None), reverse=True)
        wanted = [*ranked, *([None] * (len(expected) - len(ranked)))][:limit]
        assert [item.score for item in found] == [
            None if score is None else pytest.approx(score, abs=1e-5) for score in wanted
        ]
        assert all(scores([item])[item.key] in (None, round(expected[item.key] or 0, 3)) for item in found)
        assert self.memory.count(scope=SPACE) == len(self.model)


class ReferenceItems(Items):
    brain = staticmethod(reference_brain)


@pytest.mark.parametrize("machine", [Items, ReferenceItems])
def test_any_order_of_items_with_any_number_of_vectors_is_found(machine):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


# ---- scores and options -------------------------------------------------------------------------------------------------


async def test_scores_are_cosines_and_the_unlike_stay_in_order(every_brain, call):
    brain = every_brain
    store = configured(brain, ["text"])
    texts = ["-red", "-red green", "-red green green", "green", "red green", "red"]
    for text in texts:
        await call(store.put, ("t",), text, {"text": text})
    found = await call(store.search, ("t",), query="red")
    assert [item.key for item in found] == texts[::-1]
    assert [item.score for item in found] == [
        pytest.approx(cosine("red", text), abs=1e-5) for text in texts[::-1]
    ]
    assert [item.key for item in await call(store.search, ("t",), query="red", limit=2, offset=3)] == [
        "-red green green",
        "-red green",
    ]


async def test_distances_of_other_stores_put_the_candidates_in_order(brain, call):
    texts = {"near": "red", "long": "red red red green", "far": "blue blue"}
    expected = {
        "l2": {"near": 0, "long": -math.dist([3, 1], [1, 0]), "far": -math.dist([0, 2], [1, 0])},
        "inner_product": {"long": 3, "near": 1, "far": 0},
        "cosine": {"near": 1, "long": 3 / math.hypot(3, 1), "far": 0},
    }
    for distance, wanted in expected.items():
        store = configured(brain, ["text"], distance_type=distance)
        for key, text in texts.items():
            await call(store.put, ("t",), key, {"text": text})
        found = await call(store.search, ("t",), query="red")
        assert [item.key for item in found] == sorted(wanted, key=lambda key: -wanted[key])
        assert {item.key: item.score for item in found} == {
            key: pytest.approx(score, abs=1e-5) for key, score in wanted.items()
        }


async def test_a_service_that_takes_no_vectors_ranks_by_its_own_and_says_so_once(call):
    brain = reference_brain(replace(REFERENCE, embeddings=False))
    store = configured(brain, ["a", "b"], distance_type="l2")
    with pytest.warns(UserWarning, match="makes its own vectors"):
        await call(store.put, ("x",), "seat", {"a": "window seats", "b": "tea", "c": "aisle"})
    # A second warning would be an error.
    found = await call(store.search, ("x",), query="window")
    assert [item.key for item in found] == ["seat"]
    assert 0 < found[0].score <= 1
    assert not await call(store.search, ("x",), query="aisle")


def test_options_that_mean_nothing_here_are_named():
    with onebrain.connect("sqlite://") as brain:
        with pytest.warns(UserWarning, match="ann_index_config"):
            configured(brain, ann_index_config={"kind": "hnsw", "vector_type": "halfvec"})
        with pytest.raises(onebrain.ConfigurationError, match=r"distance_type.*hamming"):
            configured(brain, distance_type="hamming")


async def test_what_embed_makes_is_checked_before_anything_is_stored(brain, call):
    for made in ([], [[1.0] * 5] * 3, [[1.0] * 4, [1.0] * 5], [[1.0], [1.0]]):
        store = OneBrainStore(brain=brain, index={"dims": 5, "embed": lambda texts, made=made: made})
        with pytest.raises(onebrain.EmbedderMismatch):
            await call(store.batch, [PutOp(("t",), "a", {"x": "red"}), PutOp(("t",), "b", {"x": "blue"})])
        assert brain.count() == 0


@pytest.mark.parametrize(
    ("condition", "expected"),
    [({}, ["b"]), ({"$eq": 0}, []), ({"$ne": 0}, ["b"]), ({"$gt": 0}, []), ({"$lte": 0}, [])],
)
async def test_a_filter_on_nan_matches_as_nan_does(brain, call, condition, expected):
    store = OneBrainStore(brain=brain)
    await call(store.put, ("t",), "b", {"n": 1})
    nan = float("nan")
    wanted = dict.fromkeys(condition, nan) if condition else {"$ne": nan}
    assert [item.key for item in await call(store.search, ("t",), filter={"n": wanted})] == expected
    for equal in (nan, [nan], {"m": nan}):
        assert await call(store.search, ("t",), filter={"n": equal}) == []
    assert len(await call(store.search, ("t",), filter={"n": {"$lt": float("inf")}})) == 1


# ---- all or nothing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        PutOp(("t",), "bad", {"n": float("nan")}),
        PutOp(("t",), "bad", {"n": object()}),
        PutOp(("t",), "bad", {"n": "\ud800"}),
        PutOp(("t",), "bad", {"n": 1}, ttl=-1),
        PutOp(("t",), "bad", "text"),
        PutOp(("t.",), "bad", {"n": 1}),
    ],
)
async def test_a_batch_with_what_cannot_be_put_does_nothing(brain, call, bad):
    store = OneBrainStore(brain=brain)
    await call(store.put, ("t",), "old", {"n": 1})
    operations = [PutOp(("t",), "good", {"n": 1}), PutOp(("t",), "old", None), bad]
    for order in (operations, operations[::-1]):
        with pytest.raises(ValueError, match=r"(?s)."):
            await call(store.batch, order)
        assert [item.key for item in await call(store.search, ())] == ["old"]


async def test_vectors_that_do_not_fit_leave_nothing_of_a_batch(call):
    with onebrain.connect("sqlite://") as brain:
        configured(brain).put(("t",), "old", {"x": "red"})
        short = OneBrainStore(brain=brain, index={"embed": lambda texts: [[1.0, 0.0] for _ in texts]})
        with pytest.raises(onebrain.EmbedderMismatch):
            await call(
                short.batch,
                [PutOp(("t",), "bare", {}), PutOp(("t",), "old", None), PutOp(("t",), "new", {"x": "red"})],
            )
        assert [item.key for item in configured(brain).search(())] == ["old"]
        assert brain.count(filter=F("item.key").eq("bare")) == 0
