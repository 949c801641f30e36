"""The default embedder: WordLlama's static word vectors, read straight from the files that its package brings.

Importing the package takes a third of a second, for parts that are not needed here, and the tokenizers library takes a
tenth to read its file, most of it for merges that can be told from the vocabulary. So the first few short texts of a
process are cut here, and the library comes when there is more to do: a command that asks one question answers at once.
Both cut alike, token for token.
"""

from __future__ import annotations

import importlib.util
import json
import threading
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from onebrain.errors import MissingDependency
from onebrain_engine.embedding import Floats, Scale, unit, unit_vector

_QUICK: Final = 8  # texts that are cut here before the library is loaded
_SHORT: Final = 200  # characters; merging here takes time that grows with the square
_SPACE: Final = "\u2581"  # the vocabulary's sign for a space
_NEVER: Final = 1 << 62
_LONGEST_WORD, _WORDS_KEPT = 40, 1 << 16  # characters of a word, and words, whose tokens are kept


class WordLlama:
    """The default embedder: static word vectors of 256 dimensions, about 15 µs a text, no network, no GPU.

    A text's vector is the mean of its tokens' vectors, scaled to length one. Files are read at the first use.

    Example:
        >>> vector = WordLlama().embed_query("window seat")
        >>> vector.shape
        (256,)
    """

    fingerprint = "wordllama:l2_supercat_256"
    dimension = 256
    ready = True
    evidence_weight = 1.0
    static = True
    # Fitted on facts among others, with questions that have an answer and questions that have none.
    scale = Scale(midpoint=0.18, slope=10.6, static=True)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._quickly: tuple[Vocabulary, npt.NDArray[np.float16]] | None = None
        self._tokenizer: Any = None
        self._table: Floats | None = None
        self._words: dict[str, list[int]] = {}
        self._quick = 0

    def documents(self, texts: list[str]) -> Floats:
        """Return the vectors of texts to store."""
        return self.embed_documents(texts)

    def query(self, text: str) -> Floats:
        """Return the vector of a query."""
        return self.embed_query(text)

    def embed_documents(self, texts: list[str], /) -> Floats:
        """Return the vectors of `texts`, one row each; the zero vector for a text without any token."""
        if len(texts) == 1:
            return self.embed_query(texts[0])[None]
        table = self._load()
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            if ids := self._cut(text):
                np.add.reduce(table.take(ids, axis=0), axis=0, out=vector)
        return unit(vectors)

    def embed_query(self, text: str, /) -> Floats:
        """Return the vector of `text`."""
        if self._table is None and self._quick < _QUICK and len(text) <= _SHORT:
            self._quick += 1
            vocabulary, rows = self._read()
            ids = vocabulary.cut(text)
            if ids is not None:
                return unit_vector(rows[ids].astype(np.float32).sum(axis=0))
        table = self._load()
        return unit_vector(np.add.reduce(table.take(self._cut(text), axis=0), axis=0))

    def _cut(self, text: str) -> list[int]:
        """Return the ids of a text's tokens, word by word: no token holds the end of one word and the beginning of the next.

        That is not so of several spaces, of their sign, and of special tokens, so texts with those are cut as a whole.
        """
        words = text.split(" ")
        if "" in words or _SPACE in text or "<" in text:
            return self._encoded(text)
        known = self._words
        ids: list[int] = []
        for word in words:
            found = known.get(word)
            if found is None:
                found = self._encoded(word)
                if len(word) <= _LONGEST_WORD:
                    if len(known) >= _WORDS_KEPT:
                        known.clear()
                    known[word] = found
            ids += found
        return ids

    def _encoded(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _read(self) -> tuple[Vocabulary, npt.NDArray[np.float16]]:
        with self._lock:
            if self._quickly is None:
                folder = _folder()
                self._quickly = Vocabulary.read(_tokenizer_file(folder)), _rows(folder)
            return self._quickly

    def _load(self) -> Floats:
        if self._table is not None:
            return self._table
        with self._lock:
            if self._table is None:
                import tokenizers

                folder = _folder()
                tokenizer = tokenizers.Tokenizer.from_file(str(_tokenizer_file(folder)))
                tokenizer.no_padding()
                self._tokenizer = tokenizer
                self._table = np.array(_rows(folder), np.float32)
                self._quickly = None
        return self._table


class Vocabulary:
    """The tokens by their text: byte-pair encoding for a few short texts, without the library.

    Every pair of tokens whose texts make up a third one is a merge, and merges are ranked by the ids of the three,
    those that join spaces last: so the vocabulary says the same as the file's long list of merges.

    Args:
        ids: The id of each token.
    """

    def __init__(self, ids: dict[str, int]) -> None:
        self._ids = ids
        self._size = len(ids)

    @classmethod
    def read(cls, file: Path) -> Vocabulary:
        """Read a tokenizer's file, and of it no more than the vocabulary."""
        data = file.read_bytes()
        start = data.index(b"{", data.index(b'"vocab"'))
        end = data.rindex(b"}", start, data.index(b'"merges"'))
        return cls(json.loads(data[start : end + 1]))

    def cut(self, text: str) -> list[int] | None:
        """Return the ids of a text's tokens; None if it may hold a special token, which the library knows."""
        if not text:
            return []
        if "<" in text:
            return None
        ids = self._ids
        pieces: list[str] = []
        for char in (_SPACE + text).replace(" ", _SPACE):
            if char in ids:
                pieces.append(char)
            else:
                pieces.extend(f"<0x{byte:02X}>" for byte in char.encode())
        ranks = [self._rank(left, right) for left, right in pairwise(pieces)]
        while ranks:
            best = min(ranks)
            if best == _NEVER:
                break
            at = ranks.index(best)
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
            del ranks[at]
            if at:
                ranks[at - 1] = self._rank(pieces[at - 1], pieces[at])
            if at < len(ranks):
                ranks[at] = self._rank(pieces[at], pieces[at + 1])
        return [ids[piece] for piece in pieces]

    def _rank(self, left: str, right: str) -> int:
        whole = self._ids.get(left + right)
        if whole is None:
            return _NEVER
        last = not (left + right).strip(_SPACE)
        size = self._size
        return (((last * size) + whole) * size + self._ids[left]) * size + self._ids[right]


@cache
def default_embedder() -> WordLlama:
    """Return the default embedder, one for all engines of a process: its tables take 50 MB and 0.1 s to read."""
    return WordLlama()


def _folder() -> Path:
    spec = importlib.util.find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency(
            "the default embedder needs wordllama: pip install wordllama; or pass an embedder of your own"
        )
    return Path(spec.submodule_search_locations[0])


def _tokenizer_file(folder: Path) -> Path:
    return folder / "tokenizers" / "l2_supercat_tokenizer_config.json"


def _rows(folder: Path) -> npt.NDArray[np.float16]:
    """Map the vectors into memory: a safetensors file is a header's length, the header in JSON, and the numbers."""
    path = folder / "weights" / "l2_supercat_256.safetensors"
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))["embedding.weight"]
    if entry["dtype"] != "F16":
        raise MissingDependency(
            "the default embedder needs wordllama with vectors of 16 bits: pip install -U wordllama"
        )
    first = 8 + length + entry["data_offsets"][0]
    return np.asarray(np.memmap(path, np.float16, "r", first, tuple(entry["shape"])))
