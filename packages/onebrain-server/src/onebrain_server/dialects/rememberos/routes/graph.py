"""Graph memory: texts from which facts are extracted, each overtaking the facts that it contradicts; and the profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from onebrain._core.codec import to_json
from onebrain.memory.driver import Changes, SearchRequest
from onebrain.memory.filters import Cmp, every
from onebrain.memory.models import Memory
from onebrain.memory.remembering.prompt import VERSION
from onebrain.memory.verbs.base import QUERY_CHARACTERS
from onebrain_engine.extraction.proposals import classify, sentences
from onebrain_server.dialects.rememberos import mapping
from onebrain_server.dialects.rememberos.mapping import NewFields
from onebrain_server.dialects.rememberos.rules import collections, memories, summaries
from onebrain_server.dialects.rememberos.rules.background import Queue
from onebrain_server.dialects.rememberos.rules.collections import Collection, readable, writable
from onebrain_server.dialects.rememberos.rules.model import capped
from onebrain_server.dialects.rememberos.rules.partition import Partition, author, partition_of
from onebrain_server.dialects.rememberos.rules.supersession import (
    Claim,
    claim_from,
    claim_of,
    claims_of,
    overtakes,
)
from onebrain_server.dialects.rememberos.wire import MAX_TEXT, Query, Routes, Share, Tag, Tagged, Wire
from onebrain_server.http.operation import Answer
from onebrain_server.http.requests import Call
from onebrain_server.language_model import LanguageModel, kind_of, said_in
from onebrain_server.state.records import Record

routes = Routes("/memory", "graph")

JOB: Final = "rememberos.job"
MAX_CONTENT: Final = 50_000
# Of one text.
_FACTS: Final = 50
# Older memories that a new fact is compared with.
_CANDIDATES: Final = 50
# Known memories that a model is shown.
_KNOWN: Final = 10
# The keys of a fact's `extra` that tell the call of a model that it was the last new one of, and all facts of that call.
_KEY: Final = "remember_key"
_FOUND: Final = "remember_found"

Relation = Literal["new", "updates", "repeats"]


class RememberFields(Wire):
    """A text to extract facts from."""

    content: Annotated[str, Field(min_length=1, max_length=MAX_CONTENT)]
    importance: Share = 0.7
    container_tag: Tag | None = None


class RememberQuery(Query):
    """Whether to wait for the facts."""

    sync: bool = False


class FactRow(Wire):
    """One fact; `relation` says whether it is new, updates a known one, or repeats it."""

    id: str
    text: str
    type: str
    relation: Relation


class Remembered(Wire):
    """The facts that were extracted."""

    created: int
    memories: list[FactRow]


class JobStarted(Wire):
    """The job that extracts the facts."""

    job_id: str


@routes.post(
    "/collections/{collection}/remember",
    needs="write",
    answers=JobStarted,
    status=202,
    answers_also={200: ("The facts, with sync=true", Remembered)},
)
def remember(call: Call, collection: str, query: RememberQuery, body: RememberFields) -> Answer:
    """Extract the facts of a text and store each as a memory; in the background unless ``sync`` is true."""
    partition, found = partition_of(call), writable(call, collection, create=True)
    if query.sync:
        return Answer(extract(partition, found, body, author(call)), status=200)
    return Answer({"job_id": start(partition, found, body, author(call))})


class JobRow(Wire):
    """The state of a job; `complete` says that it will not change any more."""

    state: Literal["queued", "processing", "done", "failed"]
    facts: int
    complete: bool


@routes.get("/extract/job/{job_id}", needs="read", answers=JobRow, errors=(404,))
def get_job(call: Call, job_id: str) -> dict[str, Any]:
    """Return the state of an extraction job; it is known for a day."""
    job = jobs.seen(call, job_id)
    state = job.body["state"]
    return {"state": state, "facts": job.body["facts"], "complete": state in ("done", "failed")}


class ProfileAnswer(Wire):
    """The profile, and the number of memories it is based on."""

    profile: str
    based_on: int


@routes.get("/collections/{collection}/profile", needs="read", answers=ProfileAnswer, errors=(404,))
def profile(call: Call, collection: str, query: Tagged) -> dict[str, Any]:
    """Summarize the facts and preferences that hold now; without a language model, list them."""
    return summaries.profile(partition_of(call), readable(call, collection), query.container_tag)


# ---- extraction -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Fact:
    """A fact to store; `same` and `replaces` are known memories, and the rules look for those if `replaces` is None."""

    text: str
    kind: str
    claim: Claim | None = None
    same: Memory | None = None
    replaces: Sequence[Memory] | None = None


def extract(
    partition: Partition,
    collection: Collection,
    asked: RememberFields,
    by: Mapping[str, str],
    *,
    whole: bool = True,
) -> dict[str, Any]:
    """Extract and store the facts of a text.

    If it has none, the text itself is kept if `whole` says so. It is kept beside the facts of the rules if these stand in for a
    model that failed. If the cap on the server's model is reached, no facts are looked for.
    """
    if capped(partition.server, partition.tenant):
        return _kept(partition, collection, asked, by, _whole(asked.content) if whole else [], None)
    model = partition.model("extraction")
    if model is None:
        facts = _by_rules(asked.content) or (_whole(asked.content) if whole else [])
        return _kept(partition, collection, asked, by, facts, None)
    key = _key(model, collection, asked)
    known = _remembered(partition, collection, key)
    if known:
        rows = [{"id": one.id, "text": one.content, "type": one.type, "relation": "repeats"} for one in known]
        return {"created": 0, "memories": rows}
    found = _by_model(partition, model, collection, asked)
    if found is None:
        facts = _by_rules(asked.content)
        if whole and _spaced(asked.content) not in [_spaced(one.text) for one in facts]:
            facts = [*_whole(asked.content), *facts]
        # Without the key, so that the same call asks the model again.
        return _kept(partition, collection, asked, by, facts, None)
    return _kept(partition, collection, asked, by, found or (_whole(asked.content) if whole else []), key)


def _kept(
    partition: Partition,
    collection: Collection,
    asked: RememberFields,
    by: Mapping[str, str],
    facts: Sequence[_Fact],
    key: str | None,
) -> dict[str, Any]:
    """Store facts, one after the other, since a text may correct itself; `key` tells the call to the next one like it."""
    # Two texts at once must see each other's facts.
    with partition.server.changing(partition.tenant, collection.id):
        rows: list[dict[str, Any]] = []
        gone: set[str] = set()
        for fact in facts:
            fields = NewFields(
                text=fact.text,
                importance=asked.importance,
                category=fact.kind,
                source="remember",
                container_tag=asked.container_tag,
            )
            rows.append(_stored(partition, collection, fields, by, fact, gone))
        made = [row["id"] for row in rows if row["relation"] != "repeats"]
        if key is not None and made:
            # At the end: a call that was interrupted is not known again.
            _mark(partition, collection, made[-1], {_KEY: key, _FOUND: [row["id"] for row in rows]})
    return {"created": len(made), "memories": rows}


def _mark(partition: Partition, collection: Collection, id: str, extra: Mapping[str, Any]) -> None:
    # None, where it was deleted in the meantime.
    for memory in partition.memories.get([id], collection.scope):
        changes = Changes(fields={"extra": {**memory.extra, **extra}})
        partition.memories.update(id, changes, memory.scope, at=memory.updated_at)


def _stored(
    partition: Partition,
    collection: Collection,
    fields: NewFields,
    by: Mapping[str, str],
    fact: _Fact,
    gone: set[str],
) -> dict[str, Any]:
    """Store a fact unless it is known, and supersede what it replaces; `gone` has the ids of all that was superseded."""
    older = _related(partition, collection, fields.container_tag, fact.text, fact.claim)
    same = next((one for one in older if one.content.casefold() == fact.text.casefold()), None)
    if same is None and fact.same is not None:
        # It may be gone since the model was asked.
        same = next(iter(partition.memories.get([fact.same.id], collection.scope)), None)
    if same is not None:
        return {"id": same.id, "text": same.content, "type": fact.kind, "relation": "repeats"}
    replaces = fact.replaces
    if replaces is None:
        replaces = [one for one in older if fact.claim is not None and _overtaken(fact.claim, one)]
    replaces = [one for one in replaces if one.id not in gone]
    claim: dict[str, Any] = {} if fact.claim is None else {"claim": fact.claim.kept()}
    draft = mapping.draft(fields, collection.name, by, **claim)
    [memory] = memories.store(partition, [draft])
    for one in replaces:
        memories.supersede(partition, one, memory.id)
        gone.add(one.id)
    relation: Relation = "updates" if replaces else "new"
    return {"id": memory.id, "text": fact.text, "type": fact.kind, "relation": relation}


def _by_rules(content: str) -> list[_Fact]:
    """Return the statements of a text that are worth keeping, by rules."""
    found: dict[str, tuple[str, str]] = {}
    for sentence in sentences(content):
        kind = classify(sentence)
        if kind is not None or claim_of(sentence) is not None:
            found.setdefault(sentence.casefold(), (sentence, "fact" if kind is None else kind[0]))
    facts = list(found.values())[:_FACTS]
    claims = claims_of([text for text, _ in facts])
    return [_Fact(text, kind, claim) for (text, kind), claim in zip(facts, claims, strict=True)]


def _by_model(
    partition: Partition, model: LanguageModel, collection: Collection, asked: RememberFields
) -> list[_Fact] | None:
    """Return the facts of a text that a model finds, with what they repeat and replace; None if it gave none to be trusted."""
    known = _shown(partition, collection, asked)
    with partition.server.metrics.timing("llm_extract"):
        found = model.facts([said_in(asked.content)], known)
    if found is None:
        return None
    claims = claims_of([one.text for one in found])
    return [
        _Fact(one.text[:MAX_TEXT], kind_of(one), claim, one.same, one.replaces)
        for one, claim in zip(found, claims, strict=True)
    ]


def _whole(content: str) -> list[_Fact]:
    return [_Fact(piece, "other") for piece in pieces(content)]


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _key(model: LanguageModel, collection: Collection, asked: RememberFields) -> str:
    """Return what is kept beside a fact of a call, by which the same call finds its facts without asking a model again."""
    parts = (VERSION, model.name, collection.id, asked.container_tag, asked.content)
    return sha256(to_json(parts).encode()).hexdigest()[:32]


def _remembered(partition: Partition, collection: Collection, key: str) -> list[Memory]:
    """Return the facts of an earlier call with the same key, in its order.

    None are returned if one of them holds no more: then the text says it anew.
    """
    kept = memories.everything(partition, collection.scope, Cmp(f"$extra.{_KEY}", "eq", key), archived=True)
    ids = [id for one in kept[:1] for id in one.extra[_FOUND]]
    found = {one.id: one for one in partition.memories.get(ids, collection.scope)} if ids else {}
    if any(one.archived or "superseded_by" in one.extra for one in found.values()):
        return []
    return [found[id] for id in ids if id in found]


def _shown(partition: Partition, collection: Collection, asked: RememberFields) -> list[Memory]:
    """Return the current memories that a text is most likely about: of the same sub-namespace only, and not pinned."""
    filters = [memories.CURRENT, Cmp("$pinned", "eq", False)]
    if asked.container_tag is None:
        filters.append(Cmp("$user", "exists", False))
    request = SearchRequest(
        query=asked.content[:QUERY_CHARACTERS],
        scope=collection.tagged(asked.container_tag),
        filter=every(*filters),
        limit=_KNOWN,
    )
    return [hit.memory for hit in partition.memories.search(request).hits]


def pieces(text: str) -> list[str]:
    """Return a text in pieces that a memory can hold."""
    cut = [text[start : start + MAX_TEXT] for start in range(0, len(text), MAX_TEXT)]
    return [piece for piece in cut if piece.strip()]


def _related(
    partition: Partition, collection: Collection, container_tag: str | None, text: str, claim: Claim | None
) -> list[Memory]:
    """Return the current memories that a new fact may repeat or overtake: of the same sub-namespace only."""
    # The words of the kind of claim, too: "moved to Porto" and "lives in Lisbon" have none in common.
    query = text if claim is None else f"{text} {claim.subject} {claim.words}"
    filters = [memories.CURRENT]
    if container_tag is None:
        filters.append(Cmp("$user", "exists", False))
    request = SearchRequest(
        query=query[:MAX_TEXT],
        scope=collection.tagged(container_tag),
        filter=every(*filters),
        limit=_CANDIDATES,
        mode="keyword",
    )
    return [hit.memory for hit in partition.memories.search(request).hits]


def _overtaken(new: Claim, memory: Memory) -> bool:
    claim = claim_from(memory.extra.get("claim")) or claim_of(memory.content)
    return claim is not None and overtakes(new, claim)


# ---- jobs -----------------------------------------------------------------------------------------------------------


def start(
    partition: Partition,
    collection: Collection,
    asked: RememberFields,
    by: Mapping[str, str],
    *,
    whole: bool = True,
) -> str:
    """Extract the facts of a text in the background; return the job's id."""
    body = {
        "facts": 0,
        "collection": collection.name,
        "asked": asked.model_dump(),
        "by": dict(by),
        "whole": whole,
    }
    return jobs.start(partition, body)


def _work(partition: Partition, job: Record) -> dict[str, Any] | None:
    collection = collections.find(partition, job.body["collection"])
    # It was deleted in the meantime, and its facts with it.
    if collection is None:
        return None
    asked = RememberFields.model_validate(job.body["asked"])
    rows = extract(partition, collection, asked, job.body["by"], whole=job.body["whole"])["memories"]
    return {"facts": len(rows)}


jobs: Final = Queue(JOB, "rememberos extraction", _work, spent={"asked": None})

__all__ = ["RememberFields", "extract", "jobs", "pieces", "routes", "start"]
