"""Exchanges with a real ai-memory daemon, version 0.6.4, recorded by vcrpy and replayed.

To record them anew, start a daemon with an empty database, the key ``live-test-key`` and ``AI_MEMORY_AGENT_ID=ai:recorder``,
and run these tests with ``AI_MEMORY_RECORD`` set to its address; the order of the tests is the order of the recording.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from inspect import isawaitable
from pathlib import Path

import pytest
import vcr

from onebrain import AiMemoryClient, AsyncAiMemoryClient
from onebrain._core.retry import RetryPolicy

HERE = Path(__file__).parent
KEY = "live-test-key"
RECORD = os.environ.get("AI_MEMORY_RECORD")


def same_body(first, second):
    """Bodies are equal as JSON: the order of keys and the spacing are nobody's business."""

    def read(request):
        return json.loads(request.body) if request.body else None

    assert read(first) == read(second)


def without_secrets(response):
    """Remove the values that differ at every recording."""
    response["headers"] = {
        name: value
        for name, value in response["headers"].items()
        if name.lower() not in ("date", "x-api-key")
    }
    return response


recorder = vcr.VCR(
    cassette_library_dir=str(HERE / "cassettes"),
    record_mode="once" if RECORD else "none",
    match_on=["method", "path", "query", "same_body"],
    filter_headers=["x-api-key", "user-agent", "host", "accept-encoding", "connection"],
    filter_query_parameters=["api_key"],
    before_record_response=without_secrets,
    decode_compressed_response=True,
)
recorder.register_matcher("same_body", same_body)


# A recording serves the sync and the async client, because their requests are the same.
@pytest.fixture(params=["sync"] if RECORD else ["sync", "async"])
def colour(request):
    return request.param


@pytest.fixture
def session(colour, request):
    """Return a function that makes a call on one client against the test's cassette."""
    name = request.node.originalname.removeprefix("test_")
    options = {"api_key": KEY, "agent_id": "ai:claude@host", "retry": RetryPolicy(max_retries=0)}
    url = RECORD or "http://localhost:9077"
    with recorder.use_cassette(f"{name}.yaml") as cassette:
        if colour == "sync":
            with AiMemoryClient(url, **options) as client:

                def call(function):
                    result = function(client)
                    return list(result) if isinstance(result, Iterator) else result

                yield call
        else:
            loop = asyncio.new_event_loop()
            client = AsyncAiMemoryClient(url, **options)

            async def run(function):
                result = function(client)
                if isinstance(result, AsyncIterator):
                    return [row async for row in result]
                return await result if isawaitable(result) else result

            yield lambda function: loop.run_until_complete(run(function))
            loop.run_until_complete(client.close())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
        if not RECORD:
            assert cassette.all_played, "not every recorded request was sent"
