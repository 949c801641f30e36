"""The default embedder: the same vectors, whether the library cut the text or it was cut here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onebrain_engine import WordLlama
from onebrain_engine.wordllama import Vocabulary, _folder, _tokenizer_file

EMBEDDER = WordLlama()
CONVERSATION = Path(__file__).parents[3] / "cookbooks" / "data" / "conversation.jsonl"


@pytest.fixture(scope="module")
def library():
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(_tokenizer_file(_folder())))
    tokenizer.no_padding()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.read(_tokenizer_file(_folder()))


def test_a_conversation_is_cut_as_the_library_cuts_it(library, vocabulary):
    texts = [json.loads(line).get("text", "") for line in CONVERSATION.read_text().splitlines()]
    assert sum(map(len, texts)) > 10_000
    for text in texts:
        if "<" not in text:
            assert vocabulary.cut(text[:200]) == library(text[:200])


@given(
    text=st.one_of(
        st.text(max_size=60).filter(lambda text: "<" not in text),
        st.text(alphabet="ab \t\n_\u2581eln0 ", max_size=60),
        st.lists(
            st.sampled_from(["  ", "lub", "\u2581\u2581", "aaa", "être", "日本", "🙂", "\x00", "ing", "'s"])
        ).map("".join),
    )
)
@settings(deadline=None, max_examples=500)
def test_any_text_is_cut_as_the_library_cuts_it(library, vocabulary, text):
    assert vocabulary.cut(text) == library(text)


@given(
    text=st.lists(
        st.one_of(
            st.text(max_size=8),
            st.sampled_from(
                [
                    "",
                    " ",
                    "the",
                    "walls",
                    "\u2581",
                    "\u2581\u2581",
                    "<s>",
                    "<",
                    "a\u2581",
                    "\u2581b",
                    "être",
                    "日本",
                    "🙂",
                    "\n",
                    "x" * 50,
                ]
            ),
        ),
        max_size=12,
    ).map(" ".join)
)
@settings(deadline=None, max_examples=500)
def test_any_text_is_cut_word_by_word_as_the_library_cuts_it(library, text):
    embedder = EMBEDDER
    embedder.embed_documents(["loads the", "library"])
    assert embedder._cut(text) == library(text)
    assert embedder._cut(text) == library(text)  # from the words that are known by now


def test_no_more_words_are_kept_than_a_bound(library, monkeypatch):
    monkeypatch.setattr("onebrain_engine.wordllama._WORDS_KEPT", 3)
    embedder = WordLlama()
    embedder.embed_documents(["loads the", "library"])
    text = "one two three four five six one two"
    assert embedder._cut(text) == library(text)
    assert len(embedder._words) <= 3


def test_what_may_be_a_special_token_is_left_to_the_library(vocabulary):
    assert vocabulary.cut("the <s> tag") is None
    quick, slow = WordLlama(), WordLlama()
    slow.embed_documents(["loads the", "library"])
    assert np.array_equal(quick.embed_query("the <s> tag"), slow.embed_query("the <s> tag"))


@pytest.mark.parametrize("text", ["", " ", "window seats", "Ça va? 🙂", "x" * 3000])
def test_the_first_vectors_of_a_process_are_those_of_the_library(text):
    first, later = WordLlama(), WordLlama()
    later.embed_documents(["loads the", "library"])
    # Passes from one to the other.
    for _ in range(12):
        assert np.array_equal(first.embed_query(text), later.embed_query(text))


def test_several_threads_may_come_first():
    from concurrent.futures import ThreadPoolExecutor

    embedder = WordLlama()
    texts = [f"question number {number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(embedder.embed_query, texts))
    assert np.array_equal(np.stack(found), embedder.embed_documents(texts))
