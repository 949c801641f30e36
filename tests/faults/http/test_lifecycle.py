"""Clients live in threads, tasks, several event loops and forked processes, and end without a trace."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import aiohttp
import httpx
import pytest
from blockbuster import blockbuster_ctx

from onebrain import AsyncOneBrain, ConfigurationError, OneBrain, OneBrainConnectionError

KEY = "ob_0123456789abcdef_aabbccddeeff00112233445566778899"
ID = "7911a591-d041-4b30-b2a4-b8818d4132ab"


@pytest.fixture(params=["httpx", "aiohttp"])
def transport(request):
    return request.param


def test_closing_twice_is_fine_and_a_closed_client_says_so(server):
    client = OneBrain(KEY, base_url=server.url)
    client.memory.get(ID)
    client.close()
    client.close()
    with pytest.raises(OneBrainConnectionError, match="closed"):
        client.memory.get(ID)


async def test_closing_twice_is_fine_in_async_code(server, transport):
    client = AsyncOneBrain(KEY, base_url=server.url, transport=transport)
    await client.memory.get(ID)
    await client.close()
    await client.close()
    with pytest.raises(OneBrainConnectionError, match="closed"):
        await client.memory.get(ID)


async def test_closing_a_client_that_was_never_used_is_fine(transport):
    OneBrain(KEY, base_url="http://127.0.0.1:9").close()
    await AsyncOneBrain(KEY, base_url="http://127.0.0.1:9", transport=transport).close()


def test_one_client_serves_several_event_loops_one_after_the_other(server, transport):
    client = AsyncOneBrain(KEY, base_url=server.url, transport=transport)

    async def main():
        return [memory.id for memory in await asyncio.gather(*(client.memory.get(ID) for _ in range(5)))]

    for _ in range(3):
        assert asyncio.run(main()) == [ID] * 5
    # Nothing is left open: an unclosed socket would be a warning, and so a failure.
    gc.collect()


def test_one_client_serves_event_loops_in_several_threads_at_once(server, transport):
    client = AsyncOneBrain(KEY, base_url=server.url, transport=transport)

    async def main():
        return [(await client.memory.get(ID)).id for _ in range(5)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: asyncio.run(main()), range(8))) == [[ID] * 5] * 8
    gc.collect()


async def test_cancelling_a_call_leaves_the_client_usable(server, transport):
    async with AsyncOneBrain(KEY, base_url=server.url, transport=transport) as client:
        server.script = [server.stall] * 10
        calls = [asyncio.create_task(client.memory.get(ID)) for _ in range(10)]
        while len(server.requests) < 10:
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError)
            for end in await asyncio.gather(*calls, return_exceptions=True)
        )
        found = await asyncio.gather(*(client.memory.get(ID) for _ in range(20)))
        assert {memory.id for memory in found} == {ID}


async def test_a_timeout_of_the_callers_own_leaves_the_client_usable(server, transport):
    async with AsyncOneBrain(KEY, base_url=server.url, transport=transport) as client:
        server.script = [server.stall]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.memory.get(ID)
        assert (await client.memory.get(ID)).id == ID


async def test_nothing_blocks_the_event_loop(server, transport):
    async with AsyncOneBrain(KEY, base_url=server.url, transport=transport) as warm:
        # Imports and the CA bundle are read once.
        await warm.memory.get(ID)
    with blockbuster_ctx():
        async with AsyncOneBrain(KEY, base_url=server.url, transport=transport) as client:
            await client.memory.create("x")
            await client.memory.get(ID)


def test_many_threads_share_a_client(server):
    with OneBrain(KEY, base_url=server.url) as client, ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: client.memory.get(ID).id, range(200))) == {ID}
    assert len(server.requests) == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_client_works_on_both_sides_of_a_fork(server, program):
    forking = """
        import os, sys
        from onebrain import OneBrain

        key, url, id = sys.argv[1:]
        client = OneBrain(key, base_url=url)
        assert client.memory.get(id).id == id
        # As if another thread was just connecting.
        with client._mode.transport._lock:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    print(client.memory.get(id).id, flush=True)
                    status = 0
                finally:
                    os._exit(status)
        # The child has not read from our connection.
        assert client.memory.get(id).id == id
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client.close()
    """
    assert program(forking, KEY, server.url, ID) == f"{ID}\n"


def test_a_client_brought_along_is_used_and_stays_open(server):
    with httpx.Client(headers={"x-mine": "1"}) as mine:
        with OneBrain(KEY, base_url=server.url, http_client=mine) as client:
            assert client.memory.get(ID).id == ID
        assert not mine.is_closed


async def test_async_clients_brought_along_are_used_and_stay_open(server):
    async with httpx.AsyncClient() as mine, aiohttp.ClientSession() as session:
        for brought in (mine, session):
            async with AsyncOneBrain(KEY, base_url=server.url, http_client=brought) as client:
                assert (await client.memory.get(ID)).id == ID
        assert not mine.is_closed
        assert not session.closed


async def test_errors_of_httpx2_are_translated_too(server):
    import httpx2

    with (
        httpx2.Client() as mine,
        OneBrain(KEY, base_url=server.url, http_client=mine, max_retries=0) as client,
    ):
        assert client.memory.get(ID).id == ID
        server.script = [server.reset]
        with pytest.raises(OneBrainConnectionError):
            client.memory.get(ID)


def test_a_client_of_the_wrong_colour_is_refused():
    for build in (
        lambda: OneBrain(KEY, http_client=httpx.AsyncClient()),
        lambda: AsyncOneBrain(KEY, http_client=httpx.Client()),
        lambda: AsyncOneBrain(KEY, http_client=object()),
        lambda: AsyncOneBrain(KEY, transport="carrier pigeon"),
        lambda: AsyncOneBrain(KEY, http_client=httpx.AsyncClient(), transport="aiohttp"),
    ):
        with pytest.raises(ConfigurationError):
            build()


def test_copies_share_the_connection_and_pickles_are_refused(server):
    with OneBrain(KEY, base_url=server.url) as client:
        assert deepcopy({"client": client})["client"] is client
        with pytest.raises(TypeError, match="key") as raised:
            pickle.dumps(client)
        assert KEY not in str(raised.value)


def test_making_clients_opens_nothing():
    # Threads of earlier tests may end meanwhile.
    before = set(threading.enumerate())
    clients = [OneBrain(KEY, base_url="http://127.0.0.1:9") for _ in range(100)]
    assert set(threading.enumerate()) <= before
    assert all(client._mode.transport._client is None for client in clients)
