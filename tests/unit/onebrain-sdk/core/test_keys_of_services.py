"""No error of a client shows a key of its service, whoever the key belongs to and wherever the service repeats it."""

from __future__ import annotations

import pickle
import traceback
import typing

import httpx
import pytest

import onebrain
from onebrain.errors import OneBrainError, redact
from onebrain_server.security import keys

# As `keys.make` makes them, but the same in every process that collects these tests.
MADE = {
    kind: f"{kind}_0123456789abcdef_" + "fedcba9876543210" * 3
    for kind in ("ob", "hb_prod", "hb_dev", "mv", "brr_live")
}
# Keys of each service, in every form that its API or its documentation knows.
KEYS = {
    "onebrain": [MADE["ob"], "ob_0123456789abcdef:fedcba9876543210", "ob_eu_0123456789abcdef"],
    "ai_memory": ["sk-0123456789abcdef", "sk_0123456789abcdef"],
    "herobrain": [MADE["hb_prod"], MADE["hb_dev"]],
    "rememberos": [MADE["mv"], "mv_0123456789abcdef"],
    "brrain": [MADE["brr_live"], "brr_test_0123456789abcdef"],
}
# Secrets that no service is alone with: of webhooks, of OAuth, of a login, of a language model.
SHARED = [
    "whsec_0123456789abcdef",
    "re_0123456789abcdef",
    "sk-proj-0123456789abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
]
CASES = [(service, key) for service, made in KEYS.items() for key in (*made, *SHARED)]


def client(service, http_client):
    own = KEYS[service][0]
    options = {"http_client": http_client, "max_retries": 0}
    return {
        "onebrain": lambda: onebrain.OneBrain(own, base_url="http://service.example/api/eu", **options),
        "ai_memory": lambda: onebrain.AiMemoryClient("http://service.example", api_key=own, **options),
        "herobrain": lambda: onebrain.HeroBrain(own, "acme", base_url="http://service.example", **options),
        "rememberos": lambda: onebrain.RememberOS(api_key=own, base_url="http://service.example", **options),
        "brrain": lambda: onebrain.Brrain(api_key=own, base_url="http://service.example", **options),
    }[service]()


# ai-memory's client sends complete ids only.
ID = "7911a591-d041-4b30-b2a4-b8818d4132ab"


def ask(made):
    """Call an operation that every client has in some form."""
    return {
        "OneBrain": lambda: made.memory.get(ID),
        "AiMemoryClient": lambda: made.memories.get(ID),
        "HeroBrain": lambda: made.memories.get(ID),
        "RememberOS": lambda: made.memories.get(ID),
        "Brrain": lambda: made.memory.get(ID),
    }[type(made).__name__]()


def bodies(key):
    """Return bodies of refusals that repeat a key, in the forms that servers give them."""
    text = f"the key {key} was refused"
    return [
        {"error": {"code": key, "message": text, "details": [{"path": key, "message": text}]}},
        {"error": text, "code": key, "message": text},
        {"detail": text},
        {"detail": [{"loc": ["body", key], "msg": text, "type": key}]},
        {"success": False, "error": {"code": "X", "message": text, "requestId": key}},
        text,
    ]


@pytest.mark.parametrize(("service", "key"), CASES)
def test_an_answer_that_repeats_a_key_shows_it_nowhere(service, key):
    answers = [
        httpx.Response(status, headers={"x-request-id": key, "retry-after": key}, **given)
        for status in (401, 422, 500)
        for given in ({"text": body} if isinstance(body, str) else {"json": body} for body in bodies(key))
    ]
    with httpx.Client(
        transport=httpx.MockTransport(lambda request: answers.pop()), trust_env=False
    ) as http_client:
        made = client(service, http_client)
        for left in reversed(range(len(answers))):
            with pytest.raises(OneBrainError) as caught:
                ask(made)
            assert len(answers) == left
            error = caught.value
            shown = f"{error} {error!r} {error.args} {error.__dict__} {made!r}"
            shown += "".join(traceback.format_exception(error))
            assert key not in shown
            assert key not in str(pickle.loads(pickle.dumps(error)).__dict__)


@pytest.mark.parametrize("service", KEYS)
def test_a_key_of_whatever_form_is_not_shown_to_its_own_user(service):
    """The client knows its own key, so that a form of which no pattern knows is not shown either."""
    own = "tiger.lily-17"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KEYS, service, [own])
        answer = httpx.Response(400, json={"error": {"code": "X", "message": f"{own} was refused"}})
        with httpx.Client(
            transport=httpx.MockTransport(lambda request: answer), trust_env=False
        ) as http_client:
            made = client(service, http_client)
            with pytest.raises(OneBrainError) as caught:
                ask(made)
    assert own not in f"{caught.value} {caught.value.__dict__} {made!r}"


def test_every_kind_of_key_that_the_server_makes_is_known():
    made = {kind: keys.make(kind)[2] for kind in typing.get_args(keys.Kind)}
    assert made.keys() == MADE.keys()
    assert {kind: len(key) for kind, key in made.items()} == {kind: len(key) for kind, key in MADE.items()}
    assert {redact(f"key {key}, refused") for key in made.values()} == {"key ***, refused"}
