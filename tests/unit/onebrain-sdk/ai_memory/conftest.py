from __future__ import annotations

import pytest

from onebrain import AiMemoryClient, AsyncAiMemoryClient
from onebrain._core.retry import RetryPolicy


@pytest.fixture
def ask(in_colour, stub):
    """Call a client of the stub, in the test's colour."""

    def run(call, **options):
        at_once = RetryPolicy(max_retries=2, base_delay=0, max_delay=0)
        return in_colour(
            AiMemoryClient, AsyncAiMemoryClient, {"base_url": stub.url, "retry": at_once, **options}, call
        )

    return run
