"""The analysis of texts: its cache of words is bounded."""

from __future__ import annotations

from onebrain_engine.index import text
from onebrain_engine.index.text import analyse


def test_very_long_words_are_analysed_but_not_kept(monkeypatch):
    cache = text._WordCache()
    monkeypatch.setattr(text, "_word", cache.__getitem__)
    long = "ab" * 40
    assert analyse(f"some {long} tea {long}").terms == {long: 2, "tea": 1}
    assert "tea" in cache
    assert long not in cache


def test_no_more_words_are_kept_than_the_cache_may_hold(monkeypatch):
    cache = text._WordCache()
    monkeypatch.setattr(text, "_WORDS_KEPT", 10)
    for n in range(100):
        assert cache[f"word{n}"] == (f"word{n}", 0)
        assert len(cache) <= 10
