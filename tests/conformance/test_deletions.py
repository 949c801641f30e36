"""Nothing that deletes takes an empty, a missing or an always-true condition for everything.

Whatever deletes is found by its name, so that a new method, command or tool without a row here fails.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from llama_index.core.llms import ChatMessage
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import FilterCondition, MetadataFilter, MetadataFilters
from pydantic import ValidationError

import onebrain
import onebrain_langchain as lc
import onebrain_llamaindex as li
import onebrain_openai_agents as oa
from onebrain import F, OneBrainError, OneBrainValidationError, Scope
from onebrain._core.endpoint import endpoint
from onebrain.cli.app import cli
from onebrain.mcp.account import Tools
from onebrain.memory.filters import FALSE, TRUE, every, negate
from onebrain.services.brrain import Brrain
from onebrain.services.herobrain import HeroBrain
from onebrain.services.rememberos import RememberOS

ROOT = Path(__file__).resolve().parents[2]
CORE = {"onebrain_engine", "onebrain_server"}
FRAMEWORKS = [
    importlib.import_module(folder.name)
    for folder in ROOT.glob("packages/*/src/onebrain_*")
    if folder.name not in CORE
]
DELETING = re.compile(
    r"(?:a|async_)?(?:archive|clear|collect|consolidate|delete|disconnect|discard|dismiss|drop|empty|erase|expire|flush"
    r"|forget|gc|merge|pop|prune|purge|remove|reset|revoke|unlink|unsubscribe|wipe)(?:_|$)"
)
MARIA = Scope(space="notes", user="maria")
NOTHING = [None, "", [], {}]
ALWAYS = {
    "no condition": TRUE,
    "an empty conjunction": every(),
    "an empty dict": {},
    "empty dicts": {"$and": [{}, {}]},
    "one alternative is empty": {"$or": [{"n": 1}, {}]},
    "not nothing": negate(FALSE),
    "not in an empty list": {"n": {"$nin": []}},
    "not (in an empty list)": ~F("n").in_([]),
    "every memory has an id": F.id.exists(),
    "every memory has a text": F.content.ne(None),
    "every text has the empty text in it": F.content.contains(""),
    "a pattern of any text": F.content.like("%"),
    "a pattern of any case": {"$content": {"$ilike": "%%"}},
    "at least the lowest id": F.id.ge(""),
    "other than a value that none has": F.user.ne(""),
    "both values of a flag": F.archived.in_([True, False]),
    "a condition or its negation": F("n").eq(1) | ~F("n").eq(1),
    "equal or not equal": F("n").eq(1) | F("n").ne(1),
    "there or not there": F("n").exists() | F("n").exists(False),
}


# ---- Brain -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def brain():
    with onebrain.connect("sqlite://") as opened:
        opened.store("Maria likes tea", scope=MARIA, id="tea", metadata={"n": 1})
        opened.store("Pedro likes coffee", scope=Scope(space="notes", user="pedro"), id="coffee")
        yield opened


def refused(brain, plan, *, count=2, errors=(OneBrainValidationError,)):
    """Run something that must delete nothing; it may raise a typed error."""
    with suppress(*errors):
        result = plan()
        if inspect.isawaitable(result):
            asyncio.run(await_(result))
    assert brain.count(include_archived=True) == count


async def await_(result):
    return await result


@pytest.mark.parametrize("condition", ALWAYS.values(), ids=ALWAYS)
@pytest.mark.parametrize("scope", [Scope(), MARIA], ids=str)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_condition_that_always_holds_forgets_nothing(brain, condition, scope, dry_run):
    with pytest.raises(OneBrainValidationError, match="everything=True"):
        brain.forget(filter=condition, scope=scope, dry_run=dry_run)
    assert brain.count() == 2


@pytest.mark.parametrize("condition", ALWAYS.values(), ids=ALWAYS)
def test_everything_that_is_asked_for_by_name_goes(brain, condition):
    assert brain.forget(filter=condition, scope=MARIA, everything=True).count == 1
    assert brain.forget(filter=condition, everything=True).count == 1


@pytest.mark.parametrize(
    "condition",
    [F("n").exists(), F("n").eq(1) | F("n").ne(2), ~F("n").in_([2]) & F("n").eq(1), F.id.ne("coffee")],
)
def test_a_condition_that_depends_on_the_memory_decides(brain, condition):
    assert "tea" in brain.forget(filter=condition).ids


@pytest.mark.parametrize("nothing", NOTHING, ids=repr)
@pytest.mark.parametrize("verb", ["delete", "forget", "remove_entity"])
def test_a_verb_of_a_brain_takes_nothing_for_nothing(brain, verb, nothing):
    calls = {
        "delete": [lambda: brain.delete(nothing), lambda: brain.delete(nothing, scope=MARIA)],
        "forget": [
            lambda: brain.forget(filter=nothing),
            lambda: brain.forget(scope=nothing),
            lambda: brain.forget(scope=Scope()),
            lambda: brain.forget(filter=nothing or {}, scope=MARIA),
        ],
        "remove_entity": [lambda: brain.remove_entity(nothing)],
    }
    for call in calls[verb]:
        refused(brain, call, errors=(OneBrainError,))


# ---- components ------------------------------------------------------------------------------------------------------

NAMED = "deletes all that it names, and takes no condition"
OF_ONE = "takes the key of what it deletes"
ALWAYS_NODES = [
    MetadataFilters(filters=[]),
    MetadataFilters(filters=[MetadataFilters(filters=[])]),
    MetadataFilters(
        filters=[MetadataFilters(filters=[], condition=FilterCondition.NOT)], condition=FilterCondition.NOT
    ),
    MetadataFilters(filters=[MetadataFilter(key="n", value=[], operator="nin")]),
]


def lc_store(brain):
    store = lc.OneBrainStore(brain=brain, scope=MARIA)
    store.put(("a",), "k", {"x": 1})
    return store


def lc_vectors(brain, kind=lc.OneBrainVectorStore):
    store = lc.OneBrainVectorStore(brain=brain, scope=MARIA)
    store.add_documents([Document("tea", id="d", metadata={"n": 1})])
    return kind(brain=brain, scope=MARIA)


def lc_history(brain):
    history = lc.OneBrainChatMessageHistory("s", brain=brain, scope=MARIA)
    history.add_messages([HumanMessage("hi")])
    return history


def li_nodes(brain):
    store = li.OneBrainVectorStore(brain=brain, scope=MARIA)
    store.add([TextNode(text="tea", id_="n", metadata={"n": 1})])
    return store


def li_chats(brain, kind=li.OneBrainChatStore):
    li.OneBrainChatStore(brain=brain, scope=MARIA).add_message("chat", ChatMessage("hi"))
    return kind(brain=brain, scope=MARIA)


def li_kv(brain):
    store = li.OneBrainKVStore(brain=brain, scope=MARIA)
    store.put("k", {"x": 1})
    return store


def oa_session(brain):
    session = oa.OneBrainSession("s", brain=brain, scope=MARIA)
    asyncio.run(session.add_items([{"role": "user", "content": "hi"}]))
    return session


def of_one(method, *more):
    return lambda component: [lambda n=n: getattr(component, method)(n, *more) for n in NOTHING]


def by_filter(method, name, conditions):
    def calls(component):
        delete = getattr(component, method)
        return [
            delete,
            *(lambda n=n: delete(n) for n in NOTHING),
            *(lambda n=n: delete(**{name: n}) for n in [*NOTHING, *conditions]),
        ]

    return calls


# How to make the component with one entry of its own, and the calls that must delete nothing of it.
COMPONENTS = {
    "langchain.OneBrainChatMessageHistory.clear": (lc_history, NAMED),
    "langchain.OneBrainMemory.clear": (lc_history, NAMED),
    "langchain.OneBrainIndex.delete": (lambda brain: lc_vectors(brain, lc.OneBrainIndex), by_filter("delete", "ids", [])),
    "langchain.OneBrainIndex.adelete": (lambda brain: lc_vectors(brain, lc.OneBrainIndex), by_filter("adelete", "ids", [])),
    "langchain.OneBrainStore.delete": (lc_store, lambda store: [lambda n=n: store.delete(("a",), n) for n in NOTHING]),
    "langchain.OneBrainStore.adelete": (lc_store, lambda store: [lambda n=n: store.adelete(("a",), n) for n in NOTHING]),
    "langchain.OneBrainVectorStore.delete": (lc_vectors, by_filter("delete", "filter", ALWAYS.values())),
    "langchain.OneBrainVectorStore.adelete": (lc_vectors, by_filter("adelete", "filter", ALWAYS.values())),
    "llamaindex.AsyncOneBrainChatStore.archive_oldest_messages": (
        lambda brain: li_chats(brain, li.AsyncOneBrainChatStore), of_one("archive_oldest_messages", 5)
    ),
    "llamaindex.AsyncOneBrainChatStore.delete_message": (
        lambda brain: li_chats(brain, li.AsyncOneBrainChatStore), of_one("delete_message", 0)
    ),
    "llamaindex.AsyncOneBrainChatStore.delete_messages": (
        lambda brain: li_chats(brain, li.AsyncOneBrainChatStore), of_one("delete_messages")
    ),
    "llamaindex.AsyncOneBrainChatStore.delete_oldest_messages": (
        lambda brain: li_chats(brain, li.AsyncOneBrainChatStore), of_one("delete_oldest_messages", 5)
    ),
    "llamaindex.OneBrainChatStore.delete_last_message": (li_chats, of_one("delete_last_message")),
    "llamaindex.OneBrainChatStore.adelete_last_message": (li_chats, of_one("adelete_last_message")),
    "llamaindex.OneBrainChatStore.delete_message": (li_chats, of_one("delete_message", 0)),
    "llamaindex.OneBrainChatStore.adelete_message": (li_chats, of_one("adelete_message", 0)),
    "llamaindex.OneBrainChatStore.delete_messages": (li_chats, of_one("delete_messages")),
    "llamaindex.OneBrainChatStore.adelete_messages": (li_chats, of_one("adelete_messages")),
    "llamaindex.OneBrainKVStore.delete": (li_kv, of_one("delete")),
    "llamaindex.OneBrainKVStore.adelete": (li_kv, of_one("adelete")),
    "llamaindex.OneBrainMemory.reset": (li_chats, NAMED),
    "llamaindex.OneBrainMemory.areset": (li_chats, NAMED),
    "llamaindex.OneBrainToolSpec.forget_memory": (
        lambda brain: (li_kv(brain), li.OneBrainToolSpec(brain=brain, scope=MARIA))[1], of_one("forget_memory")
    ),
    "llamaindex.OneBrainToolSpec.aforget_memory": (
        lambda brain: (li_kv(brain), li.OneBrainToolSpec(brain=brain, scope=MARIA))[1], of_one("aforget_memory")
    ),
    "openai_agents.OneBrainSession.clear_session": (oa_session, NAMED),
    "llamaindex.OneBrainVectorStore.clear": (li_nodes, NAMED),
    "llamaindex.OneBrainVectorStore.aclear": (li_nodes, NAMED),
    "llamaindex.OneBrainVectorStore.delete": (li_nodes, of_one("delete")),
    "llamaindex.OneBrainVectorStore.adelete": (li_nodes, of_one("adelete")),
    "llamaindex.OneBrainVectorStore.delete_nodes": (li_nodes, by_filter("delete_nodes", "filters", ALWAYS_NODES)),
    "llamaindex.OneBrainVectorStore.adelete_nodes": (li_nodes, by_filter("adelete_nodes", "filters", ALWAYS_NODES)),
}  # fmt: skip
# Two are the other kind of a row above; one removes the newest item, as its name says, and takes nothing.
BESIDE = {
    "openai_agents.OneBrainSession.pop_item",
    "langchain.OneBrainChatMessageHistory.aclear",
    "langchain.OneBrainMemory.aclear",
}


def test_every_component_that_deletes_has_a_row():
    found = {
        f"{module.__name__.removeprefix('onebrain_')}.{name}.{method}"
        for module in FRAMEWORKS
        for name in module.__all__
        if inspect.isclass(kind := getattr(module, name))
        for method in dir(kind)
        if DELETING.match(method) and not method.startswith("model_")
    }
    assert found == set(COMPONENTS) | BESIDE


@pytest.mark.parametrize("name", [name for name, (_, calls) in COMPONENTS.items() if calls is not NAMED])
def test_a_component_takes_nothing_for_nothing(brain, name):
    make, calls = COMPONENTS[name]
    component = make(brain)
    for call in calls(component):
        refused(brain, call, count=3)


def test_deleting_all_has_a_name_of_its_own(brain):
    assert lc_vectors(brain).delete(delete_all=True)
    assert brain.count(scope=MARIA) == 0
    li_nodes(brain).clear()
    assert brain.count(scope=MARIA) == 0
    asyncio.run(oa_session(brain).clear_session())
    assert brain.count(scope=MARIA) == 0
    assert brain.count() == 1


def test_the_tool_that_forgets_takes_no_empty_list(brain):
    tool = lc.OneBrainForgetTool(brain=brain, scope=MARIA)
    for nothing in NOTHING:
        refused(brain, lambda nothing=nothing: tool.invoke({"ids": nothing}), errors=(ValidationError,))
        refused(brain, lambda: tool.invoke({}), errors=(ValidationError,))
    tools = {kind.__name__ for kind in map(type, lc.OneBrainToolkit(brain=brain).get_tools())}
    assert {name for name in tools if re.search("Forget|Delete|Remove|Clear", name)} == {"OneBrainForgetTool"}


# ---- commands and tools ----------------------------------------------------------------------------------------------


def test_no_tool_deletes():
    names = [tool.__name__ for tool in (*Tools.reading.fget(Tools), *Tools.writing.fget(Tools))]
    assert [name for name in names if DELETING.match(name)] == []


# The command lines of each command that deletes which name nothing, or everything without `--everything`.
COMMANDS = {
    "delete": [[], [""], ["", "--space", "notes"]],
    "forget": [[], *(["--filter", text] for text in ("", "{}", "[]", "null", '{"$and": [{}, {}]}'))],
    "credentials forget": None,
    "admin revoke-key": None,
}


def commands_of(group, path=()):
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        yield " ".join([*path, name])
        if hasattr(command, "list_commands"):
            yield from commands_of(command, (*path, name))


def test_every_command_that_deletes_is_here():
    assert {name for name in commands_of(cli) if DELETING.match(name.split()[-1].replace("-", "_"))} == set(
        COMMANDS
    )


@pytest.mark.parametrize("name", [name for name, lines in COMMANDS.items() if lines is not None])
def test_a_command_takes_nothing_for_nothing(name, tmp_path):
    url = onebrain.sqlite_url(tmp_path / "brain.db")
    with onebrain.connect(url, embedder=None) as made:
        made.store("one", scope=MARIA)
    for line in COMMANDS[name]:
        done = CliRunner().invoke(cli, [name, *line, "--yes", "--url", url])
        assert done.exit_code in (1, 2, 3), line
        with onebrain.connect(url, embedder=None) as read:
            assert read.count() == 1, line


# ---- clients ---------------------------------------------------------------------------------------------------------

# Nobody listens there: a request that leaves raises a connection error, and so fails the test.
ID = "7911a591-d041-4b30-b2a4-b8818d4132ab"
NOBODY = "http://127.0.0.1:9"
CLIENTS = {
    "onebrain": lambda: onebrain.OneBrain("ob_" + "x" * 40, base_url=NOBODY, max_retries=0),
    "ai_memory": lambda: onebrain.AiMemoryClient(NOBODY, api_key="x" * 40),
    "herobrain": lambda: HeroBrain("x" * 40, "t", base_url=NOBODY),
    "rememberos": lambda: RememberOS(api_key="x" * 40, base_url=NOBODY, max_retries=0),
    "brrain": lambda: Brrain(api_key="x" * 40, base_url=NOBODY, max_retries=0),
}  # fmt: skip
# What needs nothing to be named: settings of one's own, what has expired or repeats something, uploads, one's own account.
WITHOUT_CONDITION = {
    "onebrain.memory.consolidate",
    "onebrain.memory.expire",
    "ai_memory.gc",
    "rememberos.configuration.database.delete",
    "rememberos.configuration.extraction.delete",
    "rememberos.configuration.storage.delete",
    "rememberos.files.drop",
    "rememberos.intelligence.archive_stale",
    "rememberos.webhook.delete",
}
BY_KEYWORD = {
    "ai_memory.memories.forget": ("namespace", "pattern", "tier"),
    "onebrain.entity.merge": ("source_id", "target_id", "keep_id", "remove_id"),
    "rememberos.account.delete_account": ("confirm",),
}


def deleting(client, path):
    for name in dir(client):
        if name.startswith("_"):
            continue
        static = inspect.getattr_static(type(client), name, None)
        if isinstance(static, endpoint):
            if DELETING.match(name):
                yield f"{path}.{name}", client, name
            continue
        value = getattr(client, name)
        if type(value).__module__.startswith("onebrain.services") and hasattr(value, "_mode"):
            yield from deleting(value, f"{path}.{name}")


@pytest.mark.parametrize("service", CLIENTS)
def test_a_client_sends_no_deletion_without_an_id(service):
    with CLIENTS[service]() as client:
        seen = set()
        for path, resource, name in deleting(client, service):
            method = getattr(resource, name)
            seen.add(path)
            if path in WITHOUT_CONDITION:
                continue
            if path in BY_KEYWORD:
                for keyword in BY_KEYWORD[path]:
                    for nothing in NOTHING:
                        with pytest.raises(OneBrainValidationError):
                            method(**{keyword: nothing})
                continue
            needed = [
                one.name
                for one in inspect.signature(
                    inspect.getattr_static(type(resource), name).__wrapped__
                ).parameters.values()
                if one.default is one.empty and one.name != "self"
            ]
            assert needed, f"{path} deletes and needs nothing: give it a row"
            for wrong in needed:
                for nothing in NOTHING:
                    with pytest.raises(OneBrainValidationError):
                        method(*(nothing if one == wrong else ID for one in needed))
        known = {path for path in (WITHOUT_CONDITION | set(BY_KEYWORD)) if path.startswith(f"{service}.")}
        assert known <= seen
        assert seen
