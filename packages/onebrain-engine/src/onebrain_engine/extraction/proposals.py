"""Proposing memories from a text or a chat, by rules: sentences that say something lasting about somebody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

ChatFormat = Literal["auto", "user-assistant", "timestamp"]

_SPLIT: Final = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-ZÀ-Þ0-9])|\n+")
_TURN: Final = re.compile(
    r"^\s*(?:\[[^\]]{4,40}\]\s*)?(?:\d{1,4}[-/.:]\S*\s+(?:\d{1,2}:\S*\s+)?)?([A-Za-z][\w .'-]{0,40}?)\s*:\s+(.+)$"
)
_STAMP: Final = re.compile(
    r"^\s*\[?\d{1,4}[-/.:]\d{1,2}(?:[-/.:]\d{1,4})?(?:[T ,]+\d{1,2}:\d{2}(?::\d{2})?)?(?:\s*[AP]M)?\]?\s*(?:-\s*)?"
)
_DAY: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_ASSISTANT: Final = frozenset({"assistant", "ai", "bot", "system", "chatgpt", "claude", "gemini", "model"})

_KINDS: Final[tuple[tuple[str, float, re.Pattern[str]], ...]] = tuple(
    (kind, confidence, re.compile(pattern, re.IGNORECASE))
    for kind, confidence, pattern in (
        ("decision", 0.7, r"\b(?:decided|have chosen|chose|agreed|settled on|will (?:use|switch|move|go with)|we(?:'re| are) going with)\b"),
        ("preference", 0.7, r"\b(?:prefers?|favou?rite|(?:really )?(?:likes?|loves?|enjoys?|hates?|dislikes?)|can(?:'|no)t stand|rather)\b"),
        ("goal", 0.65, r"\b(?:wants? to|would like to|plans? to|planning to|hopes? to|aims? to|my goal|goal is|intends? to|by next (?:year|month))\b"),
        ("skill", 0.6, r"\b(?:knows? how to|good at|expert in|fluent in|can (?:speak|play|write|code)|experienced (?:in|with))\b"),
        ("experience", 0.6, r"\b(?:went to|visited|attended|travell?ed|met|graduated|moved|had a|finished|completed|started|learn(?:ed|t))\b"),
        ("fact", 0.6, r"\b(?:I am|I'm|my name is|(?:I|she|he|they|we) (?:live|work|have|own|use|speak|study)s?|is (?:a|an|the|in|on|based)|lives? in|works? (?:at|for|on|as)|has (?:a|an|two|three)|born|allergic|married|birthday|mentioned)\b"),
    )
)  # fmt: skip
_LINE: Final = re.compile(r"\r?\n|\r")
_QUESTION: Final = re.compile(r"\?\s*$")
_FILLER: Final = re.compile(
    r"^(?:ok(?:ay)?|thanks?|thank you|sure|yes|no|great|hi|hello|hey|noted|got it|bye)\b.{0,20}$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A memory that may be worth keeping."""

    title: str
    body: str
    type: str
    confidence: float


def propose(text: str, *, limit: int = 50) -> list[Proposal]:
    """Return memories that a text suggests, in its order.

    Example:
        >>> [(one.type, one.body) for one in propose("We met in May. Maria prefers window seats. How nice!")]
        [('experience', 'We met in May.'), ('preference', 'Maria prefers window seats.')]
    """
    found: dict[str, Proposal] = {}
    for sentence in sentences(text):
        kind = classify(sentence)
        if kind is not None:
            found.setdefault(sentence.casefold(), Proposal(title_of(sentence), sentence, *kind))
            if len(found) >= limit:
                break
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Turn:
    """The words of a person in a chat, and the day in front of them if there is one, in UTC."""

    text: str
    at: datetime | None = None


def propose_from_chat(transcript: str, form: ChatFormat = "auto", *, limit: int = 50) -> list[Proposal]:
    """Return memories that a chat suggests, from the turns of people and not of an assistant."""
    return propose("\n".join(turn.text for turn in turns_of(transcript, form)), limit=limit)


def turns_of(transcript: str, form: ChatFormat = "auto") -> Iterator[Turn]:
    r"""Yield the lines of a chat that people said, without their names and times; those of an assistant are left out.

    Example:
        >>> [turn.text for turn in turns_of("Maria: I moved to Porto.\nAI: How nice!\nMaria: It is.")]
        ['I moved to Porto.', 'It is.']
    """
    silent = False
    at: datetime | None = None
    for line in _LINE.split(transcript):
        stamp = _STAMP.match(line) if form != "user-assistant" else None
        bare = line if stamp is None else line[stamp.end() :]
        turn = _TURN.match(bare)
        if turn is not None:
            silent = turn[1].strip().casefold() in _ASSISTANT
            bare = turn[2]
            at = None if stamp is None else _day(stamp[0])
        if not silent and bare.strip():
            yield Turn(bare.strip(), at)


def _day(stamp: str) -> datetime | None:
    """Return the day of a stamp that names one as year, month and day."""
    day = _DAY.search(stamp)
    try:
        return None if day is None else datetime(int(day[1]), int(day[2]), int(day[3]), tzinfo=UTC)
    except ValueError:
        return None


def classify(sentence: str) -> tuple[str, float] | None:
    """Return a sentence's kind and how sure that is; None where it says nothing lasting."""
    if _QUESTION.search(sentence) or _FILLER.match(sentence):
        return None
    for kind, confidence, pattern in _KINDS:
        if pattern.search(sentence):
            return kind, confidence
    return None


def sentences(text: str) -> Iterator[str]:
    """Return the sentences of a text with at least three words, each within 2,000 characters."""
    for piece in _SPLIT.split(text):
        sentence = " ".join(piece.split()).lstrip("-*•# ").strip()
        if len(sentence.split()) >= 3:
            yield sentence[:2000]


def title_of(text: str, limit: int = 120) -> str:
    """Return a heading for a text: its first line, cut at a word."""
    line = next((" ".join(line.split()) for line in text.splitlines() if line.strip()), "")
    if len(line) <= limit:
        return line
    cut = line[: limit - 2].rpartition(" ")[0] or line[: limit - 2]
    return cut.rstrip() + " …"
