"""Stems and stop words of languages other than English, and which language a text is in.

A text is taken for another language by its function words: it must have one that is plain of that language, or two others, and
more of that language's than of English and of any other. So a text in English is never analysed differently, and a short text without
function words is analysed as before.

Words are lower case and without accents here, as in the index.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final

__all__ = ["STOP_WORDS", "language_of", "marks_of", "stem_in", "stemmer_version"]


@dataclass(frozen=True, slots=True)
class _Language:
    """One language.

    Attributes:
        stemmer: The module and the class of the stemmer in snowballstemmer.
        plain: Function words that tell the language.
        others: Function words that are names, or words of English, too.
        endings: Endings without their accents, and what the stemmer knows them by.
    """

    stemmer: tuple[str, str]
    plain: str
    others: str
    endings: tuple[tuple[str, str], ...] = ()


_LANGUAGES: Final[tuple[_Language, ...]] = (
    _Language(
        ("german_stemmer", "GermanStemmer"),
        """
        aber auch auf aus bei beim bist das dass dem dein deine deinem deinen deiner dich dir doch durch ein eine einem einen einer
        eines euch eure fur gegen gestern habe haben hatte hatten heute ich ihm ihn ihnen ihr ihre ihrem ihren ihrer ihres immer
        ist jede jedem jeden jeder jedes jetzt kein keine keinem keinen keiner keines konnen konnte mein meine meinem meinen meiner meines
        mich mir muss mussen nach nicht nichts noch nur oder ohne schon sehr sein seine seinem seinen seiner seines seit sich sind
        soll sollen uber und uns unser unsere unserem unseren unserer unseres vom wann warum weil welche welchem welchen welcher welches wenn
        wer wem wen werden wie wieder wird wir wo woher wohin wollen wurde wurden zum zur zwischen
        """,
        "als alle am an bin bis da dann den der des die du er es hat im in ins kann man mit ob sie so um unter von vor war was zu",
    ),
    _Language(
        ("spanish_stemmer", "SpanishStemmer"),
        """
        adonde ahora algo alguien aquel aquella aunque aqui cada como cual cuales cuando cuanta cuantas cuanto cuantos cuya cuyo
        desde donde ella ellas ellos entonces eran eres es esa esas ese eso esos esta estaba estaban estan estar estas este
        esto estos estoy fue fueron hacia hasta hay hemos muy nada nosotros nuestra nuestras nuestro nuestros nunca otra otras
        otro otros para pero poco porque pues que quien quienes ser siempre sobre somos soy sus suyo tambien tenemos tengo
        tenia tiene tienen toda todas todo todos tus una unas unos usted ustedes vez yo
        """,
        "a al con de del e el en entre era ha han he la las le les lo los mas me mi mis ni no nos o os por se si sin son su te tu un y ya",
        (("cion", "ción"), ("sion", "sión"), ("gion", "gión"), ("nion", "nión")),
    ),
    _Language(
        ("french_stemmer", "FrenchStemmer"),
        """
        aussi avait avec avoir avons cela ces cet cette chez dans depuis dont elle elles etait etaient etre eux ils jamais
        je leur leurs lui mais meme mes moi notre nos nous ont parce pas pourquoi quand que quel quelle quelles quels qui quoi
        rien sans sera ses sommes sont suis tes toi toujours tres une voici voila vos votre vous
        """,
        "a as au aux ce comment de des donc du en es est et il la le les ma me mon ne on ou par plus pour qu sa se si son sous sur ta te ton tu un y",
    ),
    _Language(
        ("italian_stemmer", "ItalianStemmer"),
        """
        abbiamo agli alla alle allo anche ancora avere aveva avete che chi cosa cui dagli dalla dalle dallo degli della delle
        dello dentro dopo era erano essere fino gia gli hai hanno loro mentre mia mie miei mio molto negli nella nelle nello
        nostra nostre nostri nostro ogni perche pero piu prima qual quale quali quando quanto quella quelle quelli quello
        questa queste questi questo sempre sei siamo siete sono stata stato sua sue sugli sulla sulle sullo suo suoi tra tua tue
        tuo tutti tutto una uno
        """,
        "a ad ai al col come con da dal dei del di dove e ed fra fu ha ho i il in io la le lei lo lui ma me mi ne nei nel no noi non o per se si su sul ti tu un vi voi",
    ),
    _Language(
        ("portuguese_stemmer", "PortugueseStemmer"),
        """
        agora aos aquela aquele aquilo ate cada depois ela elas ele eles essa essas esse esses esta estamos estao estava este
        estes estou eu foi foram isso isto ja mais mas meu meus minha minhas muito nao nessa nesse nossa nossas nosso nossos num
        numa nunca onde outra outro para pela pelas pelo pelos porque quais qual quando quem que sao sempre sera seu seus sou
        sua suas tambem tem temos tenho tinha todo todos tudo uma umas uns voce voces
        """,
        "a ao as com como da das de do dos e em entre era eram essa lhe me na nas nem no nos o os ou por se sem ser so te um",
        (("cao", "ção"), ("coes", "ções"), ("sao", "são"), ("soes", "sões")),
    ),
    _Language(
        ("dutch_stemmer", "DutchStemmer"),
        """
        altijd als bij daar dat deze dit een geen haar heb hebben heeft het hier hij hoe ik jij jou jouw jullie kunnen maar mijn
        moet moeten naar niet niets nooit omdat onder ons onze ook toen tot tussen uit veel voor waar waarom waren wat welk
        welke wel werd weten wie wij wilde worden wordt zal zich zij zijn zonder zou
        """,
        "al ben bent dan de den die door doe er en hem hen hun in is je kan me men met nog of om op over te van was we wil ze zo",
    ),
)
_SPANISH: Final = 1
_FEW: Final = 6  # words of a text for which one plain function word is enough
_CACHED: Final = 1 << 15  # stems of each language
# "l'ecole", "dell'anno", "qu'il": the word stands behind the apostrophe.
_ELIDED: Final = re.compile(r"(?:l|d|j|m|t|s|n|c|qu|un|all|dell|nell|sull|dall)'(?=\w{2})")

STOP_WORDS: Final[tuple[frozenset[str], ...]] = tuple(
    frozenset(language.plain.split()) | frozenset(language.others.split()) for language in _LANGUAGES
)


def _marks() -> Mapping[str, int]:
    """Return for each function word the languages that have it, as bits."""
    found: dict[str, int] = {}
    for number, words in enumerate(STOP_WORDS):
        for word in words:
            found[word] = found.get(word, 0) | 1 << number
    return found


_MARKS: Final = _marks()
_PLAIN: Final = tuple(frozenset(language.plain.split()) for language in _LANGUAGES)


def marks_of(word: str) -> bool:
    """Return whether a word is a function word of one of the languages."""
    return word in _MARKS


def language_of(words: Iterable[str], english: int, count: int, *, spanish: bool = False) -> int | None:
    """Return the number of the language that a text is in; None for English, and for one that cannot be told.

    Args:
        words: Its words for which `marks_of` is true, but no stop words of English, with repetitions.
        english: The number of its words that are stop words of English, and of no other language.
        count: The number of all of its words.
        spanish: Whether it has a mark that only Spanish has, such as an inverted question mark.
    """
    votes = [0] * len(_LANGUAGES)
    plain = [0] * len(_LANGUAGES)
    distinct: list[set[str]] = [set() for _ in _LANGUAGES]
    for word in words:
        bits = _MARKS[word]
        for number in range(len(_LANGUAGES)):
            if bits >> number & 1:
                votes[number] += 1
                plain[number] += word in _PLAIN[number]
                distinct[number].add(word)
    if spanish:
        votes[_SPANISH] += 1
        plain[_SPANISH] += count
    ranked = sorted(range(len(_LANGUAGES)), key=lambda number: (plain[number], votes[number]), reverse=True)
    best, second = ranked[0], ranked[1]
    if (plain[best], votes[best]) == (plain[second], votes[second]):
        return None
    if not plain[best]:
        # Names have articles of other languages, but hardly two.
        return best if len(distinct[best]) > 1 and not english else None
    least = 1 if count <= _FEW else 2
    return best if votes[best] >= least and votes[best] > english else None


def stem_in(language: int, word: str) -> str | None:
    """Return the stem of a word in a language, without accents; None for a stop word of it.

    Example:
        >>> stem_in(0, "apfelkuchens") == stem_in(0, "apfelkuchen")
        True
        >>> stem_in(1, "reuniones") == stem_in(1, "reunion")
        True
        >>> stem_in(2, "l'ecole") == stem_in(2, "ecoles")
        True
    """
    return _cached(language)[word]


@cache
def _cached(language: int) -> _Stems:
    return _Stems(language)


class _Stems(dict[str, str | None]):
    """The stems of one language."""

    def __init__(self, language: int) -> None:
        super().__init__()
        module, name = _LANGUAGES[language].stemmer
        # Imported with the first text in such a language. The class is named, because `stemmer()` takes another library if that
        # is installed, whose stems may differ.
        self._stem: Callable[[str], str] = getattr(
            import_module(f"snowballstemmer.{module}"), name
        )().stemWord
        self._endings = _LANGUAGES[language].endings
        self._stop = STOP_WORDS[language]

    def __missing__(self, word: str) -> str | None:
        stem = self._made(word)
        if len(self) >= _CACHED:
            self.clear()
        self[word] = stem
        return stem

    def _made(self, word: str) -> str | None:
        base = _ELIDED.sub("", word, count=1).partition("'")[0]
        if base in self._stop or word in self._stop:
            return None
        for bare, accented in self._endings:
            if base.endswith(bare):
                base = base.removesuffix(bare) + accented
                break
        stem = self._stem(base)
        if stem.isascii():
            return stem
        return "".join(c for c in unicodedata.normalize("NFKD", stem) if not unicodedata.combining(c))


def stemmer_version() -> Any:
    """Return the version of the library that makes the stems."""
    from importlib.metadata import version

    return version("snowballstemmer")
