"""The server's settings, from environment variables; each has a default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from onebrain.errors import ConfigurationError
from onebrain.memory.sqlite_urls import MEMORY, sqlite_path, sqlite_url
from onebrain.urls import data_directory
from onebrain_engine.store.postgres_url import is_postgres

LogLevel = Literal["debug", "info", "warn", "error"]

# Variables of OneBrain's documentation for parts that this server does not have. Setting one must not look as if it worked.
ABSENT: Final[Mapping[str, str]] = {
    "RESEND_API_KEY": "mail: magic links and confirmation mails are not sent",
    "STRIPE_SECRET_KEY": "payments",
    "GOOGLE_CLIENT_ID": "login with Google",
    "APPLE_CLIENT_ID": "login with Apple",
    "GITHUB_CLIENT_ID": "login with GitHub",
    "TOTP_ENCRYPTION_KEY": "two-factor login",
}

FREE_PLAN: Final[Mapping[str, int]] = {
    "memories": 10_000,
    "memory_bytes": 100_000_000,
    "memory_writes_per_month": 10_000,
    "extract_calls_per_month": 1_000,
    "context_calls_per_month": 10_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that configures a server.

    Attributes:
        database_url: ``sqlite:///server.db``, ``sqlite://`` (in memory) or ``postgresql://...``.
        host: Address to listen on; the default is reachable from this machine only.
        port: Port to listen on; 0 for any free one.
        jwt_secret: Signs access tokens, at least 32 characters; made and kept in the database where it is None.
        development: True permits cookies without TLS, which only a browser on localhost needs.
        cors_origins: Origins whose pages may call the API.
        rate_limit_window: Seconds of the two limits below.
        rate_limit_max: Requests a window for each key; 0 for no limits at all.
        rate_limit_write_max: Writes a window, for each key and route; the other limits of single routes grow with it.
        log_level: debug, info, warn or error.
        memory_encryption_key: 32 bytes as 64 hex digits: texts are encrypted at rest.
        credentials_key: 32 bytes as 64 hex digits, with which what users entrust of third parties is sealed: a connector's
            token, a model's key, a webhook's secret. Where it is None, a key file beside an SQLite database holds it, and
            on PostgreSQL such a credential is refused.
        credentials_key_before: The key before that one: it opens older credentials, which are sealed anew at the start.
        max_body_bytes: The largest request that is read.
        max_metadata_bytes: The largest metadata and tags of a memory, as JSON.
        max_page_bytes: The text and metadata with which a page of a list or a search ends.
        proxies: Addresses and networks of proxies, whose ``X-Forwarded-For`` is believed.
        body_seconds: How long a request's body may take to arrive.
        threads: Calls that run at the same time, in each process.
        workers: Processes that answer; more than one need a file or PostgreSQL.
        free_plan: Allowances of accounts that registered themselves; the owner's plan has none.
        registration: Whether strangers may register accounts and agents.
        private_addresses: Whether webhooks and ``ingest-url`` may reach private addresses, as tests must.
        model_url: Base URL of an OpenAI-compatible API, for tasks that a language model does better; None for no model.
        model_key: Its key.
        model_name: Its model.
        reranker: The name of a reranker (`onebrain.memory.reranking.from_name`) for searches that ask to be reranked; None for
            the language model, if there is one.
        public_url: The server's address as agents are told it; where None, the request's own host.
        strict: Whether the other services' formats ask for all that their documents require, even where this server could do
            without it: for testing clients.
        brrain_idempotent_replay: bRRAIn's format only: whether a repeated ``idempotency_key`` is answered as it was the first
            time, instead of 409.
        brrain_retention_days: bRRAIn's format only: how long deleted memories stay in storage; 0 for not at all.
        history_days: How long the states that memories had before a change or deletion are kept, for reads as of then; 0 for
            not at all.
        large_space: PostgreSQL only: from how many memories on a space is served by the database's own indexes; ``never``
            for not at all, the engine's own default where it is None.
        index_memory: About how many bytes indexes in memory may take.
        delivery_delays: Seconds after which a webhook that was not taken is delivered again, one for each try.

    Example:
        >>> Settings.from_environment({"PORT": "8080"}).port
        8080
    """

    database_url: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 3000
    jwt_secret: str | None = field(default=None, repr=False)
    development: bool = False
    cors_origins: tuple[str, ...] = ()
    rate_limit_window: int = 60
    rate_limit_max: int = 600
    rate_limit_write_max: int = 30
    log_level: LogLevel = "info"
    memory_encryption_key: bytes | None = field(default=None, repr=False)
    credentials_key: bytes | None = field(default=None, repr=False)
    credentials_key_before: bytes | None = field(default=None, repr=False)
    max_body_bytes: int = 12 * 1024 * 1024
    max_metadata_bytes: int = 1024 * 1024
    max_page_bytes: int = 16 * 1024 * 1024
    proxies: tuple[str, ...] = ()
    body_seconds: float = 30.0
    threads: int = 8
    workers: int = 1
    free_plan: Mapping[str, int] = field(default_factory=lambda: dict(FREE_PLAN))
    registration: bool = True
    private_addresses: bool = False
    model_url: str | None = None
    model_key: str | None = field(default=None, repr=False)
    model_name: str = "gpt-4o-mini"
    reranker: str | None = None
    public_url: str | None = None
    strict: bool = False
    brrain_idempotent_replay: bool = False
    brrain_retention_days: int = 30
    history_days: int = 30
    large_space: int | Literal["never"] | None = None
    index_memory: int = 4 * 2**30
    delivery_delays: tuple[float, ...] = (10.0, 60.0, 600.0, 3600.0)

    def __post_init__(self) -> None:
        self._check_keys()
        if "*" in self.cors_origins:
            raise ConfigurationError(
                "CORS_ORIGINS: '*' would let every page use your users' logins; name the origins"
            )
        if self.large_space is not None and not is_postgres(self.database_url):
            raise ConfigurationError(
                "LARGE_SPACE: only PostgreSQL serves large spaces by indexes of its own; leave it out, or set "
                "DATABASE_URL=postgresql://..."
            )
        self._check_workers()
        if not 0 <= self.port <= 65535:
            raise ConfigurationError(f"PORT: must be from 0 to 65535, not {self.port}")

    def _check_workers(self) -> None:
        if self.workers < 1:
            raise ConfigurationError(f"WORKERS: must be at least 1, not {self.workers}")
        if self.workers == 1 or is_postgres(self.database_url):
            return
        if os.name != "posix":
            raise ConfigurationError(
                "WORKERS: more than one on SQLite need Linux or macOS; set DATABASE_URL=postgresql://... here"
            )
        if sqlite_path(self.database_url) == MEMORY:
            raise ConfigurationError(
                "WORKERS: more than one cannot share a database in memory; set DATABASE_URL to a file or to PostgreSQL"
            )

    def _check_keys(self) -> None:
        if self.jwt_secret is not None and len(self.jwt_secret) < 32:
            raise ConfigurationError(
                "JWT_SECRET: must have at least 32 characters; make one with openssl rand -hex 32"
            )
        if self.memory_encryption_key is not None and len(self.memory_encryption_key) != 32:
            raise ConfigurationError("MEMORY_ENCRYPTION_KEY: must be 32 bytes, written as 64 hex digits")
        if self.credentials_key is not None and len(self.credentials_key) != 32:
            raise ConfigurationError("CREDENTIALS_KEY: must be 32 bytes, written as 64 hex digits")
        if self.credentials_key_before is not None and self.credentials_key is None:
            raise ConfigurationError(
                "CREDENTIALS_KEY_BEFORE: needs CREDENTIALS_KEY, the key that takes its place"
            )

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str] | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        database_url: str | None = None,
        workers: int | None = None,
    ) -> Settings:
        """Read settings from environment variables; the arguments win over them.

        Raises:
            ConfigurationError: A variable has a value that cannot be meant; the message names it.
        """
        # It reads into this class.
        from onebrain_server.environment import read

        given = read(os.environ if environment is None else environment)
        told = {"host": host, "port": port, "database_url": database_url, "workers": workers}
        given.update((name, value) for name, value in told.items() if value is not None)
        given.setdefault("database_url", sqlite_url(data_directory() / "server.db"))
        return cls(**given)

    @classmethod
    def absent(cls, environment: Mapping[str, str] | None = None) -> list[str]:
        """Return a warning for every variable that is set and has no effect here, or is spelt as almost one that has."""
        given = os.environ if environment is None else environment
        from onebrain_server.environment import misspelt

        return [
            *(
                f"{name} is set, but this server has no {what}"
                for name, what in ABSENT.items()
                if given.get(name)
            ),
            *(
                f"{name} is set, but no variable of this server; was {near} meant?"
                for name, near in misspelt(given)
            ),
        ]
