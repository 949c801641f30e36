"""A server that misbehaves on purpose, on a real socket."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

MEMORY = {
    "id": "7911a591-d041-4b30-b2a4-b8818d4132ab",
    "title": "t",
    "body": "b",
    "type": "fact",
    "status": "active",
}


def http(
    status: int, body: bytes = b"", content_type: str | None = "application/json", **headers: str
) -> bytes:
    lines = [f"HTTP/1.1 {status} X"]
    if content_type:
        lines.append(f"content-type: {content_type}")
    if "content-length" not in headers and "transfer-encoding" not in headers:
        lines.append(f"content-length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def envelope(data: Any) -> bytes:
    return json.dumps({"data": data, "meta": {"requestId": "r-1"}}).encode()


class Misbehaving:
    """Answers each request by the next step of `script`; when that is used up, rightly."""

    def __init__(self) -> None:
        self.script: list[Callable[[socket.socket], bool] | bytes] = []
        self.requests: list[tuple[str, bytes]] = []
        self.released = threading.Event()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open: list[socket.socket] = []
        threading.Thread(target=self.accept, daemon=True).start()

    # ---- steps ------------------------------------------------------------------------------------------------------

    def reset(self, connection: socket.socket) -> bool:
        """Close so that the other side gets a reset instead of an end."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        return False

    def hang_up(self, connection: socket.socket) -> bool:
        connection.close()
        return False

    def stall(self, connection: socket.socket) -> bool:
        self.released.wait(300)
        return False

    def slow_headers(self, connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: appl")
        return self.stall(connection)

    def truncate(self, connection: socket.socket) -> bool:
        connection.sendall(http(200, envelope(MEMORY)[:20], **{"content-length": "500"}))
        connection.close()
        return False

    def truncate_chunks(self, connection: socket.socket) -> bool:
        connection.sendall(http(200, b"10\r\n" + envelope(MEMORY)[:16], **{"transfer-encoding": "chunked"}))
        connection.close()
        return False

    def heard(self, count: int) -> None:
        """Wait until a number of complete requests has arrived. A client that gives up may be faster."""
        while len(self.requests) < count:
            time.sleep(0.01)

    # ---- serving ----------------------------------------------------------------------------------------------------

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        try:
            while self.answer(connection):
                pass
        except OSError:
            pass
        finally:
            connection.close()

    def answer(self, connection: socket.socket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                return False
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = int(lengths[0].split(b":")[1]) if lengths else 0
        while len(body) < length:
            body += connection.recv(65536)
        line = head.split(b"\r\n", 1)[0].decode()
        with self.lock:
            self.requests.append((line.rpartition(" ")[0], body))
            step = self.script.pop(0) if self.script else http(200, envelope(MEMORY))
        if isinstance(step, bytes):
            connection.sendall(step)
            return True
        return step(connection)

    def close(self) -> None:
        self.released.set()
        with suppress(OSError):
            # Closing alone does not wake up who is accepting.
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.open:
            connection.close()


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    misbehaving = Misbehaving()
    yield misbehaving
    misbehaving.close()


@pytest.fixture
def step(server: Misbehaving) -> Callable[[str], Any]:
    """Return a misbehaviour by its name."""
    good = envelope(MEMORY)
    answers = {
        "html": http(200, b"<html>Welcome to the hotel</html>", "text/html"),
        "html under JSON's name": http(200, b"<html>"),
        "empty": http(200),
        "no envelope": http(200, b'{"id": 1}'),
        "a list": http(200, b"[]"),
        "another shape": http(200, envelope([1, 2])),
        "wrong types": http(200, envelope({"id": 7, "tags": "x"})),
        "null meta": http(200, b'{"data": null, "meta": null}'),
        "invalid UTF-8": http(200, b'{"data": "\xff\xfe"}'),
        "broken gzip": http(200, gzip.compress(good)[:-9] + b"garbage", **{"content-encoding": "gzip"}),
        "unzipped gzip": http(200, good, **{"content-encoding": "gzip"}),
        "redirect": http(302, b"", location="http://127.0.0.1:1/elsewhere"),
        "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "bad status": b"HTTP/1.1 abc\r\n\r\n",
        "string error": http(404, b'{"error": "nope"}'),
        "error without JSON": http(502, b"<html>Bad gateway</html>", "text/html"),
        "error with null": http(400, b'{"error": null, "meta": null}'),
        "error of a list": http(400, b"[1]"),
    }
    return lambda name: answers[name] if name in answers else getattr(server, name)
