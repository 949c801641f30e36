"""Memories from others' texts: single notes for review, texts, chats, pages and files; and housekeeping among memories."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from importlib import import_module
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import Field

from onebrain._core.codec import to_json
from onebrain.memory.filters import TRUE, Cmp
from onebrain.memory.models import Memory
from onebrain.memory.remembering.prompt import VERSION, Said
from onebrain_engine.extraction import Proposal, propose, propose_from_chat
from onebrain_engine.extraction.likeness import alike_pairs
from onebrain_engine.extraction.proposals import Turn, title_of, turns_of
from onebrain_server.clock import now
from onebrain_server.dialects.onebrain import mapping
from onebrain_server.dialects.onebrain.mapping import Id, MemoryFields, MemoryRow, MemoryType, Tags
from onebrain_server.dialects.onebrain.rules import likeness, memories
from onebrain_server.dialects.onebrain.rules.plans import charge, storing
from onebrain_server.dialects.onebrain.wire import Routes, Wire
from onebrain_server.files import FILE_LIMIT, file_text
from onebrain_server.http.operation import Form
from onebrain_server.http.problems import Problem, invalid
from onebrain_server.http.requests import Call
from onebrain_server.ids import random_id
from onebrain_server.language_model import LanguageModel, said_in
from onebrain_server.security.addresses import AddressRefused

routes = Routes("/v1/memory", "memory")
_WORD: Final = re.compile(r"\w+")
# The key of a memory's `extra` that tells the call of a model that found it.
_KEY: Final = "extraction_key"


def add_candidate(call: Call, fields: MemoryFields, digest: str | None = None) -> dict[str, Any]:
    """Store a memory for review, compared with the active ones of its type; `digest` is as for `mapping.draft`."""
    memories.check_links(call, fields)
    title = fields.title or title_of(fields.text, mapping.TITLE_LIMIT)
    same = likeness.twin(call, title, fields.text, fields.type)
    other = likeness.rival(call, title, fields.text, fields.type) if same is None else None
    status: mapping.MemoryStatus = (
        "archived" if same is not None else "conflicted" if other is not None else "candidate"
    )
    [memory] = memories.store(call, [mapping.draft(call, fields, status=status, digest=digest)])
    memories.link(call, fields, memory.id)
    if same is not None:
        with call.server.changing(call.tenant_id, same.id):
            known = memories.one(call, same.id)
            sure = min(1.0, round(float(known.extra.get("confidence", 1)) + 0.1, 4))
            if sure != known.extra.get("confidence", 1):
                memories.change(call, known, confidence=sure)
    if other is not None:
        with call.server.changing(call.tenant_id, other.id):
            memories.change(call, memories.one(call, other.id), status="conflicted")
    return mapping.row(memory, call)


@routes.post("/extract", needs="memory.extract.write", answers=MemoryRow, status=201, errors=(404,))
def extract(call: Call, body: MemoryFields) -> dict[str, Any]:
    """Store one memory for review.

    What an active memory says already is archived at once and makes that one surer; the same title with another text
    marks both as conflicting.
    """
    charge(call, "extract_calls_per_month")
    with storing(call, 1):
        made = add_candidate(call, body)
    call.act("write", "memory", status=made["status"])
    return made


class BatchAnswer(Wire):
    """The result of a batch."""

    created: int
    duplicates: int
    items: list[MemoryRow]


Batch = Annotated[list[MemoryFields], Field(min_length=1, max_length=10)]


@routes.post("/batch", needs="memory.extract.write", answers=BatchAnswer, status=201, errors=(404,))
def batch(call: Call, body: Batch) -> dict[str, Any]:
    """Store up to ten memories for review."""
    charge(call, "extract_calls_per_month")
    for fields in body:
        memories.check_links(call, fields)
    with storing(call, len(body)):
        items = [add_candidate(call, fields, call.part_digest(index)) for index, fields in enumerate(body)]
    call.act("write", "memory", count=len(items))
    return {
        "created": len(items),
        "duplicates": sum(item["status"] == "archived" for item in items),
        "items": items,
    }


class ProposalRow(Wire):
    """A memory that is proposed, or was stored where the call says so."""

    title: str
    body: str
    type: str
    confidence: float
    id: str | None = None


class ExtractFields(Wire):
    """A text to find memories in; with ``store`` they are kept."""

    text: Annotated[str, Field(min_length=1, max_length=50_000)]
    ai_provider: Literal["gemini", "openai"] | None = None
    store: bool = False
    entity_id: Id | None = None
    project_id: Id | None = None
    tags: Tags | None = None


class ExtractAnswer(Wire):
    """The proposals and their source: a model's name, or ``fallback`` for the rules that need none."""

    memories: list[dict[str, Any]]
    provider: str


