"""Memories migrate through every service and back, interrupted on every way, and are the same in the end."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

import onebrain
from onebrain import NewMemory, Scope, migrating
from onebrain.errors import Unsupported
from onebrain.importing import import_file
from onebrain.migrating import migrate

COUNT = 27
BASE = datetime(2024, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """The end of a process."""


def memory(number: int) -> NewMemory:
    """A memory with most of the values that a memory can have."""
    return NewMemory(
        content=f"Memory {number}\u2028of topic {number % 7}",
        id=f"m{number}",
        scope=Scope("work" if number % 4 == 0 else None, f"u{number % 3}", "a" if number % 2 else None, "s"),
        title="Title" if number % 3 else None,
        type="fact" if number % 5 else None,
        tags=["a", "b"] if number % 2 else [],
        metadata={"number": number, "big": 2**60, "deep": {"list": [1.0, None]}, "due": BASE}
        if number % 2
        else {},
        importance=0.5 if number % 6 == 0 else None,
        source="chat" if number % 2 else None,
        pinned=number % 7 == 0,
        archived=number % 11 == 0,
        created_at=BASE + timedelta(minutes=number),
        expires_at=datetime(2100, 1, 1, tzinfo=UTC) if number % 13 == 0 else None,
        valid_from=BASE if number % 5 == 0 else None,
        supersedes=[f"m{number - 12}"] if number in (12, 24) else [],
        sources=[f"m{number - 12}"] if number == 23 else [],
        embedding=False if number == 8 else None,
    )


@pytest.fixture(scope="module")
def source():
    with onebrain.connect("sqlite://") as brain:
        brain.store_many(map(memory, range(COUNT))).raise_for_failures()
        yield brain


@pytest.fixture
def brain_of(onebrain_server):
    """Make brains of new accounts by the name of the service."""
    made = []

    def make(service: str) -> onebrain.Brain:
        if service == "embedded":
            made.append(onebrain.connect("sqlite://"))
        else:
            path = "" if service == "onebrain" else f"/compat/{service}"
            tenant = "?tenant_id=acme" if service == "herobrain" else ""
            key = onebrain_server.account(f"{uuid.uuid4().hex}@example.com")
            made.append(onebrain.connect(f"{service}+{onebrain_server.url}{path}{tenant}", api_key=key))
        return made[-1]

    yield make
    for brain in made:
        brain.close()


def everything(brain: onebrain.Brain) -> dict[tuple[str | None, ...], onebrain.Memory]:
    found = brain.list(order="sequence", include_archived=True, include_superseded=True, with_embeddings=True)
    return {(one.scope.space, one.scope.user, one.id): one for one in found}


def killed_twice(start: onebrain.Brain, end: onebrain.Brain) -> migrating.MigrationReport:
    """Migrate, and begin again after two interruptions."""

    def kill_at(limit: int):
        def on_progress(done: int) -> None:
            if done >= limit:
                raise Killed

        return on_progress

    for limit in (9, 18):
        with pytest.raises(Killed):
            migrate(start, end, on_progress=kill_at(limit))
    report = migrate(start, end, verify=True)
    assert report.already_there >= 18 - 1
    assert (report.already_there + report.stored, report.failed) == (COUNT, {})
    assert report.verification.ok, report.verification
    return report


def test_a_brain_is_the_same_after_its_way_through_all_services(source, brain_of, monkeypatch):
    monkeypatch.setattr(migrating, "_ROWS", 9)
    last = source
    for service in ("onebrain", "ai-memory", "herobrain", "rememberos", "brrain", "embedded"):
        following = brain_of(service)
        planned = migrate(last, following, dry_run=True)
        report = killed_twice(last, following)
        assert planned.stored == COUNT
        assert planned.lost == report.lost == {}
        if following.capabilities.list:
            last = following
        else:
            with pytest.raises(Unsupported, match="listing"):
                migrate(following, last)
    assert everything(last) == everything(source)


def test_a_dry_run_tells_what_is_left_behind_and_stores_nothing(brain_of):
    source, target = brain_of("embedded"), brain_of("onebrain")
    source.store("Mine", scope=Scope("own"), id="1", embedding=[1, 0], extra={"colour": "red"})
    report = migrate(source, target, dry_run=True)
    assert report.lost == {"vectors": 1, "extra fields": 1}
    assert {"id", "created_at"} <= report.carried.keys()
    assert list(target.list()) == []


def test_a_change_in_the_target_is_found_and_overwritten_on_request(source, brain_of):
    for service in ("embedded", "onebrain"):
        target = brain_of(service)
        migrate(source, target)
        changed = next(
            one for one in target.list(order="sequence") if one.content.startswith("Memory 1\u2028")
        )
        target.update(changed.id, content="Changed", scope=Scope(user="u1"))
        report = migrate(source, target, verify=True)
        assert report.failed == {"m1": "a memory with this id is there, and says something else"}
        assert "content" in report.verification.different["m1"]
        report = migrate(source, target, overwrite=True, verify=True)
        assert (report.stored, report.verification.ok) == (COUNT, True)
        assert target.count(include_archived=True, include_superseded=True) == COUNT


async def test_async_brains_migrate_the_same(source, brain_of):
    target = brain_of("embedded")
    report = await migrate(source.to_async(), target.to_async(), verify=True)
    assert (report.stored, report.verification.ok) == (COUNT, True)
    with pytest.raises(onebrain.ConfigurationError, match="both"):
        migrate(source, target.to_async())


def test_an_import_into_a_service_that_chooses_ids_stores_once(brain_of, tmp_path):
    brain = brain_of("rememberos")
    file = tmp_path / "notes.jsonl"
    file.write_text('{"text": "Likes tea", "user": "maria"}\n{"text": "Lives in Lisbon", "user": "maria"}\n')
    assert import_file(brain, file).stored == 2
    assert import_file(brain, file).already_there == 2
    assert brain.count() == 2


def test_carried_values_that_somebody_else_wrote_are_metadata(brain_of):
    source, target = brain_of("embedded"), brain_of("embedded")
    odd = {"onebrain_carried": {"pinned": "?", "id": 7, "created_at": "soon"}}
    source.store("Likes tea", id="1", metadata=odd)
    assert migrate(source, target, verify=True).verification.ok
    assert target.get("1").metadata == odd
