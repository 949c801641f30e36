"""Generated texts and questions, the same at each run, and timing for the benchmarks."""

from __future__ import annotations

import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def _phrases(text: str) -> list[str]:
    return [" ".join(phrase.split()) for phrase in text.split(",")]


_SUBJECTS = _phrases("""
    Maria, Jonas, Aiko, Bríd, Kwame, Lucía, Tomasz, Nadia, Elif, Pavel, the-neighbour, my-sister,
    our-manager, the-doctor
""")
_VERBS = _phrases("""
    prefers, booked, cancelled, repaired, remembers, visited, moved, sold, bought, wrote, painted,
    planned, forgot, promised, started, finished, borrowed, returned, recommended
""")
_OBJECTS = _phrases("""
    window seat, kitchen table, marathon training, birthday cake, garden fence, piano lesson, dentist
    appointment, train ticket, red bicycle, winter coat, rental contract, boat trip, coffee machine,
    insurance letter, wedding speech, guitar strings, mountain cabin, language course, moving van,
    science project, sourdough bread, chess club, hiking boots, water heater
""")
_PLACES = _phrases("""
    Lisbon, Kraków, Oslo, Kyoto, Bristol, Galway, Accra, Porto, Graz, Tartu, Leeds, Valencia, Bergen,
    Ghent
""")
_TIMES = _phrases("""
    yesterday, last week, on Monday, in March, two years ago, before lunch, after the meeting, this
    summer, at noon, in 2024
""")
_FILLERS = _phrases("""
    honestly, never, expected, weather, traffic, because, although, finally, quietly, together, without,
    another, several, small, strange, quick, brown, heavy, early, late, useful, broken, friendly,
    expensive, cheap, loud, calm
""")


def make_texts(count: int, seed: int = 1) -> list[str]:
    """Return `count` sentences of 8 to 35 words over a slowly growing vocabulary."""
    rng = random.Random(seed)
    texts = []
    for number in range(count):
        words = [
            rng.choice(_SUBJECTS),
            rng.choice(_VERBS),
            "the",
            rng.choice(_OBJECTS),
            "in",
            rng.choice(_PLACES),
            rng.choice(_TIMES),
        ]
        words += rng.choices(_FILLERS, k=rng.randint(1, 20))
        words += [
            f"{rng.choice(_OBJECTS).split()[0]}{int(rng.paretovariate(0.8)) % 5000}"
            for _ in range(rng.randint(0, 4))
        ]
        if number % 3 == 0:
            words.insert(0, f"{rng.choice(_SUBJECTS)}:")
        texts.append(" ".join(words))
    return texts


def make_questions(count: int, seed: int = 2) -> list[str]:
    """Return `count` questions about such sentences."""
    rng = random.Random(seed)
    forms = (
        "When did {s} talk about the {o} in {p}?",
        "What does {s} think of the {o}?",
        "Who {v} the {o} {t}?",
        "Where is the {o} that {s} {v}?",
        "{o} {p} {f}",
    )
    return [
        rng.choice(forms).format(
            s=rng.choice(_SUBJECTS),
            o=rng.choice(_OBJECTS),
            p=rng.choice(_PLACES),
            v=rng.choice(_VERBS),
            t=rng.choice(_TIMES),
            f=rng.choice(_FILLERS),
        )
        for _ in range(count)
    ]


def milliseconds(
    action: Callable[[Any], object], arguments: Sequence[Any], *, warm_up: int = 10
) -> dict[str, float]:
    """Time an action on each argument in turn; return p50, p95 and p99 in milliseconds."""
    for argument in arguments[:warm_up]:
        action(argument)
    seconds = []
    for argument in arguments:
        start = time.perf_counter()
        action(argument)
        seconds.append(time.perf_counter() - start)
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": cuts[49] * 1000, "p95": cuts[94] * 1000, "p99": cuts[98] * 1000}


def machine() -> str:
    """Return a description of the machine."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{os.cpu_count()} cores, {model}, {platform.system()}, Python {platform.python_version()}"
