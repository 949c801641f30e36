"""The parts of a running server, made once and shared by all requests."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from onebrain._core.steps import Sync
from onebrain.errors import ConfigurationError, OneBrainError
from onebrain.memory.models import Hit
from onebrain.memory.reranking import from_name, reranker_of
from onebrain.memory.sqlite_urls import MEMORY, sqlite_path
from onebrain_engine.driver import driver
from onebrain_engine.store.files import close_to_others
from onebrain_server.cache import Cache
from onebrain_server.health import Health
from onebrain_server.http.problems import Problem
from onebrain_server.jobs.deliveries import Deliveries
from onebrain_server.language_model import server_model
from onebrain_server.logs import Log, Watch
from onebrain_server.metrics import Metrics
from onebrain_server.partitions import partition_name
from onebrain_server.plans import Plans
from onebrain_server.rendered import Rendered
from onebrain_server.security.addresses import Fetcher
from onebrain_server.security.limits import Limiter
from onebrain_server.security.sealing import Sealer
from onebrain_server.security.tokens import Tokens
from onebrain_server.security.vault import KeyFile, Vault
from onebrain_server.settings import Settings
from onebrain_server.short_tasks import ShortTaskWorker
from onebrain_server.state.accounts import Accounts
from onebrain_server.state.attempts import Attempts
from onebrain_server.state.bounded import bytes_of
from onebrain_server.state.credentials import Credentials
from onebrain_server.state.database import Database
from onebrain_server.state.entities import Entities
from onebrain_server.state.history import History
from onebrain_server.state.journal import Journal
from onebrain_server.state.links import Links
from onebrain_server.state.outbox import Outbox
from onebrain_server.state.owners import Owners
from onebrain_server.state.records import Records
from onebrain_server.state.rekeying import former_keys
from onebrain_server.state.relations import Relations
from onebrain_server.state.sessions import Sessions

T = TypeVar("T")


def _close_to_others(path: str) -> None:
    """Close the files of a database that an earlier version made to others: they hold a secret."""
    index = Path(path + ".index")
    for file in (Path(path), Path(path + "-wal"), Path(path + "-shm"), index, *index.glob("*")):
        close_to_others(file)


def _credential_keys(settings: Settings) -> Callable[[], Sequence[bytes]]:
    """Return a function that returns the keys of credentials: the settings', or those of the file beside an SQLite database."""
    given = [key for key in (settings.credentials_key, settings.credentials_key_before) if key is not None]
    if given or not settings.database_url.startswith("sqlite:"):
        return lambda: given
    path = sqlite_path(settings.database_url)
    if path == MEMORY:
        key = secrets.token_bytes(32)
        return lambda: [key]
    return KeyFile(key_file(path)).keys


def key_file(path: str) -> Path:
    """Return where the keys of the credentials in an SQLite database are."""
    return Path(path + ".credentials-key")


def _in_progress() -> Problem:
    return Problem(
        409,
        "IDEMPOTENCY_IN_PROGRESS",
        "A request with this Idempotency-Key is being answered; try again",
        headers={"retry-after": "1"},
    )


