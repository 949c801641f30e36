from __future__ import annotations

import pytest

from onebrain import AsyncHeroBrain, HeroBrain
from onebrain._core.retry import RetryPolicy


@pytest.fixture
def ask(in_colour, stub):
    """Call a client of the stub, in the test's colour."""

    def run(call, **options):
        at_once = RetryPolicy(max_retries=2, base_delay=0, max_delay=0)
        given = {"api_key": "hb_prod_key123", "tenant_id": "user_12345", "base_url": stub.url}
        return in_colour(HeroBrain, AsyncHeroBrain, {**given, "retry": at_once, **options}, call)

    return run
