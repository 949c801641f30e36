"""The nouns of a brain: `Memory`, `NewMemory`, `Scope`, `Hit` and the results of its verbs.

All are frozen pydantic models that keep unknown fields out: a misspelt field is an error, not a silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from onebrain._core.models import LazyModel
from onebrain._core.rows import RowsOf
from onebrain.errors import OneBrainError, OneBrainValidationError
from onebrain.memory.acceptance import instant, json_object, text, vector
from onebrain.memory.ids import Id, as_id, is_id

SearchMode = Literal["hybrid", "keyword", "vector"]
Order = Literal[
    "created_at",
    "-created_at",
    "updated_at",
    "-updated_at",
    "importance",
    "-importance",
    "sequence",
    "-sequence",
]
Status = Literal["created", "updated", "unchanged", "duplicate", "pending", "failed"]


# The most ids that one memory may supersede, or be drawn from.
MOST_LINKS: Final = 100

# pydantic keeps these three in slots, which are set fastest by their own descriptors.
_set_attribute = object.__setattr__
_set_fields_set = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private = BaseModel.__dict__["__pydantic_private__"].__set__


class Model(LazyModel, frozen=True):
    """The base of all models: frozen, and without unknown fields."""

    # Each model says `frozen=True` as a class argument, because that is where type checkers look for it.
    # Inputs stay out of errors, because they may be a memory's text.
    # Lazy, because building validators would double the time that `import onebrain` takes.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    @classmethod
    def trusted(cls, fields: dict[str, Any]) -> Self:
        """Make a model of fields known to be valid and complete, in a fraction of `model_construct`'s time."""
        model = object.__new__(cls)
        _set_attribute(model, "__dict__", fields)
        _set_fields_set(model, set(fields))
        _set_extra(model, None)
        _set_private(model, None)
        return model


def problems(error: ValidationError, what: str = "memory") -> str:
    """Say what is wrong without quoting the input, which may be a memory's text."""
    parts: list[str] = []
    for issue in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join(str(step) for step in issue["loc"]) or what
        parts.append(f"{where}: {issue['msg'].removeprefix('Value error, ')}")
    return "; ".join(parts[:5])


def _part(value: Any) -> Any:
    """Coerce one part of a scope: numbers and UUIDs are common, empty ids are mistakes."""
    if value is None:
        return None
    value = as_id(value)
    if not value.strip():
        raise ValueError("must not be blank; leave it out, or use None, for no restriction")
    if len(value) > 512:
        raise ValueError("must have at most 512 characters; hash longer ids")
    return text(value)


def _vector(value: Any) -> Any:
    return value if value is False else vector(value)


def _id(value: Any) -> Any:
    """Coerce a memory's id."""
    return None if value is None else as_id(value)


def _tags(value: Any) -> Any:
    """Accept any iterable of strings but a string; drop repeats, keep the order."""
    if value is None:
        return ()
    if isinstance(value, str | bytes | Mapping):
        raise ValueError("must be a list of strings, not one string")
    try:
        return tuple(dict.fromkeys(text(tag) for tag in value))
    except TypeError:
        raise ValueError("must be a list of strings") from None


def _ids(value: Any) -> Any:
    """Accept one id or an iterable of ids; drop repeats, keep the order."""
    if value is None:
        return ()
    given = [value] if is_id(value) else value
    if isinstance(given, bytes | Mapping):
        raise ValueError("must be a list of ids")
    try:
        found = tuple(dict.fromkeys(text(as_id(one)) for one in given))
    except TypeError:
        raise ValueError("must be a list of ids") from None
    if len(found) > MOST_LINKS:
        raise ValueError(f"must hold at most {MOST_LINKS} ids")
    if not all(0 < len(one) <= 512 for one in found):
        raise ValueError("must hold ids of 1 to 512 characters")
    return found


Text: TypeAlias = Annotated[str, BeforeValidator(text)]
Part: TypeAlias = Annotated[str | None, BeforeValidator(_part)]
Instant: TypeAlias = Annotated[datetime, BeforeValidator(instant)]
Tags: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_tags)]
Ids: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_ids)]
Metadata: TypeAlias = dict[str, Any]
JsonObject: TypeAlias = Annotated[dict[str, Any], BeforeValidator(json_object)]
Vector: TypeAlias = Annotated[tuple[float, ...] | Literal[False], BeforeValidator(_vector)]


