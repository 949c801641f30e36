"""The partitions of an account: one for its own memories, and one for those of each further service."""

from __future__ import annotations


def partition_name(tenant: str, service: str | None) -> str:
    """Return the engine's tenant name of one service's partition; `service` None names the account's own."""
    return tenant if service is None else f"{tenant}/{service}"
