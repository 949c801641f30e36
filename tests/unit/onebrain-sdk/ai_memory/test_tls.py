"""mTLS: the client shows its certificate, and trusts only the authority it was given."""

from __future__ import annotations

import http.server
import ssl
import threading

import pytest
import trustme

from onebrain import AiMemoryClient, AsyncAiMemoryClient, OneBrainConnectionError
from onebrain._core.retry import RetryPolicy


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    server, client = authority.issue_cert("localhost"), authority.issue_cert("client@example.com")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client.private_key_pem.write_to_path(folder / "client.key")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    return authority, server, {name: str(folder / name) for name in ("ca.pem", "client.key", "client.pem")}


@pytest.fixture
def daemon(files):
    """A server that talks only to clients with a certificate."""
    authority, certificate, _ = files

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-length", "16")
            self.end_headers()
            self.wfile.write(b'{"status": "ok"}')

        def log_message(self, *args):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            # A client that fails the handshake is what the tests are about.
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = Server(("localhost", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_with_a_certificate_the_daemon_answers(daemon, files, in_colour):
    paths = files[2]
    options = {
        "base_url": daemon,
        "verify": paths["ca.pem"],
        "cert": (paths["client.pem"], paths["client.key"]),
    }
    assert in_colour(AiMemoryClient, AsyncAiMemoryClient, options, lambda c: c.health()).status == "ok"


@pytest.mark.parametrize("missing", ["verify", "cert"])
def test_without_it_or_without_the_authority_nothing_is_said(daemon, files, in_colour, missing):
    paths = files[2]
    options = {"verify": paths["ca.pem"], "cert": (paths["client.pem"], paths["client.key"])}
    options.pop(missing)
    options |= {"base_url": daemon, "retry": RetryPolicy(max_retries=0)}
    with pytest.raises(OneBrainConnectionError):
        in_colour(AiMemoryClient, AsyncAiMemoryClient, options, lambda c: c.health())