class Scope(Model, frozen=True):
    """Whose memory, and where: an argument of every call, never state of a client.

    A scope selects the memories that agree with it on every part it names; ``Scope()`` selects everything that the
    key may see. On a stored memory it says where the memory belongs. A part may be given as a string, a whole number or a
    UUID, and is kept as text: 7 and "7" are the same user.

    Attributes:
        space: A vector store, collection or project; None is the default space when storing.
        user: The person that the memory is about or belongs to.
        agent: The agent that wrote it.
        session: The conversation or document that it is part of; its memories are kept in order.

    Example:
        >>> Scope(user="maria").covers(Scope(user="maria", session="s1"))
        True
        >>> Scope(user="maria").covers(Scope(user="mario"))
        False
    """

    space: Part = None
    user: Part = None
    agent: Part = None
    session: Part = None

    def __init__(
        self,
        space: Id | None = None,
        user: Id | None = None,
        agent: Id | None = None,
        session: Id | None = None,
    ) -> None:
        parts: dict[str, Any] = {"space": space, "user": user, "agent": agent, "session": session}
        try:
            super().__init__(**parts)
        except ValidationError as error:
            raise OneBrainValidationError(problems(error, "scope")) from None

    def covers(self, other: Scope) -> bool:
        """Return whether a memory in scope `other` is selected by this one."""
        return self is EVERYTHING or (
            (self.space is None or self.space == other.space)
            and (self.user is None or self.user == other.user)
            and (self.agent is None or self.agent == other.agent)
            and (self.session is None or self.session == other.session)
        )

    def within(self, outer: Scope) -> Scope:
        """Return this scope with the parts that it leaves open taken from `outer`."""
        return Scope(
            self.space or outer.space,
            self.user or outer.user,
            self.agent or outer.agent,
            self.session or outer.session,
        )

    def __bool__(self) -> bool:
        """Whether any part is named."""
        return not (self.space is None and self.user is None and self.agent is None and self.session is None)


EVERYTHING = Scope.trusted({"space": None, "user": None, "agent": None, "session": None})


class Memory(Model, frozen=True):
    """One stored memory, as it was stored: nothing in it is merged, rewritten or dropped.

    Attributes:
        id: Unique for one user in one space.
        content: The text, byte for byte.
        scope: Where it belongs.
        title: A short heading, where there is one.
        type: A kind such as ``"fact"`` or ``"preference"``; each service has its own words.
        tags: Labels, in the order given.
        metadata: The caller's own JSON object.
        importance: 0..1, where known.
        source: Where it came from, such as ``"chat"``.
        pinned: Ranked first in contexts, never archived or deduplicated by housekeeping.
        archived: Kept, but left out of search and context unless asked for.
        created_at: When it was made: the caller's time where one was given.
        updated_at: When it was last changed.
        expires_at: When it vanishes from every answer, where it does.
        valid_from: When it began to hold in the world; None where `created_at` says it.
        valid_until: When it ceased to hold, this moment excluded; None for a memory that still holds.
        supersedes: The ids of the memories that it replaces, of the same user and space.
        superseded_by: The id of the memory that replaces it, the one recorded last; None while it holds.
        superseded_at: When that was recorded.
        sources: The ids of the memories that it was drawn from.
        embedding: Its vector, only where one was asked for.
        extra: Further fields of the service, by its own names.
    """

    id: str
    content: str
    scope: Scope = EVERYTHING
    title: str | None = None
    type: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Metadata = Field(default_factory=dict)
    importance: float | None = None
    source: str | None = None
    pinned: bool = False
    archived: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    supersedes: tuple[str, ...] = ()
    superseded_by: str | None = None
    superseded_at: datetime | None = None
    sources: tuple[str, ...] = ()
    embedding: tuple[float, ...] | None = Field(default=None, repr=False)
    extra: Metadata = Field(default_factory=dict, repr=False)


