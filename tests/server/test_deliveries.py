"""The outbox: what is sent, again, how often, after a restart, and to whom never."""

from __future__ import annotations

import http.server
import json
import queue
import socket
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from onebrain.errors import WebhookVerificationError
from onebrain.webhooks import verify_onebrain
from onebrain_server.dialects.onebrain.wire import sign
from onebrain_server.jobs.deliveries import Channel
from onebrain_server.settings import Settings
from onebrain_server.state.outbox import Outbox
from onebrain_server.testing import live_server

SECRET = "a webhook's secret"
# Seconds until a test is given up; no test waits for them to pass.
PATIENCE = 180.0
HOUR = 3600.0


class Receiver:
    """A receiver of webhooks: gives its answers in order, the last one again and again, and keeps what it got."""

    def __init__(self, port: int = 0) -> None:
        self.answers = [200]
        self.got: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.put(({name.lower(): value for name, value in self.headers.items()}, body))
                status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                self.send_response(status)
                if status == 302:
                    self.send_header("location", receiver.url + "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def next(self):
        """Return the headers and body of the next request."""
        return self.got.get(timeout=PATIENCE)

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


class Box:
    """The deliveries of one tenant on a live server, and what came of each try."""

    def __init__(self, live) -> None:
        self.live = live
        self.deliveries = live.server.deliveries
        self.tenant = uuid.uuid4().hex
        self.tries: queue.Queue[tuple[str, int, bool, bool]] = queue.Queue()
        self.deliveries.open("test", Channel(sign=sign, seconds=5.0, outcome=self._note))

    def _note(self, records, delivery, taken, again):
        # Another test's may still be on their way.
        if delivery.tenant == self.tenant:
            self.tries.put((delivery.target, delivery.attempt, taken, again))

    def send(self, url, target="a", service="test"):
        return self.deliveries.add(self.tenant, service, target, url=url, secret=SECRET, body=event(target))

    def outcome(self):
        """Return (target, attempt, taken, again) of the next try."""
        return self.tries.get(timeout=PATIENCE)

    @property
    def waiting(self):
        """What is in the outbox: (service, target, attempt)."""
        return Outbox(self.live.server.database, self.live.server.sealer, self.live.server.vault).waiting(
            self.tenant
        )


def event(title):
    return json.dumps(
        {"event": "briefing.delivered", "title": title, "timestamp": datetime.now(UTC).isoformat()}
    )


@contextmanager
def boxed(**options) -> Iterator[Box]:
    given = {
        "database_url": "sqlite://",
        "rate_limit_max": 0,
        "log_level": "error",
        "private_addresses": True,
        "delivery_delays": (0.01, 0.02, 0.03),
    }
    with live_server(Settings(**{**given, **options})) as live:
        yield Box(live)


@pytest.fixture(scope="module")
def live():
    with boxed() as box:
        yield box.live


@pytest.fixture
def box(live):
    return Box(live)


def test_an_event_is_sent_signed_and_gone_from_the_outbox(box, receiver):
    box.send(receiver.url)
    headers, body = receiver.next()
    assert headers["content-type"] == "application/json"
    assert verify_onebrain(body, headers, secret=SECRET).title == "a"
    with pytest.raises(WebhookVerificationError):
        verify_onebrain(body.replace(b"a", b"b"), headers, secret=SECRET)
    assert box.outcome() == ("a", 0, True, False)
    assert box.waiting == []


@pytest.mark.parametrize("status", [500, 503, 404, 302])
def test_what_is_not_taken_is_sent_again(box, receiver, status):
    receiver.answers = [status, status, 204]
    box.send(receiver.url)
    assert [box.outcome() for _ in range(3)] == [
        ("a", 0, False, True),
        ("a", 1, False, True),
        ("a", 2, True, False),
    ]
    requests = [receiver.next() for _ in range(3)]
    assert receiver.got.empty()
    assert len({body for _, body in requests}) == 1
    for headers, body in requests:
        verify_onebrain(body, headers, secret=SECRET)
    assert box.waiting == []


def test_a_receiver_that_is_away_gets_it_when_it_is_back():
    with boxed(delivery_delays=(0.01,) * 1000) as box, socket.socket() as away:
        # And does not listen: connections are refused.
        away.bind(("127.0.0.1", 0))
        port = away.getsockname()[1]
        box.send(f"http://127.0.0.1:{port}")
        assert box.outcome() == ("a", 0, False, True)
        away.close()
        receiver = Receiver(port)
        try:
            headers, body = receiver.next()
            assert verify_onebrain(body, headers, secret=SECRET).title == "a"
        finally:
            receiver.close()


def test_after_the_last_delay_it_is_given_up(box, receiver):
    receiver.answers = [500]
    box.send(receiver.url)
    assert [box.outcome()[1:] for _ in range(4)] == [
        (0, False, True),
        (1, False, True),
        (2, False, True),
        (3, False, False),
    ]
    assert box.waiting == []
    assert receiver.got.qsize() == 4


def test_a_receiver_that_fails_does_not_hold_up_another(box, receiver):
    other = Receiver()
    try:
        receiver.answers = [500]
        for place in range(5):
            box.send(receiver.url, target="bad")
            box.send(other.url, target=str(place))
        titles = {json.loads(other.next()[1])["title"] for _ in range(5)}
        assert titles == {"0", "1", "2", "3", "4"}
    finally:
        other.close()


def test_an_outcome_that_cannot_be_noted_does_not_send_again(live, receiver):
    box = Box(live)
    tried: queue.Queue[str] = queue.Queue()

    def fail(records, delivery, taken, again):
        tried.put(delivery.target)
        raise RuntimeError("no such subscription")

    box.deliveries.open("failing", Channel(sign=sign, outcome=fail))
    for target in ("a", "b", "c"):
        box.send(receiver.url, target=target, service="failing")
    assert {tried.get(timeout=PATIENCE) for _ in range(3)} == {"a", "b", "c"}
    assert {json.loads(receiver.next()[1])["title"] for _ in range(3)} == {"a", "b", "c"}
    assert receiver.got.empty()


def test_a_delivery_that_cannot_be_signed_is_given_up_and_stops_no_other(box, receiver):
    tries: queue.Queue[bool] = queue.Queue()

    def refuse(delivery, moment):
        raise ValueError("no secret")

    box.deliveries.open(
        "unsigned", Channel(sign=refuse, outcome=lambda records, delivery, taken, again: tries.put(again))
    )
    box.send(receiver.url, service="unsigned")
    box.send(receiver.url)
    assert [tries.get(timeout=PATIENCE) for _ in range(4)] == [True, True, True, False]
    assert box.outcome() == ("a", 0, True, False)
    assert box.waiting == []


def test_forgetting_a_subscription_stops_what_is_on_its_way_to_it(receiver):
    receiver.answers = [500]
    with boxed(delivery_delays=(HOUR,)) as box:
        for target in ("gone", "kept"):
            box.send(receiver.url, target=target)
        assert {box.outcome(), box.outcome()} == {("gone", 0, False, True), ("kept", 0, False, True)}
        assert {target for _, target, _ in box.waiting} == {"gone", "kept"}
        box.deliveries.forget(box.tenant, "test", "gone")
        assert box.waiting == [("test", "kept", 1)]
        box.deliveries.forget_tenant(box.tenant)
        assert box.waiting == []


def test_a_server_that_starts_again_delivers_what_waited(tmp_path, receiver):
    file = tmp_path / "server.db"
    receiver.answers = [500]
    with boxed(database_url=f"sqlite:///{file}", delivery_delays=(HOUR,)) as box:
        box.send(receiver.url, service="onebrain")
        receiver.next()
    # As if the hour were over.
    with sqlite3.connect(file) as database:
        assert database.execute("UPDATE server_delivery SET due_at = 0").rowcount == 1
    database.close()
    receiver.answers = [200]
    with boxed(database_url=f"sqlite:///{file}"):
        headers, body = receiver.next()
    assert verify_onebrain(body, headers, secret=SECRET).title == "a"


@pytest.mark.parametrize("moment", ["added", "being sent"])
def test_what_a_stopped_server_had_not_sent_is_sent_by_the_next_one(tmp_path, receiver, moment):
    file = tmp_path / "server.db"
    with boxed(database_url=f"sqlite:///{file}") as box:
        # It stops between the two.
        box.deliveries.close()
        box.send(receiver.url, service="onebrain")
        # Taken by a server that died: its lease is over.
        if moment == "being sent":
            outbox = Outbox(box.live.server.database, box.live.server.sealer, box.live.server.vault)
            assert len(outbox.claim(10, 0.0)) == 1
        assert box.waiting == [("onebrain", "a", 0)]
    assert receiver.got.empty()
    with boxed(database_url=f"sqlite:///{file}"):
        headers, body = receiver.next()
    assert verify_onebrain(body, headers, secret=SECRET).title == "a"


def test_what_one_replica_is_sending_no_other_takes(receiver):
    with boxed() as box:
        box.deliveries.close()
        box.send(receiver.url)
        replicas = [
            Outbox(box.live.server.database, box.live.server.sealer, box.live.server.vault) for _ in range(2)
        ]
        assert [len(replica.claim(10, HOUR)) for replica in replicas] == [1, 0]


@pytest.mark.parametrize(
    "url",
    [
        "{receiver}",
        "https://localhost:{port}/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/",
        "https://user:password@example.com/",
        "ftp://example.com/",
        "https://[::1",
        "no url",
    ],
)
def test_private_addresses_are_refused_by_default(receiver, guarded, url):
    port = receiver.server.server_port
    url = url.format(receiver=receiver.url, port=port)
    box = Box(guarded)
    assert not box.deliveries.send_once(box.tenant, "test", "a", url=url, secret=SECRET, body=event("a"))
    box.send(url)
    assert [box.outcome() for _ in range(2)] == [("a", 0, False, True), ("a", 1, False, False)]
    assert receiver.got.empty()


@pytest.fixture(scope="module")
def guarded():
    with boxed(private_addresses=False, delivery_delays=(0.01,)) as box:
        yield box.live


def test_a_single_try_is_not_kept(box, receiver):
    receiver.answers = [500, 200]
    sent = [
        box.deliveries.send_once(box.tenant, "test", "a", url=receiver.url, secret=SECRET, body=event("a"))
        for _ in range(2)
    ]
    assert sent == [False, True]
    assert box.waiting == []


def test_what_waits_is_sealed(tmp_path):
    settings = {
        "database_url": f"sqlite:///{tmp_path / 'server.db'}",
        "memory_encryption_key": bytes(range(32)),
        "private_addresses": False,
        "delivery_delays": (HOUR,),
    }
    with boxed(**settings) as box:
        box.send("https://127.0.0.1/zanzibar", target="a")
        assert box.outcome() == ("a", 0, False, True)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert box.tenant.encode() in written
    for secret in (b"zanzibar", SECRET.encode(), b"briefing.delivered"):
        assert secret not in written
