"""What all components share: how they connect, what they show and save, and what they import."""

from __future__ import annotations

import ast
import asyncio
import copy
import inspect
import json
import pickle
import re
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from llama_index.core.llms import ChatMessage
from llama_index.core.schema import TextNode

import onebrain
import onebrain.frameworks
import onebrain_llamaindex
from onebrain import AsyncBrain, Brain, ConfigurationError, Scope
from onebrain.testing.reference import reference_brain
from onebrain_llamaindex import (
    AsyncOneBrainChatStore,
    OneBrainChatStore,
    OneBrainKVStore,
    OneBrainMemory,
    OneBrainMemoryBlock,
    OneBrainReader,
    OneBrainRetriever,
    OneBrainToolSpec,
    OneBrainVectorStore,
)

MODELS = [
    OneBrainVectorStore,
    OneBrainChatStore,
    AsyncOneBrainChatStore,
    OneBrainMemory,
    OneBrainMemoryBlock,
    OneBrainReader,
]
ALL = [*MODELS, OneBrainRetriever, OneBrainToolSpec, OneBrainKVStore]
SERIALIZABLE = [kind for kind in MODELS if hasattr(kind, "to_dict")]
KEY = "ob_eu_1234567890abcdef"
URL = "onebrain+https://memory.example.com/api/eu"
SOURCE = Path(inspect.getfile(onebrain_llamaindex)).parent
BASE = Path(inspect.getfile(onebrain.frameworks)).parent

every = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
every_model = pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
every_serializable = pytest.mark.parametrize("kind", SERIALIZABLE, ids=lambda kind: kind.__name__)


@every
def test_a_component_takes_a_brain_of_either_colour_or_both(kind):
    brain = reference_brain()
    for given in (brain, brain.to_async(), (brain, brain.to_async())):
        connection = kind(brain=given, scope=Scope(user="maria"))._connection
        assert isinstance(connection.sync, Brain)
        assert isinstance(asyncio.run(connection.open()), AsyncBrain)
        connection.sync.store("shared", scope=Scope(user="x"))
    assert brain.count() == 3


@every
async def test_a_component_connects_by_url_without_blocking_the_loop(kind, tmp_path):
    component = kind(url=f"sqlite:///{tmp_path / 'brain.db'}", scope={"user": "maria"})
    with blockbuster_ctx():
        brain = await component._connection.open()
        await brain.store("hello")
        await component.aclose()


@every
def test_a_component_connects_by_nothing(kind, tmp_path, monkeypatch):
    for name in ("ONEBRAIN_URL", "ONEBRAIN_API_KEY", "ONEBRAIN_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ONEBRAIN_HOME", str(tmp_path))
    component = kind()
    component._connection.sync.store("hello")
    component.close()
    assert (tmp_path / "brain.db").exists()


@every
def test_a_brain_and_an_address_together_raise(kind):
    with pytest.raises(ConfigurationError, match="not both"):
        kind(brain=reference_brain(), url=URL)
    with pytest.raises(ConfigurationError, match="one of the two"):
        kind(url=URL, base_url="https://memory.example.com")


@every
def test_a_wrong_scope_or_argument_raises_and_says_what_is_wrong(kind):
    brain = reference_brain()
    for scope in ({"usr": "maria"}, "maria", {"user": " "}):
        with pytest.raises(ConfigurationError, match="scope"):
            kind(brain=brain, scope=scope)
    with pytest.raises((TypeError, ConfigurationError), match="scop_e"):
        kind(brain=brain, scop_e=Scope())


@every
def test_no_key_and_no_password_is_shown(kind):
    for component in (
        kind(url=URL, api_key=KEY),
        kind(base_url="https://memory.example.com/api/eu", api_key=KEY),
    ):
        assert KEY not in repr(component) + str(component) + repr(vars(component))
    assert "hunter2" not in repr(kind(url="postgresql://me:hunter2@db.example.com/brain"))


@every_model
def test_no_key_and_no_password_is_dumped(kind):
    component = kind(url=URL, api_key=KEY)
    assert KEY not in component.model_dump_json() + repr(component.model_dump())
    secret = kind(url="postgresql://me:hunter2@db.example.com/brain")
    assert "hunter2" not in secret.model_dump_json()


@every
def test_no_key_is_pickled_and_the_copy_takes_it_from_the_environment(kind, monkeypatch):
    monkeypatch.setenv("ONEBRAIN_API_KEY", "ob_eu_another")
    data = pickle.dumps(kind(url=URL, api_key=KEY, scope={"user": "maria"}))
    assert KEY.encode() not in data
    back = pickle.loads(data)
    assert type(back) is kind
    assert back._connection.address == URL
    assert "user='maria'" in repr(back)
    with pytest.raises(TypeError, match="password"):
        pickle.dumps(kind(url="postgresql://me:hunter2@db.example.com/brain"))


