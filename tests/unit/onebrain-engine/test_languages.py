"""Texts in other languages than English: which they are taken for, and that inflected words find them."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import onebrain
from onebrain import Scope
from onebrain_engine.index import text as analysis
from onebrain_engine.index.languages import STOP_WORDS, stem_in
from onebrain_engine.index.text import analyse, analyse_query

GERMAN, SPANISH, FRENCH, ITALIAN, PORTUGUESE, DUTCH = range(6)


def language(text: str) -> int | None:
    return analysis._language(analysis._split(analysis.fold(text)), text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Die Nachbarin backt jeden Sonntag Apfelkuchen", GERMAN),
        ("Wo wohnt Marta?", GERMAN),
        ("La reunión con los proveedores es los lunes", SPANISH),
        ("¿Qué come Paloma?", SPANISH),
        ("L'école de ma fille est dans la rue voisine", FRENCH),
        ("Il compleanno della nonna è questo mese", ITALIAN),
        ("A minha irmã mora numa aldeia", PORTUGUESE),
        ("Mijn zus woont niet in het dorp", DUTCH),
        ("We moved to Porto last week and the cat hates it", None),
        ("Los Angeles trip photos", None),
        ("Van der Berg lives in El Paso", None),
        ("MIT professor visits example.com", None),
        ("She said que sera sera and left for the bus", None),
        ("no, so was I in a die factory", None),
        ("東京で働いています", None),
        ("", None),
    ],
)
def test_the_language_of_a_text(text, expected):
    assert language(text) == expected


@given(st.lists(st.sampled_from(sorted(analysis.STOP_WORDS | {"maria", "window", "seats", "porto"}))))
def test_a_text_of_english_words_is_english(words):
    assert language(" ".join(words)) is None


@given(st.text())
def test_every_text_can_be_analysed_and_asked_for(text):
    found, query = analyse(text), analyse_query(text)
    assert found.length >= 0
    assert all(count > 0 for count in found.terms.values())
    assert set(query.terms) <= set(found.terms)


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        (GERMAN, "hauser", "haus"),
        (GERMAN, "apfelkuchens", "apfelkuchen"),
        (SPANISH, "reuniones", "reunion"),
        (SPANISH, "conversaciones", "conversacion"),
        (SPANISH, "vivimos", "vive"),
        (FRENCH, "l'ecole", "ecoles"),
        (ITALIAN, "dell'insegnante", "insegnanti"),
        (PORTUGUESE, "casas", "casa"),
        (DUTCH, "huizen", "huizen"),
    ],
)
def test_inflected_words_have_one_stem(language, one, other):
    assert stem_in(language, one) == stem_in(language, other)
    assert all(stem_in(language, word) is None for word in STOP_WORDS[language])


QUESTIONS = [
    ("Welche Häuser besichtigen wir?", "Das Haus am Deich gehört unserer Tante"),
    ("Wann sind die Sitzungen mit den Lieferanten?", "Die Sitzung mit dem Lieferanten ist am Montag"),
    ("¿Cuándo son las reuniones con el proveedor?", "La reunión con los proveedores es los lunes"),
    (
        "¿Qué recetas cocinamos para la abuela?",
        "La receta de la abuela es muy sencilla, y siempre la cocino yo",
    ),
    ("Quelles écoles visitons-nous ?", "Notre fille aime l'école du village"),
]
OTHERS = [
    "Der Zug nach Bremen fährt um sieben",
    "Mein Bruder spielt jeden Abend Klavier",
    "El tren a Sevilla sale a las siete",
    "Mi hermano toca el piano todas las noches",
    "Le train pour Brest part à sept heures",
    "The bus to the airport leaves at seven",
    "My brother plays the piano every evening",
]


@pytest.fixture(params=["memory", "postgresql", "large"])
def brain(request):
    if request.param == "memory":
        with onebrain.connect("sqlite://") as brain:
            yield brain
        return
    large = 0 if request.param == "large" else None
    with onebrain.connect(request.getfixturevalue("postgres").new_database(), large_space=large) as brain:
        yield brain


def test_a_question_finds_the_memory_whose_words_are_inflected(brain):
    brain.store_many([*(memory for _, memory in QUESTIONS), *OTHERS], scope=Scope(space="s"))
    for question, memory in QUESTIONS:
        assert brain.search(question, scope=Scope(space="s"), mode="keyword")[0].content == memory


def test_words_as_they_are_written_find_a_text_of_unknown_language():
    with onebrain.connect("sqlite://") as brain:
        brain.store_many(["Oma Käsekuchenrezepte Ordner", "Papa Fahrradschlüssel Schublade"])
        found = brain.search("Wo sind die Käsekuchenrezepte von der Oma?", mode="keyword")
        assert found[0].content.startswith("Oma")


def test_a_brain_of_an_earlier_version_is_read_with_stems_of_its_languages(tmp_path):
    dump = Path(__file__).with_name("brain_of_version_3.sql")
    with closing(sqlite3.connect(tmp_path / "brain.db")) as database:
        database.executescript(dump.read_text(encoding="utf-8"))
    with onebrain.connect(f"sqlite:///{tmp_path}/brain.db") as brain:
        assert brain.count() == 3
        assert brain.search("¿Cuándo son las reuniones?", mode="keyword")[0].id == "meeting"
        assert brain.search("Wer mag die Apfelkuchen?", mode="keyword")[0].id == "cake"
        assert brain.search("window seat", mode="keyword")[0].id == "seats"


def test_a_snapshot_of_another_analysis_is_left_alone(tmp_path, monkeypatch):
    from onebrain_engine.index import snapshots

    url = f"sqlite:///{tmp_path}/brain.db"
    monkeypatch.setattr(snapshots, "_format", lambda: "onebrain-index-1-1")
    with onebrain.connect(url) as brain:
        brain.store_many([f"Maria's fact number {n}" for n in range(1200)])
        brain.search("fact")
    [kept] = (tmp_path / "brain.db.index").glob("*.idx")
    copy = shutil.copy(kept, tmp_path / "copy")
    monkeypatch.undo()
    with onebrain.connect(url) as brain:
        brain.store("La reunión con los proveedores es los lunes")
        assert "proveedores" in brain.search("¿Cuándo son las reuniones?", mode="keyword")[0].content
    assert Path(copy).read_bytes()[:200] != b""


def test_a_large_space_of_an_earlier_version_gets_the_words_of_this_one(postgres_url):
    import psycopg

    scope = Scope(space="s")
    with onebrain.connect(postgres_url, large_space=20) as brain:
        brain.store_many([f"Das Haus am Deich hat die Nummer {n}" for n in range(40)], scope=scope)
        deadline = time.monotonic() + 60

        def served():
            with psycopg.connect(postgres_url) as database:
                database.execute("SELECT set_config('onebrain.tenant', 'default', true)")
                return database.execute(
                    "SELECT served AND filled = filling, analysis FROM onebrain.space WHERE name = 's'"
                ).fetchone()

        def wait():
            while served() != (True, analysis.VERSION):
                assert time.monotonic() < deadline
                brain.search("Haus", scope=scope, mode="keyword")
                time.sleep(0.05)

        wait()
    # As an earlier version left it: without the stems of the language.
    with psycopg.connect(postgres_url) as database:
        database.execute(
            "SELECT set_config('onebrain.tenant', 'default', true), set_config('onebrain.words', $$!'@'$$, true)"
        )
        database.execute(
            "UPDATE onebrain.word SET words = array_to_tsvector(ARRAY['hau', 'deich', 'nummer'])"
        )
        database.execute("UPDATE onebrain.space SET analysis = NULL")
    with onebrain.connect(postgres_url, large_space=20) as brain:
        assert len(brain.search("Haus", scope=scope, mode="keyword", limit=50)) == 40
        wait()
        assert brain.search("Welche Nummern haben die Häuser?", scope=scope, mode="keyword")
    with psycopg.connect(postgres_url) as database:
        database.execute(
            "SELECT set_config('onebrain.tenant', 'default', true), set_config('onebrain.words', $$!'@'$$, true)"
        )
        [(rows, words)] = database.execute(
            "SELECT count(*), count(*) FILTER (WHERE 'numm' = ANY(tsvector_to_array(words))) FROM onebrain.word"
        ).fetchall()
    assert (rows, words) == (40, 40)
