"""Duplicates: a text that a workspace holds already, and an idempotency key that was used within a day.

A memory's id is made of its workspace and text, so that the engine itself keeps a text once, whatever is stored at the
same moment by other threads or replicas; a deleted text that is stored again gets its old id back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from onebrain._core.codec import from_json, to_json
from onebrain.memory.models import EVERYTHING, Memory
from onebrain_server.dialects.brrain.rules import lifetimes
from onebrain_server.dialects.brrain.rules.workspaces import bound
from onebrain_server.dialects.brrain.wire import NAME, duplicate
from onebrain_server.http.requests import Call

_CREATED: Final = 201


def content_hash(content: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(content.encode()).hexdigest()


def ids_of(call: Call, workspace_id: str, content: str) -> tuple[str, ...]:
    """Return the ids that a text may have in a workspace; the first is the one to store it with."""
    named = f"{NAME}\0{workspace_id}\0{content_hash(content)}"
    return tuple(f"mem_{digest[:32]}" for digest in call.server.sealer.digests(call.tenant_id, named))


def there(call: Call, ids: Iterable[str]) -> dict[str, Memory]:
    """Return those of the memories that exist, by id; deleted ones are gone."""
    found = call.memories.get(list(ids), EVERYTHING)
    return {memory.id: memory for memory in found if not lifetimes.deleted(memory)}


def fingerprints(call: Call, body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return digests that two requests have in common if they ask for the same; the first is the one to keep."""
    asked = json.dumps(body, sort_keys=True, ensure_ascii=False)
    return call.server.sealer.digests(call.tenant_id, asked)


def earlier_answer(call: Call, key: str | None, asked: Collection[str]) -> dict[str, Any] | None:
    """Return the answer of an earlier request with an idempotency key if answers are replayed; None if there is none.

    Raises:
        Problem: 409, the key was used: for the same request, whose memory is named, or for another one.
    """
    if key is None:
        return None
    kept = call.server.journal.kept_answer(call.tenant_id, _name(call, key))
    if kept is None:
        return None
    if kept[0] not in asked:
        raise duplicate(
            "idempotency_conflict", "This idempotency_key was used for another request; use a new one", None
        )
    answer: dict[str, Any] = from_json(kept[2].decode())
    if not call.server.settings.brrain_idempotent_replay:
        raise duplicate(
            "duplicate_request", "A request with this idempotency_key is stored already", answer["id"]
        )
    return answer


def keep_answer(call: Call, key: str | None, asked: str, answer: Mapping[str, Any]) -> None:
    """Keep the answer of a request with an idempotency key for a day."""
    if key is not None:
        call.server.journal.keep_answer(
            call.tenant_id, _name(call, key), asked, _CREATED, to_json(answer).encode()
        )


def _name(call: Call, key: str) -> str:
    """Return the name that an answer is kept by; a key that is bound to a workspace has idempotency keys of its own."""
    return f"{NAME}\0{bound(call.known) or ''}\0{key}"
