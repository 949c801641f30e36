"""Stores of other libraries as entries. The libraries are not imported: the objects are taken by their shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from onebrain._core.codec import as_object, is_object
from onebrain.errors import OneBrainValidationError
from onebrain.importing.entries import Draft, Entry, Row
from onebrain.importing.readers import langgraph_store
from onebrain.importing.readers import llama_index as llama_index_reader
from onebrain.importing.readers.chroma import records
from onebrain.importing.sources import Source

_PAGE = 500


def langgraph(store: Any, namespace: tuple[str, ...] = ()) -> Iterator[Entry]:
    """Return the items of a LangGraph store below a namespace, for `import_from`."""
    offset = 0
    while True:
        items = store.search(namespace, limit=_PAGE, offset=offset)
        for number, item in enumerate(items, offset + 1):
            row = {
                name: getattr(item, name, None)
                for name in ("namespace", "key", "value", "created_at", "updated_at")
            }
            yield langgraph_store.draft(Row(row), f"item {number}")
        offset += len(items)
        if len(items) < _PAGE:
            return


def chroma(collection: Any) -> Iterator[Entry]:
    """Return the records of a Chroma collection, for `import_from`. Vectors are left out."""
    offset = 0
    while True:
        page = as_object(collection.get(limit=_PAGE, offset=offset, include=["documents", "metadatas"]))
        yield from records(page, f"page {offset // _PAGE + 1}, record")
        found = len(page.get("ids") or ())
        offset += found
        if found < _PAGE:
            return


def langchain(store: Any) -> Iterator[Entry]:
    """Return the documents of a LangChain vector store, for `import_from`. Vectors are left out.

    Stores that list their documents are read: the one in memory, Chroma, FAISS and those with a docstore.

    Raises:
        OneBrainValidationError: The store has no way to list its documents.
    """
    inner = getattr(store, "store", None)
    documents = getattr(getattr(store, "docstore", None), "_dict", None)
    if isinstance(inner, Mapping):
        yield from _documents(inner)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(documents, Mapping):
        yield from _documents(documents)  # pyright: ignore[reportUnknownArgumentType]
    elif hasattr(store, "_collection"):
        yield from chroma(store._collection)
    else:
        raise OneBrainValidationError(
            f"store: {type(store).__name__} has no way to list its documents; pass drafts of your own to import_from"
        )


def _documents(found: Mapping[str, Any]) -> Iterator[Entry]:
    for number, (id, one) in enumerate(found.items(), 1):
        fields: dict[str, Any] = {**one} if is_object(one) else {**vars(one)}
        text = fields.get("text", fields.get("page_content"))
        metadata = dict(as_object(fields.get("metadata")))
        yield Draft(
            f"document {number}", {"content": text, "id": id, "metadata": metadata, "source": "langchain"}
        )


def llama_index(index: Any) -> Iterator[Entry]:
    """Return the nodes of a LlamaIndex index, in memory or in the folder where it was persisted, for `import_from`."""
    if isinstance(index, str | Path):
        yield from llama_index_reader.read(Source(index))
        return
    docstore = getattr(index, "docstore", index)
    nodes: Any = getattr(docstore, "docs", None)
    if not isinstance(nodes, Mapping):
        raise OneBrainValidationError(f"index: {type(index).__name__} has no docstore with nodes")
    for id, node in nodes.items():  # pyright: ignore[reportUnknownVariableType]
        data = node.to_dict()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        yield llama_index_reader.node_draft(str(id), as_object(data), f"node {id}")  # pyright: ignore[reportUnknownArgumentType]
