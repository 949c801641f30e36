"""Calls to OneBrain's sync and async clients, on the stub server."""

from __future__ import annotations

import pytest

from onebrain import AsyncOneBrain, OneBrain
from onebrain._core.retry import RetryPolicy

KEY = "ob_0123456789abcdef_aabbccddeeff00112233445566778899"


@pytest.fixture
def key():
    return KEY


@pytest.fixture
def ask(stub, in_colour):
    """Call the sync or the async client and return the result."""

    def run(call, **options):
        options = {
            "api_key": KEY,
            "base_url": stub.url,
            "retry": RetryPolicy(base_delay=0, max_delay=0),
            **options,
        }
        return in_colour(OneBrain, AsyncOneBrain, options, call)

    return run


@pytest.fixture
def says(stub):
    """Queue an answer in OneBrain's envelope."""

    def queue(data=None, status=200, headers=None, **meta):
        body = None if status == 204 else {"data": data, "meta": {"requestId": "r-1", **meta}}
        stub.answer(body, status, headers)

    return queue
