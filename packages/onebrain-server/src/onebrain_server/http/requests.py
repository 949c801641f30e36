"""One request as handlers see it: its caller, tenant and headers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from onebrain.memory.driver import FACTS_HEADER
from onebrain.memory.remembering.messages import is_source
from onebrain_server.http.problems import Problem
from onebrain_server.partitions import partition_name
from onebrain_server.state.accounts import Caller

if TYPE_CHECKING:
    from onebrain.memory.models import Memory
    from onebrain_engine import Tenant
    from onebrain_server.language_model import LanguageModel
    from onebrain_server.server import Server
    from onebrain_server.state.entities import Entities
    from onebrain_server.state.relations import Relations


class Call:
    """One request."""

    __slots__ = (
        "_headers",
        "_local",
        "caller",
        "content",
        "idempotency",
        "ip",
        "partition",
        "path",
        "query_string",
        "request_id",
        "scopes",
        "server",
        "tokens",
    )

    def __init__(
        self, server: Server, scope: dict[str, Any], request_id: str, ip: str, partition: str | None = None
    ) -> None:
        self.server = server
        self.partition = partition
        self.scopes: frozenset[str] = frozenset()
        self.request_id = request_id
        self.ip = ip
        self.path: str = scope["path"]
        self.query_string: bytes = scope["query_string"]
        self._local: tuple[str, int | None] | None = scope.get("server")
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self.caller: Caller | None = None
        self.content = b""
        self.idempotency: str | None = None
        self.tokens = 0

    def header(self, name: str) -> str | None:
        """Return a header by its lower-case name."""
        value = self._headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    @property
    def base_url(self) -> str:
        """Where clients reach this server: PUBLIC_URL, else the address that the request came in at.

        It is never taken from a header: whoever sends one would decide where others send their keys.
        """
        settings = self.server.settings
        if settings.public_url is not None:
            return settings.public_url
        host, port = self._local or (settings.host, settings.port)
        # A socket of the file system has no address.
        if port is None:
            host, port = settings.host, settings.port
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def media_type(self) -> str:
        """The body's media type, in lower case; empty for none."""
        return (self.header("content-type") or "").lower()

    def wants_json(self, *, default: bool) -> bool:
        """Return whether the client asks for JSON rather than text; `default` where it asks for anything."""
        accept = (self.header("accept") or "*/*").lower()
        if "application/json" in accept:
            return True
        return False if "text/plain" in accept else default

    @property
    def known(self) -> Caller:
        """Who calls; operations that need a login always have one."""
        if self.caller is None:
            raise Problem(401, "TOKEN_REQUIRED", "No API token provided")
        return self.caller

    @property
    def tenant_id(self) -> str:
        """The tenant that everything is bound to."""
        return self.known.account.id

    @property
    def memories(self) -> Tenant:
        """The tenant's memories, those of the dialect's partition."""
        return self.server.engine.tenant(partition_name(self.tenant_id, self.partition))

    @property
    def entities(self) -> Entities:
        """The entities of the caller's account."""
        return self.server.entities(self.tenant_id)

    @property
    def relations(self) -> Relations:
        """The relations between them."""
        return self.server.relations(self.tenant_id)

    def model(self, purpose: str) -> LanguageModel | None:
        """Return the server's language model, whose tokens are counted for this tenant and purpose; None for no model."""
        model = self.server.model
        return (
            None
            if model is None
            else model.metered(partial(self.server.journal.spend, self.tenant_id, purpose))
        )

    def facts_of(self, gone: Sequence[Memory], *, dry_run: bool = False) -> Sequence[Memory]:
        """Return the facts that are to go with memories which a request removes, as `Tenant.release_facts` does.

        A `Brain` sees to the facts itself, or keeps them, and says so.
        """
        # First of all, because hardly any memory is one.
        if not any(map(is_source, gone)) or self.header(FACTS_HEADER) is not None:
            return []
        return self.memories.release_facts(gone, dry_run=dry_run)

    def part_digest(self, part: int) -> str | None:
        """Return the digest of the idempotency key for one part of a request with several; None without a key."""
        if self.idempotency is None:
            return None
        return self.server.sealer.digest(self.tenant_id, f"{self.idempotency}\0{part}")

    def audit(self, action: str, target: str | None = None) -> None:
        """Note a change that matters for security."""
        caller = self.known
        actor = f"key:{caller.key.prefix}" if caller.key is not None else None
        self.audit_account(caller.account.id, action, target, actor=actor)

    def audit_account(
        self, account: str, action: str, target: str | None = None, *, actor: str | None = None
    ) -> None:
        """Note a change that matters for the security of an account, by the account itself or another actor.

        It is for requests without a login.
        """
        self.server.journal.audit(
            account,
            actor or f"account:{account}",
            action,
            target=target,
            ip=self.ip,
            request_id=self.request_id,
        )

    def act(self, action: str, resource: str, **details: Any) -> None:
        """Note an agent's action."""
        key = self.known.key
        if key is not None:
            self.server.journal.act(self.tenant_id, key.id, action, resource, details=details or None)
