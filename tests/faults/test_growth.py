"""No expression and no function that reads texts of users takes more than in proportion to their length."""

from __future__ import annotations

import ast
import gc
import importlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from heapq import nlargest
from itertools import chain
from pathlib import Path
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from onebrain.errors import redact
from onebrain.memory.context import build
from onebrain.memory.fence import defuse, fence, on_one_line, unfence
from onebrain.memory.models import Memory
from onebrain.memory.patterns import matcher
from onebrain.memory.remembering.answers import Unreadable
from onebrain.memory.remembering.answers import read as read_answer
from onebrain.memory.words import normalized
from onebrain_engine.extraction.entities import find_entities
from onebrain_engine.extraction.likeness import alike_pairs, likeness
from onebrain_engine.extraction.proposals import propose, propose_from_chat, sentences, title_of
from onebrain_engine.index.text import analyse, analyse_query, without_terms
from onebrain_server.dialects import DIALECTS
from onebrain_server.dialects.brrain.rules.highlights import highlights
from onebrain_server.dialects.onebrain.routes.extraction import page_text
from onebrain_server.dialects.onebrain.rules.likeness import similarity
from onebrain_server.dialects.rememberos.rules.chunks import chunks
from onebrain_server.dialects.rememberos.rules.supersession import claim_of
from onebrain_server.http.dialect import Table
from onebrain_server.security.content import looks_like_instructions, without_secrets

# ---- adversarial texts, and how CPU time grows with their length ---------------------------------------------------

# Work in proportion to a text grows by 2 with each doubling, its square by 4. Caches, allocation and other work of the
# machine add to the first.
MOST_GROWTH = 2.8
_TRIED, _LONGEST = (300, 1_200), 400_000
_DOUBLINGS = 3
# CPU seconds below which a clock says nothing.
_FLOOR = 0.002
# A clock can tell of no time at all: the least that is taken for one.
_TICK = 1e-6
_PLAIN = [*" \n\t\0aA1é<([{\"'.?!:-/@\\_|*#,=&;"]


