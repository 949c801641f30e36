"""Remembering: messages as they are, and the facts that the caller's own model finds in them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, zip_longest
from typing import Any, Final, Literal, TypeAlias, get_args

from onebrain._core.codec import as_array, as_object, is_array, is_object
from onebrain._core.endpoint import endpoint
from onebrain._core.steps import Async, Begin, Mode, Steps
from onebrain.errors import ModelError, OneBrainConflictError, OneBrainError, OneBrainValidationError
from onebrain.memory.driver import Changes, Driver, Proposes, unsupported
from onebrain.memory.filters import Cmp, every
from onebrain.memory.models import EVERYTHING, Memory, NewMemory, Scope, StoreResult
from onebrain.memory.remembering.chat import ChatModel
from onebrain.memory.remembering.checks import Checked
from onebrain.memory.remembering.finding import find_facts
from onebrain.memory.remembering.messages import (
    KIND,
    OWN_ID,
    RECORD,
    SOURCES,
    Message,
    Messages,
    fact_id,
    key_of,
    messages_of,
    sources_of,
    with_sources,
)
from onebrain.memory.remembering.model import Asked, ModelLike, asked
from onebrain.memory.remembering.prompt import VERSION, Said
from onebrain.memory.remembering.results import Dropped, Fact, RememberResult
from onebrain.memory.verbs.base import QUERY_CHARACTERS, Moment, check_scope, moment, owner_of
from onebrain.memory.verbs.searching import Searching
from onebrain.memory.verbs.storing import Storing
from onebrain.memory.words import normalized

Supersede: TypeAlias = Literal["auto", "suggest", "off"]

# Known facts that a model is shown. The one that a new fact replaces is among the first five in 93 of 100 cases, and among
# the first ten in 96.
_KNOWN: Final = 10
# Searches for them in one call; the texts of more messages are joined.
_QUERIES: Final = 5
# Memories that are looked at for one that a service without ids of the caller's may hold already.
_LOOK: Final = 50
# Calls whose facts a message remembers.
_RECORDS: Final = 5
# Statements that were not kept and that a record holds, and the characters of each.
_DROPPED: Final = 20
_DROPPED_TEXT: Final = 500
_SERVICE: Final = "service"
_log = logging.getLogger("onebrain")


@dataclass(frozen=True, slots=True)
class _Job:
    """One call of `remember` whose messages are kept.

    Attributes:
        said: The messages that are kept, as the model is shown them.
        memories: The memories of those that were there before, by id.
        raw: The result of each message.
        owner: The space and user of the facts.
        scope: The scope of the messages.
        key: The key of the call.
        model: The model; None for the service's own.
        today: What relative dates are counted from.
        instructions: See `Remembering.remember`.
        prompt: See `Remembering.remember`.
        supersede: See `Remembering.remember`.
        force: See `Remembering.remember`.
    """

    said: tuple[Said, ...]
    memories: Mapping[str, Memory]
    raw: tuple[StoreResult, ...]
    owner: Scope
    scope: Scope
    key: str
    model: Asked | None
    today: datetime
    instructions: str | None
    prompt: str | None
    supersede: Supersede
    force: bool

    @property
    def name(self) -> str:
        """The name of the model."""
        return _SERVICE if self.model is None else self.model.name


@dataclass(slots=True)
class _New:
    """A fact to store."""

    fact: Checked
    sources: tuple[str, ...]
    supersedes: tuple[str, ...] = ()
    suggested: tuple[str, ...] = ()
    id: str | None = None


class Remembering(Storing[Mode], Searching[Mode]):
    """Remembering messages and the facts in them."""

    def __init__(self, mode: Mode, driver: Driver) -> None:
        super().__init__(mode, driver)
        self._proposes = self.driver if isinstance(self.driver, Proposes) else None
        # The results of calls in the background; the oldest are lost if nobody asks for them.
        self._remembered: deque[RememberResult] = deque(maxlen=1000)

    def _results(self) -> list[RememberResult]:
        """Return the results of calls in the background, once."""
        results: list[RememberResult] = []
        while self._remembered:
            results.append(self._remembered.popleft())
        return results

    @endpoint
    def remember(
        self,
        messages: Messages,
        *,
        scope: Scope = EVERYTHING,
        model: ModelLike | None = None,
        created_at: Moment | None = None,
        instructions: str | None = None,
        prompt: str | None = None,
        supersede: Supersede = "suggest",
        wait: bool = True,
        force: bool = False,
    ) -> Steps[RememberResult]:
        """Store messages as they are, and the facts that a language model of your own finds in them.

        The messages are stored first, so nothing is lost if the model fails. Then the model is asked once, and is shown the
        messages and up to ten known facts of the same user and space. A fact is kept only if its quote is in the message and
        its numbers and dates follow from the quote. Facts are memories of type ``fact`` of the same user and space, without a
        session; `Memory.metadata` has their quote, session and model. The same call again asks no model.

        Args:
            messages: A text, or messages of a chat: dicts with ``role`` and ``content``, and ``id`` and ``created_at`` if there
                are any, or messages of LangChain, LlamaIndex and chat APIs. Content is text or a list of blocks. Calls and
                answers of tools that have no text are left out. A `Memory` stands for the message that it keeps.
            scope: Where the messages belong.
            model: A name such as ``"openai+http://localhost:11434/v1#llama3.2"``, a `ChatModel`, a chat model of LangChain, an LLM
                of LlamaIndex, a function from prompt to answer, or ``"service"`` for the model of a service that has one. None
                keeps the messages only.
            created_at: When the messages were said, a datetime or ISO 8601 text, which relative dates are counted from, in
                its own time zone; the default is now, in UTC.
            instructions: A wish about what to look for, such as ``"only travel and health"``.
            prompt: An instruction in place of the built-in one; ``{date}`` and ``{schema}`` in it are filled in.
            supersede: ``"suggest"`` keeps with a fact which older ones it replaces in the model's opinion. ``"auto"`` replaces
                them, at most three for each fact. ``"off"`` does not ask for it.
            wait: Wait for the facts. If False they are looked for in the background; `finish_background` waits for them.
            force: Ask the model again. Facts of earlier calls that it does not find again are superseded or archived.

        Raises:
            OneBrainValidationError: The messages or arguments are wrong; nothing was stored.
            OneBrainConflictError: The id of a message belongs to a memory that is no message; nothing was stored.
            ConfigurationError: The model has none of the shapes; nothing was stored.
            Unsupported: The service has no model, or cannot replace memories as ``supersede="auto"`` wants; or it has one, which
                takes neither ``instructions`` nor ``prompt`` and decides by itself what is replaced.

        Example:
            >>> import onebrain
            >>> def model(prompt: str) -> str:
            ...     return '{"facts": [{"text": "Declan moved to Utrecht", "quote": "I moved to Utrecht", "from": 1}]}'
            >>> brain = onebrain.connect("sqlite://")
            >>> result = brain.remember(
            ...     "I moved to Utrecht!", scope=onebrain.Scope(user="declan"), model=model
            ... )
            >>> [(fact.content, fact.status) for fact in result.facts]
            [('Declan moved to Utrecht', 'created')]
            >>> brain.close()
        """
        check_scope(scope)
        _check_options(supersede, instructions, prompt, wait=wait, force=force)
        own = self._model(model)
        if model == _SERVICE:
            self._check_service(supersede, instructions, prompt)
        if supersede == "auto" and model is not None and not self.capabilities.supersede:
            raise unsupported(self.capabilities, "links between memories", 'use supersede="suggest"')
        now = datetime.now(UTC)
        said_at = None if created_at is None else moment("created_at", created_at)
        rows = messages_of(messages, scope, said_at, now)
        owner = _owner(rows, scope)
        rows, kept = yield from self._kept(rows, scope, owner)
        said, memories, raw = yield from self._keep(rows, kept, scope)
        problem: OneBrainError | None
        if model is None:
            problem = ModelError(
                "no model was given, so the messages were kept without facts; pass model=..."
            )
            return RememberResult(raw=tuple(raw), status="failed", error=problem)
        if not said:
            problem = next((one.error for one in raw if one.error is not None), None)
            return RememberResult(raw=tuple(raw), status="failed", error=problem)
        identity = _SERVICE if own is None else own.identity
        job = _Job(
            said=tuple(said),
            memories=memories,
            raw=tuple(raw),
            owner=owner,
            scope=scope,
            key=key_of(rows, VERSION, prompt, identity, instructions),
            model=own,
            today=rows[-1].at,
            instructions=instructions,
            prompt=prompt,
            supersede=supersede,
            force=force,
        )
        if not force:
            known = yield from self._recorded(job)
            if known is not None:
                return known
        if not wait:
            if own is not None:
                job = replace(job, model=own.guarded())
            yield Begin(self._in_background(job))
            return RememberResult(raw=job.raw, status="pending")
        return (yield from self._found(job))

    def _model(self, model: ModelLike | None) -> Asked | None:
        """Return the model as plans ask it; None for the service's own, and for no model."""
        if model is None:
            return None
        if model == _SERVICE:
            if self._proposes is None:
                raise unsupported(self.capabilities, "finding facts by itself", "pass a model of your own")
            return None
        if isinstance(model, str):
            named = ChatModel.from_name(model)
            model = self._models.setdefault(f"{named.base_url}#{named.model}", named)
        return asked(model, asynchronous=isinstance(self._mode, Async))

    def _check_service(self, supersede: Supersede, instructions: str | None, prompt: str | None) -> None:
        """Refuse the options that the model of a service does not get."""
        for name, given in (
            ("instructions", instructions is not None),
            ("prompt", prompt is not None),
            ("supersede", supersede != "suggest"),
        ):
            if given:
                raise unsupported(
                    self.capabilities,
                    f'{name}= for model="service", whose model decides by itself',
                    "leave it out, or pass a model of your own",
                )

    # ---- the messages ---------------------------------------------------------------------------------------------

    def _keep(
        self, rows: Sequence[Message], kept: Mapping[str, Memory], scope: Scope
    ) -> Steps[tuple[list[Said], dict[str, Memory], list[StoreResult]]]:
        """Store the messages that are not kept yet; return those that are now, their memories, and all results."""
        results: dict[int, StoreResult] = {
            position: StoreResult(id=kept[row.id].id, status="unchanged")
            for position, row in enumerate(rows)
            if row.id in kept
        }
        new = [position for position, row in enumerate(rows) if row.id not in kept]
        for start in range(0, len(new), self._batch_size):
            some = new[start : start + self._batch_size]
            drafts = [rows[position].draft(scope, self.capabilities) for position in some]
            stored = yield from self._store_batch(drafts, EVERYTHING)
            # A message that cannot be read yet cannot be marked either.
            results.update(zip(some, (yield from self._settle(stored)), strict=True))
        said: list[Said] = []
        for position, row in enumerate(rows):
            id = results[position].id
            if id is not None and results[position].ok:
                said.append(Said(id, row.role, row.text, row.at, f"{row.at:%Y-%m-%d}" if row.told else None))
        memories = {memory.id: memory for memory in kept.values()}
        return said, memories, [results[position] for position in range(len(rows))]

    def _kept(
        self, rows: Sequence[Message], scope: Scope, owner: Scope
    ) -> Steps[tuple[list[Message], dict[str, Memory]]]:
        """Return messages under the ids that they get, and the memories that keep them already, by these ids.

        Raises:
            OneBrainConflictError: The id of a message belongs to a memory that is no message.
        """
        kept = {row.id: row.memory for row in rows if row.memory is not None}
        new = {row.id: row for row in rows if row.memory is None}
        if not new:
            return list(rows), kept
        if self.capabilities.client_ids:
            ids = [*new, *(row.elsewhere(scope) for row in new.values() if row.own)]
            there = yield from self._get(ids, owner, False)
            taken = {one.id: one for one in there if _owns(owner, one)}
            placed = [row if row.memory is not None else _placed(row, scope, taken) for row in rows]
            for row in placed:
                known = taken.get(row.id)
                # A message with an id of its own whose text was changed is stored again.
                if known is not None and known.scope == scope and row.text == known.content:
                    kept.setdefault(row.id, known)
            return placed, kept
        for row in new.values():
            found = yield from Searching.search.plan(
                self,
                row.text[:QUERY_CHARACTERS],
                scope=scope,
                filter=Cmp(OWN_ID, "eq", row.id),
                limit=1,
                budget=_LOOK,
                include_archived=self.capabilities.archive,
            )
            for memory in found.memories:
                if memory.scope == scope and memory.content == row.text:
                    kept[row.id] = memory
        return list(rows), kept

    # ---- the record of earlier calls ------------------------------------------------------------------------------

    def _recorded(self, job: _Job) -> Steps[RememberResult | None]:
        """Return the facts of an earlier call with the same key, or None if there was none."""
        record = _records(job).get(job.key)
        if record is None:
            facts = yield from self._facts_with_key(job)
            if not facts:
                return None
            dropped: tuple[Dropped, ...] = ()
        else:
            ids = [id for id in as_array(as_object(record).get("facts")) if isinstance(id, str)]
            facts = yield from self._get(ids, job.owner, False)
            rows = as_array(as_object(record).get("dropped"))
            dropped = tuple(
                Dropped(str(row[0]), str(row[1])) for row in rows if is_array(row) and len(row) == 2
            )
        known = tuple(_known_fact(memory, "unchanged") for memory in facts)
        return RememberResult(raw=job.raw, facts=known, dropped=dropped, status="unchanged")

    def _facts_with_key(self, job: _Job) -> Steps[list[Memory]]:
        """Return the facts of an earlier call, where no record of it can be kept beside the messages."""
        if self.capabilities.update or not job.memories:
            return []
        found = yield from Searching.search.plan(
            self,
            " ".join(one.text for one in job.said)[:QUERY_CHARACTERS],
            scope=job.owner,
            filter=every(Cmp("$type", "eq", "fact"), Cmp("remember_key", "eq", job.key)),
            limit=_LOOK,
            budget=4 * _LOOK,
        )
        return [memory for memory in found.memories if _owns(job.owner, memory)]

    def _record(self, job: _Job, facts: Sequence[Fact], dropped: Sequence[Dropped]) -> Steps[None]:
        """Keep beside the first message which facts a call found, and mark the others as sources of facts."""
        if not self.capabilities.update:
            return
        record = {"facts": [fact.id for fact in facts], "dropped": _recordable(job, dropped)}
        first, *others = job.said
        yield from self._change(first.id, lambda memory: _with_record(memory, job.key, record), job.scope)
        for one in others:
            memory = job.memories.get(one.id)
            # A message that was stored here is marked by its kind.
            if memory is not None and RECORD not in memory.metadata:
                yield from self._change(one.id, _marked, job.scope)

    # ---- the facts ------------------------------------------------------------------------------------------------

    def _in_background(self, job: _Job) -> Steps[None]:
        try:
            result = yield from self._found(job)
        except Exception as error:  # nobody else would hear of it
            _log.exception("remember: looking for facts failed (%s)", type(error).__name__)
            problem = ModelError(
                f"looking for facts failed ({type(error).__name__}); the messages are kept. Call remember again"
            )
            result = RememberResult(raw=job.raw, status="failed", error=problem)
        except BaseException as error:
            # The event loop or the program ends, and this plan with it.
            self._remembered.append(_interrupted(job))
            _log.warning("remember: looking for facts was interrupted (%s)", type(error).__name__)
            raise
        if result.error is not None:
            _log.warning("remember: %s", result.error)
        self._remembered.append(result)

    def _found(self, job: _Job) -> Steps[RememberResult]:
        """Find facts and store them; a failure is part of the result, since the messages are kept."""
        facts: list[Fact] = []
        dropped: list[Dropped] = []
        try:
            known = (yield from self._known(job)) if job.supersede != "off" else []
            proposals = yield from self._proposed(job, known, dropped)
            job, proposals = yield from self._left(job, proposals, dropped)
            if job.said:
                earlier = (yield from self._earlier(job)) if job.force else []
                yield from self._store_facts(job, proposals, earlier, facts, dropped)
                yield from self._record(job, facts, dropped)
        except OneBrainError as error:
            return RememberResult(
                raw=job.raw, facts=tuple(facts), dropped=tuple(dropped), status="failed", error=error
            )
        return RememberResult(raw=job.raw, facts=tuple(facts), dropped=tuple(dropped))

    def _known(self, job: _Job) -> Steps[list[Memory]]:
        """Return the facts of the same user and space that the messages are most likely about."""
        texts = [one.text for one in job.said]
        size = -(-len(texts) // _QUERIES)
        queries = [
            "\n".join(texts[start : start + size])[:QUERY_CHARACTERS] for start in range(0, len(texts), size)
        ]
        conditions = [Cmp("$type", "eq", "fact")]
        # A scope that names no user selects those of all users.
        conditions += [
            Cmp(f"${part}", "exists", False)
            for part in ("user", "space")
            if getattr(job.owner, part) is None and self.capabilities.can(Cmp(f"${part}", "exists", False))
        ]
        answers: list[list[Memory]] = []
        for query in queries:
            found = yield from Searching.search.plan(
                self, query, scope=job.owner, filter=every(*conditions), limit=2 * _KNOWN, budget=4 * _LOOK
            )
            answers.append([one for one in found.memories if _owns(job.owner, one) and not one.pinned])
        # The best of each message first.
        ranked = chain.from_iterable(zip_longest(*answers))
        unique = {memory.id: memory for memory in ranked if memory is not None and memory.type == "fact"}
        return list(unique.values())[:_KNOWN]

    def _proposed(self, job: _Job, known: Sequence[Memory], dropped: list[Dropped]) -> Steps[list[Checked]]:
        """Return what the model proposes and the checks let pass."""
        if job.model is None:
            return (yield from self._from_service(job))
        return (
            yield from find_facts(
                job.model,
                job.said,
                known,
                dropped,
                today=job.today,
                instructions=job.instructions,
                prompt=job.prompt,
            )
        )

    def _from_service(self, job: _Job) -> Steps[list[Checked]]:
        """Return the facts that the service finds. It quotes nothing, so there is nothing to check."""
        assert self._proposes is not None
        texts = [(one.role, one.text) for one in job.said]
        found = yield from self._proposes.propose(texts, job.scope)
        last = job.said[-1]
        unique = {normalized(text): text for text in found}
        return [Checked(text=text, quote="", source=last) for text in unique.values()]

    def _left(
        self, job: _Job, proposals: Sequence[Checked], dropped: list[Dropped]
    ) -> Steps[tuple[_Job, list[Checked]]]:
        """Leave out the messages that were deleted while the model ran, and the facts that were in them alone."""
        # A message that cannot be read yet is not gone.
        there = {one.id for one in job.raw if one.status == "pending"}
        ids = [one.id for one in job.said if one.id not in there]
        there.update(memory.id for memory in (yield from self._get(ids, job.owner, False)))
        left = tuple(one for one in job.said if one.id in there)
        if len(left) == len(job.said):
            return job, list(proposals)
        # A service does not say which message a fact is from.
        good = [one for one in proposals if one.source.id in there or (left and job.model is None)]
        dropped += [Dropped("", "its message was deleted meanwhile")] * (len(proposals) - len(good))
        return replace(job, said=left), good

    def _earlier(self, job: _Job) -> Steps[list[Memory]]:
        """Return the facts that earlier calls found in the same messages and that still hold."""
        ids = [
            id
            for record in _records(job).values()
            for id in as_array(as_object(record).get("facts"))
            if isinstance(id, str)
        ]
        found = (yield from self._get(list(dict.fromkeys(ids)), job.owner, False)) if ids else []
        return [memory for memory in found if not memory.archived and memory.superseded_by is None]

    def _store_facts(
        self,
        job: _Job,
        proposals: Sequence[Checked],
        earlier: Sequence[Memory],
        facts: list[Fact],
        dropped: list[Dropped],
    ) -> Steps[None]:
        new: list[_New] = []
        # A fact that the same messages say again is still true.
        again_said = {one.same.id for one in proposals if one.same is not None}
        for one in proposals:
            sources = tuple(said.id for said in job.said) if job.model is None else (one.source.id,)
            same = one.same or (yield from self._same(job, one.text))
            if same is not None:
                status: Literal["unchanged", "duplicate"] = (
                    "unchanged" if any(same.id == memory.id for memory in earlier) else "duplicate"
                )
                yield from self._add_sources(same, sources)
                facts.append(
                    _known_fact(same, status).model_copy(update={"quote": one.quote, "sources": sources})
                )
                continue
            ids = tuple(memory.id for memory in one.replaces if memory.id not in again_said)
            auto = job.supersede == "auto"
            new.append(_New(one, sources, ids if auto else (), () if auto else ids))
        gone = [
            memory
            for memory in earlier
            if all(memory.id != fact.id for fact in facts) and _may_go(memory, job)
        ]
        left = _replace_earlier(new, gone) if self.capabilities.supersede else gone
        yield from self._store_new(job, new, facts, dropped)
        if self.capabilities.update and self.capabilities.archive:
            for memory in left:
                yield from self._driver.update(memory.id, Changes(fields={"archived": True}), job.owner)

    def _same(self, job: _Job, text: str) -> Steps[Memory | None]:
        """Return the fact with exactly this text, if there is one that still holds."""
        wanted = normalized(text)
        if self.capabilities.client_ids:
            candidates = yield from self._get([fact_id(job.owner, wanted)], job.owner, False)
        else:
            found = yield from Searching.search.plan(self, text, scope=job.owner, limit=5)
            candidates = [memory for memory in found.memories if memory.type == "fact"]
        return next(
            (
                memory
                for memory in candidates
                if _owns(job.owner, memory)
                and normalized(memory.content) == wanted
                and not memory.archived
                and memory.superseded_by is None
            ),
            None,
        )

    def _add_sources(self, memory: Memory, sources: Sequence[str]) -> Steps[None]:
        """Note that a known fact was said again: it goes only when all who said it are gone."""
        can = self.capabilities
        if can.update and with_sources(memory, can, more=sources) is not None:
            yield from self._change(
                memory.id, lambda fact: with_sources(fact, can, more=sources), owner_of(memory)
            )

    def _store_new(
        self, job: _Job, new: Sequence[_New], facts: list[Fact], dropped: list[Dropped]
    ) -> Steps[None]:
        if self.capabilities.client_ids:
            ids = [fact_id(job.owner, normalized(one.fact.text)) for one in new]
            taken = {memory.id for memory in (yield from self._get(ids, job.owner, False))}
            for one, id in zip(new, ids, strict=True):
                # A fact that held before, and holds again, is another memory.
                one.id = f"{id}.{job.key}" if id in taken else id
        for start in range(0, len(new), self._batch_size):
            some = new[start : start + self._batch_size]
            results = yield from self._store_batch([self._draft(job, one) for one in some], EVERYTHING)
            results = yield from self._settle(results)
            for one, result in zip(some, results, strict=True):
                if not result.ok and one.supersedes:
                    # What it replaces may be gone meanwhile.
                    one.supersedes, one.suggested = (), one.supersedes
                    [result] = yield from self._store_batch([self._draft(job, one)], EVERYTHING)
                    dropped.append(Dropped(one.fact.text, "kept, but it could not replace older facts"))
                if result.id is None or not result.ok:
                    why = "" if result.error is None else f": {result.error.message}"
                    dropped.append(Dropped(one.fact.text, f"could not be stored{why}"))
                else:
                    facts.append(_new_fact(one, result))

    def _draft(self, job: _Job, one: _New) -> NewMemory:
        can, fact = self.capabilities, one.fact
        metadata: dict[str, Any] = {
            "session": job.scope.session,
            "agent": job.scope.agent,
            "quote": fact.quote or None,
            SOURCES: list(one.sources),
            "model": job.name,
            "prompt": VERSION if job.prompt is None else "own",
            "remember_key": job.key,
            "suggested": list(one.suggested) or None,
            "reason": fact.why,
        }
        fields: dict[str, Any] = {}
        if can.supersede:
            fields = {"sources": one.sources[:100], "supersedes": one.supersedes}
        validity = {"valid_from": fact.valid_from, "valid_until": fact.valid_until}
        if can.validity:
            fields.update(validity)
        else:
            metadata.update((name, day.isoformat()) for name, day in validity.items() if day is not None)
        return NewMemory.checked(
            **fields,
            id=one.id,
            content=fact.text,
            scope=job.owner,
            type="fact",
            source="remember",
            created_at=fact.source.at if can.created_at else None,
            metadata={name: value for name, value in metadata.items() if value is not None},
        )


def _placed(row: Message, scope: Scope, taken: Mapping[str, Memory]) -> Message:
    """Return a message under an id that no other memory has: its own, or one derived from it and its scope."""
    id = row.elsewhere(scope)
    if row.own and id in taken:
        return replace(row, id=id)
    memory = taken.get(row.id)
    if memory is None or (memory.scope == scope and row.text == memory.content):
        return row
    if memory.metadata.get("kind") != KIND:
        raise OneBrainConflictError(
            "messages: the id of one belongs to a memory that is no message, so nothing was stored; give it another id"
        )
    return row if memory.scope == scope else replace(row, id=id)


def _interrupted(job: _Job) -> RememberResult:
    problem = ModelError("looking for facts was interrupted; the messages are kept. Call remember again")
    return RememberResult(raw=job.raw, status="failed", error=problem)


def _with_record(memory: Memory, key: str, record: Mapping[str, Any]) -> Changes:
    """Return the changes that keep which facts a call found beside a message."""
    records = {name: value for name, value in as_object(memory.metadata.get(RECORD)).items() if name != key}
    records[key] = record
    return Changes(fields={"metadata": {RECORD: dict(list(records.items())[-_RECORDS:])}})


def _marked(memory: Memory) -> Changes | None:
    """Return the changes that mark a message as a source of facts."""
    return None if RECORD in memory.metadata else Changes(fields={"metadata": {RECORD: {}}})


def _records(job: _Job) -> Mapping[str, Any]:
    memory = job.memories.get(job.said[0].id)
    found: Any = None if memory is None else memory.metadata.get(RECORD)
    return found if is_object(found) else {}


def _recordable(job: _Job, dropped: Sequence[Dropped]) -> list[list[str]]:
    """Return statements that were not kept as a record may hold them: short, few, and without lone surrogates."""
    # The record is deleted with the first message, so it may hold no words of another.
    alone = len(job.raw) == 1
    return [[_clean(one.text) if alone else "", _clean(one.why)] for one in dropped[:_DROPPED]]


def _clean(text: str) -> str:
    return text[:_DROPPED_TEXT].encode(errors="replace").decode()


def _may_go(memory: Memory, job: _Job) -> bool:
    """Return whether a forced call may replace a fact: an earlier one made it, from nothing but messages of this one."""
    sources = set(sources_of(memory))
    return (
        not memory.pinned
        and bool(sources)
        and sources <= {one.id for one in job.said}
        and memory.metadata.get("remember_key") in _records(job)
    )


def _known_fact(memory: Memory, status: Literal["unchanged", "duplicate"]) -> Fact:
    metadata = memory.metadata
    quote, reason = metadata.get("quote"), metadata.get("reason")
    return Fact(
        id=memory.id,
        content=memory.content,
        status=status,
        quote=quote if isinstance(quote, str) else "",
        sources=sources_of(memory),
        supersedes=memory.supersedes,
        suggested=tuple(id for id in as_array(metadata.get("suggested")) if isinstance(id, str)),
        reason=reason if isinstance(reason, str) else None,
    )


def _new_fact(one: _New, result: StoreResult) -> Fact:
    assert result.id is not None
    return Fact(
        id=result.id,
        content=one.fact.text,
        status="created" if result.status == "updated" else result.status,
        quote=one.fact.quote,
        sources=one.sources,
        supersedes=one.supersedes,
        suggested=one.suggested,
        reason=one.fact.why,
    )


def _replace_earlier(new: Sequence[_New], gone: Sequence[Memory]) -> list[Memory]:
    """Let new facts replace the earlier ones that were drawn from the same words; return the others."""
    left: list[Memory] = []
    for memory in gone:
        quote = " ".join(str(memory.metadata.get("quote") or "").split())
        heir = next(
            (
                one
                for one in new
                if quote
                and set(one.sources) & set(sources_of(memory))
                and _overlap(quote, " ".join(one.fact.quote.split()))
                and memory.id not in one.supersedes
            ),
            None,
        )
        if heir is None:
            left.append(memory)
        else:
            heir.supersedes = (*heir.supersedes, memory.id)
            heir.suggested = tuple(id for id in heir.suggested if id != memory.id)
    return left


def _overlap(left: str, right: str) -> bool:
    return bool(right) and (left in right or right in left)


def _owner(rows: Sequence[Message], scope: Scope) -> Scope:
    """Return the space and user of the messages."""
    owners = {
        owner_of(one.memory) if one.memory is not None else Scope(scope.space, scope.user) for one in rows
    }
    if len(owners) > 1:
        raise OneBrainValidationError("messages: are of several users or spaces; remember each on its own")
    return owners.pop()


def _owns(owner: Scope, memory: Memory) -> bool:
    """Return whether a memory is of exactly this space and user: None is the memories that have none."""
    return owner_of(memory) == owner


def _check_options(supersede: object, instructions: object, prompt: object, **switches: object) -> None:
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise OneBrainValidationError(f"{name}: must be True or False, not {value!r:.40}")
    if supersede not in get_args(Supersede):
        raise OneBrainValidationError(f"supersede: must be 'auto', 'suggest' or 'off', not {supersede!r:.40}")
    for name, value in (("instructions", instructions), ("prompt", prompt)):
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise OneBrainValidationError(f"{name}: must be text that is not blank, or None")


__all__ = ["Remembering"]
