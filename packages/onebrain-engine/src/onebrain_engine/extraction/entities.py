"""Finding the entities that a text names, by rules: capitals, the words around them, and their endings.

It needs no model and no network, and says the same for the same text. It finds less than a language model does, and it
prefers to leave something out rather than to call a city a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

_NAME: Final = r"[A-ZÀ-ÖØ-Þ][\w'’\-]*[\wÀ-ÿ]|[A-Z]"
_PHRASE: Final = re.compile(
    rf"(?:{_NAME})(?:(?:\s+(?:of|de|da|van|von|der|la|le|di|the)\s+|\s+|\s*&\s*)(?:{_NAME}))*"
)
# A run is read from its beginning only: an expression that may begin anywhere in a run reads it once for each character.
_EMAIL: Final = re.compile(r"(?<![\w.+-])[.+-]*+(\w[\w.+-]*+@[\w-]++\.[\w.-]*\w)")
_HANDLE: Final = re.compile(r"(?<![\w.@/])@([A-Za-z][\w]{1,30})\b")
_BREAK: Final = re.compile(r"\s+")
_POSSESSIVE: Final = re.compile(r"['’]s$")
_WORD: Final = re.compile(r"[\w']+")
_NEXT_WORD: Final = re.compile(r"\W{0,60}(\w{1,60})")
_LONGEST: Final = 50_000  # characters of a text that are looked at


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON: Final = _words(
    """
    a an and are as at be been but by can could did do does for from had has have he her here his how i i'm
    i've i'd i'll if in into is it it's its let me my need never no not now of on or our please she should
    so some that the their them then there these they this those to today tomorrow user users want was we
    were what when where which while who why will with would yes yesterday you your also after all any
    because before both each every first last many more most much new next note old one only other remember
    same since still such than thanks though two until us very via yet owner assistant monday tuesday
    wednesday thursday friday saturday sunday january february march april may june july august september
    october november december mon tue wed thu fri sat sun jan feb mar apr jun jul aug sep sept oct nov dec
    ok okay hi hello dear mr mrs ms dr prof prefers likes loves lives works wants has owns uses runs ignore
    buy will decided
    """
)
_TITLES: Final = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "professor", "sir", "madam", "uncle", "aunt", "captain"}
)
_COMPANY: Final = _words(
    """
    inc corp corporation ltd llc gmbh ag plc co company group holdings bank university institute college
    school hospital foundation association ministry agency department labs lab systems technologies software
    studio studios airlines insurance partners ventures capital media press church club team committee
    council union museum
    """
)
_PLACE_END: Final = _words(
    """
    street avenue road square park river lake mountain mountains island islands beach city valley bay bridge
    airport station county province district coast sea ocean desert forest
    """
)
_PLACES: Final = _words(
    """
    africa america asia europe australia antarctica oceania alps andes himalaya atlantic pacific
    mediterranean argentina austria bangladesh belgium bolivia brazil britain bulgaria cambodia canada chile
    china colombia croatia cuba cyprus czechia denmark ecuador egypt england estonia ethiopia finland france
    georgia germany ghana greece hungary iceland india indonesia iran iraq ireland israel italy jamaica
    japan jordan kenya korea latvia lebanon lithuania luxembourg malaysia malta mexico mongolia morocco
    nepal netherlands nigeria norway pakistan panama peru philippines poland portugal romania russia
    scotland serbia singapore slovakia slovenia spain sweden switzerland syria taiwan tanzania thailand
    tunisia turkey uganda ukraine uruguay venezuela vietnam wales zambia amsterdam athens bangkok barcelona
    beijing berlin bern bogota boston brussels bucharest budapest cairo chicago copenhagen delhi dubai
    dublin edinburgh florence frankfurt geneva hamburg hanoi helsinki houston istanbul jakarta johannesburg
    kyiv lagos lima lisbon london lyon madrid manila marseille melbourne miami milan montreal moscow mumbai
    munich nairobi naples osaka oslo paris porto prague reykjavik riga rome seattle seoul shanghai stockholm
    stuttgart sydney tallinn tokyo toronto vancouver venice vienna vilnius warsaw washington zagreb zurich
    california texas florida bavaria tuscany
    """
)
_TECHNOLOGY: Final = _words(
    """
    python rust javascript typescript java kotlin swift golang ruby php scala haskell postgresql postgres
    sqlite mysql redis kafka docker kubernetes linux windows macos android ios react angular vue django
    flask fastapi numpy pytorch tensorflow langchain llamaindex git github gitlab helix vim emacs vscode
    chrome firefox slack notion jira figma aws azure openai anthropic claude gemini chatgpt excel
    """
)
_LEADS: Final = {
    "place": frozenset({"in", "near", "to", "from", "around", "across", "visit", "visited", "visiting"}),
    "organization": frozenset({"at", "join", "joined", "founded", "acquired", "employer"}),
    "person": _words(
        """
        met meet called named with wife husband partner friend brother sister mother father son daughter
        colleague boss manager uncle aunt cousin neighbour neighbor roommate mentor
        """
    ),
}
_PERSON_VERBS: Final = _words(
    """
    said says told asked wrote thinks loves likes hates prefers lives works moved married mentioned called
    knows wants plans feels smiled laughed answered replied joined enjoys believes suggested explained
    recommended cooks studies
    """
)
_SKIPPED: Final = _COMMON | _TITLES
_WORKS: Final = frozenset({"works", "worked", "working", "interned", "employed"})


@dataclass(frozen=True, slots=True)
class Named:
    """An entity that a text names."""

    name: str
    type: str


def find_entities(text: str, *, limit: int = 20) -> list[Named]:
    """Return the entities that a text names, in its order: person, organization, place, technology, or thing.

    Example:
        >>> [(one.name, one.type) for one in find_entities("Maria works at Acme Labs in Lisbon, Portugal.")]
        [('Maria', 'person'), ('Acme Labs', 'organization'), ('Lisbon', 'place'), ('Portugal', 'place')]
    """
    found: dict[str, Named] = {}
    for named in _scan(text[:_LONGEST]):
        found.setdefault(named.name.casefold(), named)
        if len(found) >= limit:
            break
    return list(found.values())


def _scan(text: str) -> Iterator[Named]:
    for match in _EMAIL.finditer(text):
        yield Named(match[1], "contact")
    for match in _HANDLE.finditer(text):
        yield Named(match[1], "person")
    bare = _EMAIL.sub(lambda match: " " * len(match[0]), text)
    for match in _PHRASE.finditer(bare):
        words = _BREAK.split(match[0].strip())
        start = match.start()
        begins = _begins_sentence(bare[max(0, start - 6) : start])
        skipped = list(takewhile(lambda word: word.casefold().rstrip(".'’s") in _SKIPPED, words))
        titled = any(word.casefold().rstrip(".") in _TITLES for word in skipped)
        begins = begins and not skipped
        words = words[len(skipped) :]
        while words and words[-1].casefold() in _COMMON:
            words.pop()
        words = [_POSSESSIVE.sub("", word) for word in words]
        name = " ".join(words).strip("'’- ")
        if len(name) < 2 or name.isdigit():
            continue
        before = _WORD.findall(bare[max(0, start - 60) : start].casefold())[-3:]
        after = _NEXT_WORD.match(bare, match.end())
        follows = after[1].casefold() if after else ""
        kind = _kind(words, before, follows, titled)
        if kind == "thing" and begins and len(words) == 1:
            continue  # a word at the start of a sentence is written with a capital anyway
        yield Named(name, kind)


def _begins_sentence(before: str) -> bool:
    """Return whether a sentence, an item or a quotation begins behind the characters before a phrase."""
    text = before.rstrip()
    space = before[len(text) :]
    if not before or "\n" in space or text.endswith(('"', "“", "(")):
        return True
    return bool(space) and text.endswith((".", "!", "?", ":", ";", "-", "*", "•"))


_INSTITUTIONS: Final = frozenset({"university", "bank", "ministry", "institute", "museum"})


def _kind(words: list[str], before: list[str], follows: str, titled: bool) -> str:
    folded = [word.casefold().strip(".") for word in words]
    if titled:
        return "person"
    by_name = _kind_by_name(words, folded)
    if by_name is not None:
        return by_name
    if follows in _PERSON_VERBS:
        return "person"
    return _kind_by_lead(words, before) or _kind_by_form(words)


def _kind_by_name(words: list[str], folded: list[str]) -> str | None:
    """Return the kind that the words of a name tell."""
    if folded[-1] in _COMPANY or folded[0] in _INSTITUTIONS or "&" in words:
        return "organization"
    if folded[-1] in _PLACE_END or any(word in _PLACES for word in folded):
        return "place"
    if len(folded) == 1 and folded[0] in _TECHNOLOGY:
        return "technology"
    return None


def _kind_by_lead(words: list[str], before: list[str]) -> str | None:
    """Return the kind that the words before a name tell."""
    last = before[-1] if before else ""
    if last in _LEADS["person"]:
        return "person"
    works = last in ("at", "for") and len(before) > 1 and before[-2] in _WORKS
    if works or last in _LEADS["organization"]:
        return "organization"
    if last in _LEADS["place"] and len(words) <= 2 and last not in ("to", "from"):
        return "place"
    return None


def _kind_by_form(words: list[str]) -> str:
    """Return the kind that the capitals of a name tell."""
    if len(words) == 1 and words[0].isupper() and 2 <= len(words[0]) <= 6:
        return "organization"
    if len(words) == 2 and all(word[1:].islower() for word in words if len(word) > 1):
        return "person"
    return "thing"
