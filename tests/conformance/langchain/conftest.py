"""The brains on which LangChain's own suites run. A missing capability is the reason of a skip."""

from __future__ import annotations

from dataclasses import replace

import pytest

import onebrain
from onebrain.testing.reference import REFERENCE, reference_brain

# A service that makes its own vectors and takes nobody else's, and filters nothing itself.
KEYWORDS_ONLY = replace(
    REFERENCE,
    service="keywords",
    embeddings=False,
    modes=frozenset({"keyword"}),
    filters={},
    logic=frozenset(),
    orders=frozenset({"-created_at"}),
    batch_size=2,
    atomic_batch=False,
    search_offset=False,
)
NO_IDS = replace(REFERENCE, service="no-ids", client_ids=False)


# The services that our server speaks as, each through its own driver over the socket.
SERVED = ["ai-memory", "herobrain", "rememberos", "brrain"]
KINDS = ["reference", "keywords", "no-ids", "sqlite", "sqlite-file", "postgresql", "onebrain", *SERVED]


@pytest.fixture(params=KINDS)
def brain(request, tmp_path):
    fixture = request.getfixturevalue

    kinds = {
        "reference": reference_brain,
        "keywords": lambda: reference_brain(KEYWORDS_ONLY),
        "no-ids": lambda: reference_brain(NO_IDS),
        "sqlite": lambda: onebrain.connect("sqlite://"),
        "sqlite-file": lambda: onebrain.connect(f"sqlite:///{tmp_path / 'brain.db'}"),
        "postgresql": lambda: onebrain.connect(fixture("postgres_url"), tenant=fixture("new_tenant")()),
        "onebrain": lambda: onebrain.connect(
            f"onebrain+{fixture('onebrain_server_url')}", api_key=fixture("onebrain_api_key")
        ),
        **{name: lambda name=name: fixture("connect_to")(name) for name in SERVED},
    }
    brain = kinds[request.param]()
    yield brain
    brain.close()


@pytest.fixture
def needs_ids(brain):
    if not brain.capabilities.client_ids:
        pytest.skip(f"{brain.capabilities.service} takes no ids of the caller's own")


@pytest.fixture
def needs_vectors(brain):
    if "vector" not in brain.capabilities.modes:
        pytest.skip(
            f"{brain.capabilities.service} has no vector search: it finds no document without a common word"
        )


@pytest.fixture
def needs_own_vectors(brain, needs_vectors):
    if brain.capabilities.service in ("reference", "no-ids"):
        pytest.skip(f"{brain.capabilities.service} makes no vectors of its own")


@pytest.fixture
def needs_listing(brain):
    if not brain.capabilities.list:
        pytest.skip(
            f"{brain.capabilities.service} cannot list its memories, so nothing can be read back whole"
        )


@pytest.fixture
def call(colour):
    """Calls a method, or its twin with an `a` in front."""

    async def call(method, *args, **kwargs):
        if colour == "sync":
            return method(*args, **kwargs)
        return await getattr(method.__self__, f"a{method.__name__}")(*args, **kwargs)

    return call


@pytest.fixture(params=["sync", "async"])
def colour(request):
    return request.param
