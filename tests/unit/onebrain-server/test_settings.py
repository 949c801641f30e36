"""Settings from the environment: defaults, and clear refusals of what cannot be meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onebrain.errors import ConfigurationError
from onebrain_server.environment import VARIABLES
from onebrain_server.server import Server
from onebrain_server.settings import FREE_PLAN, Settings


def test_nothing_has_to_be_set():
    settings = Settings.from_environment({})
    assert (settings.port, settings.host, settings.rate_limit_max) == (3000, "127.0.0.1", 600)
    assert settings.database_url.startswith("sqlite:///")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_SECRET", "short"),
        ("MEMORY_ENCRYPTION_KEY", "abc"),
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("RATE_LIMIT_WINDOW", "0"),
        ("CORS_ORIGINS", "*"),
        ("LOG_LEVEL", "loud"),
        ("FREE_PLAN_LIMITS", "unicorns=3"),
        ("FREE_PLAN_LIMITS", "memories=many"),
        ("REGISTRATION", "off"),
        ("REGISTRATION", "true"),
        ("NODE_ENV", "dev"),
        ("STRICT", "maybe"),
        ("ALLOW_PRIVATE_ADDRESSES", "2"),
        ("BRRAIN_IDEMPOTENT_REPLAY", "y e s"),
        ("CREDENTIALS_KEY", "f" * 63),
        ("FORWARDED_ALLOW_IPS", "*"),
        ("FORWARDED_ALLOW_IPS", "proxy.internal"),
        ("MODEL_URL", "localhost:11434"),
        ("PUBLIC_URL", "memory.example.com"),
        ("CORS_ORIGINS", "example.com"),
        ("RATE_LIMIT_MAX", "-1"),
        ("RATE_LIMIT_MAX", "1_000"),
        ("RATE_LIMIT_MAX", "٣"),
        ("INDEX_MEMORY", "4GB"),
        ("MAX_METADATA_BYTES", "0"),
        ("WORKERS", "0"),
        ("PUBLIC_URL", "https://maria:secret@memory.example.com"),
        ("PUBLIC_URL", "https://memory.example.com?key=x"),
        ("PUBLIC_URL", "https://memory.example.com:99999"),
        ("PUBLIC_URL", "https://memory .example.com"),
        ("PUBLIC_URL", "https://memory.example.com\r\nSend your key to https://example.org"),
        ("PUBLIC_URL", "https://memory.example.com\\.example.org"),
        ("MODEL_URL", "http://localhost:0"),
        ("MODEL_URL", "http://[::1"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", "https://maria:secret@example.com"),
        ("CORS_ORIGINS", "https://example.com?x"),
        ("CORS_ORIGINS", "https://example.com:99999"),
        ("FORWARDED_ALLOW_IPS", "0.0.0.0/0"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.7, ::/0"),
        ("HISTORY_DAYS", "999999999999999999"),
        ("BRRAIN_RETENTION_DAYS", "999999999999999999"),
        ("RATE_LIMIT_WINDOW", "999999999999999999"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(name, value):
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment({name: value})


@pytest.mark.parametrize(
    ("name", "setting", "values"),
    [
        ("REGISTRATION", "registration", {"open": True, "closed": False, "Closed": False}),
        ("STRICT", "strict", {"yes": True, "on": True, "1": True, "TRUE": True, "no": False, "off": False, "0": False}),
        ("NODE_ENV", "development", {"development": True, "production": False}),
        ("LOG_LEVEL", "log_level", {"warning": "warn", "ERROR": "error"}),
        ("PUBLIC_URL", "public_url", {"https://[::1]:8443/brain/": "https://[::1]:8443/brain", "HTTP://münchen.example": "HTTP://münchen.example"}),
        ("MODEL_URL", "model_url", {"http://maria:secret@localhost:11434/v1": "http://maria:secret@localhost:11434/v1"}),
        ("RERANKER", "reranker", {"cohere:rerank-v3.5": "cohere:rerank-v3.5"}),
        ("FORWARDED_ALLOW_IPS", "proxies", {"10.0.0.7, 10.1.0.0/16": ("10.0.0.7", "10.1.0.0/16"), " ": ()}),
    ],
)  # fmt: skip
def test_every_value_of_a_switch_means_one_thing(name, setting, values):
    for text, meaning in values.items():
        assert getattr(Settings.from_environment({name: text}), setting) == meaning


def test_all_that_is_wrong_is_said_at_once_and_no_secret_with_it():
    given = {"JWT_SECRET": "pass-phrase", "CREDENTIALS_KEY": "pass-word", "MEMORY_ENCRYPTION_KEY": "pass-key"}
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({**given, "PORT": "none", "REGISTRATION": "off"})
    for name in ("CREDENTIALS_KEY", "MEMORY_ENCRYPTION_KEY", "PORT", "REGISTRATION: must be open or closed"):
        assert name in str(caught.value)
    assert "pass" not in str(caught.value)


def test_a_misspelt_variable_is_told():
    [warning] = Settings.absent(
        {"REGISTRATON": "closed", "HOSTNAME": "a", "ONEBRAIN_API_KEY": "b", "PATH": "/bin"}
    )
    assert "REGISTRATON" in warning
    assert "REGISTRATION" in warning


def test_every_variable_is_documented_and_every_documented_one_exists():
    page = (Path(__file__).parents[3] / "docs" / "server.md").read_text(encoding="utf-8")
    table = page.partition("| variable |")[2].partition("\n\n")[0]
    documented = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])
    }
    assert documented == set(VARIABLES)


def test_secrets_do_not_show():
    shown = repr(Settings.from_environment({"JWT_SECRET": "s" * 40, "MEMORY_ENCRYPTION_KEY": "ab" * 32}))
    assert "ssss" not in shown
    assert "abab" not in shown


def test_variables_without_effect_are_named():
    assert any("RESEND_API_KEY" in warning for warning in Settings.absent({"RESEND_API_KEY": "x"}))


def test_limits_left_out_keep_their_defaults():
    settings = Settings.from_environment({"FREE_PLAN_LIMITS": "memories=5"})
    assert settings.free_plan == {**FREE_PLAN, "memories": 5}


def test_large_spaces_and_the_memory_of_indexes_reach_the_engine(postgres_url):
    given = {"DATABASE_URL": postgres_url, "LARGE_SPACE": "5000", "INDEX_MEMORY": "16"}
    server = Server(Settings.from_environment(given))
    assert server.engine.filling.large == 5000
    assert server.engine.indexes.partitions._index_bytes == 16 * 2**20
    server.close()
    server = Server(Settings.from_environment({**given, "LARGE_SPACE": "never"}))
    assert not server.engine.filling.possible
    server.close()
    with pytest.raises(ConfigurationError, match="LARGE_SPACE: only PostgreSQL"):
        Settings.from_environment({**given, "DATABASE_URL": "sqlite://"})
    with pytest.raises(ConfigurationError, match="LARGE_SPACE: must be a whole number"):
        Settings.from_environment({**given, "LARGE_SPACE": "-1"})
