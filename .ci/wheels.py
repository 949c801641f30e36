"""Use the installed packages as their users do; `.ci/run` runs it with wheels, in an empty environment."""

from __future__ import annotations

import importlib
import importlib.metadata as metadata
import subprocess
import sys
import tempfile
from pathlib import Path

MODULES = (
    "onebrain", "onebrain_engine", "onebrain_server", "onebrain_langchain", "onebrain_llamaindex", "onebrain_openai_agents",
    "langchain_onebrain", "llama_index_onebrain",
)  # fmt: skip
TEXT = "Maria prefers window seats"


def check_modules() -> None:
    """Each module is that of a wheel, and says that it has types."""
    for name in MODULES:
        module = importlib.import_module(name)
        folder = Path(str(module.__file__)).parent
        assert "site-packages" in folder.parts, f"{name} is not installed: {folder}"
        assert (folder / "py.typed").is_file(), f"{name} has no py.typed"


def check_frameworks(url: str) -> None:
    """A memory is found through a brain and through the frameworks."""
    from llama_index.core import VectorStoreIndex
    from llama_index.core.schema import TextNode

    import onebrain
    from onebrain_langchain import OneBrainRetriever
    from onebrain_llamaindex import BrainEmbedding, OneBrainVectorStore

    with onebrain.connect(url) as brain:
        assert brain.store(TEXT, id="seat").id == "seat"
        assert brain.search("Where does Maria like to sit?")[0].content == TEXT
        assert OneBrainRetriever(brain=brain).invoke("Maria")[0].page_content == TEXT
        vectors = OneBrainVectorStore(brain=brain)
        index = VectorStoreIndex.from_vector_store(vectors, embed_model=BrainEmbedding())
        index.insert_nodes([TextNode(text=TEXT)])
        assert index.as_retriever().retrieve("Maria")[0].node.get_content() == TEXT


def check_server() -> None:
    """The server can be made."""
    from onebrain_server import create_app

    assert create_app is not None


def check_command(url: str) -> None:
    """The command works on the same brain."""
    command = Path(sys.executable).with_name("onebrain")
    done = subprocess.run(
        [command, "search", "Maria", "--url", url], capture_output=True, text=True, check=True
    )
    assert TEXT in done.stdout
    subprocess.run([command, "doctor", "--url", url], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Check everything."""
    check_modules()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/brain.db"
        check_frameworks(url)
        check_command(url)
    check_server()
    names = ("pydantic", "httpx", "langchain-core", "llama-index-core", "fastapi", "numpy", "click", "rich")
    print("ok:", ", ".join(f"{name} {metadata.version(name)}" for name in names))


if __name__ == "__main__":
    main()
