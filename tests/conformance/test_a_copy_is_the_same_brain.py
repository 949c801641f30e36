"""A brain that is exported and imported is the same brain, in every field of every memory."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onebrain
from onebrain import EmbedderMismatch, NewMemory, OneBrainValidationError, Scope
from onebrain.cli.app import cli
from onebrain.memory import transfer
from onebrain.memory.moments import moments_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
some = st.one_of(st.none(), texts)
zones = st.timezones() | st.just(UTC) | st.none()
when = st.one_of(st.dates(), st.datetimes(timezones=zones), st.datetimes().map(datetime.isoformat))
nested = st.recursive(
    when, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2)
)
parts = st.one_of(st.none(), st.sampled_from(["a", "b\u2028", "c\x85", "#?"]))
later = st.datetimes(datetime(2100, 1, 1), datetime.max, timezones=st.just(UTC))
memories = st.builds(
    dict,
    content=texts.map("text {}".format),
    id=st.one_of(st.none(), texts.filter(bool)),
    scope=st.builds(Scope, parts, parts, parts, parts),
    title=some,
    type=some,
    source=some,
    tags=st.lists(texts, max_size=3),
    metadata=st.dictionaries(
        texts,
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            texts,
            nested,
        ),
    ),
    importance=st.one_of(st.none(), st.floats(0, 1)),
    pinned=st.booleans(),
    archived=st.booleans(),
    created_at=st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))),
    expires_at=st.one_of(st.none(), later),
    extra=st.dictionaries(texts, texts | nested, max_size=2),
)


class Hashed:
    """A small embedder of somebody's own."""

    fingerprint = "hashed"

    def embed_query(self, text):
        return [byte / 255 + 0.01 for byte in hashlib.sha256(text.encode()).digest()[:4]]

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]


def everything(brain: onebrain.Brain) -> list[onebrain.Memory]:
    return list(brain.list(order="sequence", include_archived=True, with_embeddings=True))


def copied(source: onebrain.Brain, target: onebrain.Brain) -> None:
    """Copy a brain over lines of text, as the commands do."""
    whose = source.embedders()
    lines = [transfer.line(memory, whose) for memory in everything(source)]
    text = "\n".join(lines).encode().decode()
    target.restore(transfer.read(text.split("\n"))).raise_for_failures()
    assert everything(target) == everything(source)
    assert [dates(memory) for memory in everything(target)] == [
        dates(memory) for memory in everything(source)
    ]
    assert target.embedders().spaces == whose.spaces


def dates(memory: onebrain.Memory) -> list[object]:
    """Where a memory holds dates: text and dates are equal, so that comparing memories does not tell them apart."""
    return [moments_of(memory.metadata), moments_of(memory.extra)]


checked = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@checked
@given(items=st.lists(memories, max_size=6), of=st.sampled_from(["none", "caller", "own"]), data=st.data())
def test_every_field_of_every_memory_travels(items, of, data):
    embedder = Hashed() if of == "own" else None
    with (
        onebrain.connect("sqlite://", embedder=embedder) as source,
        onebrain.connect("sqlite://", embedder=None) as target,
        onebrain.connect("sqlite://", embedder=embedder) as own,
    ):
        for item in items:
            vector = (
                data.draw(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3))
                if of == "caller"
                else None
            )
            result = source.store({**item, "embedding": vector})
            if data.draw(st.booleans()):
                source.update(result.id, scope=Scope(item["scope"].space, item["scope"].user), title="later")
        copied(source, own)
        if of != "own":
            copied(source, target)


