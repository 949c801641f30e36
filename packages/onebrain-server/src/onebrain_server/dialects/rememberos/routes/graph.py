"""Graph memory: texts from which facts are extracted, each overtaking the facts that it contradicts; and the profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from onebrain.memory.driver import SearchRequest
from onebrain.memory.filters import Cmp, every
from onebrain.memory.models import Memory
from onebrain_engine.graph.proposals import classify, sentences
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
    judged,
    overtakes,
)
from onebrain_server.dialects.rememberos.wire import MAX_TEXT, Query, Routes, Share, Tag, Tagged, Wire
from onebrain_server.http.operation import Answer
from onebrain_server.http.requests import Call
from onebrain_server.state.records import Record

routes = Routes("/memory", "graph")

JOB: Final = "rememberos.job"
MAX_CONTENT: Final = 50_000
# Of one text.
_FACTS: Final = 50
# Older memories that a new fact is compared with.
_CANDIDATES: Final = 50

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


def extract(
    partition: Partition,
    collection: Collection,
    asked: RememberFields,
    by: Mapping[str, str],
    *,
    whole: bool = True,
) -> dict[str, Any]:
    """Extract and store the facts of a text; where it has none, the text itself is kept if `whole` says so.

    Where the cap on the server's model is reached, no facts are looked for.
    """
    skipped = capped(partition.server, partition.tenant)
    facts = [] if skipped else _facts(partition, asked.content)
    if not facts and whole:
        facts = [(text, "other") for text in pieces(asked.content)]
    claims: list[Claim | None] = [None for _ in facts] if skipped else claims_of([text for text, _ in facts])
    # Before the lock, since a model takes its time.
    verdicts = _verdicts(partition, collection, asked.container_tag, [text for text, _ in facts], claims)
    # Two texts at once must see each other's facts.
    with partition.server.changing(partition.tenant, collection.id):
        # One after the other: a text may correct itself.
        rows = [
            _stored(
                partition,
                collection,
                NewFields(
                    text=text,
                    importance=asked.importance,
                    category=kind,
                    source="remember",
                    container_tag=asked.container_tag,
                ),
                by,
                claim,
                None if verdicts is None else verdicts.get(number, []),
            )
            for number, ((text, kind), claim) in enumerate(zip(facts, claims, strict=True))
        ]
    created = sum(row["relation"] != "repeats" for row in rows)
    return {"created": created, "memories": rows}


def _stored(
    partition: Partition,
    collection: Collection,
    fields: NewFields,
    by: Mapping[str, str],
    claim: Claim | None,
    gone: Sequence[Memory] | None,
) -> dict[str, Any]:
    """Store a fact unless it is known; supersede `gone`, or the facts that the rules find if that is None."""
    text, kind = fields.text, fields.category
    older = _related(partition, collection, fields.container_tag, text, claim)
    same = next((one for one in older if one.content.casefold() == text.casefold()), None)
    if same is not None:
        return {"id": same.id, "text": same.content, "type": kind, "relation": "repeats"}
    if gone is None:
        gone = [one for one in older if claim is not None and _overtaken(claim, one)]
    extra: dict[str, Any] = {} if claim is None else {"claim": claim.kept()}
    [memory] = memories.store(partition, [mapping.draft(fields, collection.name, by, **extra)])
    for one in gone:
        memories.supersede(partition, one, memory.id)
    return {"id": memory.id, "text": text, "type": kind, "relation": "updates" if gone else "new"}


def _facts(partition: Partition, content: str) -> list[tuple[str, str]]:
    """Return the statements of a text that are worth keeping, each with its kind: by the model, or else by rules."""
    model = partition.model("extraction")
    proposed = None
    if model is not None:
        with partition.server.metrics.timing("llm_extract"):
            proposed = model.memories(content)
    if proposed is not None:
        return [(one.body[:MAX_TEXT], one.type) for one in proposed]
    found: dict[str, tuple[str, str]] = {}
    for sentence in sentences(content):
        kind = classify(sentence)
        if kind is not None or claim_of(sentence) is not None:
            found.setdefault(sentence.casefold(), (sentence, "fact" if kind is None else kind[0]))
    return list(found.values())[:_FACTS]


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


def _verdicts(
    partition: Partition,
    collection: Collection,
    container_tag: str | None,
    texts: list[str],
    claims: list[Claim | None],
) -> dict[int, list[Memory]] | None:
    """Return by the model which memories each new fact overtakes; None if there is no model, or it gave no answer."""
    model = partition.model("contradictions")
    if model is None:
        return None
    related = [
        _related(partition, collection, container_tag, text, claim)
        for text, claim in zip(texts, claims, strict=True)
    ]
    old = list({one.id: one for older in related for one in older}.values())
    judgement = judged(model, texts, [one.content for one in old]) if old else {}
    if judgement is None:
        return None
    found: dict[int, list[Memory]] = {}
    taken: set[int] = set()
    for number, overtaken in judgement.items():
        found[number] = [old[which] for which in dict.fromkeys(overtaken) if which not in taken]
        taken.update(overtaken)
    return found


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
