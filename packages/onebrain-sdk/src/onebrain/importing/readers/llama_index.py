"""LlamaIndex's folder of a persisted index: the nodes in ``docstore.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from onebrain._core.codec import as_object, from_json
from onebrain.importing.entries import Draft, Entry, Row, Skipped, scope_of
from onebrain.importing.json_stream import items
from onebrain.importing.rows import placed
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Source

# The number of the relation to the document that a node was cut from.
_OF_DOCUMENT: Final = "1"
# Fields that say how LlamaIndex formats a node.
_FORMATTING: Final = frozenset(
    {"class_name", "text_template", "metadata_template", "metadata_separator", "metadata_seperator", "embedding",
     "excluded_embed_metadata_keys", "excluded_llm_metadata_keys", "relationships", "image_resource",
     "audio_resource", "video_resource"}
)  # fmt: skip


def detects(sample: Sample) -> bool:
    """Whether it is a persisted index or its docstore."""
    return "docstore.json" in sample.names or sample.says("docstore/data")


def read(source: Source) -> Iterator[Entry]:
    """Return the nodes; the document of each is its session. Vectors are left out, because the brain makes its own."""
    for part in source.named("docstore.json"):
        for item in items(part.chunks()):
            if item.reason is not None:
                yield Skipped(placed(part, item.place), item.reason)
            elif item.key == "docstore/data":
                for id, node in as_object(item.value).items():
                    found = as_object(node)
                    data: Any = found.get("__data__", found)
                    yield _read_node(id, data, placed(part, f"node {id}"))


def _read_node(id: str, data: Any, place: str) -> Entry:
    # Some versions keep a node as JSON text within the JSON.
    if isinstance(data, str):
        try:
            data = from_json(data)
        except ValueError:
            return Skipped(place, "is no JSON")
    return node_draft(id, as_object(data), place)


def node_draft(id: str, data: Mapping[str, Any], place: str) -> Entry:
    """Make a draft of a node's fields."""
    row = Row({name: value for name, value in data.items() if name not in _FORMATTING})
    resource = as_object(row.left.pop("text_resource", None))
    if row.left.get("mimetype") == "text/plain":
        del row.left["mimetype"]
    text = row.text("text") or str(resource.get("text") or "")
    row.metadata = row.object("metadata") or row.object("extra_info")
    document = as_object(as_object(data.get("relationships")).get(_OF_DOCUMENT)).get("node_id")
    own = row.take("id_", "doc_id") or id
    fields = {"content": text, "id": own, "scope": scope_of(session=document), "source": "llama-index"}
    kept = {name: value for name, value in row.left.items() if value not in (None, "", [], {})}
    row.left = kept
    return Draft(place, {**fields, "metadata": row.rest("llama_index")})
