"""Which older facts a new one has overtaken.

A statement of a plain form ("Maria moved to Porto", "my favourite colour is green", "the deadline is Friday") is read as a
claim: a subject, what is said of it, and a value. A claim of the same kind about the same subject with another value
overtakes the older one. Rules like these miss much and are seldom wrong, which is what hiding a memory asks for. If a
language model finds the facts, it decides instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from onebrain_server.json_values import is_object

_SUBJECT: Final = r"(?P<subject>[\w][\w .'-]{0,60}?)"
_ADVERBS: Final = (
    r"(?:(?:has|have|had|just|now|currently|recently|actually|always|really|finally|also|still)\s+)*"
)
_NOT: Final = r"(?P<not>(?:no longer|does not|doesn't|do not|don't|never|is not|isn't|stopped|quit)\s+)?"
_VALUE: Final = r"(?P<value>.+)"

# The predicates of a subject, each with the words that find other statements of the kind.
_FORMS: Final[tuple[tuple[str, str, re.Pattern[str]], ...]] = tuple(
    (relation, words, re.compile(pattern, re.IGNORECASE))
    for relation, words, pattern in (
        ("is:{subject}", "is now", r"the\s+(?P<subject>[\w -]{2,60}?)\s+(?:is|was (?:moved|changed|set|postponed) to|has (?:moved|changed) to)\s+(?:now\s+)?(?P<value>(?:on |at )?(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|\$?\d).*)"),
        ("favourite:{thing}", "favourite favorite", rf"(?P<owner>.{{1,60}}?)(?:'s)?\s+favou?rite\s+(?P<thing>[\w -]{{1,40}}?)\s+(?:is|are)\s+{_ADVERBS}{_VALUE}"),
        ("home", "lives in moved to based", rf"{_SUBJECT}\s+{_ADVERBS}{_NOT}(?:(?:lives?|living|resides?|is (?:based|living))\s+(?:in|at)|(?:moved|relocated|is moving)\s+(?:from .+? )?to)\s+{_VALUE}"),
        ("role", "works as promoted to", rf"{_SUBJECT}\s+{_ADVERBS}{_NOT}(?:works?|working|is working)\s+as\s+{_VALUE}"),
        ("work", "works at joined employed", rf"{_SUBJECT}\s+{_ADVERBS}{_NOT}(?:(?:works?|working|is working|started(?: working)?)\s+(?:at|for)|is employed by|joined)\s+{_VALUE}"),
        ("preference", "prefers", rf"{_SUBJECT}\s+{_ADVERBS}{_NOT}prefers?\s+{_VALUE}"),
        ("liking", "likes loves dislikes hates", rf"{_SUBJECT}\s+{_ADVERBS}(?P<not>(?:no longer|does not|doesn't|do not|don't)\s+)?(?:likes?|loves?|enjoys?)\s+{_VALUE}"),
        ("liking", "likes loves dislikes hates", rf"{_SUBJECT}\s+{_ADVERBS}(?P<not>dislikes?|hates?|can't stand|cannot stand)\s+{_VALUE}"),
        ("uses:{thing}", "uses for", rf"{_SUBJECT}\s+{_ADVERBS}{_NOT}uses?\s+{_VALUE}\s+for\s+(?P<thing>[\w -]{{2,40}})"),
        ("status", "married single divorced engaged", rf"{_SUBJECT}\s+(?:is|am|are|'m|got)\s+{_ADVERBS}(?P<not>no longer\s+|not\s+)?(?P<value>(?:married|single|divorced|engaged|widowed)\b.*)"),
        ("age", "years old", rf"{_SUBJECT}\s+(?:is|am|'m|turned)\s+{_ADVERBS}(?P<value>\d{{1,3}})(?:\s+years old)?"),
        ("has:{thing}", "is now", rf"(?P<owner>my|our|[\w .-]{{1,60}}?'s)\s+(?P<thing>[\w -]{{2,40}}?)\s+(?:is|are)\s+{_ADVERBS}{_VALUE}"),
    )
)  # fmt: skip
# Characters of a plain statement; matching takes no time to speak of, whatever it says.
_LONGEST: Final = 300
_PRONOUNS: Final = frozenset({"she", "he", "they"})
_MYSELF: Final = frozenset({"i", "i'm", "my", "me", "we", "our"})
_TAIL: Final = re.compile(
    r"(?:,? (?:now|again|instead|anymore|any more|these days|at the moment|since .*+|as of .*+|last \w++|this \w++|in \d{4}))++$",
    re.IGNORECASE,
)
_TERM: Final = re.compile(r"[\w$%.+-]+")
_AGAINST: Final = re.compile(r"(?<!\s)\s+(?:over|rather than|instead of|to)\s+", re.IGNORECASE)
_WEAK: Final = frozenset({"a", "an", "the", "is", "of", "in", "at", "on", "my", "her", "his", "their", "our"})


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim of a statement.

    Attributes:
        subject: The person or thing it is about, in lower case; ``i`` for whoever speaks.
        relation: The kind of statement.
        value: The stated value, in lower case without articles.
        holds: False where the statement denies it.
        against: The lesser choice that it names.
        words: Words by which statements of the kind are found.
    """

    subject: str
    relation: str
    value: str
    holds: bool = True
    against: str = ""
    words: str = ""

    def kept(self) -> dict[str, Any]:
        """Return it as it is kept with a memory."""
        return asdict(self)


