"""The vector store against `SimpleVectorStore`, with the framework's own filter function as the oracle.

Quirks of the framework that are not copied, each of them tested in words in the unit tests:

* It raises TypeError where values of different kinds are compared, or where ``in``-like operators meet a number; here
  such a comparison does not match. Flat filters on which the oracle raises are therefore compared without the rows
  that make it raise.
* Booleans order as numbers in it (``True > 0``); here they have no order.
* ``in`` and ``nin`` with a string search in that string, ``any`` and ``all`` take it letter by letter; here they raise.
* ``== None`` never matches and ``!= None`` always does; here they mean "null or missing" and "there".
* Case is folded by ``lower``; here by ``casefold``. The alphabet below has no letter that tells them apart.
* A number is no id of a source document, except a whole one, which stands for its digits.
* A node without a source document has the text "None" as its ``ref_doc_id``; here it has none.
* It raises on nested filters, so those are checked against the brain's own evaluator.
* Cosines below zero are negative scores in it; here a score is never below 0.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn, node_to_metadata_dict

import onebrain
from onebrain import Memory
from onebrain.memory.deletion import holds_always
from onebrain.memory.filters import memory_matches
from onebrain.testing.reference import reference_brain
from onebrain_llamaindex import OneBrainVectorStore, translate

Op = FilterOperator
ORDERED = (Op.GT, Op.GTE, Op.LT, Op.LTE)
LISTS = (Op.IN, Op.NIN, Op.ANY, Op.ALL)

texts = st.text(alphabet="abAB 1é", max_size=4)
numbers = st.integers(-3, 3) | st.sampled_from([0.0, 1.0, -1.5, 2.5])
scalars = texts | numbers | st.booleans()
keys = st.sampled_from(["a", "b", "a.b", "$id", "tags"])
metadata = st.dictionaries(keys, scalars | st.none() | st.lists(scalars, max_size=3), max_size=4)
sources = st.sampled_from(["doc-1", "doc-2", None])


SOURCES = ("ref_doc_id", "doc_id", "document_id")


@st.composite
def filters(draw: st.DrawFn) -> MetadataFilter:
    operator = draw(st.sampled_from(list(Op)))
    if operator in LISTS:
        value: Any = draw(st.lists(texts, max_size=3) | st.lists(st.integers(-3, 3), max_size=3))
    elif operator in (Op.TEXT_MATCH, Op.TEXT_MATCH_INSENSITIVE):
        value = draw(texts)
    elif operator is Op.IS_EMPTY:
        value = None
    else:
        value = draw(texts | numbers)
    key = draw(keys if draw(st.integers(0, 5)) else st.sampled_from(SOURCES))
    # An id is text; a number that could be none is refused here.
    if key in SOURCES and value is not None:
        value = [str(item) for item in value] if isinstance(value, list) else str(value)
    return MetadataFilter(key="other" if key == "$id" else key, value=value, operator=operator)


conditions = st.sampled_from([*FilterCondition, None])
flat = st.builds(MetadataFilters, filters=st.lists(filters(), max_size=3), condition=conditions)
nested = st.recursive(
    flat,
    lambda inner: st.builds(
        MetadataFilters, filters=st.lists(filters() | inner, min_size=1, max_size=3), condition=conditions
    ),
    max_leaves=4,
)


@st.composite
def nodes(draw: st.DrawFn) -> list[TextNode]:
    made = []
    for number in range(draw(st.integers(0, 8))):
        source = draw(sources)
        # Vectors that differ in their angle to any query, so that no order is left to chance.
        angle = 0.1 + 0.17 * number
        made.append(
            TextNode(
                id_=f"n{number}",
                text=draw(texts),
                metadata=draw(metadata),
                embedding=[math.cos(angle), math.sin(angle)],
                relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=source)} if source else {},
            )
        )
    return made


def decides(node: TextNode, wanted: MetadataFilters) -> bool:
    """Whether the oracle decides about this node without one of the quirks above."""
    known = node_to_metadata_dict(node, remove_text=True, flat_metadata=False)
    for part in wanted.filters:
        stored = known.get(part.key)
        if part.operator in ORDERED and isinstance(stored, bool):
            return False
        if part.key in SOURCES and stored == "None":
            return False
        one = MetadataFilters(filters=[part])
        try:
            build_metadata_filter_fn(lambda _, known=known: known, one)("")
        except TypeError:
            return False
    return True


@pytest.fixture(params=["reference", "sqlite"])
def brain(request):
    with reference_brain() if request.param == "reference" else onebrain.connect("sqlite://") as opened:
        yield opened


SLOW = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@SLOW
@given(rows=nodes(), wanted=flat, top_k=st.integers(1, 9), angle=st.floats(0, 1.4))
def test_a_filtered_query_finds_what_the_frameworks_store_finds(brain, rows, wanted, top_k, angle):
    rows = [row for row in rows if decides(row, wanted)]
    ours, theirs = OneBrainVectorStore(brain=brain, use_embeddings=True), SimpleVectorStore()
    ours.clear()
    ours.add(rows)
    theirs.add(rows)
    query = VectorStoreQuery(
        query_embedding=[math.cos(angle), math.sin(angle)], similarity_top_k=top_k, filters=wanted
    )
    got, expected = ours.query(query), theirs.query(query)
    assert got.similarities == pytest.approx([max(0.0, score) for score in expected.similarities], abs=2e-3)
    query.similarity_top_k = 99
    everything = theirs.query(query)
    # No ties.
    if len({round(score, 3) for score in everything.similarities}) == len(everything.ids):
        assert got.ids == expected.ids
    assert {node.node_id for node in ours.get_nodes(filters=wanted)} == set(everything.ids)


@SLOW
@given(
    rows=nodes(),
    wanted=flat,
    ids=st.none() | st.lists(st.sampled_from([f"n{n}" for n in range(9)]), max_size=3),
)
def test_deleting_leaves_what_the_frameworks_store_leaves(brain, rows, wanted, ids):
    rows = [row for row in rows if decides(row, wanted)]
    if ids is None and holds_always(translate(wanted)):
        # Empties the framework's store, and raises here.
        return
    ours, theirs = OneBrainVectorStore(brain=brain, use_embeddings=True), SimpleVectorStore()
    ours.clear()
    ours.add(rows)
    theirs.add(rows)
    ours.delete_nodes(ids, wanted)
    theirs.delete_nodes(ids, wanted)
    assert {node.node_id for node in ours.get_nodes()} == set(theirs.data.embedding_dict)
    ours.delete("doc-1")
    theirs.delete("doc-1")
    assert {node.node_id for node in ours.get_nodes()} == set(theirs.data.embedding_dict)


@SLOW
@given(rows=nodes(), wanted=nested)
def test_nested_filters_select_what_their_parts_say(brain, rows, wanted):
    """The parts by the evaluator of the SDK, their combination spelled out here."""

    def matches(memory: Memory, part: MetadataFilter | MetadataFilters) -> bool:
        if isinstance(part, MetadataFilter):
            return memory_matches(translate(MetadataFilters(filters=[part])), memory)
        if not part.filters:
            return True
        decided = [matches(memory, inner) for inner in part.filters]
        if part.condition is FilterCondition.OR:
            return any(decided)
        return not any(decided) if part.condition is FilterCondition.NOT else all(decided)

    store = OneBrainVectorStore(brain=brain, use_embeddings=True)
    store.clear()
    store.add(rows)
    expected = {memory.id for memory in brain.list(scope=store.scope) if matches(memory, wanted)}
    assert {node.node_id for node in store.get_nodes(filters=wanted)} == expected


@SLOW
@given(rows=nodes(), top_k=st.integers(1, 6), threshold=st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]))
def test_mmr_chooses_what_the_frameworks_store_chooses(brain, rows, top_k, threshold):
    ours, theirs = OneBrainVectorStore(brain=brain, use_embeddings=True), SimpleVectorStore()
    ours.clear()
    ours.add(rows)
    theirs.add(rows)
    query = VectorStoreQuery(
        query_embedding=[math.cos(0.63), math.sin(0.63)],
        similarity_top_k=top_k,
        mode=VectorStoreQueryMode.MMR,
    )
    if not rows:
        assert ours.query(query, mmr_threshold=threshold).ids == []
        return
    got = ours.query(query, mmr_threshold=threshold, mmr_prefetch_k=99)
    expected = theirs.query(query, mmr_threshold=threshold)
    # At 0 everything ties for the first place.
    if threshold:
        assert got.ids == expected.ids
    else:
        assert len(got.ids) == len(expected.ids)
