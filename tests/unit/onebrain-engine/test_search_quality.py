"""What a person expects of a search, case by case; the figures are in benchmarks/retrieval.py."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import onebrain
from onebrain import Scope

NOTES = [
    "Maria prefers window seats on long flights",
    "The boiler was replaced in February, the invoice number is ERR-4012",
    "Jon quit smoking three years ago and runs every morning",
    "The deployment pipeline runs on Fridays at noon",
    "Our landlord's phone number is 0551 778 210",
    "Åse is allergic to hazelnuts and peanuts",
    "Die Besprechung wurde auf Donnerstag verschoben",
    "東京の会議は来週の月曜日です",
    "Собрание перенесли на четверг",
    "The puppy is called Knut and sleeps in the kitchen",
    *[f"Small talk number {n} about the weather and the traffic in town" for n in range(40)],
]


@pytest.fixture(scope="module")
def brain():
    with onebrain.connect("sqlite://") as brain:
        brain.store_many(NOTES).raise_for_failures()
        yield brain


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ERR-4012", 1),
        ("err 4012", 1),
        ("where does Maria like to sit?", 0),
        ("Who gave up cigarettes?", 2),
        ("when do we deploy?", 3),
        ("phone number of the landlord", 4),
        ("ase hazelnut allergy", 5),
        ("Wann ist die Besprechung?", 6),
        ("会議", 7),
        ("собрание", 8),
        ("What is the dog's name?", 9),
    ],
)
def test_the_right_note_comes_first(brain, query, expected):
    hits = brain.search(query, limit=3)
    assert hits[0].content == NOTES[expected]


def test_scores_tell_an_answer_from_noise(brain):
    good = brain.search("Maria window seats flights", limit=1)[0].score
    poor = brain.search("quantum chromodynamics lagrangian", limit=1)[0].score
    assert good > 0.8
    assert poor < 0.3
    assert 0 <= poor < good <= 1


@pytest.mark.parametrize(
    "query",
    [
        '"window AND (seats OR NOT) NEAR/2 *',
        "'; DROP TABLE memory; --",
        "window\x00seats",
        "🪟💺 window",
        'seats^2 -maria +"window" col:val',
        "a" * 1_000_000,
        "window " * 50_000,
        "%_\\",
        "the of and",
        "?!.,;",
    ],
)
def test_no_query_breaks_a_search(brain, query):
    for mode in ("hybrid", "keyword", "vector"):
        hits = brain.search(query, limit=5, mode=mode)
        assert all(0 <= hit.score <= 1 for hit in hits)


def test_the_speaker_who_is_asked_about_comes_first():
    with onebrain.connect("sqlite://") as brain:
        talk = Scope(session="one")
        for line in [
            "Maria: I have been to Lisbon twice this year.",
            "Jon: I went to Lisbon as well, for work.",
            "Maria: What did you do there?",
            "Jon: I repaired a bridge.",
        ]:
            brain.store(line, scope=talk)
        assert brain.search("Was Jon in Lisbon?")[0].content.startswith("Jon: I went")
        assert brain.search("Was Maria in Lisbon?")[0].content.startswith("Maria: I have")


def test_the_answer_after_a_question_is_found_by_the_question():
    with onebrain.connect("sqlite://") as brain:
        for n, line in enumerate(
            [
                "Teo: Which instrument do you play?",
                "Ana: The cello, since I was six.",
                "Teo: Lovely weather today.",
            ]
        ):
            brain.store(line, scope=Scope(session="s"), id=str(n))
        brain.store_many(
            [f"Ana: Something else entirely, number {n}." for n in range(30)], scope=Scope(session="t")
        )
        assert {hit.id for hit in brain.search("Which instrument does Ana play?", limit=2)} == {"0", "1"}


def test_a_date_in_the_query_prefers_memories_of_that_time():
    with onebrain.connect("sqlite://") as brain:
        for year in (2022, 2023, 2024):
            brain.store(
                "We went hiking in the mountains", id=str(year), created_at=datetime(year, 6, 3, tzinfo=UTC)
            )
        assert brain.search("hiking in June 2023")[0].id == "2023"
        assert brain.search("What did we do on 3 June 2022?")[0].id == "2022"


def test_alpha_shifts_between_words_and_meaning():
    with onebrain.connect("sqlite://") as brain:
        brain.store_many(["Jon quit smoking", "cigarettes are sold at the corner shop", *NOTES[10:]])
        assert brain.search("cigarettes", alpha=0.0)[0].content.startswith("cigarettes")
        scores = {alpha: brain.search("cigarettes", alpha=alpha, limit=50) for alpha in (0.0, 1.0)}
        by_words, by_meaning = (
            next(hit.score for hit in hits if hit.content == "Jon quit smoking") for hits in scores.values()
        )
        assert by_meaning > by_words
