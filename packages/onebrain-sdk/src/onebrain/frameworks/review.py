"""Memories that wait for approval: the tools with which an agent proposes, lists, approves and rejects them.

A candidate is an archived memory with a mark in its metadata, so no search, context or list returns it. Approval takes
it out of the archive. The brain needs the capability ``archive``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from onebrain.errors import OneBrainNotFoundError
from onebrain.frameworks.plans import Plan, ask
from onebrain.frameworks.tools import Answer, Arguments, MemoryTool, WriteInput, memories_answer, write
from onebrain.memory.checks import check_ids
from onebrain.memory.filters import F
from onebrain.memory.models import Memory, Scope

# The key of the mark in the metadata, and its values.
MARK: Final = "onebrain_review"
CANDIDATE: Final = "candidate"
APPROVED: Final = "approved"


class CandidatesInput(Arguments):
    """The arguments of a list of candidates."""

    limit: int = Field(default=20, ge=1, le=100, description="The most memories to return.")


class DecisionInput(Arguments):
    """The arguments of an approval or a rejection."""

    ids: list[str] = Field(
        min_length=1,
        max_length=100,
        description="The ids of the candidates, as onebrain_candidates returned them.",
    )


def propose(
    scope: Scope,
    *,
    content: str,
    title: str | None = None,
    memory_type: str | None = None,
    tags: Sequence[str] = (),
) -> Plan[Answer]:
    """Store a text that waits for approval."""
    answer = yield from write(
        scope,
        content=content,
        title=title,
        memory_type=memory_type,
        tags=tags,
        archived=True,
        metadata={MARK: CANDIDATE},
    )
    if answer.data["status"] in ("unchanged", "duplicate"):
        return answer
    id = answer.data["id"]
    return Answer(f"Waits for approval, with id={id}", {"id": id, "status": CANDIDATE})


def candidates(scope: Scope, *, limit: int = 20) -> Plan[Answer]:
    """Answer with the memories that wait for approval, newest first."""
    # The mark alone makes no candidate: metadata is anybody's.
    waiting = F(MARK).eq(CANDIDATE) & F.archived.eq(True)
    found: list[Memory] = yield ask("list", scope=scope, filter=waiting, include_archived=True, limit=limit)
    return memories_answer(found) if found else Answer("No memory waits for approval.", [])


def approve(scope: Scope, *, ids: Sequence[str]) -> Plan[Answer]:
    """Make candidates active: searches find them from now on."""
    waiting = yield from _waiting(scope, ids)
    approved: list[str] = []
    for memory in waiting:
        try:
            yield ask("update", memory.id, scope=scope, archived=False, metadata={MARK: APPROVED})
        except OneBrainNotFoundError:
            # Another client has rejected it meanwhile; the others are approved nevertheless.
            continue
        approved.append(memory.id)
    return Answer(f"Approved {len(approved)} of {len(set(ids))}", {"ids": approved})


def reject(scope: Scope, *, ids: Sequence[str]) -> Plan[Answer]:
    """Remove candidates for good."""
    waiting = yield from _waiting(scope, ids)
    yield ask("delete", [memory.id for memory in waiting], scope=scope)
    return Answer(f"Rejected {len(waiting)} of {len(set(ids))}", {"ids": [memory.id for memory in waiting]})


def _waiting(scope: Scope, ids: Sequence[str]) -> Plan[list[Memory]]:
    """Return those of the memories with these ids that are candidates.

    Raises:
        OneBrainNotFoundError: None of them is.
    """
    wanted = list(dict.fromkeys(check_ids("ids", ids)))
    found: list[Memory] = yield ask("get_many", wanted, scope=scope)
    waiting = [memory for memory in found if memory.archived and memory.metadata.get(MARK) == CANDIDATE]
    if not waiting:
        raise OneBrainNotFoundError("no memory with these ids waits for approval in this scope")
    return waiting


PROPOSE: Final = MemoryTool(
    "write",
    "Store something in long-term memory: a fact, preference, decision or goal that should be known in later "
    "conversations, too. It waits for the user's approval; until then no search finds it.",
    WriteInput,
    propose,
    read_only=False,
)
CANDIDATES: Final = MemoryTool(
    "candidates",
    "List the memories that wait for the user's approval, newest first.",
    CandidatesInput,
    candidates,
)
APPROVE: Final = MemoryTool(
    "approve",
    "Approve memories that wait for approval, so that searches find them. Only approve those that the user has seen and "
    "agreed to.",
    DecisionInput,
    approve,
    read_only=False,
)
REJECT: Final = MemoryTool(
    "reject",
    "Remove memories that wait for approval, for good. Only reject those that the user does not want.",
    DecisionInput,
    reject,
    read_only=False,
    destructive=True,
)
ALL: Final = (CANDIDATES, PROPOSE, APPROVE, REJECT)