def test_the_copy_in_postgresql_is_the_same_brain(postgres_url):
    def tenant(**options):
        return onebrain.connect(postgres_url, tenant=uuid.uuid4().hex, **options)

    with (
        tenant(embedder=Hashed()) as source,
        tenant(embedder=Hashed()) as target,
        onebrain.connect("sqlite://") as file,
    ):
        for number in range(5):
            source.store(
                f"memory {number}", scope=Scope("s"), created_at=datetime(2020 - number, 1, 1), ttl=1e9
            )
        source.store("without", scope=Scope("s"), id="bare")
        source.update("bare", archived=True, scope=Scope("s"))
        copied(source, target)
        source.store("caller's", scope=Scope("t"), embedding=[1.0, 2.0])
        whose = source.embedders()
        assert whose.spaces == {"s": "hashed", "t": "caller"}
        # A brain that makes vectors of another kind takes them as they are, where the lines bring them.
        lines = [
            transfer.line(memory, transfer.Embedders(None, whose.spaces)) for memory in everything(source)
        ]
        file.restore(transfer.read(lines)).raise_for_failures()
        assert everything(file) == everything(source)
        assert file.embedders().spaces == whose.spaces


def test_what_worked_on_the_original_works_on_the_copy(tmp_path):
    urls = [onebrain.sqlite_url(tmp_path / name) for name in ("one.db", "two.db")]
    with onebrain.connect(urls[0], embedder=Hashed()) as brain:
        brain.store("made by the brain's embedder", scope=Scope("own"), embedding=None)
        brain.store("made by the caller", scope=Scope("caller"), embedding=[1.0, 0.0])
    with onebrain.connect(urls[0]) as brain:
        brain.store("made by the default", scope=Scope("default"))
    run = CliRunner().invoke
    done = run(cli, ["export", str(tmp_path / "out.jsonl"), "--url", urls[0]])
    assert done.exit_code == 0, done.output
    done = run(cli, ["import", str(tmp_path / "out.jsonl"), "--url", urls[1]])
    assert done.exit_code == 0, done.output
    with onebrain.connect(urls[1], embedder=Hashed()) as brain:
        assert brain.search("made by", scope=Scope("own"))[0].content == "made by the brain's embedder"
        brain.store("one more", scope=Scope("own"))
        brain.store("one more", scope=Scope("caller"), embedding=[0.0, 1.0])
    with onebrain.connect(urls[0]) as one, onebrain.connect(urls[1]) as two:
        two.store("one more", scope=Scope("default"))
        kept = [memory for memory in everything(two) if memory.content != "one more"]
        assert kept == everything(one)


def test_another_embedders_vectors_are_not_made_anew_in_silence():
    with onebrain.connect("sqlite://", embedder=Hashed()) as source, onebrain.connect("sqlite://") as target:
        source.store("hello")
        lines = [transfer.line(memory, source.embedders()) for memory in everything(source)]
        with pytest.raises(EmbedderMismatch, match="hashed"):
            target.restore(transfer.read(lines)).raise_for_failures()
        assert target.count() == 0


def imported(tmp_path, text: str | bytes, *options: str):
    file, url = tmp_path / "in.jsonl", onebrain.sqlite_url(tmp_path / f"{uuid.uuid4()}.db")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = CliRunner().invoke(cli, ["import", str(file), "--url", url, "--from", "onebrain", *options])
    if done.exit_code:
        return done, []
    with onebrain.connect(url) as brain:
        return done, everything(brain)


def test_a_field_that_no_memory_has_is_kept_in_the_metadata(tmp_path):
    row = {
        "content": "My locker is 47",
        "role": "user",
        "user_id": "maria",
        "tag": ["gym"],
        "metadata": {"a": 1},
    }
    done, [memory] = imported(tmp_path, json.dumps(row) + "\n")
    assert memory.metadata == {"a": 1, "role": "user", "user_id": "maria", "tag": ["gym"]}
    assert "role, tag, user_id" in done.output


