"""Every format: a file, the file twice, the file after a part of it, and a damaged twin."""

from __future__ import annotations

import io
import json
import random
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

import onebrain
from onebrain.errors import OneBrainValidationError
from onebrain.importing import (
    Draft,
    Skipped,
    chroma,
    formats,
    import_file,
    import_from,
    langchain,
    llama_index,
    read,
)


@dataclass
class Case:
    """A file of a format.

    Attributes:
        file: The file, or the files of a folder by their names.
        texts: The texts of its memories.
        first: Fields of the first memory.
        damaged: A twin with damage.
        left: The texts of its memories.
        places: The places that are named.
    """

    format: str
    file: Any
    texts: list[str]
    first: dict[str, Any]
    damaged: Any
    left: list[str]
    places: list[str]


def document(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def lines(*rows: Any) -> str:
    return "".join(
        (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows
    )


def without(text: str, part: str, new: str = "!") -> str:
    assert part in text
    return text.replace(part, new, 1)


CHATGPT = [
    {
        "title": "Trip",
        "conversation_id": "c1",
        "create_time": 1700000000.5,
        "current_node": "m3",
        "mapping": {
            "m1": {"id": "m1", "message": None, "parent": None, "children": ["m2"]},
            "m2": {
                "id": "m2",
                "parent": "m1",
                "children": ["m3", "m4"],
                "message": {
                    "id": "m2",
                    "author": {"role": "user"},
                    "create_time": 1700000001,
                    "content": {"content_type": "text", "parts": ["I like window\u2028seats"]},
                    "metadata": {"timezone": "Europe/Lisbon"},
                },
            },
            "m4": {
                "id": "m4",
                "parent": "m2",
                "children": [],
                "message": {
                    "id": "m4",
                    "author": {"role": "assistant"},
                    "content": {"content_type": "text", "parts": ["A second answer"]},
                },
            },
            "m3": {
                "id": "m3",
                "parent": "m2",
                "children": [],
                "message": {
                    "id": "m3",
                    "author": {"role": "assistant"},
                    "content": {
                        "content_type": "multimodal_text",
                        "parts": [{"asset_pointer": "a"}, "Noted"],
                    },
                },
            },
        },
    },
    {
        "title": None,
        "conversation_id": "c2",
        "mapping": {
            "n1": {
                "id": "n1",
                "parent": None,
                "children": [],
                "message": {"id": "n1", "author": {"role": "user"}, "content": {"parts": ["Hello again"]}},
            }
        },
        "current_node": "n1",
    },
]
CLAUDE = [
    {
        "uuid": "k1",
        "name": "Tea",
        "created_at": "2026-01-02T03:04:05Z",
        "account": {"uuid": "a"},
        "chat_messages": [
            {
                "uuid": "u1",
                "sender": "human",
                "text": "I drink sencha",
                "created_at": "2026-01-02T03:04:05.5Z",
                "attachments": [{"file_name": "tea.txt", "extracted_content": "Notes on tea"}],
                "files": [],
            },
            {
                "uuid": "u2",
                "sender": "assistant",
                "text": "",
                "content": [{"type": "text", "text": "Good choice"}],
            },
        ],
    },
    {"uuid": "k2", "name": "", "chat_messages": [{"uuid": "u3", "sender": "human", "text": "Bye"}]},
]
MEM0 = {
    "count": 2,
    "results": [
        {
            "id": "1",
            "memory": "Likes tea",
            "user_id": "maria",
            "agent_id": "planner",
            "run_id": "s1",
            "hash": "h",
            "metadata": {"year": 2026},
            "categories": ["food"],
            "created_at": "2026-01-01T10:00:00-08:00",
            "mood": "calm",
        },
        {"id": "2", "memory": "Works in Lisbon", "user_id": "maria", "hash": "h"},
    ],
}
ZEP = {
    "edges": [
        {
            "uuid": "e1",
            "fact": "Maria lives in Porto",
            "name": "LIVES_IN",
            "source_node_uuid": "n1",
            "target_node_uuid": "n2",
            "valid_at": "2024-01-01T00:00:00Z",
            "invalid_at": "2025-01-01T00:00:00Z",
            "created_at": "2024-02-01T00:00:00Z",
        },
        {"uuid": "e2", "fact": "Maria lives in Lisbon", "source_node_uuid": "n1"},
    ]
}
STORE = [
    {
        "namespace": ["users", "maria", "facts"],
        "key": "k1",
        "value": {"text": "Likes tea", "sure": True},
        "created_at": "2026-01-01T00:00:00+00:00",
        "updated_at": "2026-01-02T00:00:00+00:00",
    },
    {"namespace": ["users", "mario"], "key": "k1", "value": {"likes": ["coffee"]}},
]
LANGMEM = [
    {
        "namespace": ["memories", "maria"],
        "key": "a",
        "value": {"kind": "Memory", "content": {"content": "Likes tea"}},
    },
    {
        "namespace": ["memories", "maria"],
        "key": "b",
        "value": {"kind": "Profile", "content": {"name": "Maria"}},
    },
]
SUPERMEMORY = {
    "memories": [
        {
            "id": "d1",
            "customId": "mine",
            "content": "Tea notes",
            "title": "Tea",
            "containerTags": ["maria"],
            "createdAt": "2026-01-01T00:00:00.000Z",
            "updatedAt": "2026-01-03T00:00:00.000Z",
            "metadata": {"year": 2026},
            "status": "done",
        },
        {"id": "d2", "memory": "Old fact", "containerTag": "maria", "isForgotten": True},
    ],
    "pagination": {"currentPage": 1},
}
HINDSIGHT = {
    "items": [
        {
            "id": "h1",
            "text": "Maria moved to Lisbon",
            "fact_type": "world",
            "context": "chat",
            "mentioned_at": "2026-01-01T00:00:00Z",
            "document_id": "doc",
            "bank_id": "maria",
            "tags": ["home"],
            "entities": ["Maria"],
        },
        {"id": "h2", "text": "She likes it", "fact_type": "opinion"},
    ],
    "total": 2,
}
LETTA = {
    "agents": [
        {
            "id": "agent-0",
            "name": "planner",
            "messages": [
                {"id": "message-0", "role": "user", "content": [{"type": "text", "text": "Book a seat"}]},
                {"id": "message-1", "role": "assistant", "content": [], "tool_calls": []},
            ],
        }
    ],
    "blocks": [{"id": "block-0", "label": "human", "value": "Name: Maria", "limit": 2000}],
}
CHROMA = {
    "ids": ["1", "2"],
    "embeddings": None,
    "documents": ["Likes tea", "Works in Lisbon"],
    "metadatas": [{"year": 2026}, None],
}
LLAMA = {
    "docstore/metadata": {"n1": {"doc_hash": "x"}},
    "docstore/data": {
        "n1": {
            "__type__": "1",
            "__data__": {
                "id_": "n1",
                "text": "Likes tea",
                "metadata": {"year": 2026},
                "relationships": {"1": {"node_id": "doc"}},
                "class_name": "TextNode",
            },
        },
        "n2": {"__type__": "1", "__data__": '{"id_": "n2", "text": "Works in Lisbon"}'},
    },
}
JSONL = (
    {
        "text": "Likes tea\u2028and\x85milk",
        "user_id": "maria",
        "tags": ["food"],
        "created_at": 1700000000,
        "mood": 1,
    },
    {"content": "Works in Lisbon", "id": 7, "metadata": {"mood": 2}, "importance": 7},
)
OWN = (
    {
        "id": "1",
        "content": "Likes tea",
        "scope": {"user": "maria"},
        "tags": ["food"],
        "updated_at": "2026-01-02T00:00:00Z",
        "created_at": "2026-01-01T00:00:00Z",
    },
    {"id": "2", "content": "Works in Lisbon", "scope": {"user": "maria"}},
)
MARKDOWN = """---
tags: [travel, "food"]
date: 2026-01-01
---
# Maria

Likes tea.

```sh
# no heading
```
## Work
- Works in Lisbon
- [x] Has a desk
"""
CSV = 'text;user;year\n"Likes ""tea"";\nand milk";maria;2026\nWorks in Lisbon;maria;\n'
SLACK = {
    "channels.json": document([{"id": "C1", "name": "general"}]),
    "users.json": document([{"id": "U1", "profile": {"display_name": "maria"}}]),
    "general/2026-01-01.json": document(
        [
            {
                "type": "message",
                "user": "U1",
                "text": "Hi <@U1>",
                "ts": "1767225600.000100",
                "thread_ts": "1",
            },
            {
                "type": "message",
                "subtype": "channel_join",
                "user": "U1",
                "text": "joined",
                "ts": "1767225601.0",
            },
        ]
    ),
    "general/2026-01-02.json": document(
        [{"type": "message", "user": "U2", "text": "Bye", "ts": "1767312000.1"}]
    ),
}

CASES = [
    Case(
        "chatgpt",
        document(CHATGPT),
        ["I like window\u2028seats", "Noted", "A second answer", "Hello again"],
        {
            "id": "c1/m2",
            "scope": onebrain.Scope(session="c1"),
            "title": "Trip",
            "metadata": {"role": "user", "message_id": "m2", "timezone": "Europe/Lisbon"},
        },
        without(document(CHATGPT), '"c1"', "c1"),
        ["Hello again"],
        ["item 1"],
    ),
    Case(
        "claude",
        document(CLAUDE),
        ["I drink sencha", "Notes on tea", "Good choice", "Bye"],
        {"id": "u1", "scope": onebrain.Scope(session="k1"), "metadata": {"role": "user", "files": []}},
        without(document(CLAUDE), "[\n", "[\n 7,"),
        ["I drink sencha", "Notes on tea", "Good choice", "Bye"],
        ["item 1"],
    ),
    Case(
        "mem0",
        document(MEM0),
        ["Likes tea", "Works in Lisbon"],
        {
            "id": "1",
            "scope": onebrain.Scope(user="maria", agent="planner", session="s1"),
            "tags": ("food",),
            "metadata": {"year": 2026, "mood": "calm"},
        },
        without(document(MEM0), "2026", "2026 2026"),
        ["Works in Lisbon"],
        ["results item 1"],
    ),
    Case(
        "zep",
        document(ZEP),
        ["Maria lives in Porto", "Maria lives in Lisbon"],
        {
            "id": "e1",
            "type": "fact",
            "metadata": {"name": "LIVES_IN", "source_node_uuid": "n1", "target_node_uuid": "n2"},
        },
        without(document(ZEP), '"Maria lives in Porto"', "null"),
        ["Maria lives in Lisbon"],
        ["edges item 1"],
    ),
    Case(
        "langgraph-store",
        lines(*STORE),
        ["Likes tea", '{"likes":["coffee"]}'],
        {
            "id": '["users","maria","facts","k1"]',
            "scope": onebrain.Scope(user="maria"),
            "metadata": {"sure": True, "namespace": ["users", "maria", "facts"], "key": "k1"},
        },
        lines(STORE[0], '{"namespace": ', STORE[1]),
        ["Likes tea", '{"likes":["coffee"]}'],
        ["line 2"],
    ),
    Case(
        "langmem",
        document(LANGMEM),
        ["Likes tea", '{"name":"Maria"}'],
        {
            "scope": onebrain.Scope(user="maria"),
            "metadata": {"kind": "Memory", "namespace": ["memories", "maria"], "key": "a"},
        },
        without(document(LANGMEM), '"b"', "b"),
        ["Likes tea"],
        ["item 2"],
    ),
    Case(
        "supermemory",
        document(SUPERMEMORY),
        ["Tea notes", "Old fact"],
        {
            "id": "d1",
            "title": "Tea",
            "tags": ("maria",),
            "scope": onebrain.Scope(user="maria"),
            "metadata": {"year": 2026, "customId": "mine", "status": "done"},
        },
        without(document(SUPERMEMORY), '"Old fact"', '" "'),
        ["Tea notes"],
        ["memories item 2"],
    ),
    Case(
        "hindsight",
        document(HINDSIGHT),
        ["Maria moved to Lisbon", "She likes it"],
        {
            "id": "h1",
            "type": "world",
            "tags": ("home",),
            "scope": onebrain.Scope(user="maria", session="doc"),
            "metadata": {"context": "chat", "entities": ["Maria"]},
        },
        without(document(HINDSIGHT), '"She likes it"', "7"),
        ["Maria moved to Lisbon"],
        ["items item 2"],
    ),
    Case(
        "letta",
        document(LETTA),
        ["Book a seat", "Name: Maria"],
        {"id": "message-0", "scope": onebrain.Scope(agent="planner"), "metadata": {"role": "user"}},
        without(document(LETTA), '"human"', "human"),
        ["Book a seat"],
        ["blocks item 1"],
    ),
    Case(
        "chroma",
        document(CHROMA),
        ["Likes tea", "Works in Lisbon"],
        {"id": "1", "metadata": {"year": 2026}},
        without(document(CHROMA), '"Works in Lisbon"', "null"),
        ["Likes tea"],
        ["record 2"],
    ),
    Case(
        "llama-index",
        {"default__vector_store.json": "{}", "docstore.json": document(LLAMA)},
        ["Likes tea", "Works in Lisbon"],
        {"id": "n1", "scope": onebrain.Scope(session="doc"), "metadata": {"year": 2026}},
        {"docstore.json": without(document(LLAMA), r"\"n2\", ", r"\"n2"), "index_store.json": "{}"},
        ["Likes tea"],
        ["docstore.json: node n2"],
    ),
    Case(
        "jsonl",
        lines(*JSONL),
        ["Likes tea\u2028and\x85milk", "Works in Lisbon"],
        {"scope": onebrain.Scope(user="maria"), "tags": ("food",), "metadata": {"mood": 1}},
        "\ufeff" + lines(JSONL[0], "[1]", "", '{"content": " "}', JSONL[1], '{"content": "cut'),
        ["Likes tea\u2028and\x85milk", "Works in Lisbon"],
        ["line 2", "line 4", "line 6"],
    ),
    Case(
        "onebrain",
        lines(*OWN),
        ["Likes tea", "Works in Lisbon"],
        {"id": "1", "scope": onebrain.Scope(user="maria"), "tags": ("food",)},
        lines(OWN[0], {**OWN[1], "pinned": "?"}),
        ["Likes tea"],
        ["line 2"],
    ),
    Case(
        "markdown",
        MARKDOWN,
        ["Likes tea.\n\n```sh\n# no heading\n```", "Works in Lisbon", "Has a desk"],
        {
            "title": "Maria",
            "tags": ("travel", "food"),
            "metadata": {"date": "2026-01-01", "headings": ["Maria"]},
        },
        MARKDOWN.encode("latin-1").replace(b"tea", b"caf\xe9"),
        ["Likes café.\n\n```sh\n# no heading\n```", "Works in Lisbon", "Has a desk"],
        [],
    ),
    Case(
        "csv",
        CSV,
        ['Likes "tea";\nand milk', "Works in Lisbon"],
        {"scope": onebrain.Scope(user="maria"), "metadata": {"year": "2026"}},
        CSV + "a;b;c;d\nLast;maria;\n",
        ['Likes "tea";\nand milk', "Works in Lisbon", "Last"],
        ["line 5"],
    ),
    Case(
        "slack",
        SLACK,
        ["Hi @maria", "Bye"],
        {
            "scope": onebrain.Scope(user="U1", session="general/1"),
            "metadata": {"channel": "general", "speaker": "maria", "thread_ts": "1", "type": "message"},
        },
        {**SLACK, "general/2026-01-02.json": '[{"type": "message", "text": "By'},
        ["Hi @maria"],
        ["general/2026-01-02.json: item 1"],
    ),
]


def written(path, name: str, content: Any):
    """Write a file, a folder as an archive, or bytes."""
    target = path / name
    if isinstance(content, dict):
        with zipfile.ZipFile(target, "w") as archive:
            for member, text in content.items():
                archive.writestr(member, text)
    elif isinstance(content, bytes):
        target.write_bytes(content)
    else:
        target.write_bytes(content.encode())
    return target


def ending(case: Case) -> str:
    """The ending of a file's name, which only these formats are told by."""
    return {"csv": ".csv", "markdown": ".md"}.get(case.format, "")


def texts(brain: onebrain.Brain) -> list[str]:
    return [
        memory.content
        for memory in brain.list(order="sequence", include_archived=True, include_superseded=True)
    ]


def cut(content: Any) -> Any:
    """The first part of a file, or a folder whose last file is cut."""
    if isinstance(content, dict):
        *names, last = content
        return {**{name: content[name] for name in names}, last: content[last][: len(content[last]) // 2]}
    return content[: len(content) * 3 // 5]


def test_every_format_has_a_case():
    assert sorted(case.format for case in CASES) == sorted(formats())


@pytest.fixture(scope="module")
def empty():
    """A brain, which every test empties."""
    with onebrain.connect("sqlite://", embedder=None) as brain:
        yield brain


@pytest.fixture
def brain(empty):
    yield empty
    empty.forget(everything=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.format)
def test_a_file_is_stored_once_also_after_an_interruption_and_damage_costs_its_own_place(
    case, brain, tmp_path
):
    half = written(tmp_path, "half" + ending(case), cut(case.file))
    whole = written(tmp_path, "whole" + ending(case), case.file)
    broken = written(tmp_path, "broken" + ending(case), case.damaged)

    tried = import_file(brain, whole, dry_run=True)
    assert (tried.format, tried.stored, texts(brain)) == (case.format, len(case.texts), [])
    begun = import_file(brain, half, format=case.format)
    assert begun.stored < len(case.texts) or begun.skipped or case.format == "markdown"
    report = import_file(brain, whole)
    assert (report.format, report.skipped) == (case.format, [])
    again = import_file(brain, whole)
    assert (again.stored, again.already_there, again.skipped) == (0, len(case.texts), [])
    if case.format not in ("csv", "markdown"):
        # A text that was cut at the end of these files is another text.
        assert sorted(texts(brain)) == sorted(case.texts)
    first = next(found for found in read(whole)).item
    assert {name: getattr(first, name) for name in case.first} == case.first
    brain.forget(everything=True)
    damaged = import_file(brain, broken, format=case.format)
    assert (texts(brain), [place.place for place in damaged.skipped]) == (case.left, case.places)


def test_a_scope_of_the_caller_wins_and_fields_are_left_out(brain):
    file = io.BytesIO(lines(*OWN).encode("utf-16"))
    found = list(read(file, scope=onebrain.Scope(user="ana"), without=("tags", "updated_at")))
    assert [(one.item.scope.user, one.item.tags, one.updated_at) for one in found] == [("ana", (), None)] * 2


def test_an_id_that_is_there_with_another_text_is_named_and_replaced_on_request(brain):
    import_file(brain, io.BytesIO(b'{"id": "1", "text": "old"}'))
    new = b'{"id": "1", "text": "new"}\n{"id": "1", "text": "newer"}'
    report = import_file(brain, io.BytesIO(new))
    assert (report.stored, [place.place for place in report.skipped]) == (0, ["line 1", "line 2"])
    report = import_file(brain, io.BytesIO(new), overwrite=True)
    assert (report.stored, [place.place for place in report.skipped]) == (1, ["line 2"])
    assert texts(brain) == ["new"]


def test_a_memory_waits_for_those_that_it_supersedes(brain):
    rows = [
        {"id": "new", "content": "Lives in Lisbon", "scope": {}, "supersedes": ["old"]},
        *({"id": f"f{number}", "content": "filler", "scope": {}} for number in range(1000)),
        {"id": "old", "content": "Lives in Porto", "scope": {}},
        {"id": "lone", "content": "Likes tea", "scope": {}, "supersedes": ["nobody"]},
    ]
    report = import_file(brain, io.BytesIO(lines(*rows).encode()))
    unlinked = ["line 1003: stored without the link to nobody, which it supersedes"]
    assert (report.format, report.stored, report.unlinked) == ("onebrain", 1003, unlinked)
    assert brain.get("old").superseded_by == "new"
    # The link is made when the same file comes again after what it lacked.
    brain.store("Likes coffee", id="nobody")
    assert import_file(brain, io.BytesIO(lines(*rows).encode())).already_there == 1003
    assert brain.get("nobody").superseded_by == "lone"


def test_a_mistyped_file_and_an_unknown_format_are_errors(tmp_path, brain):
    with pytest.raises(onebrain.OneBrainValidationError, match="no such file"):
        import_file(brain, tmp_path / "nothing.jsonl")
    with pytest.raises(onebrain.OneBrainValidationError, match="there are auto, slack"):
        read(io.BytesIO(b"{}"), "chatgtp")
    with pytest.raises(onebrain.OneBrainValidationError, match="format is not known"):
        read(io.BytesIO(b"\x00\x01"))


async def test_an_async_brain_imports_the_same(brain):
    asynchronous = brain.to_async()
    report = await import_file(asynchronous, io.BytesIO(lines(*JSONL).encode()))
    assert report.stored == 2
    assert len(texts(brain)) == 2


def test_skipped_places_read_as_text():
    assert str(Skipped("line 2", "is no JSON")) == "line 2: is no JSON"


DOCUMENTS = [case for case in CASES if isinstance(case.file, str) and case.file[:2] in ("[\n", "{\n")]


@pytest.mark.parametrize("case", DOCUMENTS, ids=lambda case: case.format)
def test_a_document_in_one_line_is_read_like_one_in_many(case):
    packed = json.dumps(json.loads(case.file)).encode()
    assert [found.item.content for found in read(io.BytesIO(packed))] == case.texts


def test_stores_are_taken_by_their_shapes(brain):
    class Collection:
        def get(self, limit, offset, include):
            rows = CHROMA if offset == 0 else {"ids": []}
            return {name: rows.get(name) for name in ("ids", *include)}

    class Opaque:
        pass

    assert import_from(brain, chroma(Collection())).stored == 2
    with pytest.raises(onebrain.OneBrainValidationError, match="no way to list"):
        list(langchain(Opaque()))
    with pytest.raises(onebrain.OneBrainValidationError, match="no docstore"):
        list(llama_index(Opaque()))


def test_other_packages_add_formats(monkeypatch, brain):
    class Notes:
        def detects(self, sample):
            return sample.head.startswith("NOTES")

        def read(self, source):
            for number, text in source.parts[0].lines():
                if number > 1:
                    yield Draft(f"line {number}", {"content": text.strip()})

    class Point:
        name = "notes"

        def load(self):
            return Notes()

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [Point()])
    assert formats()[-1] == "notes"
    report = import_file(brain, io.BytesIO(b"NOTES\nLikes tea\n"))
    assert (report.format, texts(brain)) == ("notes", ["Likes tea"])


ODD = [
    None,
    True,
    -1.5,
    "",
    "x" * 600,
    [],
    [None],
    ["a"],
    {},
    {"a": 1},
    {"text": "t"},
    "\ud800",
    1e400,
    10**30,
]


def changed(value: Any, chance: random.Random) -> Any:
    """Put other values in some places of a document, and leave some keys out."""
    if chance.random() < 0.06:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {key: changed(one, chance) for key, one in value.items() if chance.random() > 0.02}
    return [changed(one, chance) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", DOCUMENTS, ids=lambda case: case.format)
def test_values_of_other_kinds_raise_nothing(case):
    for seed in range(20):
        document = changed(json.loads(case.file), random.Random(seed))
        for found in read(io.BytesIO(json.dumps(document).encode()), case.format):
            assert isinstance(found, Skipped) or found.item.content.strip()


def test_members_of_one_name_are_read_each_and_a_damaged_one_is_named(tmp_path):
    path = tmp_path / "notes.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jsonl", '{"text": "one"}\n')
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.jsonl", '{"text": "two"}\n')
    assert [found.item.content for found in read(path, "jsonl")] == ["one", "two"]
    path.write_bytes(path.read_bytes().replace(b"one", b"0ne", 1))
    with pytest.raises(OneBrainValidationError, match=r"a\.jsonl: cannot be read"):
        list(read(path, "jsonl"))


def test_milliseconds_as_text_are_no_year_and_an_empty_list_is_no_tag():
    row = b'{"text": "tea", "created_at": "1712010112345", "tags": "[]"}'
    (found,) = read(io.BytesIO(row))
    assert found.item.created_at == datetime(2024, 4, 1, 22, 21, 52, 345000, tzinfo=UTC)
    assert found.item.tags == ()
