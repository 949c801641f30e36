"""Whatever a verb accepts, every verb reads afterwards; what cannot be kept is a typed error, and left nothing behind."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from datetime import UTC, date, datetime, timedelta, timezone

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import onebrain
from onebrain import F, NewMemory, OneBrainError, OneBrainNotFoundError, OneBrainValidationError, Scope
from onebrain.memory.driver import Changes
from onebrain_engine import Engine, SqliteStore
from onebrain_engine.store.records import to_datetime

SERVICES = ("onebrain", "ai-memory", "herobrain", "rememberos", "brrain")

offsets = st.one_of(
    st.none(),
    st.just(UTC),
    st.integers(-24 * 60 + 1, 24 * 60 - 1).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
moments = st.one_of(
    st.builds(lambda moment, zone: moment.replace(tzinfo=zone), st.datetimes(), offsets),
    st.builds(
        lambda edge, away, zone: (edge + away if edge == datetime.min else edge - away).replace(tzinfo=zone),
        st.sampled_from([datetime.min, datetime.max]),
        st.timedeltas(timedelta(0), timedelta(hours=26)),
        offsets,
    ),
    st.builds(lambda moment, zone: moment.replace(tzinfo=zone).isoformat(), st.datetimes(), offsets),
    st.sampled_from([date.min, date.max]),
)
lifetimes = st.one_of(
    st.sampled_from(
        [timedelta.max, timedelta.min, timedelta(0), timedelta(days=8000 * 365), 0, -1, 1e-9, 1e300]
    ),
    st.floats(),
    st.integers(),
    st.timedeltas(),
)
# Every code point, lone surrogates and NUL among them.
texts = st.text(st.characters(categories=None), max_size=12)
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([2**63, -(2**64), 10**400, 10**4299, 5e-324, 1.7976931348623157e308, -0.0, 1e22]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
keys = st.one_of(
    texts, st.sampled_from(["", "$and", "a.b", "$content", "onebrain", "tags", 1, None, True, 1.5])
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)


def nested(levels: int, inside: object = 1) -> object:
    """Return an object so many levels deep."""
    for level in range(levels):
        inside = {"a": inside} if level % 2 else [inside]
    return inside


objects = st.one_of(
    st.dictionaries(keys, values, max_size=3),
    st.sampled_from([90, 99, 100, 101, 150, 198, 199, 200, 201, 500, 5000]).map(
        lambda n: {"deep": nested(n)}
    ),
)
parts = st.one_of(st.none(), texts, st.integers())
memories = st.fixed_dictionaries(
    {"content": st.one_of(st.just("hello"), texts.map("hello {}".format))},
    optional={
        "id": texts,
        "title": texts,
        "type": texts,
        "source": texts,
        "tags": st.lists(texts, max_size=3),
        "metadata": objects,
        "importance": st.one_of(numbers, st.booleans()),
        "pinned": st.booleans(),
        "archived": st.booleans(),
        "created_at": moments,
        "expires_at": moments,
        "ttl": lifetimes,
        "scope": st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("space", "user", "agent", "session"), parts)
        ),
    },
)
slow = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
    ],
)
few = settings(slow, max_examples=10)

EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
EDGES = [
    {"created_at": datetime.max.replace(tzinfo=WEST)},
    {"created_at": datetime.max.replace(tzinfo=EAST)},
    {"created_at": datetime.min.replace(tzinfo=EAST)},
    {"created_at": datetime.min.replace(tzinfo=WEST)},
    {"created_at": "0001-01-01T00:00:00+14:00"},
    {"created_at": datetime.min, "expires_at": datetime.max},
    {"expires_at": datetime.max.replace(tzinfo=WEST)},
    {"ttl": timedelta.max},
    {"ttl": timedelta(days=8000 * 365)},
    {"metadata": {"deep": nested(99)}},
    {"metadata": {"deep": nested(200)}},
    {"extra": {"deep": nested(250)}},
    {"metadata": {"n": 10**5000}},
    {"metadata": {"a": {1: "one", "1": "other"}}},
    {"metadata": {"\0": "\0\x10"}, "title": "\0", "tags": ["", "\0", "\u2028"]},
]


class Synchronous:
    """Calls the verbs of a `Brain`."""

    def __init__(self, brain: onebrain.Brain) -> None:
        self.capabilities = brain.capabilities
        self._brain = brain

    def __enter__(self):
        return self

    def __exit__(self, *failure) -> None:
        pass

    def __call__(self, verb: str, *args, **options):
        answer = getattr(self._brain, verb)(*args, **options)
        return list(answer) if verb == "list" else answer


class Asynchronous(Synchronous):
    """Calls the verbs of an `AsyncBrain`."""

    def __enter__(self):
        self._runner = asyncio.Runner()
        self._own = self._brain.to_async()
        return self

    def __exit__(self, *failure) -> None:
        self._runner.run(self._own.close())
        self._runner.close()

    def __call__(self, verb: str, *args, **options):
        async def answer():
            if verb == "list":
                return [one async for one in self._own.list(*args, **options)]
            return await getattr(self._own, verb)(*args, **options)

        return self._runner.run(answer())


COLOURS = (Synchronous, Asynchronous)


def alive(memory: dict) -> bool:
    """Whether a memory that was accepted has not expired already."""
    ends = NewMemory(content="-", expires_at=memory.get("expires_at")).expires_at
    return ends is None or ends > datetime.now(UTC)


def check(ask: Synchronous, fields: dict, scope: Scope) -> None:
    """Store one memory; read it by every verb where it was accepted, and find nothing where it was refused."""
    can = ask.capabilities

    def rows(**options) -> list[onebrain.Memory]:
        return ask("list", scope=scope, include_archived=True, **options)

    try:
        own = Scope(**fields.get("scope", {}))
        # Where the test's memories are told apart by their scope, that scope stays.
        given = {**fields, "scope": scope.within(own)}
        id = (ask("store", given)).id
    except OneBrainError:
        if can.list:
            assert rows() == []
        return
    if not alive(fields):
        with pytest.raises(OneBrainNotFoundError):
            ask("get", id, scope=scope)
        return
    wanted = NewMemory(**given)
    got = ask("get", id, scope=scope)
    assert got.content == wanted.content
    assert got.scope == wanted.scope
    assert dict(got.metadata) == json.loads(json.dumps(wanted.metadata))
    assert repr(got.metadata) == repr(json.loads(json.dumps(wanted.metadata)))
    assert got.tags == wanted.tags
    for name in ("title", "type", "source", "importance", "created_at", "expires_at"):
        if getattr(wanted, name) is not None:
            assert getattr(got, name) == getattr(wanted, name), name
    if wanted.ttl is not None:
        assert got.expires_at is not None
    assert (got.pinned, got.archived) == (wanted.pinned, wanted.archived)
    assert json.loads(got.model_dump_json())["id"] == id
    found = ask("search", "hello", scope=scope, include_archived=True)
    assert [hit.memory for hit in found] == [got]
    ask("context", "hello", scope=scope)
    if can.list:
        assert rows() == [got]
        for order in ("created_at", "-updated_at", "importance", "-sequence"):
            assert len(rows(order=order)) == 1
        assert ask("count", scope=scope, include_archived=True) == 1
        ask("count", scope=scope, filter=F("n").gt(1) | F("$created_at").lt("2020-01-01"))
    if can.update:
        after = ask("update", id, scope=scope, metadata={"more": 1})
        assert after.metadata == {**got.metadata, "more": 1}
        with pytest.raises(OneBrainValidationError):
            ask("update", id, scope=scope, created_at=datetime.max.replace(tzinfo=WEST))
        with pytest.raises(OneBrainValidationError):
            ask("update", id, scope=scope, metadata={"deep": nested(150)})
        assert ask("get", id, scope=scope) == after
    assert ask("delete", id, scope=scope) == 1


@pytest.fixture
def brain_of(connect_to, onebrain_server_url, onebrain_api_key):
    """Connects to a service by its name; OneBrain's own format is the server's first."""

    def connect(service: str) -> onebrain.Brain:
        if service == "onebrain":
            return onebrain.connect(f"onebrain+{onebrain_server_url}", api_key=onebrain_api_key)
        return connect_to(service)

    return connect


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("edge", EDGES, ids=range(len(EDGES)))
def test_the_edges_of_every_field_on_sqlite(edge, colour):
    with onebrain.connect("sqlite://") as brain, colour(brain) as ask:
        check(ask, {"content": "hello", **edge}, Scope())


@slow
@given(fields=memories)
def test_every_memory_that_sqlite_accepts(fields):
    with onebrain.connect("sqlite://", embedder=None) as brain:
        check(Synchronous(brain), fields, Scope())


@few
@given(fields=memories)
def test_every_memory_that_an_encrypted_file_accepts_in_async_code(tmp_path, fields):
    url = f"sqlite:///{tmp_path}/{uuid.uuid4()}.db"
    with (
        onebrain.connect(url, embedder=None, encryption_key="ab" * 32) as brain,
        Asynchronous(brain) as ask,
    ):
        check(ask, fields, Scope())


@pytest.mark.parametrize("colour", COLOURS)
def test_the_edges_of_every_field_on_postgresql(postgres_url, colour):
    with (
        onebrain.connect(postgres_url, tenant=uuid.uuid4().hex, embedder=None) as brain,
        colour(brain) as ask,
    ):
        for number, edge in enumerate(EDGES):
            check(ask, {"content": "hello", **edge}, Scope(user=f"u{number}"))


@few
@given(fields=memories)
def test_every_memory_that_postgresql_accepts(postgres_url, fields):
    with onebrain.connect(postgres_url, tenant=uuid.uuid4().hex, embedder=None) as brain:
        check(Synchronous(brain), fields, Scope())


@pytest.mark.parametrize("service", SERVICES)
def test_the_edges_of_every_field_on_each_service(brain_of, service):
    with brain_of(service) as brain, COLOURS[len(service) % 2](brain) as ask:
        for number, edge in enumerate(EDGES):
            check(ask, {"content": f"hello {number}", **edge}, Scope("here", f"u{number}"))


@pytest.mark.parametrize("service", SERVICES)
def test_memories_that_each_service_accepts(brain_of, service):
    with brain_of(service) as brain:

        @settings(few, max_examples=5)
        @given(fields=memories)
        def every(fields):
            name = uuid.uuid4().hex
            fields = {**fields, "content": f"{fields['content']} {name}"}
            check(Synchronous(brain), {**fields, "scope": {}}, Scope("here", name))

        every()


@settings(slow, max_examples=40)
@given(
    fields=st.fixed_dictionaries(
        {}, optional={"created_at": moments, "expires_at": moments, "metadata": objects}
    )
)
@example({"created_at": datetime.max.replace(tzinfo=WEST)})
def test_a_change_of_the_engine_is_checked_as_a_new_memory_is(fields):
    engine = Engine(SqliteStore(":memory:"), embedder=None)
    try:
        tenant = engine.tenant("acme")
        [made] = tenant.store([NewMemory(content="hello")])
        before = tenant.get([made.id], Scope())
        try:
            tenant.update(made.id, Changes(fields=fields, merge_metadata=False), Scope())
        except OneBrainValidationError:
            assert tenant.get([made.id], Scope()) == before
        else:
            tenant.get([made.id], Scope())
    finally:
        engine.close()


def test_no_way_around_the_check():
    whole = NewMemory(content="hello")
    for wrong in (
        {"created_at": datetime.max.replace(tzinfo=WEST)},
        {"metadata": {"n": math.nan}},
        {"ttl": -1},
    ):
        with pytest.raises(ValidationError):
            whole.model_copy(update=wrong)
        with pytest.raises(ValidationError):
            NewMemory.model_construct(content="hello", **wrong)
    with onebrain.connect("sqlite://", embedder=None) as brain:
        for memory in (
            NewMemory(content=" "),
            NewMemory(content="x", ttl=1, expires_at=datetime.max),
        ):
            with pytest.raises(OneBrainValidationError):
                brain.store(memory)
        assert brain.store_many([memory]).failed == (0,)
        assert brain.count() == 0


def test_what_earlier_builds_stored_is_read(tmp_path):
    file = tmp_path / "brain.db"
    with onebrain.connect(f"sqlite:///{file}", embedder=None) as brain:
        brain.store("hello", id="a", expires_at=datetime.max, metadata={"deep": 1})
    import sqlite3

    with sqlite3.connect(file) as database:
        beyond = (2**62, json.dumps({"deep": nested(400)}))
        database.execute("UPDATE memory SET created_at = -?1, expires_at = ?1, metadata = ?2", beyond)
    database.close()
    with onebrain.connect(f"sqlite:///{file}", embedder=None) as brain:
        [memory] = brain.list()
        assert memory.created_at == datetime.min.replace(tzinfo=UTC)
        assert memory.expires_at == datetime.max.replace(tzinfo=UTC)
        assert memory.metadata == {"deep": nested(400)}
        assert brain.count(filter=F("other").exists(False)) == 1
        assert brain.update("a", created_at=datetime(2020, 1, 1)).created_at.year == 2020
    assert to_datetime(2**62).year == 9999


# ---- the formats of the server, without a client that checks first --------------------------------------------------

ROUTES = {
    "/v1/memory": lambda key, metadata, moment, seconds: {
        "body": f"hello {key}", "createdAt": moment, "metadata": metadata, "scope": {"user": key},
    },
    "/compat/ai-memory/api/v1/memories": lambda key, metadata, moment, seconds: {
        "title": key, "content": f"hello {key}", "expires_at": moment, "metadata": metadata, "ttl_secs": seconds,
    },
    "/compat/herobrain/api/v1/memories": lambda key, metadata, moment, seconds: {
        "content": f"hello {key}", "type": "semantic", "metadata": metadata, "tenantId": "t",
    },
    "/compat/rememberos/v1/memory/collections/here/memories": lambda key, metadata, moment, seconds: {
        "text": f"hello {key}", "metadata": metadata,
    },
    "/compat/brrain/v1/memory/store": lambda key, metadata, moment, seconds: {
        "content": f"hello {key}", "metadata": metadata, "ttl_seconds": seconds,
    },
}  # fmt: skip


@pytest.mark.parametrize("route", ROUTES)
def test_the_formats_of_the_server_answer_the_edges_with_words(onebrain_server_url, onebrain_api_key, route):
    # As text: what is to be refused is more than json.dumps writes.
    deep = ["[" * levels + "1" + "]" * levels for levels in (90, 99, 130, 180, 190, 194, 196, 198, 250, 990)]
    metadata = [
        '{"n": 1}',
        *(f'{{"deep": {one}}}' for one in deep),
        f'{{"n": {10**4000}}}',
        '{"\\u0000": "\\u0000"}',
    ]
    moments = [
        "9999-12-31T23:59:59.999Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+14:00",
        "9999-13-01",
    ]
    headers = {"authorization": f"Bearer {onebrain_api_key}", "x-api-key": onebrain_api_key}
    with httpx.Client(base_url=onebrain_server_url, headers=headers, timeout=60) as client:
        seen = set()
        for number, (one, moment, seconds) in enumerate(
            [
                *((one, None, None) for one in metadata),
                *(("{}", moment, None) for moment in moments),
                *(("{}", None, seconds) for seconds in (1, 10**9, 10**12, 10**15, 10**30, -1, 0)),
            ]
        ):
            body = ROUTES[route](f"k{number}", "METADATA", moment, seconds)
            sent = {name: value for name, value in body.items() if value is not None}
            text = json.dumps(sent).replace('"METADATA"', one)
            answer = client.post(route, content=text, headers={"content-type": "application/json"})
            assert answer.status_code in (200, 201, 400, 413, 422), (
                answer.status_code,
                answer.text[:300],
                moment,
            )
            seen.add(answer.status_code // 100)
        assert 2 in seen
        for read in {
            "/v1/memory": ["/v1/memory", "/v1/memory/search?q=hello", "/v1/export"],
            "/compat/ai-memory/api/v1/memories": ["/compat/ai-memory/api/v1/memories"],
            "/compat/herobrain/api/v1/memories": ["/compat/herobrain/api/v1/memories?tenantId=t"],
            "/compat/rememberos/v1/memory/collections/here/memories": [
                "/compat/rememberos/v1/memory/collections/here/memories"
            ],
            "/compat/brrain/v1/memory/store": ["/compat/brrain/v1/memory/retrieve?q=hello"],
        }[route]:
            answer = client.get(read)
            assert answer.status_code in (200, 404, 405), (read, answer.status_code, answer.text[:300])
            if answer.status_code == 200:
                answer.json()
