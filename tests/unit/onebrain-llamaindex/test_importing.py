"""The nodes of a LlamaIndex index, in memory and on disk, are copied into a brain."""

from __future__ import annotations

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore

import onebrain
from onebrain import importing


def test_nodes_in_memory_and_on_disk_are_the_same(tmp_path):
    node = TextNode(id_="n1", text="Likes tea", metadata={"year": 2026})
    node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id="doc")
    docstore = SimpleDocumentStore()
    docstore.add_documents([node])
    docstore.persist(str(tmp_path / "docstore.json"))
    with onebrain.connect("sqlite://", embedder=None) as brain:
        assert importing.import_from(brain, importing.llama_index(docstore)).stored == 1
        assert importing.import_from(brain, importing.llama_index(tmp_path)).already_there == 1
        found = brain.get("n1")
        assert (found.content, found.scope.session, found.metadata) == ("Likes tea", "doc", {"year": 2026})
