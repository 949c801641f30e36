"""How common words are in a space: the weights of ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onebrain_engine.index import ranking
from onebrain_engine.index.lexicon import Lexicon
from onebrain_engine.index.slots import Floats, Ints, Slots
from onebrain_engine.index.text import least_turns


@dataclass(frozen=True, slots=True)
class WordStatistics:
    """The statistics of a query's words in a whole space, for an index that holds only the candidates of a search.

    Attributes:
        frequency: The number of memories with each of the query's words.
        count: The number of memories.
        information: The rarity of each word, 0 to 1, by the word's number.
        speakers: The numbers of the words that are speakers' names.
    """

    frequency: Ints
    count: int
    information: Floats
    speakers: frozenset[int]


class Frequencies:
    """Counts the words and labels of the living slots of one index.

    Args:
        slots: The slots.
        lexicon: Numbers for words.
    """

    def __init__(self, slots: Slots, lexicon: Lexicon) -> None:
        self._slots = slots
        self._lexicon = lexicon
        self._of_words: Ints | None = None
        self._of_labels: dict[int, int] | None = None
        self._information: Floats | None = None
        self._words: float | None = None  # of all living slots
        self._speakers: frozenset[int] | None = None

    def restored(self, of_words: Ints) -> None:
        """Take over the frequencies that a snapshot holds."""
        self._of_words = of_words

    @property
    def count(self) -> int:
        """The number of living slots."""
        return self._slots.size - self._slots.dead

    def of_words(self) -> Ints:
        """Return the number of living slots with each word, by the word's number."""
        slots, known = self._slots, self._of_words
        if known is None:
            terms = slots.terms.view[np.repeat(slots.alive.view, np.diff(slots.starts.view))]
            known = np.bincount(terms, minlength=len(self._lexicon))
        elif len(known) < len(self._lexicon):
            known = np.concatenate([known, np.zeros(len(self._lexicon) - len(known), np.int64)])
        self._of_words = known
        return known

    def information(self) -> Floats:
        """Return the information of each word by its rarity, 0 to 1."""
        if self._information is None:
            self._information = ranking.information(self.of_words(), max(self.count, 1))
        return self._information

    def mean_length(self) -> float:
        """Return the mean length of a memory in words."""
        if self._words is None:
            slots = self._slots
            lengths = slots.length.view[slots.alive.view] if slots.dead else slots.length.view
            self._words = float(lengths.sum(dtype=np.float64))
        return self._words / max(self.count, 1)

    def speakers(self) -> frozenset[int]:
        """Return the words that are a speaker's name, by the rule of `least_turns`."""
        if self._of_labels is None:
            labels = self._slots.label.view
            counted = np.bincount(labels[(labels >= 0) & self._slots.alive.view])
            self._of_labels = {int(label): int(counted[label]) for label in np.flatnonzero(counted)}
        if self._speakers is None:
            least = least_turns(self.count)
            self._speakers = frozenset(label for label, count in self._of_labels.items() if count >= least)
        return self._speakers

    def speakers_among(self, terms: Sequence[str]) -> list[str]:
        """Return the words among some that are the name of a speaker."""
        known = self.speakers()
        if not known:
            return []
        return [
            term for term, number in zip(terms, self._lexicon.find(terms), strict=True) if number in known
        ]

    def added(self, first: int) -> None:
        """Count the slots from `first` on, which are new."""
        slots = self._slots
        if self._words is not None:
            self._words += float(slots.length.view[first:].sum(dtype=np.float64))
        if self._of_labels is not None:
            for label in slots.label.view[first:].tolist():
                if label >= 0:
                    self._of_labels[label] = self._of_labels.get(label, 0) + 1
        if self._of_words is not None:
            np.add.at(self.of_words(), slots.terms.view[slots.starts.view[first] :], 1)

    def removed(self, gone: Sequence[int]) -> None:
        """Count slots that have died no more."""
        slots = self._slots
        if self._words is not None:
            self._words -= float(slots.length.view[list(gone)].sum(dtype=np.float64))
        if self._of_labels is not None:
            for label in slots.label.view[list(gone)].tolist():
                if label >= 0:
                    self._of_labels[label] -= 1
        if self._of_words is not None:
            starts = slots.starts.view
            for slot in gone:
                self._of_words[slots.terms.view[starts[slot] : starts[slot + 1]]] -= 1

    def changed(self) -> None:
        """Forget everything derived from all slots together."""
        self._information = None
        self._speakers = None
