"""Whether a text seems to say that an older one no longer holds, by rules and without a model.

The rules know English. They are right often enough to suggest, and wrong too often to act.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from onebrain.memory.models import Memory

# Cosines: of texts that share a name, of those that share another word, and by how much the most similar text may be ahead
# of a newer one.
_NAMED, _WORDED, _AHEAD = 0.3, 0.5, 0.1
SAME: Final = "same beginning"
CHANGED: Final = "word of change"
MOST: Final = 3  # suggestions for one memory


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORD: Final = re.compile(r"\w+(?:['’]\w+)?")
_GENITIVE: Final = re.compile(r"['’]s?$")
_BEEN: Final = re.compile(r"\b(?:(?:has|have) been|was|were|are)\b")
_CHANGE: Final = re.compile(
    r"\b(?:now|nowadays|no longer|any ?more|moved|moving|switched|switch|instead|since|gave up|gives up|left|sold|"
    r"became|becomes|took over|takes over|handed|cancell?ed|replaced|replaces|changed|stopped|quits?|"
    r"from (?:today|now|tomorrow) on|from today|used to|starting|renamed|retired|dropped|swapped|traded|these days|back|"
    r"put|renewed|promoted|demoted|extended|bankrupt|postponed|raised|lowered|reduced|cut|upgraded|migrated|migration)\b",
    re.IGNORECASE,
)
# Words that a sentence gains when it changes; they do not count where beginnings are compared.
_ADDED: Final = frozenset(
    {"now", "nowadays", "currently", "today", "from", "on", "since", "as", "of", "then"}
)
# Verbs with one value at a time: who lives in one town does not live in another.
_SINGLE: Final = _set(
    "is am live lives work works run runs cost costs pay pays start starts begin begins end ends close closes open opens use "
    "uses drive drives rent rents stay stays sit sits belongs weigh weighs take takes prefer prefers lead leads report "
    "reports keep keeps store stores deploy deploys commute commutes meet meets want wants need needs sleeps go goes teach "
    "teaches earn earns send sends come comes expire expires stand stands lies"
)
# Words after which several things can be true.
_MANY: Final = _set(
    "like likes love loves hate hates enjoys had own owns speak speaks know knows visit visited visits went got bought buys "
    "read reads saw met watched ate cooked play played plays sings wrote writes caused allergic about built said told reached "
    "finished attended collects bakes"
)
_PLAIN: Final = _set(
    "the a an i we you he she it they my our your his her its their this that these those in on at of for to from with by and "
    "or but not no is are was were be been has have had do does did as since now when if there"
)


@dataclass(frozen=True, slots=True)
class Likeness:
    """An older memory that a newer one seems to replace.

    Attributes:
        old: The older memory.
        reason: The rule: ``"same beginning"`` or ``"word of change"``.
        score: Their similarity, 0..1.
    """

    old: Memory
    reason: str
    score: float


def replaced(new: Memory, candidates: Sequence[tuple[Memory, float]]) -> list[Likeness]:
    """Return those of some older memories that a newer one seems to replace, the likeliest first, at most `MOST`.

    Args:
        new: The newer memory, with its vector if it has one.
        candidates: Older memories, with their vectors and with the scores of a search for the text of `new`.
    """
    found: list[Likeness] = []
    for old, score in candidates:
        cosine = _cosine(new.embedding, old.embedding)
        why = reason(new.content, old.content, cosine)
        if why is not None:
            found.append(Likeness(old, why, max(0.0, min(1.0, score if cosine is None else cosine))))
    found.sort(key=lambda one: -one.score)
    alike = [one for one in found if one.reason == SAME]
    first = alike or [one for one in found if one.score >= found[0].score - _AHEAD]
    if not first:
        return []
    # Of several that seem to be replaced, the newest one held last.
    likeliest = max(first, key=lambda one: _age(one.old))
    return [likeliest, *(one for one in found if one is not likeliest)][:MOST]


def reason(new: str, old: str, cosine: float | None) -> str | None:
    """Return why the text `new` seems to replace `old`, or None if it does not.

    Args:
        new: The newer text.
        old: The older one.
        cosine: The similarity of their vectors; None if they have none.
    """
    if cosine is not None and cosine < _NAMED:
        return None
    ours, theirs = _words(new), _words(old)
    if ours == theirs:
        return None
    if _same_beginning(ours, theirs):
        return SAME
    if not _CHANGE.search(new):
        return None
    if _names(new) & _names(old):
        return CHANGED
    worded = cosine is not None and cosine >= _WORDED and bool((set(ours) & set(theirs)) - _PLAIN)
    return CHANGED if worded else None


def _same_beginning(new: Sequence[str], old: Sequence[str]) -> bool:
    """Return whether two sentences begin alike up to a verb that has one value at a time."""
    ours, theirs = ([word for word in some if word not in _ADDED] for some in (new, old))
    shared = 0
    while shared < min(len(ours), len(theirs)) and ours[shared] == theirs[shared]:
        shared += 1
    if shared < 2 or _MANY & {*ours[: shared + 1], *theirs[: shared + 1]}:
        return False
    # "Ewa is" begins too much: what she is, where she is, and what she is doing.
    first = 2 if ours[1] == "is" else 1
    return bool(_SINGLE & set(ours[first:shared])) or (first == 2 and shared > 2)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(_BEEN.sub("is", text))]


def _names(text: str) -> set[str]:
    """Return the names in a text: words with a capital, without the genitive."""
    found = (_GENITIVE.sub("", word) for word in _WORD.findall(text))
    return {word for word in found if word[:1].isupper() and word.casefold() not in _PLAIN}


def _cosine(one: Sequence[float] | None, other: Sequence[float] | None) -> float | None:
    if not one or not other or len(one) != len(other):
        return None
    length = math.sqrt(sum(x * x for x in one) * sum(x * x for x in other))
    return sum(x * y for x, y in zip(one, other, strict=True)) / length if length else None


def _age(memory: Memory) -> float:
    return 0.0 if memory.created_at is None else memory.created_at.timestamp()