class NewMemory(Model, frozen=True):
    """A memory to store; everything but `content` may be left out.

    One that exists can be kept by every store and read by every verb: `model_copy` and `model_construct` check what they
    are given, too.

    Attributes:
        content: The text; it must not be blank.
        id: An id of the caller's own, at most 512 characters; storing it again replaces the memory.
        scope: Where it belongs; parts left open are taken from the call.
        ttl: How long it lives, instead of `expires_at`: seconds or a timedelta.
        embedding: The caller's own vector; None lets the brain make one where it can. False stores the memory without a
            vector, also among others of the caller's own: it is found by words, filters and lists.
        created_at: When it happened, for history that is stored later; the default is now.
        valid_from: When it begins to hold in the world, if that is not `created_at`.
        valid_until: When it ceases to hold, this moment excluded. It is kept, but searches leave it out from then on.
        supersedes: The ids of memories that this one replaces, of the same user and space, at most 100. They are kept, and
            searches leave them out while this memory is there.
        sources: The ids of memories that this one was drawn from, at most 100.
        extra: Fields of the service behind the brain, by its own names.
    """

    content: Text
    id: Annotated[Text | None, Field(min_length=1, max_length=512), BeforeValidator(_id)] = None
    scope: Scope = EVERYTHING
    title: Text | None = None
    type: Text | None = None
    tags: Tags = ()
    metadata: JsonObject = Field(default_factory=dict)
    importance: Annotated[float | None, Field(ge=0, le=1)] = None
    source: Text | None = None
    pinned: bool = False
    archived: bool = False
    created_at: Instant | None = None
    expires_at: Instant | None = None
    ttl: Annotated[timedelta | None, Field(gt=timedelta(0))] = None
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    supersedes: Ids = ()
    sources: Ids = ()
    embedding: Vector | None = Field(default=None, repr=False)
    extra: JsonObject = Field(default_factory=dict)

    @classmethod
    def checked(cls, **fields: Any) -> Self:
        """Return a memory of these fields, as `NewMemory(...)` does.

        Raises:
            OneBrainValidationError: It cannot be stored; the message quotes nothing of it.
        """
        try:
            return cls.model_validate(fields).check()
        except ValidationError as error:
            raise OneBrainValidationError(problems(error)) from None

    def check(self) -> Self:
        """Return this memory; raise `OneBrainValidationError` where its fields do not go together."""
        if not self.content.strip():
            raise OneBrainValidationError("content: must not be blank")
        if self.ttl is not None and self.expires_at is not None:
            raise OneBrainValidationError("ttl and expires_at: give one of the two")
        if (
            self.valid_until is not None
            and self.valid_from is not None
            and self.valid_until <= self.valid_from
        ):
            raise OneBrainValidationError("valid_until: must be later than valid_from")
        if self.id is not None and self.id in self.supersedes:
            raise OneBrainValidationError("supersedes: a memory cannot supersede itself")
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields changed; they are checked as those of a new memory are."""
        if not update:
            return super().model_copy(deep=deep)
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return self.model_validate({**given, **update})

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """Return a memory of these fields, checked as those of any other."""
        return cls.model_validate(values)


class Explanation(Model, frozen=True):
    """The parts of a hit's score, as the embedded engine ranks.

    Attributes:
        parts: The parts by name; those that are 0 are left out. ``keyword`` and ``vector`` are the words and the meaning of
            the memory, ``session`` the words of its conversation, ``speaker``, ``date`` and ``time`` who and when the query
            names, ``cue`` the kind of answer that it wants, ``informative`` rare words, ``asking`` a question at the end, and
            ``order`` the place of an older memory that it took.
        total: The sum of the parts. The score is ``.5 + .5 * x / sqrt(1 + x * x)`` where ``x = 2 * (total - 1.25)``; in vector
            mode it is the total.
    """

    parts: Mapping[str, float]
    total: float


class Hit(Model, frozen=True):
    """A memory that a search found.

    Attributes:
        memory: The memory.
        score: 0..1, higher is better. 0 for every hit where nothing was ranked, that is without a query.
        explanation: The parts of the score, if they were asked for and the service tells them.
    """

    memory: Memory
    score: float
    explanation: Explanation | None = None

    @property
    def id(self) -> str:
        """The memory's id."""
        return self.memory.id

    @property
    def content(self) -> str:
        """The memory's text."""
        return self.memory.content


