"""Tests against real services. They are skipped without the address of the service."""

from __future__ import annotations

import os

import pytest

from onebrain.services.ai_memory import AiMemoryClient


@pytest.fixture(scope="session")
def ai_memory_url():
    """The address of an ai-memory daemon that these tests may fill and empty."""
    url = os.environ.get("AI_MEMORY_URL")
    if not url:
        pytest.skip("needs an ai-memory daemon with an empty database: set AI_MEMORY_URL to its address")
    with AiMemoryClient(url) as client:
        # Every test empties the daemon, so nobody's memories may be in it.
        if client.stats().total:
            pytest.skip("the ai-memory daemon at AI_MEMORY_URL holds memories; these tests need an empty one")
        yield url
        clean(client)


def clean(client):
    """Remove all memories of the daemon, including expired ones that are not collected yet."""
    client.gc()
    for namespace in client.namespaces():
        client.memories.forget(namespace=namespace.namespace)


@pytest.fixture
def ai_memory(ai_memory_url):
    """A client of the emptied daemon."""
    with AiMemoryClient(ai_memory_url) as client:
        clean(client)
        yield client
