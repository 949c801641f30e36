"""Text analysis for ranking: words to stems, stop words, small flags, and the kind of answer that a question wants.

Pure functions over strings. The stemmer is Porter's (1980), written out here rather than
imported, because stems are kept in the store: a stemmer that changes with a library's version would silently
break every index. A text in another language has the stems of that language, too; see ``languages``. A dictionary remembers each word's analysis, so a text costs a regular expression and one
look-up per word.

``ranking`` uses the flags; each is zero for texts it does not fit.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from onebrain_engine.index.languages import STOP_WORDS as FOREIGN_STOP_WORDS
from onebrain_engine.index.languages import language_of, marks_of, stem_in

__all__ = [
    "VERSION",
    "Analysis",
    "Query",
    "analyse",
    "analyse_query",
    "content_words",
    "fold",
    "runs_of",
    "split_label",
    "stem",
    "without_terms",
]

# Raise it whenever a text would be analysed differently: analyses that were kept are then made anew.
VERSION = 2

# Flags of a memory, kept as one small integer.
ENDS_ASKING = 1  # the last sentence is a question: the answer is more likely in the next memory than here
ASKS = 2  # a question anywhere in the text: the next memory may answer it
HAS_TIME = 4  # says when something happened: "last week", "yesterday", "in June", "2019"
HAS_NUMBER = 8  # holds a quantity: "3", "three", "twice"
HAS_NAME = 16  # names something within a sentence: "in Chicago"; not "Thanks, Jon!"
CHANGES = 32  # says that something is no longer as it was: "now", "moved", "no longer"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Function words, pronouns, "get" and "go", contractions without their apostrophes. Words that only put a
# question ("what kind of", "how many", "did") are among them: they tell the kind of question, not its subject.
STOP_WORDS = _words(
    """
    a about again all also although am an and any are as at be because been being both but by can could d
    did do does doing done down each ever every for from get gets getting go goes going gone got gotten
    had has have having he her here hers herself him himself his how however i if in into is it its itself
    just kind ll m many may me might mine much must my myself never no nor not of off oh ok okay on or our
    ours ourselves out over own re really s shall she should since so some still such t than that the
    their theirs them themselves then there these they this those though to too type under until up upon
    us ve very was we went were what when where whether which while who whom whose why will with would
    yeah yes you your yours yourself yourselves
    """
)

# Irregular forms, which no suffix rule can join, as "base: forms". The base is stemmed like any other word.
_IRREGULAR = """
arise: arose arisen; become: became; begin: began begun; bend: bent; bind: bound; bite: bit bitten; bleed:
bled; blow: blew blown; break: broke broken; breed: bred; bring: brought; build: built; burn: burnt; buy:
bought; catch: caught; choose: chose chosen; cling: clung; come: came; creep: crept; deal: dealt; dig: dug;
draw: drew drawn; dream: dreamt; drink: drank drunk; drive: drove driven; eat: ate eaten; fall: fell fallen;
feed: fed; feel: felt; fight: fought; find: found; flee: fled; fly: flew flown; forbid: forbade forbidden;
forget: forgot forgotten; forgive: forgave forgiven; freeze: froze frozen; give: gave given gives; grow:
grew grown; hang: hung; hear: heard; hide: hid hidden; hold: held; keep: kept; kneel: knelt; know: knew
known; lay: laid; lead: led; lean: leant; learn: learnt; leave: left; lend: lent; lie: lain lying; light:
lit; lose: lost; make: made making; mean: meant; meet: met; pay: paid; ride: rode ridden; ring: rang rung;
rise: rose risen; run: ran; say: said; see: saw seen; seek: sought; sell: sold; send: sent; sew: sewn;
shake: shook shaken; shine: shone; shoot: shot; show: shown; shrink: shrank shrunk; sing: sang sung; sink:
sank sunk; sit: sat; sleep: slept; slide: slid; speak: spoke spoken; spend: spent; spin: spun; spring:
sprang sprung; stand: stood; steal: stole stolen; stick: stuck; sting: stung; strike: struck; swear: swore
sworn; sweep: swept; swim: swam swum; swing: swung; take: took taken; teach: taught; tear: tore torn; tell:
told; think: thought; throw: threw thrown; understand: understood; wake: woke woken; wear: wore worn; weave:
wove woven; weep: wept; win: won; write: wrote written writing; child: children; person: people; man: men;
woman: women; foot: feet; tooth: teeth; mouse: mice; goose: geese; wife: wives; life: lives; knife: knives;
shelf: shelves; wolf: wolves; half: halves; good: better best; bad: worse worst
"""
_FORMS = {
    form: base.strip()
    for entry in _IRREGULAR.split(";")
    for base, _, forms in [entry.partition(":")]
    for form in forms.split()
}

MONTHS = {
    "january": 1,
    "february": 2,
    "march": 3,
    "april": 4,
    "may": 5,
    "june": 6,
    "july": 7,
    "august": 8,
    "september": 9,
    "october": 10,
    "november": 11,
    "december": 12,
}
_QUANTITIES = _words(
    """
    zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred
    thousand million once twice thrice couple several dozen half
    """
)
_TIMES = (MONTHS.keys() - {"may", "march"}) | _words(  # those two are more often a verb
    """
    monday tuesday wednesday thursday friday saturday sunday yesterday today tonight tomorrow ago recently
    lately nowadays weekend
    """
)
# "last" and "week" say when only together
_PERIODS = _words(
    """
    night day week weekend month year summer winter spring fall autumn morning afternoon evening days
    weeks months years decade century
    """
)
_BEFORE_PERIOD = _words("last next this past previous few couple several two three four five six other")

# Words that say that something has changed, and those that say it only behind one of others.
_CHANGES = _words(
    """
    now instead anymore new since switch switched moved replaced changed became turned sold swapped renamed migrated
    upgraded transferred handed promoted raised lowered increased reduced extended quit retired left divorced ended
    stopped cancelled
    jetzt nun stattdessen gezogen umgezogen gewechselt ahora nuevo nueva cambio dejo maintenant desormais nouveau nouvelle
    adesso ora nuovo nuova agora novo nova
    """
)
_CHANGES_BEHIND = _words("longer more up over mehr")
_BEFORE_CHANGES = _words("no any gave given took taken nicht")

_LONGEST_KEPT, _WORDS_KEPT = 64, 1 << 16  # characters of a word, and words, that the cache keeps

# Flags of one word, see _word. The last one is that of function words of other languages, if they are no stop words
# of English.
_FLAG_TIME, _FLAG_PERIOD, _FLAG_BEFORE_PERIOD, _FLAG_NUMBER = 1, 2, 4, 8
_FLAG_CHANGES, _FLAG_CHANGES_BEHIND, _FLAG_BEFORE_CHANGES, _FLAG_FOREIGN = 16, 32, 64, 128
_FLAGGED: tuple[tuple[frozenset[str], int], ...] = (
    (frozenset(_TIMES), _FLAG_TIME),
    (_PERIODS, _FLAG_PERIOD),
    (_BEFORE_PERIOD, _FLAG_BEFORE_PERIOD),
    (_QUANTITIES, _FLAG_NUMBER),
    (_CHANGES, _FLAG_CHANGES),
    (_CHANGES_BEHIND, _FLAG_CHANGES_BEHIND),
    (_BEFORE_CHANGES, _FLAG_BEFORE_CHANGES),
)

# Scripts written without spaces are cut into overlapping pairs of characters, the usual stand-in for words.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORDS_ASCII = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
# Vowel signs and points belong to their word, though Python's \w leaves them out.
_MARKS = "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
_WORDS = re.compile(rf"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])(?:[^\W_]|[{_MARKS}]))+(?:'[^\W\d_]+)?")
_UNSPACED_RUN = re.compile(rf"[{_UNSPACED}]")
_LABEL = re.compile(r"\s*([^\W\d_][\w.'’-]*(?: [\w.'’-]+){0,2}):\s+(?=\S)")
# A capital within a sentence, not after a comma or a greeting, where it would be someone spoken to. It begins
# with a literal space because the engine then skips from space to space: 1 us a text instead of 20.
_NAME = re.compile(
    r""" (?=["'“‘(]?[A-Z])(?<=[a-z0-9] )(?<![Hh]ey )(?<![Hh]i )(?<![Hh]ello )(?<![Tt]hanks )(?<![Yy]ou )"""
    r"""["'“‘(]?(?!I\b)[A-Z]\w"""
)
_TITLE = re.compile(r"""["“‘][A-Z]""")
_ASIDE = re.compile(r"\([^()]*\)\s*$")


@dataclass(frozen=True, slots=True)
class Analysis:
    """The part of one text that the index keeps."""

    terms: Mapping[str, int]  # stem -> occurrences, stop words left out
    length: int  # occurrences of all terms
    flags: int  # ENDS_ASKING and so on, added up
    label: str | None  # stem of "Maria" in "Maria: I moved to Porto"


@dataclass(frozen=True, slots=True)
class Query:
    """A query, analysed."""

    terms: tuple[str, ...]  # distinct stems, in order
    wants: int  # flags of memories that can answer: HAS_TIME, HAS_NUMBER, HAS_NAME
    year: int | None
    month: int | None
    day: int | None


def _vowels(word: str) -> list[bool]:
    flags: list[bool] = []
    for i, c in enumerate(word):
        flags.append(c in "aeiou" or (c == "y" and i > 0 and not flags[i - 1]))
    return flags


def _measure(word: str) -> int:
    """Number of vowel-consonant sequences: Porter's m."""
    flags = _vowels(word)
    return sum(a and not b for a, b in pairwise(flags))


def _double(word: str) -> bool:
    return len(word) > 1 and word[-1] == word[-2] and not _vowels(word)[-1]


def _cvc(word: str) -> bool:
    return len(word) > 2 and _vowels(word)[-3:] == [False, True, False] and word[-1] not in "wxy"


_STEP2 = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "abli": "able",
    "alli": "al", "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate",
    "alism": "al", "iveness": "ive", "fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive",
    "biliti": "ble", "logi": "log",
}  # fmt: skip
_STEP3 = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
_STEP4 = (
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive", "ize",
    "ion", "al", "er", "ic", "ou",
)  # fmt: skip


