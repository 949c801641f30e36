"""The tables. Every key begins with the tenant, except those that find a tenant (a mail address, a key's prefix)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.schema import SchemaItem

metadata: Final = MetaData()


def _owned(name: str, *columns: SchemaItem) -> Table:
    """Return a table of the tenants' rows."""
    return Table(name, metadata, Column("tenant", String(36), primary_key=True), *columns)


schema_version = Table("server_schema", metadata, Column("version", Integer, primary_key=True))

# Secrets and marks of the server itself.
setting = Table(
    "server_setting", metadata, Column("name", String(64), primary_key=True), Column("value", String)
)

account = Table(
    "server_account",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("email", String(320), nullable=False, unique=True),
    Column("password", String(256)),
    Column("display_name", String(256)),
    Column("locale", String(8), nullable=False, server_default="en"),
    Column("role", String(16), nullable=False, server_default="user"),
    Column("plan", String(32), nullable=False, server_default="free"),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # Counts every change of the tenant's records, so that replicas know when their cached data is old.
    Column("revision", BigInteger, nullable=False, server_default="0"),
)

session = _owned(
    "server_session",
    Column("id", String(36), primary_key=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("ip_address", String(64)),
    Column("user_agent", String(512)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

api_key = _owned(
    "server_api_key",
    Column("id", String(36), primary_key=True),
    Column("prefix", String(32), nullable=False, unique=True),
    Column("secret_hash", String(64), nullable=False),
    Column("name", String(256), nullable=False),
    Column("description", String(1024)),
    Column("scopes", String(512), nullable=False),
    Column("trust_level", String(16), nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("rate_limit_per_min", Integer),
    Column("last_used_at", BigInteger),
    Column("last_synced_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
)

# Projects, tags, skills, briefings and the like: small documents of many kinds with the same needs. `body` may be sealed,
# so what is searched for stands beside it: a status, a label, and a digest where names are unique.
record = _owned(
    "server_record",
    Column("kind", String(24), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("unique_key", String(64)),
    Column("status", String(24)),
    Column("label", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("tenant", "kind", "unique_key", name="server_record_unique"),
)
Index("server_record_newest", record.c.tenant, record.c.kind, record.c.created_at, record.c.id)

# From an entity or a record (a project, a tag) to a memory.
link = _owned(
    "server_link",
    Column("id", String(36), primary_key=True),
    Column("kind", String(24), nullable=False),
    # An owner may be a memory, too.
    Column("owner_id", String(512), nullable=False),
    Column("memory_id", String(512), nullable=False),
    Column("link_type", String(100), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("tenant", "kind", "owner_id", "memory_id", "link_type", name="server_link_unique"),
)
Index("server_link_memory", link.c.tenant, link.c.memory_id)

# Entities: the name and all else that is said about one is in `body`, which may be sealed; `name_key` is a digest of name and
# type. Ids are texts of any length, because an import keeps them.
entity = Table(
    "server_entity",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name_key", String(64), nullable=False),
    Column("type", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("tenant", "name_key", name="server_entity_unique"),
)
Index("server_entity_newest", entity.c.tenant, entity.c.updated_at, entity.c.id)

relation = Table(
    "server_relation",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("source_id", Text, nullable=False),
    Column("target_id", Text, nullable=False),
    Column("relation", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("tenant", "source_id", "target_id", "relation", name="server_relation_unique"),
)
Index("server_relation_target", relation.c.tenant, relation.c.target_id)

# Deleted memories, for clients that synchronize: an id and a time, none of the text.
tombstone = _owned(
    "server_tombstone",
    Column("memory_id", String(512), primary_key=True),
    Column("deleted_at", BigInteger, nullable=False),
)
Index("server_tombstone_time", tombstone.c.tenant, tombstone.c.deleted_at)

# A memory's state before a change at `changed_at`. The engine's row tells memories apart that had an id one after the other.
revision = _owned(
    "server_revision",
    Column("memory_row", BigInteger, primary_key=True),
    Column("changed_at", BigInteger, primary_key=True),
    Column("memory_id", String(512), nullable=False),
    # The memory's own time.
    Column("created_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("server_revision_memory", revision.c.tenant, revision.c.memory_id)
Index("server_revision_tenant_time", revision.c.tenant, revision.c.changed_at)
Index("server_revision_time", revision.c.changed_at)

usage = _owned(
    "server_usage",
    Column("day", String(10), primary_key=True),
    Column("route", String(128), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("tokens", Integer, nullable=False),
)

activity = _owned(
    "server_activity",
    Column("id", String(36), primary_key=True),
    Column("key_id", String(36), nullable=False),
    Column("action", String(32), nullable=False),
    Column("resource", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("details", String(2048)),
    Column("created_at", BigInteger, nullable=False),
)
Index("server_activity_key", activity.c.tenant, activity.c.key_id, activity.c.id)

audit = _owned(
    "server_audit",
    Column("id", String(36), primary_key=True),
    Column("actor", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(512)),
    Column("ip_address", String(64)),
    Column("request_id", String(128)),
    Column("created_at", BigInteger, nullable=False),
)

idempotency = _owned(
    "server_idempotency",
    Column("key_digest", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
)
Index("server_idempotency_time", idempotency.c.created_at)

# Webhooks on their way: the payload, which may be sealed, holds address, secret and body.
delivery = _owned(
    "server_delivery",
    Column("id", String(36), primary_key=True),
    Column("service", String(24), nullable=False),
    Column("target", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)
Index("server_delivery_due", delivery.c.due_at)

# Passwords that were tried for one account from one address, both as a digest, and until when no other is taken.
attempt = Table(
    "server_attempt",
    metadata,
    Column("who", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)
Index("server_attempt_time", attempt.c.last_at)

# Requests counted by several replicas together.
rate = Table(
    "server_rate",
    metadata,
    Column("bucket", String(160), primary_key=True),
    Column("window_start", BigInteger, primary_key=True),
    Column("count", Integer, nullable=False),
)
