"""Nodes of LlamaIndex as memories, and memories as nodes."""

from typing import Any

from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    TextNode,
)

from onebrain import Memory, NewMemory, OneBrainValidationError, Scope
from onebrain.frameworks.turns import facts
from onebrain.frameworks.values import is_object
from onebrain_llamaindex.filters import RESERVED
from onebrain_llamaindex.ids import encode

_KINDS: dict[str, type[BaseNode]] = {
    kind.__name__: kind for kind in (TextNode, Document, Node, ImageNode, ImageDocument, IndexNode)
}
_MEDIA = ("text_resource", "image_resource", "audio_resource", "video_resource")
# The key under which a node that came with a vector of its own keeps the length of that vector.
VECTOR = "vector"
# The facts about a memory that a language model should read; the others are for programs.
_READABLE = frozenset({"title", "created_at"})


def memory_of(node: BaseNode, scope: Scope, *, use_embedding: bool) -> NewMemory:
    """Return `node` as a memory in `scope`: its text is the content, its metadata the metadata.

    The other fields of the node, its relationships included, are kept in the metadata under one key of this package.
    """
    kind = type(node).__name__
    if kind not in _KINDS or _KINDS[kind] is not type(node):
        # A subclass comes back as the framework's class that it extends, as in the framework's own stores.
        kind = next((name for name in _KINDS if isinstance(node, _KINDS[name])), "")
    if not kind:
        raise OneBrainValidationError(f"a {type(node).__name__} is none of the framework's kinds of nodes")
    if RESERVED in node.metadata:
        raise OneBrainValidationError(f"metadata: the key {RESERVED!r} is reserved; rename it")
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    own: dict[str, Any] = {"kind": kind, "node": _dump(node), "ref_doc_id": node.ref_doc_id}
    if use_embedding and node.embedding:
        own[VECTOR] = len(node.embedding)
    # A brain keeps no blank text.
    if not text.strip():
        own["text"] = text
    return NewMemory.checked(
        id=encode(scope, node.node_id),
        content=text if text.strip() else f"[{kind}]",
        scope=scope,
        metadata={**node.metadata, RESERVED: own},
        embedding=tuple(node.embedding) if use_embedding and node.embedding else None,
    )


def _dump(node: BaseNode) -> dict[str, Any]:
    """Return a node as JSON, without its text, its metadata and its vector, which the memory has."""
    dump = node.model_dump(mode="json", exclude={"embedding", "metadata"})
    for name in ("text", "class_name"):
        dump.pop(name, None)
    if isinstance(node, Node):
        for name in _MEDIA:
            resource: MediaResource | None = getattr(node, name)
            if resource is not None and resource.data is not None:
                # The framework's dump leaves base64 out.
                dump[name]["data"] = resource.data.decode()
        if dump["text_resource"] is not None:
            del dump["text_resource"]["text"]
    return dump


def is_node(memory: Memory) -> bool:
    """Return whether a memory was stored as a node."""
    return "node" in _facts(memory)


def has_own_vector(memory: Memory) -> bool:
    """Return whether a memory was stored as a node that came with a vector."""
    return VECTOR in _facts(memory)


def _facts(memory: Memory) -> dict[str, Any]:
    own = memory.metadata.get(RESERVED)
    return dict(own) if is_object(own) else {}


def node_of(memory: Memory) -> BaseNode:
    """Return the node that was stored as `memory`, with the vector that it came with where `memory` has that.

    A memory of another origin becomes a `TextNode` with its facts.
    """
    own = _facts(memory)
    if "node" not in own:
        return TextNode(**_plain(memory))
    kind = _KINDS.get(own["kind"], TextNode)
    fields: dict[str, Any] = dict(own["node"])
    fields["metadata"] = _without_own(memory)
    if VECTOR in own and memory.embedding is not None:
        fields["embedding"] = list(memory.embedding)
    text: str = own.get("text", memory.content)
    if not issubclass(kind, Node):
        fields["text"] = text
    elif fields["text_resource"] is not None:
        fields["text_resource"] = {**fields["text_resource"], "text": text}
    return kind.from_dict(fields)


def marked(node: BaseNode, memory: Memory) -> BaseNode:
    """Return a node that was found, with ``superseded_by`` in its metadata if another memory supersedes it."""
    name = "superseded_by"
    if memory.superseded_by is not None and name not in node.metadata:
        node.metadata[name] = memory.superseded_by
        node.excluded_embed_metadata_keys.append(name)
        node.excluded_llm_metadata_keys.append(name)
    return node


def document_of(memory: Memory) -> Document:
    """Return `memory` as a document of its own, whatever it was stored as."""
    fields = _plain(memory)
    return Document(text_resource=MediaResource(text=fields.pop("text")), **fields)


def _plain(memory: Memory) -> dict[str, Any]:
    """Return the fields of a node for a memory of another origin: the facts about it are the metadata."""
    own = _without_own(memory)
    known = {key: value for key, value in facts(memory).items() if key != RESERVED}
    added = [name for name in known if name not in own]
    return {
        "id_": memory.id,
        "text": memory.content,
        "metadata": known,
        "excluded_embed_metadata_keys": added,
        "excluded_llm_metadata_keys": [name for name in added if name not in _READABLE],
    }


def _without_own(memory: Memory) -> dict[str, Any]:
    return {key: value for key, value in memory.metadata.items() if key != RESERVED}
