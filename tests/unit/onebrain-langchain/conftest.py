from __future__ import annotations

import pytest

import onebrain
from onebrain.testing.reference import reference_brain


@pytest.fixture(params=["reference", "sqlite"])
def brain(request):
    brain = reference_brain() if request.param == "reference" else onebrain.connect("sqlite://")
    yield brain
    brain.close()


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'brain.db'}"


@pytest.fixture(params=["sync", "async"])
def call(request):
    """Calls a method, or in async tests its twin with an `a` in front."""

    async def call(method, *args, **kwargs):
        if request.param == "sync":
            return method(*args, **kwargs)
        return await getattr(method.__self__, f"a{method.__name__}")(*args, **kwargs)

    call.asynchronous = request.param == "async"
    return call
