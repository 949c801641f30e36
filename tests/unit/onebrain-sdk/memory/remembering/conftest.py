"""A language model on a local server that answers as a test wants: a script, nonsense, slowly, or not at all."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class ModelServer:
    """An OpenAI-compatible server; `answer` is a function from the body of a request to status and answer."""

    def __init__(self):
        self.bodies, self.headers, self.paths = [], [], []
        self.connections = 0
        self.answer = lambda body: (200, self.completion('{"facts": []}'))
        self.let_go = threading.Event()

    def keeps_connections(self):
        self.handler.protocol_version = "HTTP/1.1"

    def completion(self, text):
        return {
            "choices": [{"message": {"role": "assistant", "content": text}}],
            "usage": {"total_tokens": 9},
        }

    def says(self, *texts):
        """Answer with these texts, one after the other; the last one again and again."""
        waiting = list(texts)
        self.answer = lambda body: (200, self.completion(waiting.pop(0) if len(waiting) > 1 else waiting[0]))

    def finds(self, *facts):
        """Answer with these facts."""
        self.says(json.dumps({"facts": list(facts)}))

    @property
    def prompts(self):
        return [body["messages"][0]["content"] for body in self.bodies]


@pytest.fixture
def model_server():
    state = ModelServer()

    class Handler(BaseHTTPRequestHandler):
        def setup(self):
            super().setup()
            state.connections += 1

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.bodies.append(body)
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            state.paths.append(self.path)
            found = state.answer(body)
            if found is None:  # until the test is over
                state.let_go.wait()
                self.close_connection = True
                return
            status, answer = found
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    state.handler = Handler
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}/v1"
    state.name = f"openai+{state.address}#scripted"
    yield state
    state.let_go.set()
    server.shutdown()
    server.server_close()
    thread.join()
