"""Whether the answer to a query is among the memories that a search found.

A question that names a person is close to every memory of that person, also if none of them answers it. So the words that a
query and a memory share are taken out of both, and the rest of the one is compared with the rest of the other:

    raw = cos(query, first memory) * clip(max(cos(rest of query, rest of memory)), .1, 1) ** exponent

The maximum is over the first memories. It is 1 for a memory that holds all words of the query. A logistic curve of the
embedder makes a probability of it.
"""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from onebrain.errors import OneBrainError
from onebrain.memory.models import Memory
from onebrain.memory.words import text_of
from onebrain_engine.embedding import Floats, Scale, Vectorizer
from onebrain_engine.fitting import CALLER
from onebrain_engine.index.text import analyse_query, content_words
from onebrain_engine.index.times import read_times
from onebrain_engine.retrying import persistent
from onebrain_engine.store.protocol import Reading, Store
from onebrain_engine.store.records import Space, now_in_micros, to_memory, to_micros
from onebrain_engine.vectorizers import Vectorizers

_FIRST: Final = 5  # memories that are compared
_REPLACED: Final = 10  # memories that each of them replaces, the nearest first
_LONGEST: Final = 2_000  # characters of a memory that are compared
_FLOOR: Final = 0.1
# Least confidence of a hit that shares a word with the query, or has one of nearly the same meaning.
_RELATED: Final = 0.25
_NEAR: Final = 0.35  # cosine of the static vectors of two such words
_LATIN: Final = "\u024f"  # the last letter of the scripts that static vectors know
_WITHIN: Final = 0.5  # least confidence if a memory is of the past time that the query asks for
# Fitted with the rests of WordLlama, and of MiniLM and USE m3.
_STATIC_EXPONENT: Final = 0.5
_EXPONENT: Final = 0.4
# For an embedder without a fitted curve, in standard deviations of the cosines of unrelated sentences.
_MIDPOINT: Final = 2.2
_SLOPE: Final = 0.75

_TOKENS: Final = re.compile(r"\w+|[^\w\s]")
# Words about asking tell nothing about the subject.
_ASKING: Final = frozenset(
    {
        "anything",
        "everything",
        "know",
        "mention",
        "mentioned",
        "please",
        "recall",
        "remember",
        "remind",
        "said",
        "say",
    }
    | {"something", "tell", "think", "told"}
)
_WORDS: Final = re.compile(r"[\w'\u2019]+")
# Before these, "like" is a word for what is liked.
_LIKING: Final = frozenset({"i", "you", "we", "they", "would", "to", "do", "does"})
_log = logging.getLogger("onebrain_engine")

# They have nothing to do with each other, so their cosines are those of unrelated texts. Memories of a space would not do:
# a space may be small, or be about one subject.
_UNRELATED: Final = (
    "The train to the coast leaves at nine",
    "Her brother repairs old bicycles",
    "Please send the invoice by the end of the month",
    "The cat sleeps on the kitchen chair",
    "We moved the database to another region",
    "He is allergic to peanuts",
    "The museum is closed on Mondays",
    "My favourite colour is dark green",
    "The contract was signed last spring",
    "Rain is expected in the mountains",
    "She plays the violin in an orchestra",
    "The password policy changed",
    "Lunch is served from noon until two",
    "They named their daughter after a river",
    "The engine makes a strange noise",
    "I prefer short answers",
    "The shop sells fresh bread and cheese",
    "Our flight was delayed by two hours",
    "The doctor prescribed a new medicine",
    "Tests must pass before a release",
)


# Content words, each with its stem.
_Words: TypeAlias = Sequence[tuple[str, str]]


class _Rest(NamedTuple):
    """A query without the words of a memory, and the memory without the words of the query."""

    query: str
    memory: str


