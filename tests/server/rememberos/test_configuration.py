"""What a tenant brings: a language model of its own, tried before it is saved; and the cap on the server's."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

import onebrain
from onebrain.errors import OneBrainInternalError, OneBrainValidationError
from onebrain_server.testing import live_server

E = "/memory/extraction/config"
C = "/memory/collections/notes"


@pytest.fixture
def own(model):
    """A configuration of the test's own model, which answers the first question."""
    model.says = ["OK"]
    return {"provider": "custom", "base_url": model.url, "model": "mine", "api_key": "sk-of-my-own"}


def proposed(text, quote):
    return {"facts": [{"text": text, "quote": quote, "from": 1}]}


# ---- a language model ----------------------------------------------------------------------------------------------------


def test_a_model_is_tried_saved_used_and_given_up(client, model, own):
    assert client.get(E).json() == {"custom": False, "provider": None, "base_url": None, "model": None}
    shown = {"custom": True, "provider": "custom", "base_url": model.url, "model": "mine"}
    answer = client.put(E, json=own)
    assert (answer.status_code, answer.json()) == (200, shown), answer.text
    assert client.get(E).json() == shown
    assert (model.keys, model.asked[0]["model"]) == (["Bearer sk-of-my-own"], "mine")
    model.says = [proposed("The walls of the office are grey.", "We painted them")]
    done = client.post(f"{C}/remember?sync=true", json={"content": "We painted them."}).json()
    assert [fact["text"] for fact in done["memories"]] == ["The walls of the office are grey."]
    assert model.keys == ["Bearer sk-of-my-own"] * 2
    assert client.delete(E).json() == {"deleted": True}
    assert client.delete(E).json() == {"deleted": False}
    client.post(f"{C}/remember?sync=true", json={"content": "I live in Lisbon."})
    assert len(model.keys) == 2


def test_a_model_is_its_tenants_alone(client, stranger, model, own):
    client.put(E, json=own)
    assert stranger.get(E).json()["custom"] is False
    stranger.post(f"{C}/remember?sync=true", json={"content": "I live in Lisbon."})
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    ("says", "reason"), [([], "status 500"), ([""], None), (["no"], None), ([["list"]], None)]
)
def test_only_what_answers_is_saved(client, model, own, says, reason):
    model.says = says
    answer = client.put(E, json=own)
    if reason is None:
        assert answer.status_code == 200
        return
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        f"The model was tried and not saved: it answered with {reason}",
    )
    assert "sk-of-my-own" not in answer.text
    assert client.get(E).json()["custom"] is False


def test_what_is_no_model_is_not_saved(client, live, own, url):
    nowhere = {**own, "base_url": "http://127.0.0.1:9/v1"}
    assert "cannot be reached" in client.put(E, json=nowhere).json()["detail"]
    # It answers 401.
    here = {**own, "base_url": f"{url}/v1/proxy"}
    assert "status 401" in client.put(E, json=here).json()["detail"]
    for wrong in ("ftp://x.example", "no url", "", 7):
        assert client.put(E, json={**own, "base_url": wrong}).status_code == 400
    assert client.put(E, json={**own, "provider": "other"}).status_code == 400
    assert client.get(E).json()["custom"] is False


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/v1",
        "https://localhost/v1",
        "https://169.254.169.254/v1",
        "https://[::1]/v1",
        "http://example.com/v1",
    ],
)
def test_private_addresses_are_refused(settings, model, own, address):
    with live_server(replace(settings, private_addresses=False)) as live:
        headers = {"authorization": f"Bearer {live.key}"}
        url = f"{live.url}/compat/rememberos/v1{E}"
        answer = httpx.put(url, json={**own, "base_url": address}, headers=headers)
        assert answer.status_code == 400
        assert "not saved: the URL" in answer.json()["detail"]
        # Nor is one reached that was saved when it was allowed.
        tenant = live.server.accounts.by_key(live.key).account.id
        saved = {"base_url": model.url, "model": "m", "api_key": "k"}
        live.server.records.add(tenant, "rememberos.model", saved, id="config")
        path = f"{live.url}/compat/rememberos/v1{C}/remember?sync=true"
        done = httpx.post(path, json={"content": "I live in Lisbon."}, headers=headers).json()
        assert [fact["text"] for fact in done["memories"]] == ["I live in Lisbon."]
    assert model.asked == []


def test_agents_configure_nothing(client, agent, own):
    bot = agent("bot")
    for kind in ("storage", "database", "extraction"):
        assert bot.get(f"/memory/{kind}/config").status_code == 403
        assert bot.delete(f"/memory/{kind}/config").status_code == 403
    assert bot.put(E, json=own).status_code == 403
    assert bot.put("/memory/spend-cap", json={"monthly_usd": 1}).status_code == 403


