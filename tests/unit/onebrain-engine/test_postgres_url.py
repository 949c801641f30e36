"""PostgreSQL's URLs: every usual spelling works, and no part of a credential shows, however it was quoted."""

from __future__ import annotations

import logging
import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import onebrain
from onebrain.errors import ConfigurationError, OneBrainError
from onebrain_engine.store.postgres_connections import target
from onebrain_engine.store.postgres_url import is_postgres
from onebrain_server.settings import Settings
from onebrain_server.state.database import Database

SECRET = "s3kr1tpart"


def parameters(url):
    wanted = ("user", "password", "host", "port", "dbname", "sslmode")
    return {name: value for name, value in target(url).parameters.items() if name in wanted}


@pytest.mark.parametrize(
    "scheme",
    [
        "postgresql",
        "postgres",
        "postgresql+psycopg",
        "postgresql+psycopg2",
        "postgresql+psycopg_async",
        "postgresql+asyncpg",
        "postgresql+pg8000",
        "postgres+psycopg",
        "PostgreSQL",
        "POSTGRES",
    ],
)
def test_every_spelling_of_the_scheme_names_the_same_database(scheme):
    url = f"{scheme}://app:pw@db.example:5433/brains"
    assert is_postgres(url)
    assert parameters(url) == {
        "user": "app", "password": "pw", "host": "db.example", "port": "5433", "dbname": "brains",
    }  # fmt: skip
    with onebrain.connect(url, embedder=None) as brain:
        assert brain.capabilities.service == "postgresql"
    assert Settings(database_url=url, workers=2).workers == 2


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://", {}),
        ("postgresql:///brains", {"dbname": "brains"}),
        ("postgresql://db.example", {"host": "db.example"}),
        ("postgresql://app@db.example/b", {"user": "app", "host": "db.example", "dbname": "b"}),
        ("postgresql://[::1]:5433/b", {"host": "::1", "port": "5433", "dbname": "b"}),
        ("postgresql://a:1,b/x", {"host": "a,b", "port": "1,", "dbname": "x"}),
        ("postgresql://%2Frun%2Fpg/b", {"host": "/run/pg", "dbname": "b"}),
        ("postgresql:///b?host=/run/pg&user=app", {"host": "/run/pg", "user": "app", "dbname": "b"}),
        ("postgresql:///b?host=x:1&host=y:2", {"host": "x,y", "port": "1,2", "dbname": "b"}),
        ("postgresql://h/b?ssl=require", {"host": "h", "dbname": "b", "sslmode": "require"}),
        ("postgresql://h/b?ssl=true", {"host": "h", "dbname": "b", "sslmode": "require"}),
        ("postgresql://h/b?password=p@ss", {"host": "h", "dbname": "b", "password": "p@ss"}),
        ("postgresql://u:p@q@h/b", {"user": "u", "password": "p@q", "host": "h", "dbname": "b"}),
        ("postgresql://u:50%25@h/b", {"user": "u", "password": "50%", "host": "h", "dbname": "b"}),
        ("postgresql://u:a+b@h/b", {"user": "u", "password": "a+b", "host": "h", "dbname": "b"}),
        ("host=h dbname=b user=u", {"user": "u", "host": "h", "dbname": "b"}),
        ("  postgresql://h/b\n", {"host": "h", "dbname": "b"}),
    ],
)
def test_parts_of_a_url_are_what_libpq_and_sqlalchemy_read(url, expected):
    assert parameters(url) == expected


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_a_quoted_password_is_read_as_it_was(password):
    assert parameters(f"postgresql://app:{quote(password, safe='')}@h/b")["password"] == password


@given(st.text(st.characters(codec="utf-8"), max_size=12), st.text(st.characters(codec="utf-8"), max_size=6))
def test_an_unquoted_password_is_read_whole_or_refused_without_a_word_of_it(before, after):
    password = f"{before}{SECRET}{after}"
    url = f"postgresql://app:{password}@h/b"
    try:
        found = target(url)
    except ConfigurationError:
        with pytest.raises(ConfigurationError) as caught:
            target(url)
        assert SECRET not in "".join(traceback.format_exception_only(caught.value))
    else:
        assert SECRET in found.parameters["password"]
        assert SECRET not in f"{found!r} {found.where}"


SPECIAL = [
    "@",
    "/",
    ":",
    "?",
    "#",
    "%",
    "%zz",
    "[",
    "]",
    "&",
    "=",
    " ",
    "?a=",
    "@/",
    "/@",
    "é",
    "%ff",
    "\\",
    "'",
]


@pytest.mark.parametrize("special", SPECIAL)
def test_no_error_traceback_or_log_holds_a_part_of_a_password(special, caplog):
    caplog.set_level(logging.DEBUG)
    url = f"postgresql://app:hunter{special}{SECRET}@127.0.0.1:1/db"
    uses = (
        lambda: onebrain.connect(url, embedder=None).store("x"),
        lambda: Database(url),
    )
    for use in uses:
        with pytest.raises(OneBrainError) as caught:
            use()
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert SECRET not in shown.replace(url, "")
    assert SECRET not in caplog.text
    assert SECRET not in repr(Settings(database_url=url))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:app:s3kr1tpart@h",
        "postgresql://h:port/b",
        "postgresql://[::1/b",
        "postgresql://h/b?colour=1",
    ],
)
def test_what_is_no_url_of_postgresql_is_called_that(url):
    with pytest.raises(ConfigurationError, match="not a PostgreSQL URL") as caught:
        target(url)
    assert not any(word in str(caught.value) for word in (SECRET, "colour", "port/"))