class Confidence:
    """Estimates how likely a search found the answer.

    Args:
        store: The store, which knows whose vectors a space holds.
        embedders: Make the vectors.
    """

    def __init__(self, store: Store, embedders: Vectorizers) -> None:
        self._store = store
        self._embedders = embedders
        self._lock = threading.Lock()
        self._scales: dict[str, Scale | None] = {}

    def of(self, tenant: str, query: str, memories: Sequence[Memory], now: datetime) -> float | None:
        """Return the probability that one of the best memories answers a query, 0..1.

        The texts of the query, of the first five memories and of those that they replace are embedded, all in one call of the
        embedder. Returns None if there are no vectors to tell by, the query has no content words, or the embedder fails.
        """
        memories = memories[:_FIRST]
        if not memories:
            return 0.0
        asked = _subject(query)
        if not asked:
            return None
        best: float | None = None
        names = list(dict.fromkeys(memory.scope.space or "" for memory in memories))
        for name, embedder in zip(names, self._embedders_of(tenant, names), strict=True):
            if embedder is None:
                continue
            chains = self._chains(tenant, name, [one for one in memories if (one.scope.space or "") == name])
            try:
                judged = self._judged(query, asked, chains, embedder)
            except OneBrainError as error:
                _log.warning("the confidence of a search is not known, as the embedder failed: %s", error)
                continue
            if judged is not None:
                best = judged if best is None else max(best, judged)
        if best is not None and best < _WITHIN and _in_time(query, memories, now):
            return _WITHIN
        return best

    @persistent
    def _embedders_of(self, tenant: str, names: Sequence[str]) -> list[Vectorizer | None]:
        """Return the embedder that judges each space; None for a space without vectors."""
        with self._store.reading() as read:
            spaces = [read.space(tenant, name) for name in names]
        return [
            None
            if space is None or space.embedder is None
            else self._embedders.own
            if space.embedder == CALLER
            else self._embedders.for_vectors(space.embedder)
            for space in spaces
        ]

    @persistent
    def _chains(self, tenant: str, name: str, memories: Sequence[Memory]) -> list[list[str]]:
        """Return the text of each memory and those that it replaces, as a search may have found it by their words."""
        chains = [[text_of(memory)] for memory in memories]
        if any(memory.supersedes for memory in memories):
            with self._store.reading() as read:
                space = read.space(tenant, name)
                for memory, chain in zip(memories, chains, strict=True):
                    if space is not None and memory.supersedes:
                        chain += _replaced(read, tenant, space, memory)
        return chains

    def _judged(
        self, query: str, asked: _Words, chains: Sequence[Sequence[str]], embedder: Vectorizer
    ) -> float | None:
        scale = self._scale(embedder)
        if scale is None:
            return None
        whole = [text for chain in chains for text in chain]
        texts = [text[:_LONGEST] for text in whole]
        first = texts[: len(chains[0])]
        rests = [_rest(query, asked, text, in_place=not scale.static) for text in texts]
        # A memory may be compared with the same rest of the query as another one.
        wanted = list(dict.fromkeys([query, *first, *(part for rest in rests for part in rest if part)]))
        vectors = dict(zip(wanted, embedder.documents(wanted), strict=True))
        closeness = max(_cosine(vectors[query], vectors[text], scale) for text in first)
        agreement = max(
            1.0
            if not rest.query
            else _cosine(vectors[rest.query], vectors[rest.memory], scale)
            if rest.memory
            else 0.0
            for rest in rests
        )
        exponent = _STATIC_EXPONENT if scale.static else _EXPONENT
        raw = max(closeness, 0.0) * min(max(agreement, _FLOOR), 1.0) ** exponent
        sure = 1 / (1 + math.exp(min(-scale.slope * (raw - scale.midpoint), 700.0)))
        if sure < _RELATED and _related(query, asked, whole, embedder if scale.static else None):
            return _RELATED
        return sure

    def _scale(self, embedder: Vectorizer) -> Scale | None:
        """Return the curve of an embedder, from unrelated sentences if none was fitted; None if it tells no texts apart."""
        if embedder.scale is not None:
            return embedder.scale
        fingerprint = embedder.fingerprint
        with self._lock:
            if fingerprint in self._scales:
                return self._scales[fingerprint]
        scale = _measured(embedder.documents(list(_UNRELATED)), static=embedder.static)
        with self._lock:
            self._scales[fingerprint] = scale
        return scale


def _measured(vectors: Floats, *, static: bool) -> Scale | None:
    """Return a curve from the vectors of unrelated sentences; None if they are all alike."""
    cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    mean, spread = float(cosines.mean()), float(cosines.std())
    if spread < 1e-3 or mean > 0.99:
        return None
    spread /= 1 - mean
    return Scale(_MIDPOINT * spread, _SLOPE / spread, base=mean, static=static)


def _cosine(left: Floats, right: Floats, scale: Scale) -> float:
    return (float(left @ right) - scale.base) / (1 - scale.base)