def _replace(word: str, rules: Mapping[str, str]) -> str:
    for suffix, new in rules.items():
        if word.endswith(suffix):
            base = word[: -len(suffix)]
            return base + new if _measure(base) > 0 else word
    return word


def _porter(word: str) -> str:
    """Porter's stemmer, with its author's later departures."""
    if len(word) < 3:
        return word
    word = _participle(_plural(word))
    if word.endswith("y") and any(_vowels(word[:-1])):
        word = word[:-1] + "i"
    word = _replace(_replace(word, _STEP2), _STEP3)
    return _last_letter(_suffix(word))


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _participle(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        base = word[: -len(suffix)]
        if word.endswith(suffix) and any(_vowels(base)):
            if base.endswith(("at", "bl", "iz")) or (_measure(base) == 1 and _cvc(base)):
                return base + "e"
            return base[:-1] if _double(base) and base[-1] not in "lsz" else base
    return word


def _suffix(word: str) -> str:
    for suffix in _STEP4:
        if word.endswith(suffix):
            base = word[: -len(suffix)]
            fits = _measure(base) > 1 and (suffix != "ion" or base.endswith(("s", "t")))
            return base if fits else word
    return word


def _last_letter(word: str) -> str:
    if word.endswith("e"):
        m = _measure(word[:-1])
        if m > 1 or (m == 1 and not _cvc(word[:-1])):
            word = word[:-1]
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


def stem(word: str) -> str:
    """Stem of a lower-case word; words that are not plain English letters are their own stem."""
    word = _FORMS.get(word, word)
    return _porter(word) if word.isascii() and word.isalpha() else word


def _analysed(word: str) -> tuple[str | None, int]:
    """Stem of a word (None for a stop word) and its flags of time, number, change and language."""
    flags = 0
    for words, flag in _FLAGGED:
        if word in words:
            flags |= flag
    if word.isdecimal():
        flags |= _FLAG_NUMBER
        if len(word) == 4 and word[:2] in ("19", "20"):
            flags |= _FLAG_TIME
    base, _, tail = word.partition("'")
    if tail:  # "don't" and "Maria's" are "do" and "Maria"
        base = base.removesuffix("n") if tail == "t" else base
    if base in STOP_WORDS or word in STOP_WORDS:
        return None, flags
    if marks_of(word):
        flags |= _FLAG_FOREIGN
    return stem(base), flags


class _WordCache(dict[str, tuple[str | None, int]]):
    """Analyses of words; a very long one, which hardly comes twice, is not kept."""

    def __missing__(self, word: str) -> tuple[str | None, int]:
        analysis = _analysed(word)
        if len(word) <= _LONGEST_KEPT:
            if len(self) >= _WORDS_KEPT:
                self.clear()
            self[word] = analysis
        return analysis


# A dictionary answers in half the time of functools.lru_cache, once for each word of every text.
_word = _WordCache().__getitem__


def fold(text: str) -> str:
    """Lower case, without accents, with plain apostrophes."""
    text = text.casefold().replace("’", "'")
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(c for c in text if not "\u0300" <= c <= "\u036f"))