def claim_of(statement: str, about: str | None = None) -> Claim | None:
    """Return the claim of a statement; `about` is the person that a pronoun means.

    Example:
        >>> claim_of("Maria has moved to Porto.").value
        'porto'
        >>> claim_of("It rained in Lisbon.") is None
        True
    """
    if len(statement) > _LONGEST:
        return None
    text = " ".join(statement.replace("’", "'").split()).strip(" .!")
    for relation, words, form in _FORMS:
        match = form.fullmatch(text)
        if match is None:
            continue
        found = match.groupdict()
        subject = _plain(found.get("subject") or (found.get("owner") or "").removesuffix("'s"))
        if subject in _PRONOUNS and about is not None:
            subject = about
        value, _, against = (
            _AGAINST.sub("\0", found["value"], count=1).partition("\0")
            if relation == "preference"
            else (found["value"], "", "")
        )
        return Claim(
            "i" if subject in _MYSELF else subject,
            relation.format(thing=_plain(found.get("thing") or ""), subject=subject),
            _plain(_TAIL.sub("", value)),
            not found.get("not"),
            _plain(_TAIL.sub("", against)),
            words,
        )
    return None


def claim_from(kept: Any) -> Claim | None:
    """Return the claim that is kept with a memory."""
    return Claim(**kept) if is_object(kept) else None


def claims_of(statements: Sequence[str]) -> list[Claim | None]:
    """Return the claims of the statements of one text; a pronoun means the person named last."""
    found: list[Claim | None] = []
    about: str | None = None
    for statement in statements:
        claim = claim_of(statement, about)
        if claim is not None and claim.subject not in _PRONOUNS | {"i"}:
            about = claim.subject
        found.append(claim)
    return found


def overtakes(new: Claim, old: Claim) -> bool:
    """Return whether an older claim is no longer true because of a new one.

    Example:
        >>> overtakes(claim_of("Maria moved to Porto"), claim_of("Maria lives in Lisbon"))
        True
        >>> overtakes(claim_of("Maria prefers green tea"), claim_of("Maria prefers window seats"))
        False
    """
    if (new.subject, new.relation) != (old.subject, old.relation) or not new.value or not old.value:
        return False
    same = _same(new.value, old.value)
    if new.holds != old.holds:
        return same
    if not new.holds or same or new.relation == "liking":
        return False
    if new.relation == "preference":
        return new.value.split()[-1] == old.value.split()[-1] or (
            bool(new.against) and _same(new.against, old.value)
        )
    return True


def _plain(text: str) -> str:
    return " ".join(word for word in _TERM.findall(text.casefold()) if word not in _WEAK or word == text)


def _same(left: str, right: str) -> bool:
    """Return whether two values are one, or one says the other more exactly: "lisbon", "lisbon portugal"."""
    a, b = set(left.split()), set(right.split())
    return a <= b or b <= a