def _replaced(read: Reading, tenant: str, space: Space, memory: Memory) -> list[str]:
    """Return the texts of the memories that one replaces, directly or through others."""
    names = [(id, memory.scope.user) for id in memory.supersedes[:_REPLACED]]
    rows = list(read.identified(tenant, space, names, now=now_in_micros()).values())
    new = rows
    while new and len(rows) < _REPLACED:
        links = {link.row: None for life in read.lives(tenant, space, rows=new) for link in life.supersedes}
        new = [row for row in links if row not in rows]
        rows = [*rows, *new]
    records = read.records(tenant, space, rows[:_REPLACED])
    return [text_of(to_memory(record, space.name)) for record in records.values()]


def _subject(query: str) -> _Words:
    """Return the content words of a query with their stems, without those about asking."""
    return [(word, term) for word, term in content_words(query) if word not in _ASKING]


def _asks_what_like(query: str) -> bool:
    """Return whether "like" tells nothing, as in "What is the weather like?" but not in "What do I like?"."""
    words = [word.replace("\u2019", "'") for word in _WORDS.findall(query.casefold())]
    asks = any(
        word == "what's" or (word == "what" and following in ("is", "was"))
        for word, following in pairwise([*words, ""])
    )
    return asks and not any(before in _LIKING for before, word in pairwise(["", *words]) if word == "like")


def _related(query: str, subject: _Words, texts: Sequence[str], embedder: Vectorizer | None) -> bool:
    """Return whether a text shares a word with the query, or by the static vectors of `embedder` has one that is near."""
    asked = [pair for pair in subject if pair[0] != "like" or not _asks_what_like(query)]
    terms = {term for _, term in asked}
    if any(term in terms for text in texts for _, term in content_words(text)):
        return True
    return embedder is not None and _near(query, asked, [text[:_LONGEST] for text in texts], embedder)


def _near(query: str, asked: _Words, texts: Sequence[str], embedder: Vectorizer) -> bool:
    """Return whether a word of a text is near to one that is asked for, or static vectors cannot tell."""
    if any(map(_foreign, [query, *texts])):
        return True  # its vectors tell nothing in other scripts
    told = [pair for text in texts for pair in content_words(text)]
    mine, theirs = ([*dict.fromkeys(word for word, _ in pairs if _lettered(word))] for pairs in (asked, told))
    if not mine or not theirs:
        return False
    vectors = embedder.documents([*mine, *theirs])
    return bool((vectors[: len(mine)] @ vectors[len(mine) :].T).max() >= _NEAR)


def _lettered(word: str) -> bool:
    return any(map(str.isalpha, word))


def _foreign(text: str) -> bool:
    """Return whether most letters of a text are of other scripts than Latin."""
    letters = [letter for letter in text if letter.isalpha()]
    return 2 * sum(letter > _LATIN for letter in letters) > len(letters)


def _rest(query: str, asked: _Words, text: str, *, in_place: bool) -> _Rest:
    """Take the words that both share out of a query and a memory, each empty if no content word is left.

    In place the function words stay, which a model that reads sentences needs. Static vectors are clearer without them.
    """
    told = content_words(text)
    theirs, ours = {term for _, term in told}, {term for _, term in asked}
    left = [word for word, term in asked if term not in theirs]
    other = [word for word, term in told if term not in ours]
    if in_place:
        return _Rest(
            _without(query, theirs) if left else "",
            _without(text, ours) if other else "",
        )
    # The static vectors of all numbers are near to each other.
    return _Rest(" ".join(left), " ".join(other) if any(map(_lettered, left)) else "")


def _without(text: str, terms: Collection[str]) -> str:
    """Return a text without its words of some stems."""
    kept: list[str] = []
    for token in _TOKENS.findall(text):
        own = [term for _, term in content_words(token)]
        if not own or not all(term in terms for term in own):
            kept.append(token)
    return " ".join(kept)


def _in_time(query: str, memories: Sequence[Memory], now: datetime) -> bool:
    """Return whether the query asks for a time, and one of the memories is of it.

    In a time that is not over, memories of the present day do not count.
    """
    if not analyse_query(query).terms:
        return False
    times = read_times(query, now)
    if times.start is None and times.end is None:
        return False
    end = times.end
    if end is None or end > to_micros(now):
        # To be of today tells little: each memory that was stored without a time is of the day that it was stored on.
        end = to_micros(now.replace(hour=0, minute=0, second=0, microsecond=0))
    return any(
        (times.start is None or times.start <= created) and created < end
        for memory in memories
        if memory.created_at is not None
        for created in (to_micros(memory.created_at),)
    )