class Server:
    """Everything that operations work with.

    Args:
        settings: How it is configured.
        log: Where it logs.
    """

    def __init__(self, settings: Settings, *, log: Log | None = None) -> None:
        self.settings = settings
        self.log = log or Log(settings.log_level)
        self.metrics = Metrics()
        self.sealer = Sealer(settings.memory_encryption_key)
        options: dict[str, Any] = {"index_bytes": settings.index_memory}
        if settings.large_space is not None:
            options["large_space"] = None if settings.large_space == "never" else settings.large_space
        if settings.memory_encryption_key is not None:
            options["encryption_key"] = settings.memory_encryption_key.hex()
        if settings.database_url.startswith("sqlite:"):
            _close_to_others(sqlite_path(settings.database_url))
        self._driver = driver(settings.database_url, **options)
        self.engine = self._driver.engine
        try:
            # A server that cannot work says so now, rather than at every request.
            self.engine.check()
            self.database = Database(settings.database_url, shared=settings.workers > 1)
        except BaseException:
            self._driver.close()
            raise
        self.sealer.former = former_keys(self.database, self.sealer)
        self.accounts = Accounts(self.database)
        self.attempts = Attempts(self.database)
        self.sessions = Sessions(self.database, self.accounts)
        # The failure that the log was told of.
        self._illness: str | None = None
        self.health = Health(self._probe)
        self.vault = Vault(_credential_keys(settings), self.sealer)
        self.credentials = Credentials(self.database, self.vault)
        self.records = Records(self.database, self.sealer, self.vault, self.engine.bounds)
        self.links = Links(self.database)
        self.owners = Owners(self.database)
        self.journal = Journal(self.database, self.sealer)
        self.history = History(self.database, self.sealer, settings.history_days)
        self.limiter = Limiter(settings, self.database)
        self.plans = Plans(
            settings, self.engine, self.partitions, self.accounts.by_id, partial(bytes_of, self.database)
        )
        bounds = self.engine.bounds
        bounds.metadata, bounds.page = settings.max_metadata_bytes, settings.max_page_bytes
        bounds.admit = self.plans.admit
        self.contexts = Cache()
        self.rendered = Rendered()
        self.tokens = Tokens(settings.jwt_secret or self.accounts.secret("jwt"))
        self.fetcher = Fetcher(private=settings.private_addresses)
        self.deliveries = Deliveries(
            Outbox(self.database, self.sealer, self.vault),
            self.fetcher,
            self.records,
            settings.delivery_delays,
            self.log,
        )
        self.model = (
            None
            if settings.model_url is None
            else server_model(settings.model_url, api_key=settings.model_key, name=settings.model_name)
        )
        self.reranker: Any = None if settings.reranker is None else from_name(settings.reranker)
        self._pool = ThreadPoolExecutor(settings.threads, "onebrain")
        # A database across a network is waited for, and several requests may wait at a time.
        self._short_tasks = (
            None if self.database.postgres else ShortTaskWorker("onebrain-short-tasks", settings.threads)
        )
        self._later = ThreadPoolExecutor(2, "onebrain-later")
        self._busy: set[tuple[str, str]] = set()
        self._busy_lock = threading.Lock()
        # A lock for each record would never be let go; two records that share one only wait for each other.
        self._changing = [threading.Lock() for _ in range(64)]
        self._stop = threading.Event()
        self._keeper: threading.Thread | None = None
        self._jobs: list[tuple[float, Callable[[], object], Watch]] = []
        # OpenAPI, by the dialect's name.
        self.documents: dict[str, Callable[[], dict[str, Any]]] = {}
        self._closed = False

    async def loop_run(self, function: Callable[..., T], *arguments: Any, quick: bool = False) -> T:
        """Run a blocking function in the pool, or by the short-task worker if it is `quick` and there is one."""
        if quick and self._short_tasks is not None:
            return await self._short_tasks.run(function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    @contextmanager
    def once(self, tenant: str, name: str) -> Generator[None, None, None]:
        """Refuse a second request with the same idempotency key while the first is at work."""
        with self._busy_lock:
            if (tenant, name) in self._busy:
                raise _in_progress()
            self._busy.add((tenant, name))
        try:
            with self.database.holding(f"once {tenant}\0{name}", wait=False) as held:
                if not held:
                    raise _in_progress()
                yield
        finally:
            with self._busy_lock:
                self._busy.discard((tenant, name))

    @contextmanager
    def changing(self, tenant: str, id: str) -> Generator[None, None, None]:
        """Let one request at a time read and then change a record."""
        # The lock of this process first, so that no more connections wait than there are records that change.
        with (
            self._changing[hash((tenant, id)) % len(self._changing)],
            self.database.holding(f"changing {tenant}\0{id}"),
        ):
            yield

    def every(self, seconds: float, job: Callable[[], object], name: str) -> None:
        """Do a job again and again in the background; declared before `start`."""
        self._jobs.append((seconds, job, Watch(self.log, f"job {name}")))

    def later(self, job: Callable[[], object], name: str) -> None:
        """Do a job once, soon, apart from the threads that answer; one that must survive a restart is noted first."""
        if not self._closed:
            self._later.submit(self._do, job, name)

    def start(self) -> None:
        """Start the background jobs; a second call does nothing."""
        if self._keeper is None:
            self.deliveries.start()
            self._keeper = threading.Thread(target=self._keep, name="onebrain-keeper", daemon=True)
            self._keeper.start()

    def _keep(self) -> None:
        passed = 0.0
        while not self._stop.wait(1.0):
            passed += 1.0
            for seconds, job, watch in self._jobs:
                if passed % seconds < 1.0:
                    # A job that fails must not stop the others.
                    with watch.once():
                        job()

    def _do(self, job: Callable[[], object], name: str) -> None:
        try:
            job()
        except Exception as error:
            # Nobody waits for its result.
            self.log.failure("-", f"job {name}", error)

    def reranked(self, query: str, hits: Sequence[Hit]) -> Sequence[Hit] | None:
        """Return hits in the order of the reranker; None if it gave none."""
        try:
            order, answered = Sync().drive(reranker_of(self.reranker, asynchronous=False).order(query, hits))
        except ConfigurationError as error:
            # A library or a model is missing, which does not fail the search.
            self.log.failure("-", "reranker", error)
            return None
        return order if answered else None

    def _probe(self, size: int) -> None:
        """Read as the engine does, and write a mark, and a number of bytes beside it that are removed again."""
        try:
            self.engine.check()
            self.database.probe(size)
        except OneBrainError as error:
            if error.message != self._illness:
                self._illness = error.message
                self.log.failure("-", "health", error)
            raise
        self._illness = None

    def change_credentials_key(self) -> int:
        """Seal all credentials of third parties with a new key; return how many documents hold some.

        Where the keys are the settings', the new one is `CREDENTIALS_KEY` and the old one `CREDENTIALS_KEY_BEFORE`. The key
        file gets a new one, which servers that run take up at once, and loses the old one at the end. A change that was
        stopped goes on where it was.

        Raises:
            ConfigurationError: There is no key to change to.
        """
        settings = self.settings
        file: KeyFile | None = None
        if settings.credentials_key is None:
            path = MEMORY if self.database.postgres else sqlite_path(settings.database_url)
            if path == MEMORY:
                raise ConfigurationError(
                    "set CREDENTIALS_KEY to the new key and CREDENTIALS_KEY_BEFORE to the old one"
                )
            file = KeyFile(key_file(path))
            file.begin()
        done = 0
        # Repeats until no other process has sealed with the old key meanwhile.
        while found := self.credentials.reseal():
            done += found
        if file is not None:
            file.end()
        return done

    def forget_credentials(self) -> int:
        """Remove the credentials whose key is lost; return how many documents those were."""
        return self.credentials.forget()

    def partitions(self, tenant: str) -> list[str]:
        """Return the engine's names of an account's partitions: its own first, then each other service's."""
        others = [name for name in self.documents if name != "onebrain"]
        return [partition_name(tenant, service) for service in (None, *others)]

    def entities(self, tenant: str) -> Entities:
        """Return the entities of an account."""
        return Entities(self.database, self.sealer, tenant, self.engine.bounds)

    def relations(self, tenant: str) -> Relations:
        """Return the relations between an account's entities."""
        return Relations(self.database, tenant)

    def forget_account(self, tenant: str) -> None:
        """Remove an account and everything it owns, in every service's partition.

        A removal that fails leaves an account that nobody can use; another call goes on with it.
        """
        # First, so that no request stores behind the removal.
        self.accounts.close(tenant)
        for partition in self.partitions(tenant):
            self.engine.forget_tenant(partition)
        self.entities(tenant).forget_tenant()
        self.links.forget_tenant(tenant)
        self.records.forget_tenant(tenant)
        self.history.forget_tenant(tenant)
        self.rendered.forget(tenant)
        self.deliveries.forget_tenant(tenant)
        self.journal.flush()
        self.journal.forget_tenant(tenant)
        self.accounts.remove(tenant)

    def flush(self) -> None:
        """Write the counts that were gathered in memory."""
        self.journal.flush()
        self.accounts.flush()

    async def close_async(self) -> None:
        """Close from the event loop, which is not blocked."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Stop the jobs, write gathered counts, and release files and connections; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._stop.set()
        if self._keeper is not None:
            self._keeper.join()
        self.deliveries.close()
        if self._short_tasks is not None:
            self._short_tasks.close()
        self._pool.shutdown()
        self._later.shutdown(cancel_futures=True)
        self._do(self.flush, "flush")
        if self.model is not None:
            self.model.close()
        close = getattr(self.reranker, "close", None)
        if callable(close):
            close()
        self.database.close()
        self._driver.close()
