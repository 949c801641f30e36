"""Settings from the environment: defaults, and clear refusals of what cannot be meant."""

from __future__ import annotations

import pytest

from onebrain.errors import ConfigurationError
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
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(name, value):
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment({name: value})


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
    assert server.engine._partitions._memory == 16 * 2**20
    server.close()
    server = Server(Settings.from_environment({**given, "LARGE_SPACE": "never"}))
    assert not server.engine.filling.possible
    server.close()
    with pytest.raises(ConfigurationError, match="LARGE_SPACE: only PostgreSQL"):
        Settings.from_environment({**given, "DATABASE_URL": "sqlite://"})
    with pytest.raises(ConfigurationError, match="LARGE_SPACE: must be a whole number"):
        Settings.from_environment({**given, "LARGE_SPACE": "-1"})
