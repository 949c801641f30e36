"""The error tree: what it says, what it hides, and that it crosses processes."""

from __future__ import annotations

import pickle

import pytest

import onebrain
from onebrain import errors
from onebrain.errors import OneBrainError, Unsupported, redact

KINDS = [getattr(errors, name) for name in errors.__all__ if isinstance(getattr(errors, name), type)]

SECRETS = [
    "ob_eu_12345678abcdef",
    "ob_k1:s3cr3tvalue",
    "hb_live_abcdef123456",
    "brr_key_abcdef-123456",
    "mv-abcdef123456",
    "sk_abcdef123456",
    "whsec_abcdef123456",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
]


def make(kind):
    if issubclass(kind, errors.WebhookVerificationError):
        return kind("too old", service="onebrain")
    if issubclass(kind, Unsupported):
        return kind("time travel", "onebrain", status_code=501)
    return kind(
        "it failed", service="onebrain", status_code=418, code="TEAPOT", request_id="r", retry_after=1.5
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_survives_a_pickle(kind):
    error = make(kind)
    error.details = [{"path": "a"}]
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_in_one_tree_exported_and_drawn(kind):
    assert issubclass(kind, OneBrainError)
    assert getattr(onebrain, kind.__name__) is kind
    assert kind.__name__ in (errors.__doc__ or "")
    assert kind.__doc__


def test_an_error_is_also_what_python_would_have_raised():
    assert issubclass(errors.OneBrainValidationError, ValueError)
    assert issubclass(errors.ConfigurationError, ValueError)
    assert issubclass(errors.MissingDependency, ImportError)
    assert issubclass(errors.UnsupportedByServer, errors.OneBrainNotFoundError)
    assert issubclass(errors.QuotaExceeded, errors.OneBrainRateLimitError)


def test_the_text_of_an_error_has_its_facts():
    error = OneBrainError("it failed", service="onebrain", status_code=500, code="X", request_id="r-1")
    assert str(error) == "it failed [service=onebrain, status=500, code=X, request_id=r-1]"
    assert str(OneBrainError("alone")) == "alone"


@pytest.mark.parametrize("secret", SECRETS)
def test_what_is_shaped_like_a_key_is_never_shown(secret):
    error = OneBrainError(f"key {secret} was refused", details={"sent": [secret], secret: 1})
    shown = f"{error} {error!r} {error.details} {error.args} {error.__dict__}"
    assert secret not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("Authorization: ApiKey abc", "Authorization: ApiKey ***"),
        ("Authorization: Basic dXNlcg==", "Authorization: Basic ***"),
        ("http://host/x?api_key=abc&y=1", "http://host/x?api_key=***&y=1"),
        ("postgresql://maria:hunter2@host/db", "postgresql://***@host/db"),
        ("postgresql://maria:hunter@2secret@host/db", "postgresql://***@host/db"),
        ("postgresql://maria:hun/ter@2@host/db", "postgresql://***@host/db"),
        ("postgresql://maria:hun?ter#2@host/db", "postgresql://***@host/db"),
        ("postgresql://host/db?sslpassword=hunter2&user=m", "postgresql://host/db?sslpassword=***&user=m"),
        ("redis://:hunter2@host", "redis://***@host"),
        ("onebrain+https://hunter2@host/api", "onebrain+https://***@host/api"),
        ("http://host/x?key=hunter2&access_token=hunter2", "http://host/x?key=***&access_token=***"),
        ("http://host:8080/users/a@b.example", "http://host:8080/users/a@b.example"),
        ("postgresql://maria@host/db", "postgresql://maria@host/db"),
        ("nothing to hide: task_list, risk_free", "nothing to hide: task_list, risk_free"),
    ],
)
def test_secrets_go_and_the_rest_stays(text, clean):
    assert redact(text) == clean


def test_a_secret_that_is_known_goes_whatever_its_shape():
    assert redact("the word is tiger", "tiger", "") == "the word is ***"


def test_unsupported_names_what_and_who():
    error = Unsupported("updating", "brrain", hint="store it again")
    assert (error.capability, error.service) == ("updating", "brrain")
    assert str(error).startswith("brrain does not support updating; store it again")