def test_a_date_in_the_metadata_is_found_as_an_instant_in_the_copy(tmp_path):
    urls = [onebrain.sqlite_url(tmp_path / name) for name in ("one.db", "two.db")]
    due = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with onebrain.connect(urls[0]) as brain:
        brain.store("dated", metadata={"due": due, "days": [{"a.b": due.date()}], "text": due.isoformat()})
        brain.store("text", metadata={"due": due.isoformat(), "dates": "soon"})
    run = CliRunner().invoke
    assert run(cli, ["export", str(tmp_path / "out.jsonl"), "--url", urls[0]]).exit_code == 0
    assert run(cli, ["import", str(tmp_path / "out.jsonl"), "--url", urls[1]]).exit_code == 0
    for url in urls:
        with onebrain.connect(url) as brain:
            assert [m.content for m in brain.list(filter={"due": "2026-03-01T13:00:00+01:00"})] == ["dated"]
            assert brain.count(filter={"text": "2026-03-01T13:00:00+01:00"}) == 0
            assert brain.count(filter={"dates": "soon"}) == 1


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        ["2026-03-01"],
        {},
        {"due": "2026-03-01"},
        {"metadata": "due"},
        {"metadata": ["due"]},
        {"extra": {}},
    ],
)
def test_dates_of_another_form_are_a_field_that_no_memory_has(tmp_path, value):
    done, [memory] = imported(
        tmp_path, json.dumps({"content": "x", "metadata": {"due": "d"}, "dates": value})
    )
    assert memory.metadata == {"due": "d", "dates": value}
    assert "dates" in done.output


@pytest.mark.parametrize(
    "path", [[], ["no"], ["a", 7], ["a", "b"], ["n"], [{}], [["a"]], [None], ["a", 0, 0]]
)
def test_a_date_that_is_nowhere_is_passed_over(tmp_path, path):
    metadata = {"a": ["2026-03-01"], "n": 7}
    row = {"content": "x", "metadata": metadata, "dates": {"metadata": [path]}}
    _, [memory] = imported(tmp_path, json.dumps(row))
    assert memory.metadata == metadata


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"content": "x", "role": 1, "metadata": {"role": 2}}', "role"),
        ('{"content": "x", "role": {"deep": NaN}}', "JSON"),
        ('{"content": "x", "scope": {"usr": "maria"}}', "usr"),
        ('{"content": "x", "scope": "maria"}', "scope"),
        ('{"content": "x", "created_at": "0001-01-01T00:00:00+14:00"}', "created_at"),
        ('{"content": "x", "updated_at": "yesterday"}', "updated_at"),
        ('{"content": "x", "embedder": 7}', "embedder"),
        ('{"content": " "}', "content"),
        ('{"text": "x"}', "content"),
        ('["x"]', "object"),
        ('{"content": "x"', "JSON"),
    ],
)
def test_a_line_that_cannot_be_kept_is_named_and_the_others_are_stored(tmp_path, line, says):
    done, _ = imported(tmp_path, f'{{"content": "good"}}\n\n{line}\n')
    assert done.exit_code == 1
    assert "line 3" in done.output
    assert says in done.output
    with onebrain.connect(onebrain.sqlite_url(next(tmp_path.glob("*.db")))) as brain:
        assert [memory.content for memory in everything(brain)] == ["good"]


def test_a_byte_order_mark_and_every_line_separator_are_read(tmp_path):
    text = "I moved\u2028to\u0085Oslo.\u2029"
    _, [memory] = imported(tmp_path, "\ufeff" + json.dumps({"content": text}, ensure_ascii=False) + "\r\n")
    assert memory.content == text
    _, [memory] = imported(tmp_path, b'{"content": "caf\xe9 \x80"}')
    assert memory.content == "café €"


def test_what_a_service_cannot_keep_is_said_before_anything_is_stored(onebrain_server_url, onebrain_api_key):
    with (
        onebrain.connect("sqlite://") as source,
        onebrain.connect(f"onebrain+{onebrain_server_url}", api_key=onebrain_api_key) as target,
    ):
        source.store("hello", created_at=datetime.now(UTC) - timedelta(days=1))
        lines = [transfer.line(memory, source.embedders()) for memory in everything(source)]
        with pytest.raises(OneBrainValidationError, match=r"line 1: .*Nothing was stored"):
            target.restore(transfer.read(lines))
        assert target.count() == 0
        without = {"id", "created_at", "embedding"}
        assert target.restore(transfer.read(lines, without=without)).failed == ()
        assert [memory.content for memory in target.list()] == ["hello"]
    assert NewMemory(content="x").embedding is None
