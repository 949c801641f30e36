"""The fixtures and helper functions that all parts of the suite share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import pytest

from onebrain.memory.brain import Brain
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.filters import same
from onebrain.testing.conformance.looping import Looped
from onebrain.testing.report import PROPERTY

Api = Literal["sync", "async"]
# Far from the present, because the clock of a service may differ from the local one.
PAST = datetime(2001, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
FUTURE = datetime(2201, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)


def only(api: Api) -> Any:
    """Return a fixture that runs a suite with the sync or the async API only.

    A driver is the same for both; only the transports differ. If another suite tests both transports, one is enough::

        class TestMine(DriverConformance):
            api = only("async")
    """

    @pytest.fixture(name="api", params=[api])
    def one(self: Any, request: pytest.FixtureRequest) -> Api:
        chosen: Api = request.param
        return chosen

    return one


class Suite:
    """The fixtures of the suite.

    Attributes:
        driver: Name of the driver in the table of results. The default is the name of the class.
        verb: Method that a part of the suite tests; the column in the table of results.
    """

    driver: ClassVar[str] = ""
    verb: ClassVar[str] = ""

    @pytest.fixture
    def empty_brain(self) -> Brain:
        """Return a new, empty brain; the tests of every driver override this."""
        raise NotImplementedError("override the fixture `empty_brain`: it returns a fresh, empty Brain")

    @pytest.fixture(params=["sync", "async"])
    def api(self, request: pytest.FixtureRequest) -> Api:
        """Return the API that a test uses."""
        api: Api = request.param
        return api

    @pytest.fixture
    def colour(self, api: Api) -> Api:
        """Return the API that a test uses, by the fixture's former name."""
        return api

    @pytest.fixture(autouse=True)
    def _result(self, request: pytest.FixtureRequest) -> None:
        """Record the driver and the method that a test is about, for the table of results."""
        name: str = request.function.__name__
        verb = next(vars(kind).get("verb", "") for kind in type(self).__mro__ if name in vars(kind))
        driver = self.driver or type(self).__name__.removeprefix("Test")
        request.node.user_properties.append((PROPERTY, (driver, verb)))

    @pytest.fixture
    def brain(self, api: Api, empty_brain: Brain) -> Iterator[Brain]:
        """Yield the empty brain with the API of the test, and close it afterwards."""
        if api == "sync":
            with empty_brain:
                yield empty_brain
            return
        face = Looped(empty_brain.to_async())
        try:
            yield face.as_brain()
        finally:
            face.finish()
            empty_brain.close()


def needs(brain: Brain, *abilities: str) -> None:
    """Skip the test if the driver does not declare all of `abilities`; the reason shows its declaration."""
    can = brain.capabilities
    for ability in abilities:
        declared = getattr(can, ability)
        if not declared:
            pytest.skip(f"{can.service} declares {ability}={declared!r}")


def lacks(brain: Brain, ability: str) -> None:
    """Skip the test if the driver declares `ability`; the reason shows its declaration."""
    can = brain.capabilities
    declared = getattr(can, ability)
    if declared:
        pytest.skip(f"{can.service} declares {ability}={declared!r}")


def needs_room(brain: Brain, characters: int) -> None:
    """Skip the test if a memory with this number of characters is too long for the service."""
    can = brain.capabilities
    if can.content_limit is not None and can.content_limit < characters:
        pytest.skip(f"{can.service} declares content_limit={can.content_limit}")


def supported(can: Capabilities, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the service can store."""
    lacking = {
        name
        for name, ability in (
            ("id", can.client_ids),
            ("created_at", can.created_at),
            ("expires_at", can.expiry),
            ("ttl", can.expiry),
            ("pinned", can.archive),
            ("archived", can.archive),
            ("tags", can.tags),
            ("importance", can.importance),
            ("embedding", can.embeddings),
        )
        if not ability
    }
    return {name: value for name, value in fields.items() if name not in lacking}


def keep(brain: Brain, content: str, **fields: Any) -> str:
    """Store one memory, wait until it can be found, and return its id."""
    result = brain.store(content, wait=True, **fields)
    assert result.ok
    assert isinstance(result.id, str)
    return result.id


def keep_all(brain: Brain, items: Iterable[Any], **fields: Any) -> list[str]:
    """Store several memories, wait until they can be found, and return their ids in order."""
    return brain.store_many(items, wait=True, **fields).ids


def ids(rows: Iterable[Any]) -> list[str]:
    """Return the ids of memories or hits."""
    return [row.id for row in rows]


def found(brain: Brain, query: str | None, **options: Any) -> set[str]:
    """Return the ids of all results of a search."""
    return set(ids(brain.search(query, limit=1000, **options)))


def queries(brain: Brain, query: str) -> tuple[str | None, ...]:
    """Return `query` and, if the service can list, None: a search without a query lists the newest memories."""
    return (query, None) if brain.capabilities.list else (query,)


def listed(brain: Brain, **options: Any) -> set[str]:
    """Return the ids of all memories of a list."""
    return set(ids(brain.list(**options)))


def assert_same_json(stored: Any, given: Any) -> None:
    """Assert that two JSON values are equal and of the same kinds at every level: True is not 1."""
    assert stored == given
    assert same(stored, given)