def _split(folded: str) -> list[str]:
    if folded.isascii():
        return _WORDS_ASCII.findall(folded)
    words: list[str] = []
    for word in _WORDS.findall(folded):
        if _UNSPACED_RUN.match(word) and len(word) > 1:
            words += [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            words.append(word)
    return words


def content_words(text: str) -> list[tuple[str, str]]:
    """Return the folded words of a text that are no stop words, each with its stem."""
    return [(word, term) for word in _split(fold(text)) if (term := _word(word)[0]) is not None]


def least_turns(memories: int) -> int:
    """Return the number of memories that a label must begin to be the name of a speaker.

    A label that begins one or two memories of many is a heading, as in "Refunds: money comes back".
    """
    return max(2, -(-memories // 20))


def split_label(text: str) -> tuple[str | None, str]:
    """Split "Maria: I moved" into its label and the rest."""
    found = _LABEL.match(text[:80])
    return (found.group(1), text[found.end() :]) if found else (None, text)


def _said(kind: int, before: int) -> int:
    """Return the flags of a text that a word of some kind adds, behind a word of another."""
    flags = 0
    if kind & _FLAG_TIME or (kind & _FLAG_PERIOD and before & _FLAG_BEFORE_PERIOD):
        flags |= HAS_TIME
    if kind & _FLAG_NUMBER:
        flags |= HAS_NUMBER
    if kind & _FLAG_CHANGES or (kind & _FLAG_CHANGES_BEHIND and before & _FLAG_BEFORE_CHANGES):
        flags |= CHANGES
    return flags


def analyse(text: str) -> Analysis:
    """Analyse a text to be stored."""
    label, rest = split_label(text)
    body = len(text) - len(rest)
    counts: dict[str, int] = {}
    flags = before = foreign = 0
    words = _split(fold(text))
    for word in words:
        term, kind = _word(word)
        if kind:
            flags |= _said(kind, before)
            foreign |= kind & _FLAG_FOREIGN
        before = kind
        if term is not None:
            counts[term] = counts.get(term, 0) + 1
    if "?" in text:
        flags |= ASKS
        # "Is it? (image: a dog)" ends asking, "Is it? I see" does not
        tail = _ASIDE.sub("", text).rpartition("?")[2]
        if not any(map(str.isalnum, tail)):
            flags |= ENDS_ASKING
    if _NAME.search(text, body) or _TITLE.search(text, body):
        flags |= HAS_NAME
    name = None if label is None else _speaker(label)
    if foreign and (language := _language(words, text)) is not None:
        terms, length = _terms_in(language, words)
        return Analysis(terms, length, flags, name)
    return Analysis(counts, sum(counts.values()), flags, name)


def _speaker(label: str) -> str | None:
    """Return the stem of the first word of a label."""
    return next((term for word in _split(fold(label)) if (term := _word(word)[0]) is not None), None)


def _language(words: Sequence[str], text: str) -> int | None:
    """Return the number of the language that a text with some words is in; None for English."""
    marked: list[str] = []
    english = 0
    for word in words:
        term, kind = _word(word)
        if term is None:
            # A stop word of other languages, too, says nothing.
            english += not marks_of(word)
        elif kind & _FLAG_FOREIGN:
            marked.append(word)
    spanish = not text.isascii() and ("¿" in text or "¡" in text)
    return language_of(marked, english, len(words), spanish=spanish)


def _terms_in(language: int, words: Sequence[str]) -> tuple[Mapping[str, int], int]:
    """Return the terms of a text in another language than English, and their number."""
    terms = Counter(term for word in words if (term := _own_term(language, word)) is not None)
    length = sum(terms.values())
    # The stems of the language stand beside them, and do not count as further words.
    terms.update(_other_terms(language, words))
    return dict(terms), length


def _own_term(language: int, word: str) -> str | None:
    """Return the term of a word in a text of a language, as a text in English has it; None for a stop word of it."""
    return None if word in FOREIGN_STOP_WORDS[language] else _word(word)[0]


def _other_terms(language: int, words: Iterable[str]) -> Iterator[str]:
    """Yield the stems of words in a language, where they differ from those in English."""
    for word in words:
        found = stem_in(language, word)
        if found is not None and found != _word(word)[0]:
            yield found


_PERIOD = "date|day|year|month|week|weekend|time|season"
_WHEN = re.compile(rf"\bwhen\b|\b(?:what|which)(?: \w+)? (?:{_PERIOD})\b|\bhow long ago\b")
_NUMBER = re.compile(
    r"\bhow (?:many|much|long|often|old|far|big|tall)\b|\b(?:what|which) (?:number|price|amount|age)\b"
)
_WHO = re.compile(r"\b(?:who|whom|whose|where|which|names?|named|called)\b")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_DAY = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)?\b")
_MONTH = re.compile(rf"\b({'|'.join(MONTHS)})\b")
_ISO = re.compile(r"\b((?:19|20)\d\d)-(\d\d)(?:-(\d\d))?\b")
# The words without one of which a pattern cannot match: looking for them takes less time than the pattern.
_WHEN_NEEDS = _words("when what which how")
_NUMBER_NEEDS = _words("how what which")
_WHO_NEEDS = _words("who whom whose where which name names named called")
_DATE_NEEDS = frozenset(MONTHS) | {"1", "2"}
_RUNS = re.compile(r"[a-z]+|\d")


def runs_of(folded: str) -> set[str]:
    """Return the distinct runs of plain letters of a folded text, and its digits."""
    return set(_RUNS.findall(folded))


def _date(folded: str, raw: str) -> tuple[int | None, int | None, int | None]:
    """Year, month and day that a query names, each None where it does not."""
    if iso := _ISO.search(folded):
        return int(iso[1]), int(iso[2]), int(iso[3]) if iso[3] else None
    year = int(y[0]) if (y := _YEAR.search(folded)) else None
    found = _MONTH.search(folded)
    # "may" and "march" are months only where written with a capital
    if not found or (found[1] in ("may", "march") and found[1].capitalize() not in raw):
        return year, None, None
    near = _YEAR.sub(" ", folded[max(0, found.start() - 8) : found.end() + 8])
    day = next((int(d) for d in _DAY.findall(near) if 1 <= int(d) <= 31), None)
    return year, MONTHS[found[1]], day


def analyse_query(text: str) -> Query:
    """Analyse a query."""
    folded = fold(text)
    words = _split(folded)
    terms: dict[str, None] = {}
    kinds = 0
    for word in words:
        term, kind = _word(word)
        kinds |= kind
        if term is not None:
            terms[term] = None
    if kinds & _FLAG_FOREIGN and (language := _language(words, text)) is not None:
        terms = dict.fromkeys(term for word in words if (term := _own_term(language, word)) is not None)
        terms.update(dict.fromkeys(_other_terms(language, words)))
    return Query(tuple(terms), *_wanted(folded, text))


def _wanted(folded: str, raw: str) -> tuple[int, int | None, int | None, int | None]:
    """Return the flags of memories that can answer a query, and the year, month and day that it names."""
    runs = runs_of(folded)
    wants = 0
    if not _WHEN_NEEDS.isdisjoint(runs) and _WHEN.search(folded):
        wants |= HAS_TIME
    if not _NUMBER_NEEDS.isdisjoint(runs) and _NUMBER.search(folded):
        wants |= HAS_NUMBER
    if not _WHO_NEEDS.isdisjoint(runs) and _WHO.search(folded):
        wants |= HAS_NAME
    if _DATE_NEEDS.isdisjoint(runs):
        return wants, None, None, None
    return wants, *_date(folded, raw)


def without_terms(text: str, terms: Collection[str]) -> str:
    """The text without the words of these stems: a query without its speakers' names, for its vector.

    A name weighs as much in a short query's vector as the question about it, and ``ranking`` has a part for
    names. Whether the memories' vectors are taken with or without their labels then hardly matters.
    """
    if not terms:
        return text
    kept = [w for w in text.split() if not any(_word(p)[0] in terms for p in _split(fold(w)))]
    return " ".join(kept) or text
