"""Numbers for words, shared by all indexes of an engine."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable


class Lexicon:
    """Maps words to small integers, in the order of their first appearance; safe to share between threads."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self.words: list[str] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.words)

    def intern(self, words: Collection[str]) -> list[int]:
        """Return the numbers of `words`, new ones where there are none yet."""
        ids = self._ids
        try:
            return [ids[word] for word in words]
        except KeyError:
            with self._lock:
                for word in words:
                    if word not in ids:
                        self.words.append(word)
                        ids[word] = len(self.words) - 1
            return [ids[word] for word in words]

    def find(self, words: Iterable[str]) -> list[int]:
        """Return the numbers of `words`, -1 for unknown ones."""
        return [self._ids.get(word, -1) for word in words]
