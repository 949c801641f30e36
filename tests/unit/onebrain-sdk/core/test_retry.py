"""When and how long to wait: pure functions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onebrain import ConfigurationError, OneBrainConnectionError
from onebrain._core.retry import RetryPolicy, Waits, retry_after, should_retry_error, should_retry_status
from onebrain._core.transport import not_sent

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        ("0", 0.0),
        ("1.5", 1.5),
        (" 7 ", 7.0),
        ("2592000", 2592000.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_server_may_ask_for_seconds_or_name_a_date(value, seconds):
    assert retry_after({"retry-after": value}, now=NOW) == seconds


def test_the_first_readable_header_counts():
    headers = {"retry-after-ms": "x", "x-retry": "3", "retry-after": "9"}
    assert retry_after(headers, "retry-after-ms", "x-retry", "retry-after") == 3
    assert retry_after({}) is None


@given(st.integers(0, 50))
def test_the_delay_doubles_with_jitter_up_to_its_bound(attempt):
    waits = Waits(RetryPolicy(max_retries=attempt + 1, base_delay=0.5, max_delay=8))
    for number in range(attempt + 1):
        expected = min(8, 0.5 * 2**number)
        waited = waits.next(None, limited=False)
        assert waited is not None
        assert 0.75 * expected <= waited <= 1.25 * expected
    assert waits.next(None, limited=False) is None


@pytest.mark.parametrize("limited", [True, False])
def test_a_wait_that_is_asked_for_is_kept_with_jitter_up_to_a_bound(limited):
    policy = RetryPolicy(max_retry_after=60, base_delay=0.5)
    found = [Waits(policy).next(60, limited=limited) for _ in range(20)]
    assert all(60 <= wait <= 60.5 for wait in found if wait is not None)
    assert len(set(found)) > 1
    assert Waits(policy).next(61, limited=limited) is None


@given(st.lists(st.floats(0, 70), min_size=1, max_size=60))
def test_a_rate_limit_is_waited_out_for_a_time_and_not_for_a_number_of_attempts(asked):
    waits = Waits(RetryPolicy(max_retries=1, max_retry_after=60, base_delay=0.5, max_delay=8))
    total = 0.0
    for seconds in asked:
        waited = waits.next(seconds, limited=True)
        if total + seconds > 60:
            assert waited is None
            break
        assert waited is not None
        assert seconds <= waited <= seconds + 8
        total += waited


def test_a_server_that_always_says_wait_is_given_up_in_the_end():
    waits = Waits(RetryPolicy())
    assert sum(1 for _ in iter(lambda: waits.next(0, limited=True), None)) < 1000


def test_no_retries_are_none():
    assert Waits(RetryPolicy(max_retries=0)).next(0.0, limited=True) is None


@pytest.mark.parametrize(
    ("status", "safe", "asked", "again"),
    [
        (429, False, None, True),
        (503, False, None, False),
        (503, False, 1.0, True),
        (500, False, None, False),
        (500, True, None, True),
        (502, True, None, True),
        (504, True, None, True),
        (501, True, None, False),
        (400, True, None, False),
        (404, True, None, False),
    ],
)
def test_only_what_is_safe_and_promising_is_tried_again(status, safe, asked, again):
    assert should_retry_status(status, safe=safe, asked=asked) is again


def test_a_write_is_sent_again_only_if_it_never_left():
    lost = OneBrainConnectionError("lost")
    assert not should_retry_error(lost, safe=False)
    assert should_retry_error(lost, safe=True)
    assert should_retry_error(not_sent(OneBrainConnectionError("refused")), safe=False)


def test_a_negative_number_of_retries_is_refused():
    with pytest.raises(ConfigurationError, match="max_retries"):
        RetryPolicy(max_retries=-1)
