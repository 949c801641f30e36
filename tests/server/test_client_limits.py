"""What a server, or a proxy before it, refuses for its size or rate reaches `Brain` whole, or is told item by item."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import onebrain
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

SERVICES = {
    "onebrain": "",
    "ai-memory": "/compat/ai-memory",
    "herobrain": "/compat/herobrain?tenant_id=t",
    "rememberos": "/compat/rememberos",
    "brrain": "/compat/brrain",
}
SMALL = 64 * 1024


@pytest.fixture(scope="module")
def small():
    """A server that takes small requests only."""
    with live_server(
        Settings(database_url="sqlite://", rate_limit_max=0, log_level="error", max_body_bytes=SMALL)
    ) as found:
        yield found


@pytest.fixture
def url_of(small):
    return lambda service: f"{service}+{small.url}{SERVICES[service]}"


@pytest.fixture
def account(small, request):
    return small.account(f"{abs(hash(request.node.name))}@example.com")


@pytest.mark.parametrize("service", SERVICES)
def test_batches_are_cut_until_the_server_takes_them(service, url_of, account):
    texts = [f"{n} " + "lighthouse " * 700 for n in range(30)]
    with onebrain.connect(url_of(service), api_key=account) as brain:
        results = brain.store_many(texts)
        assert [result.ok for result in results] == [True] * 30
        assert [memory.content for memory in brain.get_many(results.ids)] == texts


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - {"herobrain"}))
def test_one_memory_that_is_too_large_fails_alone(service, url_of, account):
    # Metadata, because some services bound texts further below.
    items = [{"content": f"note {n}", "metadata": {"n": n}} for n in range(20)]
    items[7]["metadata"]["blob"] = "x" * (SMALL - 200)
    items[7]["content"] = "y" * 9000
    with onebrain.connect(url_of(service), api_key=account) as brain:
        results = brain.store_many(items)
        assert results.failed == (7,)
        error = results[7].error
        assert isinstance(error, onebrain.OneBrainValidationError)
        assert "yyyy" not in str(error)
        assert len(brain.get_many([result.id for result in results if result.ok])) == 19


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on, as nginx does: none above its limit, which it answers with a page."""

    protocol_version = "HTTP/1.1"
    upstream = ""
    limit = 1 << 20
    gone_after = 1000
    passed = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if len(body) > self.limit:
            self.reply(413, b"<html>413 Request Entity Too Large</html>", "text/html")
        elif type(self).passed >= self.gone_after:
            self.reply(502, b"<html>502 Bad Gateway</html>", "text/html")
        else:
            type(self).passed += self.command == "POST"
            connection = HTTPConnection(self.upstream)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            self.reply(answer.status, answer.read(), answer.headers.get("content-type", "text/plain"))
            connection.close()

    do_GET = do_POST

    def reply(self, status, content, kind):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def proxy(onebrain_server):
    """Return a function that starts a proxy before the live server and returns its address."""
    running = []

    def start(**limits):
        upstream = onebrain_server.url.removeprefix("http://")
        kind = type("Limited", (Proxy,), {"upstream": upstream, **limits})
        server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("service", SERVICES)
def test_a_proxy_that_takes_less_than_the_server_loses_nothing(service, proxy, key):
    texts = [f"{n} " + "text " * 1700 for n in range(40)]
    url = f"{service}+{proxy(limit=100_000)}{SERVICES[service]}"
    with onebrain.connect(url, api_key=key) as brain:
        results = brain.store_many(texts)
        assert [memory.content for memory in brain.get_many(results.ids)] == texts


@pytest.mark.parametrize("service", SERVICES)
def test_an_outage_halfway_says_what_is_stored(service, proxy, key):
    texts = [f"{n} " + "text " * 1700 for n in range(40)]
    address = proxy(limit=100_000, gone_after=3)
    options = (
        {"retry": onebrain.RetryPolicy(max_retries=0)}
        if service in ("ai-memory", "herobrain")
        else {"max_retries": 0}
    )
    url = f"{service}+{address}{SERVICES[service]}"
    with onebrain.connect(url, api_key=key, **options) as brain:
        results = brain.store_many(texts)
    assert 0 < len(results.failed) < 40
    assert {type(results[n].error) for n in results.failed} == {onebrain.OneBrainInternalError}
    with pytest.raises(onebrain.OneBrainInternalError):
        results.raise_for_failures()
    with onebrain.connect(f"{service}+{proxy()}{SERVICES[service]}", api_key=key) as brain:
        stored = [result.id for result in results if result.ok]
        assert [memory.content for memory in brain.get_many(stored)] == [
            text for text, result in zip(texts, results, strict=True) if result.ok
        ]
        if brain.capabilities.list:
            assert brain.count() == len(stored)


@pytest.mark.parametrize("colour", ["threads", "tasks"])
def test_forty_stores_at_once_outlast_a_small_rate_limit(colour):
    settings = Settings(
        database_url="sqlite://",
        log_level="error",
        rate_limit_window=1,
        rate_limit_max=10,
        rate_limit_write_max=10,
    )
    with live_server(settings) as live:
        url = f"onebrain+{live.url}"
        if colour == "threads":
            with onebrain.connect(url, api_key=live.key) as brain, ThreadPoolExecutor(40) as pool:
                results = list(pool.map(brain.store, [f"note {n}" for n in range(40)]))
        else:

            async def main():
                async with onebrain.connect_async(url, api_key=live.key) as brain:
                    return await asyncio.gather(*(brain.store(f"note {n}") for n in range(40)))

            results = asyncio.run(main())
        assert len({result.id for result in results}) == 40