@routes.post("/ai-extract", needs="brain.write", answers=ExtractAnswer, errors=(404,))
def ai_extract(call: Call, body: ExtractFields) -> dict[str, Any]:
    """Propose memories from a text; with ``store`` they are stored and their rows returned.

    What a language model proposes is kept only if its quote is in the text. A model that fails, or of whose proposals none
    passes, is done without: then the rules propose. The same call with ``store`` asks a model once.
    """
    model = call.model("extraction")
    key = None if model is None or not body.store else _key(model, body)
    known = [] if key is None else _remembered(call, key)
    if model is not None and known:
        return {"memories": mapping.rows(known, call), "provider": model.name}
    found = None if model is None else model.proposals([said_in(body.text)])
    provider = "fallback" if model is None or found is None else model.name
    proposals = propose(body.text) if found is None else found
    if not body.store:
        return {"memories": [_proposed(one) for one in proposals], "provider": provider}
    stored = _store(call, body, proposals, {} if key is None or found is None else {_KEY: key})
    return {"memories": mapping.rows(stored, call), "provider": provider}


def _store(
    call: Call, body: ExtractFields, proposals: Sequence[Proposal], more: Mapping[str, Any]
) -> Sequence[Memory]:
    """Store the proposals from a text, with `more` beside each."""
    fields = [
        MemoryFields(
            type=_type(one.type),
            title=one.title,
            body=one.body,
            source_type="ai_extraction",
            confidence=one.confidence,
            tags=body.tags,
            entity_id=body.entity_id,
            project_id=body.project_id,
        )
        for one in proposals
    ]
    for one in fields[:1]:
        memories.check_links(call, one)
    drafts = [
        mapping.draft(call, one, digest=call.part_digest(index), **more) for index, one in enumerate(fields)
    ]
    with storing(call, len(drafts)):
        stored = memories.store(call, drafts)
    for one, memory in zip(fields, stored, strict=True):
        memories.link(call, one, memory.id)
    call.act("write", "memory", count=len(stored))
    return stored


def _key(model: LanguageModel, body: ExtractFields) -> str:
    """Return what is kept with the memories of a call, by which the same call finds them without asking a model again."""
    parts = (VERSION, model.name, body.text, body.entity_id, body.project_id, list(body.tags or ()))
    return sha256(to_json(parts).encode()).hexdigest()[:32]


def _remembered(call: Call, key: str) -> list[Memory]:
    """Return the memories that an earlier call with the same key stored, in its order."""
    found = memories.everything(call, Cmp(f"$extra.{_KEY}", "eq", key), include_archived=True)
    return found[::-1]


class Candidates(Wire):
    """Memories that are proposed; nothing is stored."""

    candidates: list[ProposalRow]
    source_event_id: str


class ChatFields(Wire):
    """A chat to find memories in."""

    transcript: Annotated[str, Field(min_length=1, max_length=100_000)]
    format: Literal["auto", "user-assistant", "timestamp"] = "auto"


@routes.post("/parse-chat", needs="brain.write", answers=Candidates)
def parse_chat(call: Call, body: ChatFields) -> dict[str, Any]:
    """Propose memories from the users' messages of a chat; an assistant's messages are left out."""
    model = call.model("extraction")
    turns = [] if model is None else list(turns_of(body.transcript, body.format))
    found = None if model is None or not turns else model.proposals(_said(turns))
    return _candidates(propose_from_chat(body.transcript, body.format) if found is None else found)


def _said(turns: Sequence[Turn]) -> list[Said]:
    """Return the turns of a chat as messages, each of its own day if it names one."""
    today = now()
    return [
        Said("", "user", one.text, one.at or today, None if one.at is None else f"{one.at:%Y-%m-%d}")
        for one in turns
    ]


