"""Indexes on disk between processes: one file a space, mapped into memory, never needed for correctness.

A snapshot is a header in JSON and arrays, squeezed to the living slots. It is written beside the old one and put in its
place at once. The store keeps the token of the newest snapshot, so one that does not belong to the store as it is now
(a restored backup, a copied file) is recognised and left alone; the index is then read from the store.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from onebrain.errors import DatabaseCorrupt, StorageError
from onebrain_engine.index import ranking
from onebrain_engine.index.languages import stemmer_version
from onebrain_engine.index.lexicon import Lexicon
from onebrain_engine.index.partition import Partition
from onebrain_engine.index.postings import Postings
from onebrain_engine.index.ranker import FULL
from onebrain_engine.index.text import VERSION
from onebrain_engine.index.vectors import Vectors
from onebrain_engine.store.encryption import Cipher
from onebrain_engine.store.files import make_folder, opener
from onebrain_engine.store.records import Space

Arrays = dict[str, npt.NDArray[Any]]

_ALIGN: Final = 64


class Snapshots:
    """The snapshots of one store, in a folder that is made at the first one.

    Args:
        folder: Where; it can be deleted at any time.
        cipher: Seals them whole; they are then opened in memory instead of being mapped into it.
    """

    def __init__(self, folder: Path, *, cipher: Cipher | None = None) -> None:
        self._folder = folder
        self._cipher = cipher

    def due(self, partition: Partition, *, closing: bool = False) -> bool:
        """Return whether so much has been added since the last snapshot that reading it again would be slow."""
        added = partition.size + partition.waiting - partition.snapshotted
        if closing:
            return added > max(1_000, partition.snapshotted // 20)
        # A snapshot is written whole. One for each half more keeps the work of all of them in proportion to the memories.
        return added > max(25_000, partition.snapshotted // 2)

    def save(self, partition: Partition, lexicon: Lexicon) -> str | None:
        """Write a snapshot and return its token; None where the folder cannot be written. The caller holds the lock."""
        token = os.urandom(12).hex()
        header, arrays = _squeeze(partition, lexicon)
        header |= {"format": _format(), "token": token, "seq": partition.through, "run": partition.run}
        path = self._path(partition.space)
        beside = path.with_suffix(f".{token}.tmp")
        try:
            if self._folder.parent.is_dir():  # not where the database's own folder is gone
                make_folder(self._folder)
            _write(beside, header, arrays, self._sealing(partition.space))
            # A process that reads meanwhile has the former file or this one, whole.
            beside.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            return None
        partition.snapshotted = partition.size
        return token

    def load(self, partition: Partition, space: Space, lexicon: Lexicon) -> bool:
        """Fill an empty index from the snapshot of its space; return False where there is none that fits."""
        if space.snapshot is None:
            return False
        try:
            header, arrays = _read(self._path(space), self._opening(space))
        except (OSError, ValueError, KeyError, DatabaseCorrupt):
            return False
        if (
            header.get("format") != _format()
            or header.get("token") != space.snapshot
            or header["seq"] > space.seq
        ):
            return False
        _fill(partition, header, arrays, lexicon)
        return True

    def forget(self, space: Space) -> None:
        """Remove the snapshot of a space."""
        try:
            self._path(space).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"the snapshot {self._path(space)} of removed memories cannot be removed "
                f"({error.strerror}); delete this file",
                service="sqlite",
            ) from error

    def _sealing(self, space: Space) -> Callable[[memoryview], bytes] | None:
        cipher = self._cipher
        return None if cipher is None else lambda data: cipher.seal_large("index", "", space.key, data)

    def _opening(self, space: Space) -> Callable[[memoryview], bytes] | None:
        cipher = self._cipher
        return None if cipher is None else lambda data: cipher.open_large("index", "", space.key, data)

    def _path(self, space: Space) -> Path:
        return self._folder / f"space-{space.key}.idx"


@cache
def _format() -> str:
    """Return the format of snapshots; stems of another analysis do not fit queries of this one."""
    return f"onebrain-index-2-{VERSION}-{stemmer_version()}"


def _squeeze(partition: Partition, lexicon: Lexicon) -> tuple[dict[str, Any], Arrays]:
    """Return the living slots of an index, their words numbered from 0."""
    slots = partition.slots
    keep = np.flatnonzero(slots.alive.view)
    starts, terms, counts = ranking.take_rows(slots.starts.view, slots.terms.view, slots.counts.view, keep)
    used = np.bincount(terms, minlength=len(lexicon)) > 0
    labels = slots.label.view[keep]
    used[labels[labels >= 0]] = True
    words = np.flatnonzero(used)
    number = np.full(len(used) + 1, -1, np.int32)  # the last one is where -1, "no label", points
    number[words] = np.arange(len(words))
    new_slot = np.full(slots.size + 1, -1, np.int64)
    new_slot[keep] = np.arange(len(keep))
    arrays: Arrays = {name: column.view[keep] for name, column in slots.columns().items()}
    arrays["previous"], arrays["following"] = new_slot[arrays["previous"]], new_slot[arrays["following"]]
    arrays["label"] = number[labels]
    arrays |= {"starts": starts.astype(np.int64), "terms": number[terms], "counts": counts}
    if len(keep) > FULL:
        postings = Postings.build(arrays["starts"], arrays["terms"], counts)
        arrays |= {
            "posting_starts": postings.starts,
            "posting_ends": postings.ends,
            "posting_slots": postings.slots,
            "posting_counts": postings.counts,
        }
    if slots.vectors is not None:
        vectors = Vectors(slots.vectors.dimension, slots.vectors.take(keep[keep < len(slots.vectors)]))
        missing = len(keep) - len(vectors)
        if missing:
            vectors.extend(np.zeros((missing, vectors.dimension), np.float32))
        arrays |= {"vectors": vectors.take(np.arange(len(keep))), "codes": vectors.codes}
    header = {
        "words": [lexicon.words[word] for word in words.tolist()],
        **{name: codes.names for name, codes in slots.codes().items()},
    }
    return header, arrays


def _fill(partition: Partition, header: dict[str, Any], arrays: Arrays, lexicon: Lexicon) -> None:
    """Put the arrays of a snapshot into an empty index."""
    number = np.array([*lexicon.intern(header["words"]), -1], np.int32)
    # The lexicon may have numbered words of other spaces before.
    if len(lexicon) + 1 > len(number) or (np.diff(number[:-1]) != 1).any():
        arrays["label"], arrays["terms"] = number[arrays["label"]], number[arrays["terms"]]
    partition.clear()
    slots = partition.slots
    for name, column in slots.columns().items():
        column.take_over(arrays[name])
    slots.starts.take_over(arrays["starts"])
    slots.terms.take_over(arrays["terms"])
    slots.counts.take_over(arrays["counts"])
    size = len(arrays["row"])
    slots.alive.take_over(np.ones(size, bool))
    for name, codes in slots.codes().items():
        codes.take_over(header[name])
    if "posting_slots" in arrays:
        starts = np.zeros(len(lexicon), np.int64)
        ends = np.zeros(len(lexicon), np.int64)
        known = number[: len(arrays["posting_starts"])]
        starts[known], ends[known] = arrays["posting_starts"], arrays["posting_ends"]
        postings = Postings(starts, ends, arrays["posting_slots"], arrays["posting_counts"], size)
        partition.ranker.postings = postings
        partition.frequencies.restored(postings.frequencies)
    if "vectors" in arrays:
        slots.vectors = Vectors(arrays["vectors"].shape[1], arrays["vectors"])
        slots.vectors.codes = arrays["codes"]
    partition.through, partition.run = header["seq"], header.get("run")
    partition.snapshotted = size


def _write(
    path: Path, header: dict[str, Any], arrays: Arrays, seal: Callable[[memoryview], bytes] | None
) -> None:
    layout: dict[str, Any] = {}
    offset = 0
    for name, array in arrays.items():
        layout[name] = [array.dtype.str, list(array.shape), offset]
        offset += -(-array.nbytes // _ALIGN) * _ALIGN
    head = json.dumps({**header, "arrays": layout}).encode()
    with open(path, "wb", opener=opener) as file:
        target: BinaryIO = file if seal is None else BytesIO()
        target.write(len(head).to_bytes(8, "little") + head)
        target.write(b"\0" * (-target.tell() % _ALIGN))
        for array in arrays.values():
            target.write(np.ascontiguousarray(array).data if array.size else b"")
            target.write(b"\0" * (-target.tell() % _ALIGN))
        if isinstance(target, BytesIO) and seal is not None:
            file.write(seal(target.getbuffer()))
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path, unseal: Callable[[memoryview], bytes] | None) -> tuple[dict[str, Any], Arrays]:
    """Map a snapshot into memory, to be changed there alone; raise ValueError where it is cut short or garbled."""
    data: mmap.mmap | bytes
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    if unseal is not None:
        data = unseal(memoryview(data))
    size = int.from_bytes(data[:8], "little")
    if size > len(data):
        raise ValueError("cut short")
    header: dict[str, Any] = json.loads(data[8 : 8 + size])
    first = -(-(8 + size) // _ALIGN) * _ALIGN
    arrays: Arrays = {}
    for name, (dtype, shape, offset) in header["arrays"].items():
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(data, np.dtype(dtype), count, first + offset).reshape(shape)
    return header, arrays
