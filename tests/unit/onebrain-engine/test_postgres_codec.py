"""What PostgreSQL cannot hold as it is, and the URLs and errors around it."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onebrain
from onebrain.errors import (
    ConfigurationError,
    DatabaseBusy,
    DatabaseFull,
    DatabaseReadOnly,
    OneBrainAuthenticationError,
    OneBrainConnectionError,
    OneBrainTimeoutError,
    StorageError,
)
from onebrain_engine.store.postgres import PostgresStore
from onebrain_engine.store.postgres_codec import digest, escape, unescape
from onebrain_engine.store.postgres_errors import translate, translate_connect
from onebrain_engine.store.protocol import Contention

tricky = st.text(st.sampled_from("\0\x1000a"), max_size=12) | st.text()


@given(tricky)
def test_an_escaped_text_comes_back_and_holds_no_nul(text):
    assert "\0" not in escape(text)
    assert unescape(escape(text)) == text


@given(tricky, tricky)
def test_different_texts_stay_different(one, other):
    assert (escape(one) == escape(other)) == (one == other)


def test_a_digest_is_short_for_any_text():
    assert len(digest("")) == len(digest("é" * 10_000)) == 16
    assert digest("a") != digest("b")


@pytest.mark.parametrize("url", ["postgresql://localhost/app?colour=red", "postgresql://[::1/app"])
def test_a_wrong_url_is_refused_at_once_without_being_quoted(url):
    with pytest.raises(ConfigurationError, match="not a PostgreSQL URL") as caught:
        onebrain.connect(url)
    assert "colour" not in str(caught.value)


def test_both_spellings_of_the_scheme_name_the_same_driver():
    for scheme in ("postgresql", "postgres"):
        with onebrain.connect(f"{scheme}://localhost/app", embedder=None) as brain:
            assert brain.capabilities.service == "postgresql"


def test_a_store_shows_where_it_is_and_no_password():
    store = PostgresStore("postgresql://app:hunter22@db.example:5433/memories")
    assert repr(store) == "PostgresStore('the PostgreSQL database memories on db.example:5433')"
    store.close()


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("postgresql://localhost/app", {"durability": "full"}),
        ("postgresql://localhost/app", {"pool_size": 0}),
        ("sqlite://", {"pool_size": 3}),
    ],
)
def test_an_option_of_another_store_is_refused(url, options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        onebrain.connect(url, **options)


def test_a_closed_store_says_so():
    store = PostgresStore("postgresql://localhost/app")
    store.close()
    store.close()
    with pytest.raises(StorageError, match="closed"), store.reading():
        pass


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("40001", Contention),
        ("40P01", Contention),
        ("55P03", DatabaseBusy),
        ("53300", DatabaseBusy),
        ("53100", DatabaseFull),
        ("25006", DatabaseReadOnly),
        ("57P01", OneBrainConnectionError),
        ("08006", OneBrainConnectionError),
        ("57014", OneBrainTimeoutError),
        ("28P01", OneBrainAuthenticationError),
        ("XX000", StorageError),
        ("23505", StorageError),
    ],
)
def test_every_state_of_the_server_has_an_error_of_ours_that_quotes_nothing(state, kind):
    secret = "Maria prefers window seats"
    error = psycopg.errors.lookup(state)(f"something about {secret}")
    translated = translate(error, "the database")
    assert type(translated) is kind
    assert translated.code == state
    assert secret not in str(translated)
    assert "the database" in str(translated)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            'connection failed: FATAL:  password authentication failed for user "app"',
            OneBrainAuthenticationError,
        ),
        ('connection failed: FATAL:  database "x" does not exist', ConfigurationError),
        (
            "connection failed: connection to server at ::1 failed: Connection refused",
            OneBrainConnectionError,
        ),
    ],
)
def test_a_connection_that_fails_says_why(said, kind):
    error = translate_connect(psycopg.OperationalError(said), "the database")
    assert type(error) is kind
    assert "connection failed" not in str(error)
