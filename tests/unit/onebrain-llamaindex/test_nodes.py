"""Nodes of every kind come back equal."""

from __future__ import annotations

import pytest
from llama_index.core.schema import (
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    Node,
    NodeRelationship,
    ObjectType,
    RelatedNodeInfo,
    TextNode,
)

from onebrain import F, OneBrainValidationError, Scope
from onebrain_llamaindex import OneBrainVectorStore

PIXEL = b"\x89PNG\r\n\x1a\n0000"
RELATIONS = {
    NodeRelationship.SOURCE: RelatedNodeInfo(
        node_id="doc", node_type=ObjectType.DOCUMENT, metadata={"a": 1}, hash="h"
    ),
    NodeRelationship.PREVIOUS: RelatedNodeInfo(node_id="p"),
    NodeRelationship.CHILD: [
        RelatedNodeInfo(node_id="c1"),
        RelatedNodeInfo(node_id="c2", node_type="custom"),
    ],
}
NODES = [
    TextNode(id_="plain", text="Maria prefers window seats"),
    TextNode(
        id_="rich",
        text="  spaces, Ünïcode, 日本語, emoji 🧠\n",
        metadata={
            "year": 2025,
            "ok": True,
            "tags": ["a", "b"],
            "none": None,
            "deep": {"a.b": [1, {"c": 2.5}]},
            "id": "x",
        },
        relationships=RELATIONS,
        start_char_idx=3,
        end_char_idx=9,
        excluded_llm_metadata_keys=["year"],
        excluded_embed_metadata_keys=["ok"],
        metadata_template="{key}={value}",
        text_template="{content}",
    ),
    TextNode(id_="empty", text=""),
    TextNode(id_="blank", text=" \n"),
    TextNode(id_="clash", text="x", metadata={"doc_id": "mine", "ref_doc_id": "mine", "_node_content": "{}"}),
    TextNode(id_="ids / with ünusual: characters?#" * 20, text="x"),
    Document(id_="document", text="a document", metadata={"file_name": "notes.md"}),
    Document(id_="no text"),
    Node(
        id_="multimodal",
        text_resource=MediaResource(text="caption", mimetype="text/markdown", embeddings={"dense": [0.5]}),
        image_resource=MediaResource(data=PIXEL, mimetype="image/png"),
        audio_resource=MediaResource(url="https://example.com/a.mp3"),
    ),
    ImageNode(id_="image", image="aGVsbG8=", image_mimetype="image/png", text_embedding=[0.5]),
    ImageNode(id_="image file", text="a cat", image_path="cat.png"),
    ImageDocument(id_="image document", image="aGVsbG8=", text="a dog"),
    IndexNode(id_="index", text="see there", index_id="other", obj=TextNode(id_="inner", text="inside")),
]


@pytest.mark.parametrize("node", NODES, ids=lambda node: f"{type(node).__name__}-{node.node_id[:12]}")
async def test_a_node_comes_back_equal(brain, call, node):
    store = OneBrainVectorStore(brain=brain)
    assert await call(store, "add", [node]) == [node.node_id]
    [back] = await call(store, "get_nodes", [node.node_id])
    assert type(back) is type(node)
    assert back == node
    assert back.ref_doc_id == node.ref_doc_id
    assert back.hash == node.hash


def test_a_subclass_comes_back_as_the_class_it_extends(sqlite):
    class Chunk(TextNode):
        weight: int = 0

    store = OneBrainVectorStore(brain=sqlite)
    store.add([Chunk(id_="1", text="x")])
    assert type(store.get_nodes(["1"])[0]) is TextNode


def test_adding_does_not_change_the_node(sqlite):
    node = TextNode(id_="1", text="x", metadata={"a": [1]}, embedding=[0.5])
    before = node.model_copy(deep=True)
    OneBrainVectorStore(brain=sqlite).add([node])
    assert node == before
    assert node.embedding == [0.5]


def test_the_reserved_metadata_key_is_refused(sqlite):
    with pytest.raises(OneBrainValidationError, match="reserved"):
        OneBrainVectorStore(brain=sqlite).add([TextNode(text="x", metadata={"_onebrain": 1})])


def test_metadata_that_is_not_json_raises_and_stores_nothing(sqlite):
    store = OneBrainVectorStore(brain=sqlite)
    with pytest.raises(OneBrainValidationError, match="JSON"):
        store.add([TextNode(text="the secret text", metadata={"a": float("nan")})])
    assert store.get_nodes() == []


def test_text_and_metadata_are_a_plain_memory_for_everybody_else(sqlite):
    scope = Scope(space="notes", user="maria")
    OneBrainVectorStore(brain=sqlite, scope=scope).add(
        [TextNode(id_="n1", text="window seats", metadata={"year": 2025})]
    )
    memory = sqlite.get("n1", scope=scope)
    assert (memory.content, memory.metadata["year"]) == ("window seats", 2025)
    assert sqlite.count(scope=scope, filter=F("year").ge(2025)) == 1


def test_a_memory_of_another_origin_is_a_text_node_with_what_is_known_about_it(sqlite):
    scope = Scope(space="notes", user="maria")
    id = sqlite.store(
        "window seats", scope=scope, tags=["travel"], metadata={"year": 2025, "type": "mine"}, type="fact"
    ).id
    [node] = OneBrainVectorStore(brain=sqlite, scope=scope).get_nodes()
    assert (type(node), node.node_id, node.text) == (TextNode, id, "window seats")
    assert node.metadata["tags"] == ["travel"]
    assert node.metadata["user"] == "maria"
    # The caller's own keys come first.
    assert node.metadata["type"] == "mine"
    assert "user" in node.excluded_llm_metadata_keys
    assert "year" not in node.excluded_embed_metadata_keys
