"""The documented quick start against recorded HTTP: matched on method, path, query and body, with no secret in the file.

To record anew, set ``ONEBRAIN_RECORD=1``: the requests then go to the server of hosted.py, and what it answers is kept.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import vcr

import onebrain

FILE = Path(__file__).parent / "cassettes" / "quickstart.yaml"
RECORDING = os.environ.get("ONEBRAIN_RECORD") == "1"
SECRET_HEADERS = ("authorization", "cookie", "set-cookie", "host")
KEYS = re.compile(rb"\bob_[0-9A-Za-z]{2,}[_:][0-9A-Za-z]+")


def masked_request(request: Any) -> Any:
    request.uri = re.sub(r"http://127\.0\.0\.1:\d+", "https://onebrain.rocks", request.uri)
    return request


def masked_response(response: Any) -> Any:
    for name in list(response["headers"]):
        if name.lower() in SECRET_HEADERS:
            del response["headers"][name]
    response["body"]["string"] = KEYS.sub(b"ob_MASKED_KEY", response["body"]["string"])
    return response


def same_body(one: Any, other: Any) -> None:
    """Compare JSON by value; libraries differ in whether no body is None or empty."""
    first, second = (json.loads(request.body) if request.body else None for request in (one, other))
    assert first == second


TAPE = vcr.VCR(
    record_mode="all" if RECORDING else "none",
    match_on=["method", "path", "query", "same body"],
    filter_headers=list(SECRET_HEADERS),
    before_record_request=masked_request,
    before_record_response=masked_response,
    decode_compressed_response=True,
)
TAPE.register_matcher("same body", same_body)


@pytest.fixture
def where(request) -> dict[str, str]:
    if RECORDING:
        hosted = request.getfixturevalue("hosted")
        return {"api_key": hosted.key, "base_url": hosted.url}
    return {"api_key": "ob_xxx:secret"}


def check(memory: Any, results: Any, context: Any) -> None:
    assert memory.content == "The user prefers dark mode."
    assert [hit.content for hit in results.data] == ["The user prefers dark mode."]
    assert "The user prefers dark mode." in context.system_prompt


def test_the_quick_start(where):
    with TAPE.use_cassette(str(FILE)), onebrain.OneBrain(**where) as client:
        check(
            client.memory.create(content="The user prefers dark mode."),
            client.memory.search(query="user preferences", limit=5),
            client.brain.context(scope="preferences"),
        )


@pytest.mark.skipif(RECORDING, reason="the sync client is enough to record")
@pytest.mark.parametrize("transport", ["httpx", "aiohttp"])
def test_the_quick_start_in_async_code(transport):
    async def main() -> None:
        async with onebrain.AsyncOneBrain(api_key="ob_xxx:secret", transport=transport) as client:
            check(
                await client.memory.create(content="The user prefers dark mode."),
                await client.memory.search(query="user preferences", limit=5),
                await client.brain.context(scope="preferences"),
            )

    with TAPE.use_cassette(str(FILE)):
        asyncio.run(main())


@pytest.mark.skipif(RECORDING, reason="nothing is recorded here")
def test_another_body_is_another_request():
    with (
        TAPE.use_cassette(str(FILE)),
        onebrain.OneBrain(api_key="ob_xxx:secret", max_retries=0) as client,
        pytest.raises(onebrain.OneBrainConnectionError),
    ):
        client.memory.create(content="The user prefers light mode.")


def test_the_cassette_holds_no_secret():
    text = FILE.read_text(encoding="utf-8")
    assert not re.search(r"authorization|cookie|ApiKey|Bearer|127\.0\.0\.1", text, re.IGNORECASE)
    assert set(re.findall(r"ob_\w+", text)) <= {"ob_MASKED_KEY"}
