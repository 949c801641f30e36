"""The brains on which every component is tested, sync and async."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

import onebrain
from onebrain.testing.reference import REFERENCE, reference_brain

# A service that can do little: the components must make up for it.
MODEST = replace(
    REFERENCE,
    client_ids=False,
    archive=False,
    atomic_batch=False,
    batch_size=7,
    orders=frozenset({"-created_at"}),
    filters={},
    logic=frozenset(),
)


def open_brain(kind: str) -> onebrain.Brain:
    if kind == "sqlite":
        return onebrain.connect("sqlite://")
    return reference_brain(MODEST if kind == "modest" else REFERENCE)


@pytest.fixture(params=["reference", "modest", "sqlite"])
def brain(request: pytest.FixtureRequest) -> Iterator[onebrain.Brain]:
    with open_brain(request.param) as opened:
        yield opened


@pytest.fixture
def sqlite() -> Iterator[onebrain.Brain]:
    with onebrain.connect("sqlite://") as opened:
        yield opened


class Colour:
    """Calls a component's method by its sync name: in the sync colour as it is, in the async one its twin."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, component: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if self.name == "sync":
            return getattr(component, method)(*args, **kwargs)
        names = [f"a{method}", f"async_{method}"]
        twin: Callable[..., Any] = next(
            getattr(component, name) for name in names if hasattr(component, name)
        )
        assert inspect.iscoroutinefunction(twin)
        # Nothing that a component does may block the event loop.
        with blockbuster_ctx():
            return await twin(*args, **kwargs)

    def watch(self) -> AbstractContextManager[Any]:
        return blockbuster_ctx() if self.name == "async" else nullcontext()


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Colour:
    return Colour(request.param)