class UrlFields(Wire):
    """A page to find memories in."""

    url: Annotated[str, Field(min_length=9, max_length=2000, pattern=r"^https?://[^\s]+$")]


@routes.post("/ingest-url", needs="brain.write", answers=Candidates, errors=(422,))
async def ingest_url(call: Call, body: UrlFields) -> dict[str, Any]:
    """Fetch a page and propose memories from it; private addresses are refused, behind redirects too."""
    if urlsplit(body.url).scheme != "https" and not call.server.settings.private_addresses:
        raise invalid(["url"], "must begin with https://")
    try:
        status, headers, content = await call.server.fetcher.send(
            "GET", body.url, headers={"accept": "text/html, text/plain"}
        )
    except AddressRefused as refused:
        raise Problem(422, "INGEST_ERROR", f"The page was not fetched: {refused}") from None
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError):
        raise Problem(422, "INGEST_ERROR", "The page could not be fetched") from None
    if status >= 400:
        raise Problem(422, "INGEST_ERROR", f"The page answered with status {status}")
    media_type = headers.get("content-type", "text/html").partition(";")[0].strip().lower()
    if media_type not in ("text/html", "text/plain", "text/markdown", "application/xhtml+xml"):
        raise Problem(422, "INGEST_ERROR", "The page is no text")
    text = content.decode("utf-8", "replace")
    found = await call.server.loop_run(lambda: propose(page_text(text) if "html" in media_type else text))
    return _candidates(found)


@routes.post("/upload", needs="brain.write", answers=Candidates, form=4)
def upload(call: Call, form: Form) -> dict[str, Any]:
    """Propose memories from a .txt, .md, .csv, .json, .docx or .pdf file of at most 10 MB.

    Of a PDF, its text: an encrypted one, and one of pictures only, is 400.
    """
    file = form.file()
    if file is None:
        raise Problem(400, "UPLOAD_ERROR", "No file uploaded: send one in the field 'file'")
    if len(file.data) > FILE_LIMIT:
        raise Problem(413, "PAYLOAD_TOO_LARGE", "The file is larger than 10 MB")
    return _candidates(propose(file_text(file)))


