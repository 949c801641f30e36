"""Tiers: how long a memory lives, how a recall prolongs that, and how two memories of one title become one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Literal

from onebrain_server.dialects.ai_memory.mapping import Row
from onebrain_server.dialects.ai_memory.wire import refused

Tier = Literal["short", "mid", "long"]

RANKS: Final[dict[str, int]] = {"short": 0, "mid": 1, "long": 2}
LIFETIMES: Final[dict[str, timedelta | None]] = {
    "short": timedelta(hours=6),
    "mid": timedelta(days=7),
    "long": None,
}
# The least time that a recalled memory stays.
_AFTER_RECALL: Final[dict[str, timedelta | None]] = {
    "short": timedelta(hours=1),
    "mid": timedelta(days=1),
    "long": None,
}
# Recalls after which a mid memory becomes a long one.
_KEPT_FROM: Final = 5
# Recalls after which the priority grows by one.
_RAISED_EVERY: Final = 10
HIGHEST_PRIORITY: Final = 10


def higher(one: str, other: str) -> str:
    """Return the tier that keeps a memory longer."""
    return max(one, other, key=RANKS.__getitem__)


def expiry(tier: str, ttl_secs: int | None, expires_at: datetime | None, moment: datetime) -> datetime | None:
    """Return when a new memory vanishes: as it says itself, else after its seconds, else as its tier does."""
    if expires_at is not None:
        if expires_at <= moment:
            raise refused("expires_at: must be in the future")
        return expires_at
    lifetime = timedelta(seconds=ttl_secs) if ttl_secs is not None else LIFETIMES[tier]
    return None if lifetime is None else moment + lifetime


def merged(old: Row, new: Row, moment: datetime) -> Row:
    """Return the memory that results if another one of the same title is stored in its namespace.

    Text, tags, source and metadata are the new one's; priority, confidence and tier the higher of both. Identity stays: id,
    author, age, recalls and grants. One that nobody in particular wrote becomes the new author's.
    """
    tier = higher(old.tier, new.tier)
    return replace(
        new,
        id=old.id,
        tier=tier,
        priority=max(old.priority, new.priority),
        confidence=max(old.confidence, new.confidence),
        expires_at=None if tier == "long" else new.expires_at or old.expires_at,
        agent=old.agent or new.agent,
        anonymous=old.anonymous,
        access_count=old.access_count,
        last_accessed_at=old.last_accessed_at,
        readers=old.readers,
        writers=old.writers,
        created_at=old.created_at,
        updated_at=moment,
    )


def recalled(row: Row, moment: datetime) -> Row:
    """Return a memory after one more recall: it lives on for a while, and a memory recalled often stays for good."""
    count = row.access_count + 1
    tier, expires = row.tier, row.expires_at
    if tier == "mid" and count >= _KEPT_FROM:
        tier, expires = "long", None
    lifetime = _AFTER_RECALL[tier]
    if expires is not None and lifetime is not None:
        expires = max(expires, moment + lifetime)
    raised = 1 if count % _RAISED_EVERY == 0 else 0
    return replace(
        row,
        access_count=count,
        last_accessed_at=moment,
        tier=tier,
        expires_at=expires,
        priority=min(HIGHEST_PRIORITY, row.priority + raised),
    )


def promoted(row: Row, target: str, moment: datetime) -> Row:
    """Return a memory in a higher tier; a long one has no end."""
    if RANKS[target] < RANKS[row.tier]:
        raise refused(f"tier: a memory of tier {row.tier} cannot be promoted to {target}")
    lifetime = LIFETIMES[target]
    expires = row.expires_at
    if lifetime is None:
        expires = None
    elif expires is not None:
        expires = max(expires, moment + lifetime)
    return replace(row, tier=target, expires_at=expires, updated_at=moment)