# ---- storage and database --------------------------------------------------------------------------------------------------

BUCKET = {
    "backend": "s3", "endpoint_url": "https://s3.example", "bucket": "b", "region": "eu", "access_key": "AK-1",
    "secret_key": "SK-1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "body", "default"),
    [
        ("storage", BUCKET, {"custom": False, "backend": None}),
        ("database", {"dsn": "postgresql://u:pw-1@h/d"}, {"custom": False, "backend": "sqlite"}),
    ],
)
def test_there_is_nothing_to_bring(client, kind, body, default):
    path = f"/memory/{kind}/config"
    assert client.get(path).json() == default
    answer = client.put(path, json=body)
    assert answer.status_code == 503
    assert "nothing was saved" in answer.json()["detail"]
    assert "pw-1" not in answer.text
    assert "SK-1" not in answer.text
    assert client.put(path, json={}).status_code == 400
    assert client.get(path).json() == default
    assert client.delete(path).json() == {"deleted": False}


# ---- the cap ---------------------------------------------------------------------------------------------------------------


def test_the_cap(client, agent):
    path = "/memory/spend-cap"
    assert client.get(path).json() == {"monthly_usd": None, "spent_usd": 0.0}
    assert client.put(path, json={"monthly_usd": 12.5}).json() == {"monthly_usd": 12.5, "spent_usd": 0.0}
    assert agent("bot").get(path).json()["monthly_usd"] == 12.5
    for wrong in ({}, {"monthly_usd": -1}, {"monthly_usd": "5"}):
        assert client.put(path, json=wrong).status_code == 400
    assert client.put(path, json={"monthly_usd": None}).json()["monthly_usd"] is None
    assert client.get(path).json()["monthly_usd"] is None


@pytest.fixture
def paid(clever, request):
    """A client of a server whose operator pays for a model."""
    key = clever.account(f"{abs(hash(request.node.nodeid))}@example.com")
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"{clever.url}/compat/rememberos/v1", headers=headers) as made:
        yield made


def test_over_the_cap_texts_are_stored_without_asking_the_servers_model(paid, model, own):
    remembered = {"content": "Maria lives in Lisbon. What a day!"}
    paid.put("/memory/spend-cap", json={"monthly_usd": 0})
    done = paid.post(f"{C}/remember?sync=true", json=remembered).json()
    assert (done["created"], done["memories"][0]["text"], done["memories"][0]["type"]) == (
        1, "Maria lives in Lisbon. What a day!", "other",
    )  # fmt: skip
    assert paid.get(f"{C}/profile").status_code == 200
    assert model.asked == []
    # A model of one's own is never capped.
    assert paid.put(E, json=own).status_code == 200
    model.says = [proposed("Maria lives in Porto.", "Maria lives in Lisbon")]
    done = paid.post(f"{C}/remember?sync=true", json=remembered).json()
    assert done["memories"][0]["text"] == "Maria lives in Porto."
    paid.delete(E)
    paid.put("/memory/spend-cap", json={"monthly_usd": 1})
    model.says = [proposed("Maria lives in Faro.", "Maria lives in Lisbon")]
    done = paid.post(f"{C}/remember?sync=true", json=remembered).json()
    assert done["memories"][0]["text"] == "Maria lives in Faro."


def test_the_servers_own_model_is_shown_without_its_address(paid, model):
    assert paid.get(E).json() == {
        "custom": False, "provider": "default", "base_url": None, "model": "gpt-4o-mini",
    }  # fmt: skip


# ---- our client ------------------------------------------------------------------------------------------------------------


def test_the_client_configures(ask, url, key, model, own):
    del own["provider"]
    assert ask(lambda c: c.configuration.extraction.get()).provider is None
    made = ask(lambda c: c.configuration.extraction.set(**own))
    assert (made.provider, made.base_url, made.model) == ("custom", model.url, "mine")
    ask(lambda c: c.configuration.extraction.delete())
    assert ask(lambda c: c.configuration.extraction.get())["custom"] is False
    with pytest.raises(OneBrainValidationError, match="tried and not saved"):
        ask(lambda c: c.configuration.extraction.set(**own))
    assert ask(lambda c: c.configuration.storage.get()).backend is None
    assert ask(lambda c: c.configuration.database.get())["backend"] == "sqlite"
    ask(lambda c: c.configuration.storage.delete())
    ask(lambda c: c.configuration.database.delete())
    with onebrain.RememberOS(api_key=key, base_url=url, max_retries=0) as client:
        for set_ in (
            lambda: client.configuration.storage.set(bucket="b", access_key="AK-1", secret_key="SK-1"),
            lambda: client.configuration.database.set("postgresql://u:p@h/d"),
        ):
            with pytest.raises(OneBrainInternalError, match="nothing was saved"):
                set_()
