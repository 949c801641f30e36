"""The time that a query asks for, such as "last week", counted from a moment: pure functions over text.

English is read in full: dates, months, quarters, seasons, feast days, weekdays, "two weeks ago", "since the summer". Of
German, Spanish, French, Italian, Portuguese, Chinese and Japanese the common phrases are known. Weeks begin on Monday, and
seasons are those of the north. A query without a time that is understood is searched as any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, TypeAlias

from onebrain_engine.index.text import MONTHS, fold, runs_of
from onebrain_engine.store.records import to_micros

Days: TypeAlias = tuple[date, date]  # half-open
Found: TypeAlias = re.Match[str]
Read: TypeAlias = Callable[[Found, date], Days | None]

_DAY: Final = timedelta(days=1)
AROUND: Final = 30 * 86_400_000_000  # microseconds before and after an event that "during" and "while" mean


@dataclass(frozen=True, slots=True)
class Times:
    """The time that a query asks for.

    Attributes:
        start: The first microsecond since 1970 that counts; None for no border.
        end: The first microsecond that counts no more; None for no border.
        dated: Whether the query names the year, so that the time is counted from no other.
        order: Whether the latest or the earliest of equally good memories is asked for.
        event: Words of an event that is the border, as in "before the move".
        side: The side of the event that counts.
        rest: The query without the words of the event; None where it names none.
    """

    start: int | None = None
    end: int | None = None
    dated: bool = False
    order: Literal["latest", "earliest"] | None = None
    event: str | None = None
    side: Literal["before", "after", "around"] | None = None
    rest: str | None = None

    def at(self, moment: int) -> Times:
        """Return the time with the moment of its event as the border."""
        if self.side == "before":
            return replace(self, event=None, end=moment, order=self.order or "latest")
        if self.side == "after":
            return replace(self, event=None, start=moment + 1, order=self.order or "earliest")
        return replace(self, event=None, start=moment - AROUND, end=moment + AROUND)


NO_TIMES: Final = Times()

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SEASONS: Final[Mapping[str, int]] = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_MONTHS: Final[Mapping[str, int]] = {
    **MONTHS, **{name[:3]: number for name, number in MONTHS.items()}, "sept": 9,
}  # fmt: skip
_COUNTS: Final = (
    "", "a an one", "two couple", "three few", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_NUMBERS: Final = {word: number for number, words in enumerate(_COUNTS) for word in words.split()}
_ORDINALS: Final = ("first", "second", "third", "fourth")
_UNITS: Final[Mapping[str, int]] = {"month": 1, "quarter": 3, "year": 12}  # in months


def _months(year: int, month: int, count: int = 1) -> Days:
    """Return `count` months; one beyond December, or before January, belongs to another year."""
    first = year * 12 + month - 1
    last = first + count
    return date(first // 12, first % 12 + 1, 1), date(last // 12, last % 12 + 1, 1)


def _one_day(day: date) -> Days:
    return day, day + _DAY


def _week(day: date) -> Days:
    monday = day - day.weekday() * _DAY
    return monday, monday + 7 * _DAY


def _months_before(day: date, months: int) -> date:
    first, after = _months(day.year, day.month - months)
    return min(first + (day.day - 1) * _DAY, after - _DAY)


def _latest(of: Callable[[int], Days], today: date, *, over: bool = False) -> Days | None:
    """Return the latest of a time of the year that has begun, or that is over."""
    for year in range(today.year + 1, today.year - 9, -1):
        try:
            days = of(year)
        except ValueError:  # 29 February
            continue
        if (days[1] if over else days[0]) <= today:
            return days
    return None


def _iso(found: Found, today: date) -> Days | None:
    year, month, day = int(found["year"]), int(found["month"]), found["day"]
    return _one_day(date(year, month, int(day))) if day else _months(year, month)


def _named(found: Found, today: date) -> Days | None:
    """Read "14 February 2024", "May 6th" or "last August"."""
    month, day, year = _MONTHS[found["month"]], found["day"], found["year"]

    def of(year: int) -> Days:
        return _one_day(date(year, month, int(day))) if day else _months(year, month)

    if year:
        return of(int(year))
    if found["which"] == "this":
        return of(today.year)
    return _latest(of, today, over=found["which"] is not None)


def _quarter(found: Found, today: date) -> Days | None:
    number = int(found["number"]) if found["number"] else _ORDINALS.index(found["word"]) + 1

    def of(year: int) -> Days:
        return _months(year, 3 * number - 2, 3)

    return of(int(found["year"])) if found["year"] else _latest(of, today)


def _season(found: Found, today: date) -> Days | None:
    month = _SEASONS[found["season"]]

    def of(year: int) -> Days:
        # A winter is named after the year that it ends in.
        return _months(year - (month == 12), month, 3)

    if found["year"]:
        return of(int(found["year"]))
    if found["which"] == "this" and month != 12:
        return of(today.year)
    return _latest(of, today, over=found["which"] not in (None, "this"))


def _easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (Gauss's rule, as Butcher wrote it down)."""
    golden, century, rest = year % 19, year // 100, year % 100
    moon = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    week = (32 + 2 * (century % 4) + 2 * (rest // 4) - moon - rest % 4) % 7
    late = (golden + 11 * moon + 22 * week) // 451
    month, day = divmod(moon + week - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _thanksgiving(year: int) -> Days:
    first = date(year, 11, 1)
    thursday = first + ((3 - first.weekday()) % 7 + 21) * _DAY
    return thursday, thursday + 4 * _DAY


_FEASTS: Final[Mapping[str, Callable[[int], Days]]] = {
    "christmas eve": lambda year: _one_day(date(year, 12, 24)),
    "christmas": lambda year: (date(year, 12, 24), date(year, 12, 27)),
    "new year's eve": lambda year: _one_day(date(year, 12, 31)),
    "new year": lambda year: (date(year - 1, 12, 31), date(year, 1, 2)),
    "valentine's": lambda year: _one_day(date(year, 2, 14)),
    "easter": lambda year: (_easter(year) - 2 * _DAY, _easter(year) + 2 * _DAY),
    "halloween": lambda year: _one_day(date(year, 10, 31)),
    "thanksgiving": _thanksgiving,
}


def _feast(found: Found, today: date) -> Days | None:
    of = _FEASTS[found["feast"]]
    return of(int(found["year"])) if found["year"] else _latest(of, today)


def _count(word: str) -> int:
    return int(word) if word.isdecimal() else _NUMBERS[word]


def _ago(found: Found, today: date) -> Days | None:
    """Read "three weeks ago", give or take half a unit, or "three weeks ago on Sunday", the nearest one."""
    count, unit, weekday = _count(found["count"]), found["unit"], found["weekday"]
    if unit == "day":
        return _one_day(today - count * _DAY)
    if unit == "week":
        day = today - 7 * count * _DAY
        if weekday:
            return _one_day(day + ((_WEEKDAYS.index(weekday) - day.weekday() + 3) % 7 - 3) * _DAY)
        return day - 3 * _DAY, day + 4 * _DAY
    day = _months_before(today, count * _UNITS[unit])
    width = _UNITS[unit] * 15 * _DAY
    return day - width, day + width + _DAY


def _fortnight_ago(found: Found, today: date) -> Days | None:
    return today - 17 * _DAY, today - 10 * _DAY


def _half_a_year_ago(found: Found, today: date) -> Days | None:
    day = _months_before(today, 6)
    return day - 30 * _DAY, day + 31 * _DAY


def _last_few(found: Found, today: date) -> Days | None:
    """Read "in the last three days"."""
    count, unit = _count(found["count"]), found["unit"]
    if unit in ("day", "week"):
        return today - count * (7 if unit == "week" else 1) * _DAY, today + _DAY
    return _months_before(today, count * _UNITS[unit]), today + _DAY


def _period(unit: str, today: date, back: int) -> Days:
    """Return the present day, week, month or the like, or the one before it."""
    if unit in ("day", "night"):
        return _one_day(today - back * _DAY)
    if unit in _WEEKDAYS:
        number = _WEEKDAYS.index(unit)
        if back:
            return _one_day(today - ((today.weekday() - number - 1) % 7 + 1) * _DAY)
        return _one_day(_week(today)[0] + number * _DAY)
    if unit in ("week", "weekend"):
        monday, after = _week(today - 7 * back * _DAY)
        return (monday if unit == "week" else monday + 5 * _DAY), after
    size = _UNITS[unit]
    return _months(today.year, (today.month - 1) // size * size + 1 - back * size, size)


def _last_or_this(found: Found, today: date) -> Days | None:
    return _period(found["unit"], today, found["which"] not in ("this", "current"))


def _on(found: Found, today: date) -> Days | None:
    return _period(found["unit"], today, 1)


def _year(found: Found, today: date) -> Days | None:
    return _months(int(found["year"]), 1, 12)


def _back(unit: str, count: int = 1) -> Read:
    return lambda found, today: _period(unit, today - (count - 1) * _DAY, 1) if count else _one_day(today)


_LAST = r"(?P<which>last|past|previous|this|current)"
_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b\.?"
_DATE = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_OF_YEAR = r"(?:,? (?:of |in )?(?P<year>(?:19|20)\d\d)\b)?"
_COUNT = rf"\b(?P<count>\d{{1,3}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})(?: of)?"
_WEEKDAY = "|".join(_WEEKDAYS)
_MANY = "day|week|month|quarter|year"
_FRENCH = r"qu\w{0,9}|ou|avec|nous|je|le|les|on|comment|combien"
# The words that a phrase needs, the phrase, and its reader. The first phrase that fits is read, so the longer one stands
# before the shorter one in it.
_READERS: Final[tuple[tuple[frozenset[str], re.Pattern[str], Read], ...]] = tuple(
    (frozenset(words.split()), re.compile(pattern), read)
    for words, pattern, read in (
        ("1 2", r"\b(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)(?:-(?P<day>\d\d))?\b", _iso),
        (" ".join(_MONTHS), rf"\b(?:{_LAST} )?{_DATE}(?: of)? {_MONTH}{_OF_YEAR}", _named),
        (" ".join(_MONTHS), rf"\b(?:{_LAST} )?{_MONTH}(?: {_DATE}\b)?{_OF_YEAR}", _named),
        ("q quarter", rf"\b(?:q(?P<number>[1-4])|(?P<word>{'|'.join(_ORDINALS)}) quarter)\b{_OF_YEAR}", _quarter),
        (" ".join(_SEASONS), rf"\b(?:{_LAST} )?(?P<season>{'|'.join(_SEASONS)})\b{_OF_YEAR}", _season),
        ("christmas year valentine easter halloween thanksgiving",
         rf"\b(?P<feast>{'|'.join(_FEASTS)})\b(?:'s)?(?: day| weekend)?{_OF_YEAR}", _feast),
        ("ago", r"\b(?:a |one )?fortnight ago\b", _fortnight_ago),
        ("ago", r"\bhalf a year ago\b", _half_a_year_ago),
        ("ago", rf"{_COUNT} (?P<unit>{_MANY})s? ago\b(?:,? on (?:a )?(?P<weekday>{_WEEKDAY})\b)?", _ago),
        ("last past previous", rf"\b(?:last|past|previous) {_COUNT} (?P<unit>{_MANY})s?\b", _last_few),
        ("last past previous this current",
         rf"\b{_LAST} (?P<unit>night|weekend|week|month|quarter|year|{_WEEKDAY})\b", _last_or_this),
        ("yesterday vorgestern anteayer antes avant altro anteontem",
         r"\bday before yesterday\b|\bvorgestern\b|\banteayer\b|\bantes de ayer\b|\bavant-hier\b|\bl'altro ieri\b"
         r"|\banteontem\b|前天|一昨日|おととい", _back("day", 2)),
        ("yesterday gestern ayer anoche hier ieri ontem",
         r"\byesterday\b|\bgestern\b|\bayer\b|\banoche\b|\bhier soir\b|\bd'hier\b|\bieri\b|\bontem\b|昨天|昨晚|昨日"
         r"|昨夜|きのう", _back("day")),
        # "Hier" is German for "here": it is yesterday only near a French word.
        ("hier", rf"\bhier\b(?=.{{0,80}} (?:{_FRENCH})\b)|\b(?:{_FRENCH})\b.{{0,80}} hier\b", _back("day")),
        ("wochenende pasado dernier scorso passado",
         r"\b(?:letzte|vergangene|vorige)[ns]? wochenende\b|\bfin de semana pasado\b|\bweek-?end dernier\b"
         r"|\b(?:fine settimana|weekend) scorso\b|\bfim de semana passado\b|上周末|上週末|上个周末|先週末", _back("weekend")),
        ("woche pasada derniere scorsa passada",
         r"\b(?:letzte|vergangene|vorige)n? woche\b|\bsemana pasada\b|\bsemaine derniere\b|\bsettimana scorsa\b"
         r"|\bsemana passada\b|上周|上週|上星期|上个星期|先週", _back("week")),
        ("monat pasado dernier scorso passado",
         r"\b(?:letzte|vergangene|vorige)n monat\b|\bmes pasado\b|\bmois dernier\b|\bmese scorso\b|\bmes passado\b"
         r"|上个月|上個月|先月", _back("month")),
        ("jahr pasado dernier derniere scorso passado",
         r"\b(?:letzte|vergangene|vorige)[sn] jahr\b|\bano pasado\b|\bannee derniere\b|\bl'an dernier\b|\banno scorso\b"
         r"|\bano passado\b|去年|昨年", _back("year")),
        ("today tonight this heute hoy aujourd oggi hoje",
         r"\btoday\b|\btonight\b|\bthis (?:morning|afternoon|evening)\b|\bheute\b|\bhoy\b|\baujourd'hui\b|\boggi\b|\bhoje\b"
         r"|今天|今日|今朝|今晚", _back("day", 0)),
        (" ".join(_WEEKDAYS), rf"\b(?:on |(?<=\bsince ))(?P<unit>{_WEEKDAY})\b", _on),
        ("1 2", r"\b(?P<year>(?:19|20)\d\d)\b", _year),
    )
)  # fmt: skip
# A query without one of these names no time. In scripts without spaces there are no words to look for.
_TIME_WORDS: Final = (
    "recent", "recently", "latest", "newest", "earliest", "oldest", "last", "first", "before", "prior", "after", "since",
    "during", "while",
)  # fmt: skip
_NEEDED: Final = frozenset(_TIME_WORDS).union(*(words for words, _, _ in _READERS))
_UNSPACED: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_BORDER: Final = re.compile(r"\b(since|from|before|until|till|by|after)(?: the| last)? ?$")
# Two months are verbs as well; without a capital they count only behind such a word, or beside a number.
_VERBS: Final = ("may", "march", "mar")
_MONTH_BEFORE: Final = re.compile(
    r"\b(?:in|of|since|last|this|by|until|till|during|\d{1,2}(?:st|nd|rd|th)?) $"
)
_LATEST: Final = re.compile(r"\b(?:most recent(?:ly)?|latest|newest)\b|(?<!at )\blast\b(?! names?\b)(?= \w)")
_EARLIEST: Final = re.compile(
    r"\b(?:earliest|oldest)\b|(?<!at )\bfirst\b(?! (?:names?|aid|class|floor)\b)(?= \w)"
)
_EVENT: Final = re.compile(
    r"\b(before|prior to|after|since|during|while) (?:the |my |our |we |i )?(\w[^?.!,;]*)"
)
_QUESTION: Final = re.compile(
    r"[?？]|^\W*(?:who|whom|whose|what|when|where|which|how|why|did|do|does|was|were|is|are|has|have|had|can|could)\b"
)
_SIDES: Final[Mapping[str, Literal["before", "after", "around"]]] = {
    "before": "before", "prior to": "before", "after": "after", "since": "after", "during": "around", "while": "around",
}  # fmt: skip


def read_times(text: str, now: datetime | None = None) -> Times:
    """Return the time that a query asks for; `NO_TIMES` if it asks for none.

    Args:
        text: The query.
        now: The moment that "yesterday" is counted from; days begin at midnight in its time zone. The default is the clock,
            in UTC.
    """
    folded = fold(text)
    words = runs_of(folded)
    unspaced = not folded.isascii() and _UNSPACED.search(folded) is not None
    if not unspaced and _NEEDED.isdisjoint(words):
        return NO_TIMES
    if now is None:
        now = datetime.now(UTC)
    named = _span(folded, text, now.date(), None if unspaced else words)
    rest = folded if named is None else f"{folded[: named[1].start()]} {folded[named[1].end() :]}"
    order: Literal["latest", "earliest"] | None = (
        "latest" if _LATEST.search(rest) else "earliest" if _EARLIEST.search(rest) else None
    )
    if named is not None:
        start, end = _bordered(named[0], folded[: named[1].start()])
        dated = bool(named[1].groupdict().get("year"))
        return Times(_micros(start, now), _micros(end, now), dated, order)
    # In a statement, as in "daily since the incident", the event is a part of what is said.
    event = _EVENT.search(folded) if _QUESTION.search(folded) else None
    if event is not None:
        rest = f"{folded[: event.start()]} {folded[event.end() :]}"
        return Times(order=order, event=event[2], side=_SIDES[event[1]], rest=rest)
    return NO_TIMES if order is None else Times(order=order)


def _span(folded: str, raw: str, today: date, words: set[str] | None) -> tuple[Days, Found] | None:
    """Return the days of the first phrase that can be read; `words` are those of the query, None for any."""
    for needed, pattern, read in _READERS:
        if words is not None and needed.isdisjoint(words):
            continue
        for found in pattern.finditer(folded):
            if read is _named and not _is_month(found, folded, raw):
                continue
            try:
                days = read(found, today)
            except (ValueError, OverflowError):  # the 31st of June, or a year beyond the calendar
                continue
            if days is not None:
                return days, found
    return None


def _is_month(found: Found, folded: str, raw: str) -> bool:
    word = found["month"]
    # A capital at the beginning says nothing, as in "May I ...".
    if word not in _VERBS or word.capitalize() in raw[1:]:
        return True
    return bool(found["day"] or found["year"] or _MONTH_BEFORE.search(folded[: found.start("month")]))


def _bordered(days: Days, before: str) -> tuple[date | None, date | None]:
    """Return the days that "since", "before" or "after" makes of others."""
    border = _BORDER.search(before)
    word = border[1] if border else None
    if word in ("since", "from"):
        return days[0], None
    if word in ("before", "until", "till", "by"):
        return None, days[0]
    return (days[1], None) if word == "after" else days


def _micros(day: date | None, now: datetime) -> int | None:
    """Return the midnight that begins a day where `now` is, in microseconds."""
    if day is None:
        return None
    return to_micros(datetime(day.year, day.month, day.day, tzinfo=now.tzinfo or UTC))
