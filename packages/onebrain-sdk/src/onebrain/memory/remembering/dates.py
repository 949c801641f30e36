"""Numbers and dates: whether those of a statement are in a quote, or follow from it and the day on which it was said.

Days that follow from relative words, such as "last week", are known within a margin: the question is whether a model made a
date up, and not which day was meant. The words of English, German, Spanish, French, Italian, Portuguese, Dutch, Chinese and
Japanese are known. A date that does not follow is no proof of a lie, but the statement is better dropped: the message is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

_MONTHS: Final[Mapping[int, str]] = {
    1: "january jan januar janner enero janvier gennaio janeiro januari",
    2: "february feb februar febrero fevrier febbraio fevereiro februari",
    3: "march mar marz marzo mars marco maart",
    4: "april apr abril avril aprile",
    5: "may mai mayo maggio maio mei",
    6: "june jun juni junio juin giugno junho",
    7: "july jul juli julio juillet luglio julho",
    8: "august aug agosto aout augustus",
    9: "september sep sept septiembre septembre settembre setembro",
    10: "october oct oktober okt octubre octobre ottobre outubro",
    11: "november nov noviembre novembre novembro",
    12: "december dec dezember dez diciembre decembre dicembre dezembro",
}
_MONTH_OF: Final = {name: number for number, names in _MONTHS.items() for name in names.split()}
# Words that are other words as well; they are months only beside a number.
_OTHERWISE: Final = frozenset({"may", "march", "mar", "mars", "jan", "mai", "dec", "sep", "mei"})
_WEEKDAYS: Final = tuple(
    frozenset(names.split())
    for names in (
        "monday montag lunes lundi lunedi segunda maandag",
        "tuesday dienstag martes mardi martedi terca dinsdag",
        "wednesday mittwoch miercoles mercredi mercoledi quarta woensdag",
        "thursday donnerstag jueves jeudi giovedi quinta donderdag",
        "friday freitag viernes vendredi venerdi sexta vrijdag",
        "saturday samstag sonnabend sabado samedi sabato zaterdag",
        "sunday sonntag domingo dimanche domenica zondag",
    )
)
# Words of a unit, its days, and how far from the day itself "last", "this" and "next" reach.
_UNITS: Final[tuple[tuple[str, int], ...]] = (
    (r"\bdays?\b|\btage?n?\b|\bdias?\b|\bjours?\b|\bgiorn[oi]\b|\bdagen\b|\bnight\b|天|日", 1),
    (r"\bweek-?ends?\b|\bwochenende\b|\bfin(?:e|es)? (?:de )?se\w+\b|\bfim de semana\b|周末|週末", 9),
    (
        r"\bweeks?\b|\bwochen?\b|\bsemanas?\b|\bsemaines?\b|\bsettiman[ae]\b|\bweken\b|\bfortnights?\b|周|週|星期",
        7,
    ),
    (r"\bmonths?\b|\bmonate?n?\b|\bmes(?:es)?\b|\bmois\b|\bmes[ei]\b|\bmaand(?:en)?\b|月", 31),
    (r"\bquarters?\b|\bquartale?\b", 92),
    (
        r"\bspring\b|\bsummer\b|\bautumn\b|\bfall\b|\bwinters?\b|\bfruhling\b|\bsommer\b|\bherbst\b|\bverano\b|\binvierno\b"
        r"|\betes?\b|\bhiver\b|\bestate\b|\binverno\b|\bverao\b|\bchristmas\b|\beaster\b|\bbirthday\b",
        366,
    ),
    (r"\byears?\b|\bjahre?n?\b|\banos?\b|\bann?ees?\b|\bans?\b|\bann[oi]\b|\bja(?:ar|ren)\b|年", 366),
)
_UNIT_PATTERNS: Final = tuple((re.compile(words), days) for words, days in _UNITS)
_FIXED: Final = tuple(
    (re.compile(words), days)
    for words, days in (
        (r"\bday before yesterday\b|\bvorgestern\b|\banteayer\b|\bantes de ayer\b|\bavant-hier\b|\baltro ieri\b|\banteontem\b"
         r"|\beergisteren\b|前天|一昨日|おととい", -2),
        (r"\byesterday\b|\blast night\b|\bgestern\b|\bayer\b|\banoche\b|\bhier\b|\bieri\b|\bontem\b|\bgisteren\b|昨", -1),
        (r"\btoday\b|\btonight\b|\bthis (?:morning|afternoon|evening)\b|\bjust\b|\bnow\b|\bheute\b|\bjetzt\b|\bhoy\b|\bahora\b"
         r"|\baujourd'hui\b|\boggi\b|\bhoje\b|\bvandaag\b|今", 0),
        (r"\btomorrow\b|\bmorgen\b|\bmanana\b|\bdemain\b|\bdomani\b|\bamanha\b|明", 1),
        (r"\bday after tomorrow\b|\bubermorgen\b|\bpasado manana\b|\bapres-demain\b|\bdopodomani\b|\bovermorgen\b|后天|後天|明後日",
         2),
    )
)  # fmt: skip
# Words from zero on, by their number. "One" is left out, as many languages have it for an article.
_COUNTS: Final[Mapping[int, str]] = {
    0: "zero null",
    2: "two couple both twice zwei beide dos deux due dois duas twee 二 两 両",
    3: "three thrice drei tres trois tre drie 三",
    4: "four vier cuatro quatre quattro quatro 四",
    5: "five funf cinco cinq cinque vijf 五",
    6: "six sechs seis sei zes 六",
    7: "seven sieben siete sept sette sete zeven 七",
    8: "eight acht ocho huit otto oito 八",
    9: "nine neun nueve neuf nove negen 九",
    10: "ten zehn diez dix dieci dez tien 十",
    11: "eleven elf once onze undici",
    12: "twelve dozen zwolf doce douze dodici doze twaalf",
    13: "thirteen", 14: "fourteen", 15: "fifteen", 16: "sixteen", 17: "seventeen", 18: "eighteen", 19: "nineteen",
    20: "twenty zwanzig veinte vingt venti vinte twintig",
    30: "thirty dreissig treinta trente trenta trinta dertig",
    40: "forty", 50: "fifty", 60: "sixty", 70: "seventy", 80: "eighty", 90: "ninety",
    100: "hundred hundert cien cent cento cem honderd",
    1000: "thousand tausend mil mille duizend",
}  # fmt: skip
_COUNT_OF: Final = {word: number for number, words in _COUNTS.items() for word in words.split()}
# Ordinals and articles say a number in a quote, but need none in it.
_SOME: Final = {
    "one": 1, "a": 1, "an": 1, "first": 1, "once": 1, "single": 1, "ein": 1, "eine": 1, "einen": 1, "eins": 1, "un": 1,
    "una": 1, "une": 1, "uno": 1, "um": 1, "uma": 1, "een": 1,
    "second": 2, "third": 3, "fourth": 4, "fifth": 5, "half": 6, "few": 3,
}  # fmt: skip
_AMBIGUOUS: Final = frozenset(
    {"once", "sei", "sept", "both", "couple", "mil", "tre", "elf", "due", "acht", "dix"}
)
_TEENS: Final = frozenset(range(20, 100, 10))

# A longer number is text: Python may be told to read none of more digits.
_LONGEST: Final = 640
_NUMBER: Final = re.compile(r"\d+(?:[.,:'\u2019]\d+)*")
# Marks of thousands, and perhaps another mark with decimals behind it.
_GROUPED: Final = re.compile(
    r"(?P<whole>\d{1,3}(?:(?P<mark>[.,'\u2019])\d{3})(?:(?P=mark)\d{3})*)(?:(?!(?P=mark))[.,](?P<rest>\d+))?"
)
_NAME: Final = "|".join(sorted(_MONTH_OF, key=len, reverse=True))
_YEAR: Final = r"(?P<year>\d{4})"
_DATES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?P<year>\d{4})-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?(?:[t ]\d\d:\d\d(?::\d\d)?(?:z|[+-]\d\d:\d\d)?)?\b",
        r"(?P<year>\d{4})年(?:(?P<month>\d{1,2})月(?:(?P<day>\d{1,2})日)?)?",
        r"\b(?P<day>\d{1,2})[./](?P<month>\d{1,2})[./](?P<year>\d{4})\b",
        rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.|er)?(?: (?:of|de|di))? (?P<name>{_NAME})\b\.?(?:,? (?:of |de |del )?{_YEAR}\b)?",
        rf"\b(?P<name>{_NAME})\b\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? {_YEAR}\b)?",
        rf"\b(?P<name>{_NAME})\b\.?,? (?:of |de |del )?{_YEAR}\b",
        rf"\b(?P<name>{_NAME})\b",
        r"\b(?P<year>(?:19|20)\d\d)\b",
    )
)  # fmt: skip
_MARK: Final = re.compile(r"[.,:'\u2019]")
_ISO: Final = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?(?:[T ].*)?")
_WORD: Final = re.compile(r"[^\W\d_]+")
_UNSPACED: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_PAST: Final = re.compile(
    r"\blast\b|\bpast\b|\bprevious\b|\bago\b|\bletzte|\bvergangen|\bvorig|\bvor\b|\bpasad|\bhace\b|\bderni|\bil y a\b|\bscors"
    r"|\bfa\b|\bpassad|\bafgelopen\b|\bgeleden\b|上|先|去|前"
)
_FUTURE: Final = re.compile(
    r"\bnext\b|\bcoming\b|\bin\b|\bnachste|\bkommende|\bproxim|\bdentro\b|\bprochain|\bdans\b|\bprossim|\btra\b|\bvolgend"
    r"|来|下|后|後"
)


@dataclass(frozen=True, slots=True)
class _Date:
    """A date as a text names it; what it leaves open is None."""

    year: int | None = None
    month: int | None = None
    day: int | None = None

    def days(self, year: int) -> tuple[date, date] | None:
        """Return its first and last day in a year; None if the calendar has none."""
        try:
            if self.month is None:
                return date(year, 1, 1), date(year, 12, 31)
            if self.day is not None:
                day = date(year, self.month, self.day)
                return day, day
            start = date(year, self.month, 1)
            after = date(year + self.month // 12, self.month % 12 + 1, 1)
        except ValueError:
            return None
        return start, after - timedelta(1)


class Evidence:
    """The numbers and days that follow from a quote, said on a day.

    Example:
        >>> said = Evidence("Moved to Utrecht last week, with 2 cats", date(2024, 11, 13))
        >>> said.lacking("Moved to Utrecht in November 2024"), said.lacking("Has three cats")
        (None, 'the number 3')
        >>> said.lacking("Moved on 2 May 2024")
        'a date'
    """

    def __init__(self, quote: str, said: date) -> None:
        self._folded = _fold(quote)
        self._said = said
        self._numbers = frozenset(_numbers(self._folded, every=True))
        self._words = frozenset(_WORD.findall(self._folded))
        self._months = frozenset(_MONTH_OF[word] for word in self._words if word in _MONTH_OF)
        self._years = frozenset(
            int(one) for one in self._numbers if one.isdecimal() and len(one) == 4 and int(one) >= 1000
        )
        self._spans = tuple(_spans(self._folded, self._words, said))

    def lacking(self, text: str) -> str | None:
        """Return the kind of number or date in a statement that does not follow, or None if all follow."""
        folded = _fold(text)
        for dates, found in _dates(folded):
            if not any(self._has(one) for one in dates):
                return "a date"
            folded = folded[: found.start()] + " " * (found.end() - found.start()) + folded[found.end() :]
        for number in _numbers(folded, every=False):
            if number not in self._numbers and not self._hour(number):
                return f"the number {number}"
        return None

    def day(self, text: str) -> date | None:
        """Return a day that a model names, such as ``2024-11``, if it follows; else None."""
        found = _ISO.fullmatch(text.strip())
        if found is None:
            return None
        year, month, day = (None if part is None else int(part) for part in found.groups())
        named = _Date(year, month, day)
        days = named.days(year or 0)
        if days is None:
            return None
        follows = days[0] == self._said or self._has(named)
        return days[0] if follows else None

    def _has(self, named: _Date) -> bool:
        return self._written(named) or any(
            days is not None and any(_meets(days, span, named) for span in self._spans)
            for days in map(named.days, self._possible(named))
        )

    def _written(self, named: _Date) -> bool:
        """Return whether a quote names all parts of a date, its year perhaps as the present one."""
        numbers = self._numbers
        if named.day is not None and str(named.day) not in numbers:
            return False
        if named.month is not None and named.month not in self._months and str(named.month) not in numbers:
            return False
        if named.year is None or str(named.year) in numbers or str(named.year % 100) in numbers:
            return True
        # A day of the year without a year is one of those around the message.
        return named.month is not None and not self._years and abs(named.year - self._said.year) <= 1

    def _possible(self, named: _Date) -> tuple[int, ...]:
        if named.year is not None:
            return (named.year,)
        return self._said.year - 1, self._said.year, self._said.year + 1

    def _hour(self, number: str) -> bool:
        """Return whether a time such as 17:00 is "5" in the quote, or the other way round."""
        hour, _, minute = number.partition(":")
        # Nothing longer than 17:00 is a time.
        if len(number) > 5 or not hour.isdecimal() or (minute and not minute.isdecimal()) or int(hour) > 24:
            return False
        tail = f":{minute}" if minute and int(minute) else ""
        other = int(hour) - 12 if int(hour) > 12 else int(hour)
        wanted = {f"{one}{tail}" for one in (int(hour), other)}
        return bool(minute) and not wanted.isdisjoint(self._numbers)


def numbers_of(text: str) -> frozenset[str]:
    """Return the numbers of a text, written in digits or as words."""
    return frozenset(_numbers(_fold(text), every=False))


def _fold(text: str) -> str:
    """Return a text in lower case and without accents."""
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(one for one in decomposed if not unicodedata.combining(one))
    return unicodedata.normalize("NFKC", plain).casefold().replace("\u2019", "'")


def _numbers(folded: str, *, every: bool) -> Iterator[str]:
    """Return the numbers of a folded text, each in one form; `every` with parts of them, ordinals and articles."""
    for found in _NUMBER.finditer(folded):
        yield from [found[0]] if len(found[0]) > _LONGEST else _forms(found[0], every=every)
    before = 0
    for word in _WORD.findall(folded):
        number = _count(word, every=every) or 0
        # "Twenty-five" is one number, and in a quote also its parts.
        joined = before + number if before in _TEENS and 0 < number < 10 else None
        if joined is not None:
            yield str(joined)
        if before and (joined is None or every):
            yield str(before)
        before = 0 if joined is not None and not every else number
    if before:
        yield str(before)
    if _UNSPACED.search(folded):
        for sign in folded:
            if sign in _COUNT_OF and not sign.isascii() and every:
                yield str(_COUNT_OF[sign])


def _count(word: str, *, every: bool) -> int | None:
    """Return the number that a word says, or None; words with another meaning as well say one only if `every`."""
    if not every:
        return None if word in _AMBIGUOUS else _COUNT_OF.get(word)
    return _COUNT_OF.get(word, _SOME.get(word))


def _forms(written: str, *, every: bool) -> Iterator[str]:
    """Return a number without its zeros in front and marks of thousands; `every` with the numbers between its marks."""
    parts = _MARK.split(written)
    forms = [_form(written, parts)]
    if every and len(parts) == 2 and ":" not in written:
        # 1.200 is a number of thousands, or one with three decimals.
        forms += [_decimal(*parts), str(int("".join(parts)))]
    yield from dict.fromkeys(forms)
    if every:
        yield from (str(int(part)) for part in parts)


def _form(written: str, parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return str(int(written))
    if ":" in written:
        return ":".join([str(int(parts[0])), *parts[1:]])
    grouped = _GROUPED.fullmatch(written)
    if grouped is not None:
        whole = "".join(_MARK.split(grouped["whole"]))
        return _decimal(whole, grouped["rest"] or "")
    return _decimal(*parts) if len(parts) == 2 else written


def _decimal(whole: str, rest: str) -> str:
    return f"{int(whole)}.{rest.rstrip('0')}".rstrip(".")


def _dates(folded: str) -> Iterator[tuple[list[_Date], re.Match[str]]]:
    """Return the dates that a text names, each with all its readings."""
    taken: list[tuple[int, int]] = []
    for pattern in _DATES:
        for found in pattern.finditer(folded):
            if any(found.start() < end and start < found.end() for start, end in taken):
                continue
            dates = _readings(found)
            if dates:
                taken.append(found.span())
                yield dates, found


def _readings(found: re.Match[str]) -> list[_Date]:
    parts = found.groupdict()
    year, day = (None if parts.get(name) is None else int(parts[name]) for name in ("year", "day"))
    name = parts.get("name")
    if name is not None:
        alone = year is None and day is None
        return [] if alone and name in _OTHERWISE else [_Date(year, _MONTH_OF[name], day)]
    month = None if parts.get("month") is None else int(parts["month"])
    one = _Date(year, month, day)
    # 3/4/2024 is a day of March or of April.
    return [one, _Date(year, day, month)] if "/" in found[0] or "." in found[0] else [one]


def _spans(folded: str, words: frozenset[str], said: date) -> Iterator[tuple[date, date]]:
    """Return the days, first and last, that the relative words of a quote may mean."""
    for pattern, days in _FIXED:
        if pattern.search(folded):
            yield from _shifted(said, days, days)
    for number, names in enumerate(_WEEKDAYS):
        if not names.isdisjoint(words):
            for start in (-14, -7, 0, 7):
                shift = start + (number - said.weekday()) % 7
                yield from _shifted(said, shift, shift)
    past, future = bool(_PAST.search(folded)), bool(_FUTURE.search(folded))
    back, forth = past or not future, future or not past
    counts = {
        int(one)
        for one in _numbers(folded, every=True)
        if one.isdecimal() and len(one) <= 4 and 0 < int(one) <= 1000
    }
    for pattern, days in _UNIT_PATTERNS:
        if pattern.search(folded):
            reach = 2 * days if days > 1 else 1
            yield from _shifted(said, -reach * back, reach * forth)
            for count in counts:
                yield from _counted(said, count, days, back=back, forth=forth)


def _counted(said: date, count: int, days: int, *, back: bool, forth: bool) -> Iterator[tuple[date, date]]:
    """Return the days that "three weeks ago" or "in three weeks" means, give or take half a week."""
    middle, margin = count * days, days // 2 + count * (days >= 31)
    if back:
        yield from _shifted(said, -middle - margin, -middle + margin)
    if forth:
        yield from _shifted(said, middle - margin, middle + margin)


def _shifted(said: date, first: int, last: int) -> Iterator[tuple[date, date]]:
    try:
        yield said + timedelta(first), said + timedelta(last)
    except OverflowError:
        return


def _meets(days: tuple[date, date], span: tuple[date, date], named: _Date) -> bool:
    """Return whether a named day is in a span, or a named month or year has days of it."""
    if named.month is not None and named.day is not None:
        return span[0] <= days[0] <= span[1]
    return days[0] <= span[1] and span[0] <= days[1]


__all__ = ["Evidence", "numbers_of"]
