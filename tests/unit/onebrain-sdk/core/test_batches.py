"""Rows are cut into requests by number and bytes, and smaller after a 413."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onebrain._core.batches import Batches, ByteLimit
from onebrain._core.codec import to_json
from onebrain.errors import OneBrainInternalError, OneBrainValidationError

TOO_LARGE = OneBrainValidationError("too large", status_code=413)


@given(st.lists(st.text(max_size=40)), st.integers(1, 10), st.integers(1, 200), st.integers(1, 200))
def test_every_row_is_sent_once_and_in_order(rows, most_rows, limit, taken):
    """`taken` is the number of bytes that the server takes; a larger row alone is refused for good."""
    byte_limit = ByteLimit(limit)
    batches = Batches(rows, most_rows, byte_limit)
    sent: list[str] = []
    for batch in batches:
        assert (batches.start, batches.size) == (len(sent), len(batch))
        assert 1 <= len(batch) <= most_rows
        size = sum(len(to_json(row).encode()) + 1 for row in batch)
        assert len(batch) == 1 or size <= limit
        try:
            with batches.attempt():
                if size > taken:
                    raise TOO_LARGE
                sent.extend(batch)
        except OneBrainValidationError:
            assert len(batch) == 1
            sent.extend(batch)
    assert sent == rows


def test_a_limit_that_was_learned_is_kept_for_later_calls():
    limit = ByteLimit(100)
    batches = Batches(["x" * 10] * 8, 8, limit)
    for batch in batches:
        with batches.attempt():
            if len(batch) > 3:
                raise TOO_LARGE
    assert [len(batch) for batch in Batches(["x" * 10] * 8, 8, limit)] == [3, 3, 2]


def test_other_failures_are_not_sent_again():
    batches = Batches(["a", "b"], 2, ByteLimit())
    next(iter(batches))
    failed = OneBrainInternalError("failed", status_code=500)
    described = OneBrainInternalError("failed after 0 rows")
    with pytest.raises(OneBrainInternalError, match="after 0 rows"), batches.attempt(lambda error: described):
        raise failed
