"""What all parts of the suite share: the fixtures, and a few words in which the scenarios are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import pytest

from onebrain.memory.brain import Brain
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.filters import same
from onebrain.testing.conformance.colours import Looped
from onebrain.testing.report import PROPERTY

Colour = Literal["sync", "async"]
# Long ago and far ahead: a service's clock may differ from ours, but not by that much.
PAST = datetime(2001, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
FUTURE = datetime(2201, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)


def only(colour: Colour) -> Any:
    """Return a fixture that runs a suite in one colour, for drivers whose colours something else proves.

    Drivers hold no colour; what differs between the two is the transport, and that is the same for many drivers::

        class TestMine(DriverConformance):
            colour = only("async")
    """

    @pytest.fixture(name="colour", params=[colour])
    def one(self: Any, request: pytest.FixtureRequest) -> Colour:
        chosen: Colour = request.param
        return chosen

    return one


class Suite:
    """The fixtures of the suite.

    Attributes:
        driver: The driver's name in the table of results; the default is the class's name.
        verb: What a part of the suite is about.
    """

    driver: ClassVar[str] = ""
    verb: ClassVar[str] = ""

    @pytest.fixture
    def empty_brain(self) -> Brain:
        """Return a fresh brain that holds nothing; every driver's tests override this."""
        raise NotImplementedError("override the fixture `empty_brain`: it returns a fresh, empty Brain")

    @pytest.fixture(params=["sync", "async"])
    def colour(self, request: pytest.FixtureRequest) -> Colour:
        """Say which colour a test runs in."""
        colour: Colour = request.param
        return colour

    @pytest.fixture(autouse=True)
    def _result(self, request: pytest.FixtureRequest) -> None:
        """Note for the table of results what a test is about."""
        name: str = request.function.__name__
        verb = next(vars(kind).get("verb", "") for kind in type(self).__mro__ if name in vars(kind))
        driver = self.driver or type(self).__name__.removeprefix("Test")
        request.node.user_properties.append((PROPERTY, (driver, verb)))

    @pytest.fixture
    def brain(self, colour: Colour, empty_brain: Brain) -> Iterator[Brain]:
        """Give the empty brain in the test's colour, and close it afterwards."""
        if colour == "sync":
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
    """Skip the test where the driver does not declare one of `abilities`; the reason is what it declares."""
    can = brain.capabilities
    for ability in abilities:
        declared = getattr(can, ability)
        if not declared:
            pytest.skip(f"{can.service} declares {ability}={declared!r}")


def needs_room(brain: Brain, characters: int) -> None:
    """Skip the test where a memory of so many characters is too long for the service."""
    can = brain.capabilities
    if can.content_limit is not None and can.content_limit < characters:
        pytest.skip(f"{can.service} declares content_limit={can.content_limit}")


def supported(can: Capabilities, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a memory's `fields` that the service can keep."""
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
    """Return the ids of everything that a search finds."""
    return set(ids(brain.search(query, limit=1000, **options)))


def queries(brain: Brain, query: str) -> tuple[str | None, ...]:
    """Return `query` and, where the service lists, None: a search without a query is a list of the newest."""
    return (query, None) if brain.capabilities.list else (query,)


def listed(brain: Brain, **options: Any) -> set[str]:
    """Return the ids of everything that a list holds."""
    return set(ids(brain.list(**options)))


def assert_same_json(stored: Any, given: Any) -> None:
    """Assert that two JSON values are equal and of the same kinds all the way down: True is not 1."""
    assert stored == given
    assert same(stored, given)
