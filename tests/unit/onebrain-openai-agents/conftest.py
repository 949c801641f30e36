"""The brains that every component is tested on, and agents whose model is a script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from agents import set_tracing_disabled

import onebrain
from onebrain.testing.reference import REFERENCE, reference_brain

# A service that can do little: the components must make up for it.
MODEST = replace(REFERENCE, client_ids=False, archive=False, batch_size=7, filters={}, logic=frozenset())


@pytest.fixture(autouse=True)
def no_traces() -> None:
    set_tracing_disabled(True)


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