class _Text:
    """Collects the visible text of a page, as the target of lxml's parser."""

    _BLOCKS = frozenset(
        {"p", "div", "li", "br", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "section", "article", "td"}
    )
    _HIDDEN = frozenset({"script", "style", "noscript", "template", "nav", "footer", "head", "svg"})

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._hidden = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Begin an element."""
        self._hidden += tag in self._HIDDEN
        if tag in self._BLOCKS:
            self._pieces.append("\n")

    def end(self, tag: str) -> None:
        """End an element."""
        self._hidden -= tag in self._HIDDEN and self._hidden > 0
        if tag in self._BLOCKS:
            self._pieces.append("\n")

    def data(self, text: str) -> None:
        """Take a text."""
        if not self._hidden:
            self._pieces.append(text)

    def close(self) -> str:
        """Return all of the text."""
        return "".join(self._pieces)


def page_text(page: str) -> str:
    """Return the visible text of a page."""
    # lxml, since Python's own parser takes quadratic time for some pages. It has no types.
    etree: Any = import_module("lxml.etree")
    parser = etree.HTMLParser(target=_Text(), huge_tree=True)
    # A parser that got nothing fails at its end, and a string without NUL is all that it takes.
    parser.feed("<html>" + page.replace("\0", "\ufffd").encode("utf-8", "replace").decode())
    text: str = parser.close()
    return "\n".join(line for raw in text.splitlines() if (line := " ".join(raw.split())))


def _type(name: str) -> MemoryType:
    return name if name in mapping.TYPES else "fact"  # type: ignore[return-value]


def _proposed(one: Proposal) -> dict[str, Any]:
    return {"title": one.title, "body": one.body, "type": one.type, "confidence": one.confidence}


def _candidates(found: list[Proposal]) -> dict[str, Any]:
    return {"candidates": [_proposed(one) for one in found], "sourceEventId": random_id()}


# ---- housekeeping -----------------------------------------------------------------------------------------------------


class Duplicate(Wire):
    """Two memories with similar titles."""

    memory_a: MemoryRow
    memory_b: MemoryRow
    similarity: float


@routes.get("/duplicates", needs="brain.read", answers=list[Duplicate])
def duplicates(call: Call) -> list[dict[str, Any]]:
    """Return pairs with similar titles, most similar first, among the 500 newest memories that are not archived."""
    living = [
        one
        for one in memories.everything(call, include_archived=True, most=500)
        if mapping.status_of(one) != "archived"
    ]
    titles = [" ".join((one.title or "").casefold().split()) for one in living]
    words = [frozenset(_WORD.findall(title)) for title in titles]
    found = [
        (score, left, right)
        for score, left, right in alike_pairs(titles, 0.6)
        # Titles without a common word are taken only where they are short.
        if words[left] & words[right] or max(len(titles[left]), len(titles[right])) <= 12
    ]
    best = found[:100]
    rows = mapping.rows((living[index] for _, left, right in best for index in (left, right)), call)
    return [
        {"memoryA": rows[2 * number], "memoryB": rows[2 * number + 1], "similarity": round(score, 3)}
        for number, (score, _, _) in enumerate(best)
    ]


class ConsolidateFields(Wire):
    """The memories to consolidate."""

    type: MemoryType | None = None
    threshold: Annotated[float, Field(ge=0.1, le=1)] = 0.85
    dry_run: bool = False


class ConsolidatedGroup(Wire):
    """Memories that became one: the first stays, the others are archived."""

    ids: list[str]
    title: str
    body: str


class ConsolidateAnswer(Wire):
    """The consolidated memories."""

    merged: int
    groups: list[ConsolidatedGroup]


@routes.post("/consolidate", needs="brain.write", answers=ConsolidateAnswer, body_required=False)
def consolidate(call: Call, body: ConsolidateFields) -> dict[str, Any]:
    """Archive memories that repeat another active one of their type; the surest stays, then the longest, then the newest."""
    wanted = TRUE if body.type is None else Cmp("$type", "eq", body.type)
    answer: list[dict[str, Any]] = []
    merged = 0
    for group in _alike(memories.everything(call, wanted, most=1000), body.threshold):
        group.sort(key=lambda one: (-float(one.extra.get("confidence", 1)), -one.pinned, -len(one.content)))
        kept, others = group[0], [one for one in group[1:] if not one.pinned]
        if not others:
            continue
        merged += len(others)
        if not body.dry_run:
            for one in others:
                with call.server.changing(call.tenant_id, one.id):
                    memories.change(call, memories.one(call, one.id), status="archived")
        answer.append(
            {"ids": [kept.id, *(one.id for one in others)], "title": kept.title or "", "body": kept.content}
        )
    return {"merged": merged, "groups": answer}


def _alike(living: Sequence[Memory], threshold: float) -> list[list[Memory]]:
    """Return memories in groups; each is like the first of its group, by its text and half as much by its title."""
    bodies = alike_pairs([likeness.comparable(one.content) for one in living], threshold)
    alike = {(left, right) for _, left, right in bodies if living[left].type == living[right].type}
    groups: list[list[int]] = []
    for index, one in enumerate(living):
        for group in groups:
            first = living[group[0]]
            if (group[0], index) in alike and (
                likeness.similarity(first.title or "", one.title or "") >= threshold / 2
            ):
                group.append(index)
                break
        else:
            groups.append([index])
    return [[living[index] for index in group] for group in groups]


class ExpireFields(Wire):
    """How old is too old."""

    ttl_days: Annotated[int, Field(ge=1, le=36_500)] = 365


class ExpireAnswer(Wire):
    """How many were archived."""

    expired: int


@routes.post("/expire", needs="brain.write", answers=ExpireAnswer, body_required=False)
def expire(call: Call, body: ExpireFields) -> dict[str, Any]:
    """Archive active memories that were not changed for a number of days; pinned ones stay."""
    before = now() - timedelta(days=body.ttl_days)
    old = [one for one in memories.everything(call, Cmp("$updated_at", "lt", before)) if not one.pinned]
    for one in old:
        with call.server.changing(call.tenant_id, one.id):
            memories.change(call, memories.one(call, one.id), status="archived")
    return {"expired": len(old)}


__all__ = ["add_candidate", "routes"]