class SearchResult(RowsOf[Hit], Model, Sequence[Hit], frozen=True):  # type: ignore[misc]
    """The hits of a search, best first: a sequence.

    Attributes:
        hits: The hits.
        exhausted: True where no further memory matches; False where `limit` or the budget for filtering here ended it.
        mode: The search mode that really answered, which may be less than the one asked for.
        without_vectors: The spaces with vectors that the query's could not be compared with, as another embedder or the
            caller made them. They were searched by words alone, or left out of a search by vectors alone.
        confidence: How likely the answer is among the hits, 0..1; None if it was not asked for, or nothing tells.
        reranked: Whether the reranker ordered the hits; False if it failed, None if there was none.
    """

    _rows: ClassVar[str] = "hits"

    hits: tuple[Hit, ...] = ()
    exhausted: bool = True
    mode: SearchMode = "hybrid"
    without_vectors: tuple[str, ...] = ()
    confidence: float | None = None
    reranked: bool | None = None

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The memories found, best first."""
        return tuple(hit.memory for hit in self.hits)


class StoreResult(Model, frozen=True):
    """The outcome of storing one memory.

    Attributes:
        id: Its id; None only where `status` is failed.
        status: ``created``, ``updated`` (the id existed), ``unchanged``, ``duplicate`` (there is one already, and
            `id` is its id), ``pending`` (accepted, not yet readable), or ``failed``.
        error: Why, where it failed.
        similar: The most similar memories, as far as `similar` of `store` asks for them; the likeliest first.
        unlinked: The ids of memories that it supersedes in the brain it was copied from, and not here: they are not here, or
            supersede it. `restore` stores it without these links.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    id: str | None
    status: Status = "created"
    error: OneBrainError | None = None
    similar: tuple[Hit, ...] = ()
    unlinked: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the memory is kept."""
        return self.status != "failed"


class StoreResults(RowsOf[StoreResult], Model, Sequence[StoreResult], frozen=True):  # type: ignore[misc]
    """One result for each memory to store, in the order given: a sequence."""

    _rows: ClassVar[str] = "results"

    results: tuple[StoreResult, ...] = ()

    @property
    def failed(self) -> tuple[int, ...]:
        """The positions of the memories that were not kept."""
        return tuple(index for index, result in enumerate(self.results) if not result.ok)

    def raise_for_failures(self) -> Self:
        """Return these results, or raise the first failure where there is one."""
        for result in self.results:
            if result.error is not None:
                raise result.error
        return self

    @property
    def ids(self) -> list[str]:
        """The ids in order; raises the first failure where there is one."""
        return [result.id for result in self.raise_for_failures().results if result.id is not None]


class Context(Model, frozen=True):
    """Memories as text for a prompt.

    Attributes:
        text: The text, fenced as data, within the token budget; empty where nothing was found.
        memories: The memories in it, in the order of the text.
        token_count: The tokens of `text`, by the counter given or estimated at four characters each.
        truncated: Whether the budget kept something out.
    """

    text: str = ""
    memories: tuple[Memory, ...] = ()
    token_count: int = 0
    truncated: bool = False

    def __str__(self) -> str:
        return self.text


class ForgetResult(Model, frozen=True):
    """The memories that `forget` removed, or would have removed.

    Attributes:
        count: How many memories.
        dry_run: Whether they are all still there.
        ids: Their ids.
    """

    count: int = 0
    dry_run: bool = False
    ids: tuple[str, ...] = ()


class Suggestion(Model, frozen=True):
    """A memory that another one seems to supersede; nothing was changed.

    Attributes:
        new: The newer memory.
        old: The older one.
        reason: The rule that says so: ``"same beginning"`` or ``"word of change"``.
        score: Their similarity, 0..1. It is no probability.
    """

    new: Memory
    old: Memory
    reason: str
    score: float


class ReembedResult(Model, frozen=True):
    """The spaces that `reembed` gave another embedder.

    Attributes:
        embedder: The fingerprint of the embedder.
        count: The number of vectors made by this call. Those of an interrupted earlier one are not counted.
        spaces: The spaces that hold its vectors now; None is the default space.
        skipped: The spaces that were left as they are, as they hold vectors of the caller's own.
    """

    embedder: str
    count: int = 0
    spaces: tuple[str | None, ...] = ()
    skipped: tuple[str | None, ...] = ()
