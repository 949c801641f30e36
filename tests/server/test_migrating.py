"""Programs that were written for the published packages run, and are told the new spelling."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import onebrain

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sync", "async"])
def call(request, onebrain_server_url, onebrain_api_key):
    """Call a method of a client by its path, sync and async; return the result and the warnings."""
    import asyncio

    def run(path, *args, **kwargs):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if request.param == "sync":
                with onebrain.OneBrain(onebrain_api_key, base_url=onebrain_server_url) as client:
                    result = find(client, path)(*args, **kwargs)
            else:

                async def main():
                    client = onebrain.AsyncOneBrain(onebrain_api_key, base_url=onebrain_server_url)
                    try:
                        return await find(client, path)(*args, **kwargs)
                    finally:
                        await client.aclose()

                result = asyncio.run(main())
        old = [str(one.message) for one in caught if one.category is DeprecationWarning]
        places = [one.filename for one in caught if one.category is DeprecationWarning]
        assert all(place == __file__ for place in places), "the warning must point at the call"
        return result, old

    return run


def find(client, path):
    resource, _, method = path.partition(".")
    return getattr(getattr(client, resource), method)


def test_three_arguments_by_position_make_a_memory(call):
    memory, old = call("memory.create", "fact", "Title", "Text")
    assert (memory.type, memory.title, memory.content) == ("fact", "Title", "Text")
    assert old == [
        "create(): arguments by position is the spelling of an earlier version; write type=, title=, body="
    ]
    extracted, old = call("memory.extract", "goal", "Title", "Run a marathon")
    assert len(old) == 1
    assert extracted
    written, old = call("connect.write_memory", "fact", "Another", "Another text")
    assert (written.title, len(old)) == ("Another", 1)


@pytest.mark.parametrize("resource", ["memory", "entity", "project"])
def test_ids_by_their_earlier_names(call, resource):
    made, _ = call(f"{resource}.create", **({"content": "x"} if resource == "memory" else {"name": "x"}))
    name = f"{resource}_id"
    found, old = call(f"{resource}.get", **{name: made.id})
    assert found.id == made.id
    assert old == [f"get(): {name}= is the spelling of an earlier version; write id="]
    changes = {"title": "y"} if resource == "memory" else {"name": "y"}
    _, old = call(f"{resource}.update", **{name: made.id}, **changes)
    assert len(old) == 1
    assert call(f"{resource}.update", made.id, **changes)[1] == []
    _, old = call(f"{resource}.delete", **{name: made.id})
    assert len(old) == 1
    with pytest.raises(onebrain.OneBrainNotFoundError):
        call(f"{resource}.get", made.id)


def test_entities_are_made_linked_and_merged_by_position(call):
    ada, old = call("entity.create", "Ada", "person")
    assert (ada.type, len(old)) == ("person", 1)
    other, _ = call("entity.create", "A. L.", type="person")
    memory, _ = call("memory.create", "Ada wrote a program")
    _, old = call("entity.add_link", other.id, memory.id, "about")
    assert len(old) == 1
    _, old = call("entity.merge", ada.id, other.id)
    assert old == [
        "merge(): arguments by position is the spelling of an earlier version; write keep_id=, remove_id="
    ]
    with pytest.raises(onebrain.OneBrainNotFoundError):
        call("entity.get", other.id)
    assert call("entity.get", ada.id)[0].id == ada.id


def test_a_project_has_the_status_that_it_is_made_with(call):
    made, old = call("project.create", "Garden", status="completed")
    assert (made.status, old) == ("completed", [])
    assert call("project.get", made.id)[0].status == "completed"
    memory, _ = call("memory.create", "roses")
    assert len(call("project.add_memory_link", made.id, memory.id, "context")[1]) == 1
    with pytest.raises(onebrain.OneBrainValidationError, match="status"):
        call("project.create", "x", status="gone")


def test_skills_and_keys_by_their_earlier_names(call):
    skill, _ = call("skill.create", name="summarise", prompt_template="{{input}}")
    assert len(call("skill.get", skill_id=skill.id)[1]) == 1
    assert len(call("skill.feedback", skill_id=skill.id, event_type="applied")[1]) == 1
    key, _ = call("api_keys.create", "k")
    assert len(call("api_keys.update_trust_level", key_id=key.id, level="trusted")[1]) == 1
    assert len(call("api_keys.revoke", key_id=key.id)[1]) == 1


@pytest.mark.parametrize(
    ("path", "args", "kwargs"),
    [
        ("memory.create", ("fact", "T", "B", "more"), {}),
        ("memory.create", ("fact", "T", "B"), {"title": "again"}),
        ("memory.get", (), {"memory_id": "a", "id": "b"}),
        ("memory.get", ("a",), {"memory_id": "b"}),
        ("memory.get", (), {"memori_id": "a"}),
    ],
)
def test_a_call_that_fits_no_version_is_an_error(call, path, args, kwargs):
    with pytest.raises((TypeError, onebrain.OneBrainError), match=path.partition(".")[2]):
        call(path, *args, **kwargs)


def test_a_prompt_as_text_has_a_name_of_its_own(call):
    with pytest.raises(onebrain.OneBrainValidationError, match="read_text"):
        call("connect.read", format="text")


@pytest.mark.parametrize("heading", ["onebrain-sdk", "onebrain-langchain", "llama-index-onebrain"])
def test_the_examples_of_the_page_run(heading, onebrain_server_url, onebrain_api_key, tmp_path):
    page = (ROOT / "docs/migrating.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    environment = {
        "ONEBRAIN_API_KEY": onebrain_api_key,
        "ONEBRAIN_BASE_URL": onebrain_server_url,
        "ONEBRAIN_HOME": str(tmp_path),
        "PATH": "",
        "PYTHONUTF8": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "default::DeprecationWarning", "-c", block],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "DeprecationWarning" in done.stderr
    if heading != "onebrain-sdk":
        assert "seats" in done.stdout


@pytest.mark.parametrize("module", ["langchain_onebrain", "llama_index_onebrain"])
def test_each_name_of_a_former_module_warns_and_imports_nothing_before(module):
    program = f"import sys, {module} as m; print(*sys.modules); [getattr(m, n) for n in m.__all__]"
    command = [sys.executable, "-W", "always::DeprecationWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not {"langchain_core", "llama_index"} & set(done.stdout.split())
    names = {"langchain_onebrain": 6, "llama_index_onebrain": 3}[module]
    assert done.stderr.count("DeprecationWarning") == names


@pytest.mark.parametrize(
    ("component", "parameters"),
    [
        ("langchain_onebrain.history.OneBrainChatMessageHistory", ["api_key", "session_id", "base_url"]),
        ("llama_index_onebrain.components.OneBrainReader", ["api_key", "base_url"]),
        (
            "llama_index_onebrain.components.OneBrainRetriever",
            ["api_key", "top_k", "search_mode", "base_url", "callback_manager"],
        ),
        ("llama_index_onebrain.tools.OneBrainToolSpec", ["api_key", "base_url"]),
    ],
)
def test_a_component_takes_its_former_arguments_by_position(component, parameters):
    from pkgutil import resolve_name

    found = list(inspect.signature(resolve_name(component)).parameters)
    assert found[: len(parameters)] == parameters


def test_former_tools_say_what_they_said(onebrain_server_url, onebrain_api_key):
    from langchain_onebrain.tools import (
        OneBrainContextTool,
        OneBrainEntityTool,
        OneBrainSearchTool,
        OneBrainWriteTool,
    )

    where = {"api_key": onebrain_api_key, "base_url": onebrain_server_url}
    tools = [
        kind(**where)
        for kind in (OneBrainWriteTool, OneBrainSearchTool, OneBrainContextTool, OneBrainEntityTool)
    ]
    write, search, context, entities = tools
    assert write.invoke({"title": "Job", "body": "Maria works at Acme Labs.", "memory_type": "fact"})
    assert "Acme" in search.invoke({"query": "Where does Maria work?", "top_k": 3, "mode": "keyword"})
    assert "Acme" in context.invoke({"scope": "brief"})
    with onebrain.connect(f"onebrain+{onebrain_server_url}", api_key=onebrain_api_key) as brain:
        brain.extract_entities()
    assert "Maria" in entities.invoke({"entity_type": "person", "limit": 20})
    for tool in tools:
        tool.close()


async def test_a_former_history_archives_what_it_clears(onebrain_server_url, onebrain_api_key):
    from langchain_onebrain.history import OneBrainChatMessageHistory

    history = OneBrainChatMessageHistory(onebrain_api_key, "s1", onebrain_server_url)
    history.add_user_message("hello")
    await history.aclear()
    assert await history.aget_messages() == []
    history.add_user_message("hello again")
    history.clear()
    assert history.messages == []
    with onebrain.connect(f"onebrain+{onebrain_server_url}", api_key=onebrain_api_key) as brain:
        assert brain.count() == 0
        assert brain.count(include_archived=True) == 2
    await history.aclose()
    history.close()