@every
def test_a_component_of_the_cloud_stays_there_when_it_is_pickled(kind):
    back = pickle.loads(pickle.dumps(kind(api_key=KEY)))
    assert back._connection.address.startswith("onebrain+https://")


@every
def test_a_pickled_component_reaches_the_same_file(kind, tmp_path):
    with onebrain.connect(f"sqlite:///{tmp_path / 'brain.db'}") as brain:
        brain.store("hello")
        back = pickle.loads(pickle.dumps(kind(brain=brain)))
        assert back._connection.sync.count() == 1
        back._connection.sync.close()


@every
def test_a_brain_that_only_this_process_has_cannot_be_pickled(kind):
    with onebrain.connect("sqlite://") as brain, pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(kind(brain=brain))


@every
def test_copies_share_the_memory(kind):
    component = kind(url="sqlite://")
    component._connection.sync.store("hello")
    for copied in (copy.copy(component), copy.deepcopy(component)):
        assert copied._connection.sync.count() == 1
    component.close()


@every_serializable
def test_to_dict_and_from_dict_lead_to_the_same_place_without_secrets(kind):
    component = kind(url=URL, api_key=KEY, scope={"user": "maria", "agent": "planner"})
    data = json.loads(json.dumps(component.to_dict()))
    assert data["class_name"] == kind.__name__ == kind.class_name() or kind is OneBrainReader
    assert KEY not in json.dumps(data)
    back = kind.from_dict(data)
    assert back.scope == component.scope
    assert back._connection.address == URL
    assert json.loads(component.to_json()) == data


@every_serializable
def test_a_component_never_moves_to_another_brain_in_silence(kind):
    brain = reference_brain()
    data = kind(brain=brain).to_dict()
    with pytest.raises(ConfigurationError, match="brain="):
        kind.from_dict(data)
    assert kind.from_dict(data, brain=brain)._connection.sync is brain
    with pytest.raises(ConfigurationError, match="password"):
        kind.from_dict(kind(url="postgresql://me:hunter2@db.example.com/brain").to_dict())


@every_model
def test_class_names_are_the_classes_own(kind):
    assert kind.class_name() == kind.__name__


@every
def test_closing_leaves_a_brain_that_was_given_open(kind):
    with onebrain.connect("sqlite://") as brain:
        component = kind(brain=brain)
        component._connection.sync.store("hello")
        component.close()
        asyncio.run(component.aclose())
        assert brain.count() == 1


async def test_tasks_that_open_a_component_at_once_share_one_memory():
    store = OneBrainVectorStore(url="sqlite://")
    with blockbuster_ctx():
        await asyncio.gather(*(store.async_add([TextNode(id_=str(n), text=f"note {n}")]) for n in range(20)))
        assert len(await store.aget_nodes()) == 20
        await store.aclose()


async def test_a_cancelled_call_does_not_break_the_next():
    store = OneBrainChatStore(url="sqlite://")
    for number in range(10):
        task = asyncio.create_task(store.async_add_message("a", ChatMessage(str(number))))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.async_add_message("a", ChatMessage("last"))
    assert (await store.aget_messages("a"))[-1].content == "last"
    await store.aclose()


def test_errors_hold_no_text_of_a_memory(sqlite):
    secret = "the moon is made of cheese"
    with pytest.raises(onebrain.OneBrainError) as caught:
        OneBrainVectorStore(brain=sqlite).add([TextNode(text=secret, metadata={"a": "\ud800"})])
    assert secret not in str(caught.value)


# ---- the source ------------------------------------------------------------------------------------------------------


def test_async_methods_never_wrap_the_sync_memory_in_a_thread():
    """The one thread there is opens the memory, whose driver has to be found and imported."""
    blocking = re.compile(
        r"to_thread|run_in_executor|ThreadPool|nest_asyncio|asyncio\.run|run_until_complete"
    )
    uses = [
        (path.name, line.strip())
        for path in (*SOURCE.glob("*.py"), *BASE.glob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if blocking.search(line) and ">>>" not in line  # an example may start a loop
    ]
    assert {name for name, _ in uses} == {"connection.py"}
    assert all("brains" in line for _, line in uses)


def test_nothing_private_of_the_framework_is_imported_or_used():
    private = []
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                ("llama_index", "onebrain.")
            ):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                private += [(path.name, name) for name in names if name.startswith("_")]
            if (
                isinstance(node, ast.Attribute)
                and node.attr.startswith("_")
                and not node.attr.startswith("__")
            ):
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                if owner not in ("self", "cls"):
                    private.append((path.name, ast.unparse(node)))
    assert private == []


def test_all_components_are_exported_and_documented_with_an_example():
    for name in onebrain_llamaindex.__all__:
        value = getattr(onebrain_llamaindex, name)
        assert ">>>" in inspect.getdoc(value), name