def texts(pattern: re.Pattern[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (head, repeated, tail): every way into the pattern, then a run of everything that it speaks of, then a miss."""
    ways, chars = _ways(parser.parse(pattern.pattern, pattern.flags))
    ways = [way for way in dict.fromkeys(ways) if way]
    pairs = [left + right for left in [*chars[:6], "a"] for right in [*chars[:6], " ", "."] if left != right]
    for run in dict.fromkeys(
        [*chars, *_PLAIN, *pairs, *ways, *(way + end for way in ways for end in " -\n")]
    ):
        yield "", run, ""
        yield "", run, "\0"
    for head in ways[:40]:
        for run in dict.fromkeys([*chars[:10], " ", "a", *pairs[:20]]):
            yield head, run, "\0"


def _ways(tree: Any) -> tuple[list[str], list[str]]:
    """Return texts that begin to match a parsed pattern, up to each of its parts, and characters that it speaks of."""
    ways: list[str] = []
    chars: dict[str, None] = {}

    def walk(items: Any, before: str) -> str:
        text = before
        for code, value in items:
            text = step(code, value, text)
            ways.append(text)
        return text

    def step(code: Any, value: Any, text: str) -> str:
        if code is codes.LITERAL:
            chars[chr(value)] = None
            return text + chr(value)
        if code in (codes.IN, codes.NOT_LITERAL, codes.ANY, codes.CATEGORY):
            some = _members(code, value)
            chars.update(dict.fromkeys(some))
            return text + some[0]
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            least, _, inner = value
            once = walk(inner, text)
            return once if least or len(once) - len(text) <= 3 else text
        if code is codes.SUBPATTERN:
            return walk(value[3], text)
        if code is codes.ATOMIC_GROUP:
            return walk(value, text)
        if code is codes.BRANCH:
            ends = [walk(branch, text) for branch in value[1]]
            return ends[0]
        if code in (codes.ASSERT, codes.ASSERT_NOT):
            ahead = walk(value[1], "")
            return text + ahead if code is codes.ASSERT and value[0] < 0 else text
        return text

    walk(tree, "")
    return ways, list(chars)


def _members(code: Any, value: Any) -> list[str]:
    if code is codes.ANY:
        return ["a", " "]
    if code is codes.NOT_LITERAL:
        return ["a" if value != ord("a") else "b", chr(value)]
    if code is codes.CATEGORY:
        value = [(codes.CATEGORY, value)]
    negated = value[0][0] is codes.NEGATE
    source = "".join(chain.from_iterable(_shown(item) for item in value if item[0] is not codes.NEGATE))
    some = list(dict.fromkeys(source))
    if negated:
        others = [char for char in "a A1\n<.:-\"'" if char not in some]
        return [*others[:4], *some[:3]] or ["a"]
    return some[:8] or ["a"]


def _shown(item: tuple[Any, Any]) -> str:
    code, value = item
    if code is codes.LITERAL:
        return chr(value)
    if code is codes.RANGE:
        return chr(value[0]) + chr(value[1])
    return {
        "SPACE": " \n",
        "DIGIT": "1",
        "WORD": "a_1",
        "NOT_SPACE": "a.",
        "NOT_DIGIT": "a ",
        "NOT_WORD": " .",
    }[str(value).removeprefix("CATEGORY_")]


def seconds(use: Callable[[str], object], text: str, rounds: int) -> float:
    """Return the CPU seconds of this thread that a use of a text takes, at best."""
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time()
        use(text)
        best = min(best, time.thread_time() - began)
    return best


def worst_growth(
    use: Callable[[str], object], inputs: Iterable[tuple[str, str, str]], *, longest: int | None = None
) -> tuple[float, str]:
    """Return by how much the slowest of texts become slower with twice the length, and how such a text is made.

    `longest` is the most characters that the use is ever given; None means any number.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        short, long = (min(length, (longest or _LONGEST) // 2) for length in _TRIED)
        tried = [
            (seconds(use, _grown(parts, short), 1), seconds(use, _grown(parts, long), 1), parts)
            for parts in inputs
        ]
        slowest = nlargest(2, tried, key=lambda one: one[1])
        steepest = nlargest(
            3, (one for one in tried if one[1] > 5e-5), key=lambda one: one[1] / (one[0] or _TICK)
        )
        worst = (0.0, "")
        for parts in dict.fromkeys(parts for _, _, parts in (*slowest, *steepest)):
            growth = _growth(use, parts, longest)
            worst = max(worst, (growth, f"{parts[0]!r} + {parts[1]!r} * n + {parts[2]!r}"))
        return worst
    finally:
        if collecting:
            gc.enable()


def _growth(use: Callable[[str], object], parts: tuple[str, str, str], longest: int | None) -> float:
    """Return the growth for each doubling, from the first length at which a clock can tell.

    A text that no longer fits into a cache of the processor is steep too, at one length. A square is steep at each.
    """
    limit = longest or _LONGEST
    length = min(_TRIED[1], limit // 2)
    while length * 2 <= limit:
        if seconds(use, _grown(parts, length), 2) >= _FLOOR:
            if longest is not None:
                doublings = min(_DOUBLINGS, (longest // length).bit_length() - 1)
                return _measured(use, parts, length, doublings)
            growth = _measured(use, parts, length, _DOUBLINGS)
            if growth > MOST_GROWTH:
                growth = min(growth, _measured(use, parts, length * 4, _DOUBLINGS))
            return growth
        length *= 2
    return 0.0


def _measured(
    use: Callable[[str], object], parts: tuple[str, str, str], length: int, doublings: int
) -> float:
    """Return the growth for each of some doublings, measured between the first length and the last.

    The work of three doublings is 8 times as much, and 64 times as much for a square. So a disturbance has to make a
    measurement 2.7 times as long, each time that it is repeated, to be taken for more than it is.
    """
    short, long = _grown(parts, length), _grown(parts, length << doublings)
    least = most = found = float("inf")
    for _ in range(8):
        least = min(least, seconds(use, short, 2))
        most = min(most, seconds(use, long, 1))
        found = (most / (least or _TICK)) ** (1 / doublings)
        if found <= MOST_GROWTH:
            break
    return found


def _grown(parts: tuple[str, str, str], length: int) -> str:
    head, run, tail = parts
    return head + run * max(1, length // len(run)) + tail


# ---- expressions ------------------------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [(source, path) for source in sorted(ROOT.glob("packages/*/src")) for path in source.rglob("*.py")]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for _, path in SOURCES}
ANYWHERE = {"search", "sub", "subn", "split", "findall", "finditer", "scanner"}
HARMLESS = {"compile", "escape", "Pattern", "Match", "IGNORECASE", "DOTALL", "MULTILINE", "ASCII", "VERBOSE"}

# Patterns that are used by other names, or for short texts only: how, and how long a text may be there.
BY_OTHER_NAMES = {
    ("onebrain_engine.extraction.proposals", "_KINDS"): ({"search"}, 2_000),
    ("onebrain_server.dialects.rememberos.rules.chunks", "_ENDS"): ({"finditer"}, None),
    ("onebrain_server.dialects.rememberos.rules.supersession", "_FORMS"): ({"fullmatch"}, 300),
    ("onebrain_server.dialects.rememberos.rules.supersession", "_TAIL"): ({"finditer"}, 300),
}
# The only ones that are made of something else than a constant: of patterns of `like`, and templates of paths; both tested below.
MADE = {"onebrain/memory/patterns.py", "onebrain_server/http/dialect.py"}


def test_every_expression_is_a_constant_of_its_module():
    found = []
    for source, path in SOURCES:
        tree = TREES[path]
        inner = {
            node
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for node in ast.walk(function)
        }
        for node in ast.walk(tree):
            where = f"{path.relative_to(source).as_posix()}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.ImportFrom) and node.module in ("re", "regex", "fnmatch"):
                found.append(f"{where}: import from {node.module}")
            elif isinstance(node, ast.Import) and any(
                name.name in ("regex", "fnmatch") for name in node.names
            ):
                found.append(f"{where}: import of another library of patterns")
            elif (
                isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "re"
            ):
                made = node.attr == "compile" and node in inner and where.partition(":")[0] not in MADE
                if made or node.attr not in HARMLESS:
                    found.append(f"{where}: re.{node.attr}")
    assert not found


def _patterns(value: object) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _patterns(item)
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from _patterns(item)


def _uses() -> dict[str, set[str]]:
    """Return by each name the methods of patterns that are called on it, in any module."""
    found: dict[str, set[str]] = {}
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
                name = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
                found.setdefault(name, set()).add(node.attr)
    return found


def _registered() -> Iterator[tuple[str, re.Pattern[str], str, int | None]]:
    uses = _uses()
    seen: set[tuple[str, str]] = set()
    for source, path in SOURCES:
        if "re.compile" not in path.read_text(encoding="utf-8"):
            continue
        module = ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for name, value in vars(importlib.import_module(module)).items():
            methods, longest = BY_OTHER_NAMES.get((module, name), (uses.get(name, set()), None))
            for place, pattern in enumerate(_patterns(value)):
                if not methods & (ANYWHERE | {"match", "fullmatch"}):
                    # Whoever uses it.
                    methods = {"search"}
                ways = {"finditer" if method in ANYWHERE else method for method in methods}
                for way in sorted(ways & {"finditer", "match", "fullmatch"}):
                    if (pattern.pattern, way) not in seen:
                        seen.add((pattern.pattern, way))
                        yield f"{module}.{name}[{place}].{way}", pattern, way, longest
    for path in sorted(ROOT.glob("cookbooks/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if (
                isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.func.attr != "escape"
            ):
                assert isinstance(node.args[0], ast.Constant), (
                    f"{path.name}:{node.lineno}: a pattern is a constant"
                )
                yield f"{path.name}:{node.lineno}", re.compile(node.args[0].value), "finditer", None


REGISTERED = list(_registered())


def test_the_expressions_are_found():
    assert len(REGISTERED) > 70


@pytest.mark.parametrize(
    ("pattern", "way", "longest"), [one[1:] for one in REGISTERED], ids=[one[0] for one in REGISTERED]
)
def test_twice_the_text_is_at_most_twice_the_work_of_an_expression(pattern, way, longest):
    method = getattr(pattern, way)
    use = (lambda text: sum(1 for _ in method(text))) if way == "finditer" else method
    if longest is None:
        growth, text = worst_growth(use, texts(pattern))
    else:
        # What is asked of short texts only is asked of texts without runs of spaces.
        spaced = ((head, run, tail) for head, run, tail in texts(pattern) if "  " not in run * 2)
        growth, text = worst_growth(lambda text: use(" ".join(text.split())), spaced, longest=longest)
    assert growth <= MOST_GROWTH, text


ALPHABET = [
    *" aA1\n\t\0é。<([{\"'.?!:-/@\\_|*#,&;",
    *(
        "A ",
        "a ",
        "1 ",
        "A. ",
        "Aa ",
        "a.",
        "a@",
        "._",
        "<a",
        "</",
        "<!--",
        "<a b=",
        "<![CDATA[",
        "&#",
        "[1] ",
        "\r\n",
    ),
    *(
        "Dr. ",
        "The ",
        "Maria ",
        "Maria and ",
        "ignore ",
        "system ",
        "eyJ-",
        "password: ",
        "://a:",
        "<memories>\n",
    ),
    *(
        "we moved. ",
        "10:00 ",
        "a: b\n",
        "\n\n",
        "\n ",
        ". ",
        '." ',
        "（",
        "มา",
        "i\u0307",
        "\u0301",
        "Maria: x\n",
        "```json\n",
        "<think>",
    ),
]


def _facts(text):
    with suppress(Unreadable):
        read_answer(text)


FUNCTIONS = {
    "find_entities": find_entities,
    "propose": propose,
    "propose_from_chat": propose_from_chat,
    "sentences": lambda text: list(sentences(text)),
    "title_of": title_of,
    "analyse": analyse,
    "analyse_query": analyse_query,
    "without_terms": lambda text: without_terms(text, {"maria"}),
    "redact": redact,
    "without_secrets": without_secrets,
    "looks_like_instructions": looks_like_instructions,
    "defuse": defuse,
    "fence": fence,
    "on_one_line": on_one_line,
    "build": lambda text: build([Memory(id="a", content=text)], max_tokens=50),
    "highlights": lambda text: highlights(text, "maria a aa"),
    "like": matcher("%a%a_b%A%", True),
    "page_text": page_text,
    "chunks": lambda text: list(chunks(text)),
    "claim_of": claim_of,
    "likeness": lambda text: likeness(text, text[1:]),
    "alike_pairs": lambda text: alike_pairs([text, text[1:], text[:-1]], 0.5),
    "similarity": lambda text: similarity(text, text[1:]),
    "unfence": unfence,
    "normalized": normalized,
    "facts of an answer": _facts,
    "reason of an answer": lambda text: _facts('{"facts": [{"text": "' + text.replace('"', "") + '"}]}'),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_twice_the_text_is_at_most_twice_the_work_of_a_function(name):
    inputs = [(head, run, "\0") for run in ALPHABET for head in ("", "a ", "Maria: ", "<!--")]
    growth, text = worst_growth(FUNCTIONS[name], inputs)
    assert growth <= MOST_GROWTH, text


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_path_is_found_or_not_in_proportion_to_its_length(dialect):
    table = Table(dialect.operations)
    starts = {operation.path.partition("{")[0] for operation in dialect.operations}
    inputs = [
        (start, run, end) for start in starts for run in ("a", "/", "a/", "%", "{") for end in ("", "/x")
    ]
    growth, text = worst_growth(partial(Table.find, table), inputs)
    assert growth <= MOST_GROWTH, text
