"""Keys, scopes, limits, origins, cookies, sizes: what keeps strangers out and secrets in."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
import sqlalchemy as sa

from onebrain_server.dialects import DIALECTS
from onebrain_server.http.requests import Call
from onebrain_server.security.addresses import AddressRefused, Fetcher, is_public
from onebrain_server.security.scopes import READ_ONLY, SCOPES
from onebrain_server.settings import Settings
from onebrain_server.state import attempts
from onebrain_server.state.accounts import Caller
from onebrain_server.state.database import SERVER
from onebrain_server.state.tables import attempt, session
from onebrain_server.testing import live_server


def key_with(client, *scopes):
    made = client.post("/v1/api-keys", json={"name": "narrow", "scopes": list(scopes)})
    assert made.status_code == 201
    return made.json()["data"]


def with_key(client, key):
    return httpx.Client(base_url=client.base_url, headers={"authorization": f"ApiKey {key}"})


def test_a_key_is_accepted_with_a_colon_and_with_bearer(client, onebrain_api_key):
    for value in (
        f"ApiKey {onebrain_api_key}",
        f"Bearer {onebrain_api_key}",
        "ApiKey " + ":".join(onebrain_api_key.rsplit("_", 1)),
    ):
        assert client.get("/v1/memory", headers={"authorization": value}).status_code == 200


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "TOKEN_REQUIRED"),
        ("Basic not-a-login", "INVALID_AUTH_SCHEME"),
        ("apikey ob_aa_bb", "INVALID_AUTH_SCHEME"),
        ("ApiKey  ob_aaaa_bb", "INVALID_AUTH_SCHEME"),
        ("ApiKey not-a-key", "INVALID_API_KEY"),
        ("ApiKey ob_deadbeef_00", "INVALID_API_KEY"),
        ("Bearer not-a-key", "TOKEN_EXPIRED"),
    ],
)
def test_a_bad_login_is_refused_without_repeating_it(onebrain_server_url, value, code):
    headers = {} if value is None else {"authorization": value}
    answer = httpx.get(onebrain_server_url + "/v1/memory", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == code
    if value:
        assert value.split()[-1] not in answer.text


def test_a_wrong_secret_behind_a_good_prefix_is_refused(client, onebrain_api_key):
    wrong = onebrain_api_key[:-4] + ("0000" if onebrain_api_key[-4:] != "0000" else "1111")
    assert client.get("/v1/memory", headers={"authorization": f"ApiKey {wrong}"}).status_code == 401


def test_secrets_are_stored_as_digests_only(onebrain_server, onebrain_api_key):
    file = onebrain_server.server.settings.database_url.removeprefix("sqlite:///")
    secret = onebrain_api_key.rsplit("_", 1)[1]
    with sqlite3.connect(file) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert secret not in dump
    assert onebrain_api_key.rsplit("_", 1)[0] in dump


def test_every_route_checks_scopes(client):
    reader = with_key(client, key_with(client, "brain.read")["fullKey"])
    with reader:
        assert reader.get("/v1/memory").status_code == 200
        for method, path, body in (
            ("POST", "/v1/memory", {"body": "x"}),
            ("POST", "/v1/projects", {"name": "x"}),
            ("POST", "/v1/memory/consolidate", {}),
            ("POST", "/v1/memory/extract", {"body": "x"}),
            ("GET", "/v1/entities", None),
            ("GET", "/v1/connect", None),
            ("POST", "/v1/merge/run", {}),
            ("POST", "/v1/skills", {"title": "x", "body": "y"}),
        ):
            answer = (
                reader.request(method, path, json=body) if body is not None else reader.request(method, path)
            )
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "INSUFFICIENT_SCOPE"), path


def test_a_key_cannot_make_or_change_a_wider_one(client):
    everything = client.get("/v1/api-keys").json()["data"][0]
    writer = with_key(client, key_with(client, "brain.read", "brain.write")["fullKey"])
    with writer:
        for answer in (
            writer.post("/v1/api-keys", json={"name": "x", "scopes": ["entity.write"]}),
            writer.patch(f"/v1/api-keys/{everything['id']}", json={"isActive": False}),
            writer.delete(f"/v1/api-keys/{everything['id']}"),
        ):
            assert answer.status_code == 403
        made = writer.post("/v1/api-keys", json={"name": "x"}).json()["data"]
        assert set(made["scopes"]) == {"brain.read", "brain.write"}
        assert made["trustLevel"] == "review"
        for path, body in ((f"/v1/api-keys/{made['id']}/trust", {"trustLevel": "trusted"}),):
            assert writer.patch(path, json=body).status_code == 403


def test_trust_goes_both_ways_on_both_routes(client):
    made = key_with(client, "brain.read")
    for path in (f"/v1/api-keys/{made['id']}/trust", f"/v1/api-keys/{made['id']}"):
        for level in ("trusted", "review"):
            assert client.patch(path, json={"trustLevel": level}).json()["data"]["trustLevel"] == level


def test_a_key_that_is_switched_off_or_revoked_is_refused_at_once(client):
    made = key_with(client, "brain.read")
    with with_key(client, made["fullKey"]) as other:
        assert other.get("/v1/memory").status_code == 200
        assert client.patch(f"/v1/api-keys/{made['id']}", json={"isActive": False}).status_code == 200
        assert other.get("/v1/memory").status_code == 401
        client.patch(f"/v1/api-keys/{made['id']}", json={"isActive": True})
        assert other.get("/v1/memory").status_code == 200
        assert client.delete(f"/v1/api-keys/{made['id']}").status_code == 204
        assert other.get("/v1/memory").status_code == 401


@pytest.mark.parametrize("how", ["revoked", "switched off"])
def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_remembered(onebrain_server, monkeypatch, how):
    accounts = onebrain_server.server.accounts
    tenant = accounts.register(f"{uuid.uuid4().hex}@example.com", None, None, "en").id
    made, whole = accounts.create_key(tenant, "short-lived", ("brain.read",))

    # The key was read, and is changed before the answer is remembered.
    def caller(*fields):
        if how == "revoked":
            accounts.revoke_key(tenant, made.id)
        else:
            accounts.change_key(tenant, made.id, {"is_active": False})
        return Caller(*fields)

    with monkeypatch.context() as patch:
        patch.setattr("onebrain_server.state.accounts.Caller", caller)
        accounts.by_key(whole)
    assert accounts.remembered(whole) is None
    answer = httpx.get(onebrain_server.url + "/v1/memory", headers={"authorization": f"ApiKey {whole}"})
    assert answer.status_code == 401


def test_a_login_that_ends_while_it_is_looked_up_is_not_remembered(onebrain_server, monkeypatch):
    accounts = onebrain_server.server.accounts
    tenant = accounts.register(f"{uuid.uuid4().hex}@example.com", None, None, "en").id
    login, _ = onebrain_server.server.sessions.open(tenant, "127.0.0.1", None)
    token = onebrain_server.server.tokens.make(tenant, login)

    def caller(*fields):
        onebrain_server.server.sessions.close(tenant, login)
        return Caller(*fields)

    with monkeypatch.context() as patch:
        patch.setattr("onebrain_server.state.accounts.Caller", caller)
        accounts.by_session(token, tenant, login)
    answer = httpx.get(onebrain_server.url + "/v1/memory", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_connect_takes_keys_only(onebrain_server):
    accounts, email = onebrain_server.server.accounts, f"{uuid.uuid4().hex}@example.com"
    account = accounts.register(email, None, None, "en")
    session, _ = onebrain_server.server.sessions.open(account.id, "127.0.0.1", None)
    token = onebrain_server.server.tokens.make(account.id, session)
    headers = {"authorization": f"Bearer {token}"}
    assert httpx.get(onebrain_server.url + "/v1/memory", headers=headers).status_code == 200
    answer = httpx.get(onebrain_server.url + "/v1/connect", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "MISSING_API_KEY")


def test_password_login_refresh_and_logout(onebrain_server_url):
    login = {"email": f"{uuid.uuid4().hex}@example.com", "password": "SecurePassword123!"}
    with httpx.Client(base_url=onebrain_server_url) as client:
        assert (
            client.post("/v1/auth/register", json={**login, "name": "Jane Doe"}).json()["data"]["displayName"]
            == "Jane Doe"
        )
        assert client.post("/v1/auth/register", json=login).json()["error"]["code"] == "EMAIL_ALREADY_EXISTS"
        assert client.post("/v1/auth/login", json={**login, "password": "wrong"}).status_code == 401
        session = client.post("/v1/auth/login", json=login).json()["data"]
        client.cookies.clear()
        bearer = {"authorization": f"Bearer {session['accessToken']}"}
        assert client.get("/v1/auth/me", headers=bearer).json()["data"]["email"] == login["email"]
        fresh = client.post("/v1/auth/refresh", json={"refreshToken": session["refreshToken"]})
        assert fresh.status_code == 200
        client.cookies.clear()
        assert client.post("/v1/auth/logout", headers=bearer, json={}).status_code == 204
        assert client.get("/v1/auth/me", headers=bearer).status_code == 401


@pytest.fixture
def logins(onebrain_server_url):
    """Open logins of one account: ``logins()`` returns the answer to each."""
    login = {"email": f"{uuid.uuid4().hex}@example.com", "password": "SecurePassword123!"}
    httpx.post(onebrain_server_url + "/v1/auth/register", json=login)
    return lambda: httpx.post(onebrain_server_url + "/v1/auth/login", json=login).json()["data"]


def refreshed(url, token):
    return httpx.post(url + "/v1/auth/refresh", json={"refreshToken": token})


@pytest.mark.parametrize("exchanges", [1, 3])
def test_a_refresh_token_that_is_used_again_ends_its_login_and_no_other(
    onebrain_server_url, logins, exchanges
):
    one, other = logins(), logins()
    tokens, access = [one["refreshToken"]], [one["accessToken"]]
    for _ in range(exchanges):
        answer = refreshed(onebrain_server_url, tokens[-1])
        assert answer.status_code == 200
        tokens.append(answer.json()["data"]["refreshToken"])
        access.append(answer.json()["data"]["accessToken"])
    # So that the server has seen and remembers each.
    for token in access:
        me = httpx.get(onebrain_server_url + "/v1/auth/me", headers={"authorization": f"Bearer {token}"})
        assert me.status_code == 200
    assert refreshed(onebrain_server_url, tokens[0]).status_code == 401
    assert refreshed(onebrain_server_url, tokens[-1]).status_code == 401
    for token in access:
        me = httpx.get(onebrain_server_url + "/v1/auth/me", headers={"authorization": f"Bearer {token}"})
        assert me.status_code == 401
    assert refreshed(onebrain_server_url, other["refreshToken"]).status_code == 200


def test_a_forged_refresh_token_ends_nothing(onebrain_server_url, logins):
    token = logins()["refreshToken"]
    id, once, proof = token.split(".")
    for forged in (
        id,
        f"{id}.",
        f"{id}.x.y",
        f"{id}.{once}.{'0' * len(proof)}",
        f"{id}.{once}x.{proof}",
        "x",
        "..",
        "é.x.y",
    ):
        assert refreshed(onebrain_server_url, forged).status_code == 401
    assert refreshed(onebrain_server_url, token).status_code == 200


def test_a_refresh_token_of_an_earlier_version_is_good_once(onebrain_server):
    accounts = onebrain_server.server.accounts
    account = accounts.register(f"{uuid.uuid4().hex}@example.com", None, None, "en")
    id, _ = onebrain_server.server.sessions.open(account.id, "127.0.0.1", None)
    with accounts._database.writing(account.id) as connection:
        old = hashlib.sha256(b"old").hexdigest()
        connection.execute(session.update().where(session.c.id == id).values(token_hash=old))
    assert refreshed(onebrain_server.url, "old").status_code == 200
    assert refreshed(onebrain_server.url, "old").status_code == 401


IDENTITY = [
    ("GET", "/v1/auth/me"),
    ("GET", "/v1/auth/sessions"),
    ("DELETE", "/v1/auth/sessions/none"),
    ("GET", "/v1/user/export"),
    ("POST", "/v1/user/delete"),
]


@pytest.mark.parametrize(("method", "path"), IDENTITY)
def test_whose_the_account_is_no_narrow_key_is_told(onebrain_server, client_of, method, path):
    email = f"{uuid.uuid4().hex}@example.com"
    accounts = onebrain_server.server.accounts
    account = accounts.register(email, None, None, "en")
    made = [([scope], "trusted") for scope in SCOPES] + [(SCOPES[1:], "trusted"), (SCOPES, "review")]
    for scopes, trust in made:
        narrow = client_of(accounts.create_key(account.id, "narrow", scopes, trust=trust)[1])
        options = {"json": {"confirmEmail": email}} if method == "POST" else {}
        answer = narrow.request(method, path, **options)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "INSUFFICIENT_SCOPE")
        assert email not in answer.text


def test_no_answer_tells_a_narrow_key_the_accounts_address(onebrain_server, client_of):
    email = f"{uuid.uuid4().hex}@example.com"
    accounts = onebrain_server.server.accounts
    account = accounts.register(email, None, None, "en", plan="team")
    onebrain_server.server.sessions.open(account.id, "203.0.113.77", "the owner's browser")
    narrow = (
        ["rememberos:read", "rememberos:write"],
        ["herobrain:read:memories"],
        ["ai-memory:read"],
        ["brrain:read"],
    )
    for scopes in (SCOPES[:-1], READ_ONLY, *narrow):
        key = accounts.create_key(account.id, "narrow", scopes, trust="trusted")[1]
        headers = {"authorization": f"Bearer {key}", "x-api-key": key}
        with httpx.Client(base_url=onebrain_server.url, headers=headers) as client:
            for operation in (operation for dialect in DIALECTS for operation in dialect.operations):
                if operation.method == "GET" and operation.needs != "anyone":
                    answer = client.get(re.sub(r"{[a-zA-Z_]+}", "none", operation.path))
                    told = answer.text + str(answer.headers)
                    assert not re.search(f"{email}|203.0.113.77|owner's browser", told), operation.route


def test_five_failed_logins_lock_the_address(onebrain_server_url):
    login = {"email": f"{uuid.uuid4().hex}@example.com", "password": "SecurePassword123!"}
    with httpx.Client(base_url=onebrain_server_url) as client:
        client.post("/v1/auth/register", json=login)
        for _ in range(5):
            assert client.post("/v1/auth/login", json={**login, "password": "wrong"}).status_code == 401
        answer = client.post("/v1/auth/login", json=login)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "ACCOUNT_LOCKED")


def test_nobody_shuts_out_the_right_password_from_elsewhere(settings, tmp_path):
    """Two servers on one database, as workers are, behind a proxy that is named."""
    named = replace(settings, database_url=f"sqlite:///{tmp_path / 'server.db'}", proxies=("127.0.0.1",))
    login = {"email": "maria@example.com", "password": "SecurePassword123!"}
    wrong = {**login, "password": "wrong"}
    with live_server(named) as one, live_server(named) as other:
        httpx.post(one.url + "/v1/auth/register", json=login).raise_for_status()

        def tried(live, body, address):
            headers = {"x-forwarded-for": address}
            return httpx.post(live.url + "/v1/auth/login", json=body, headers=headers, timeout=60)

        assert [tried(one, wrong, "198.51.100.1").status_code for _ in range(5)] == [401] * 5
        refused = tried(other, login, "198.51.100.1")
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        assert tried(other, login, "198.51.100.2").status_code == 200
        assert tried(one, {**login, "email": "other@example.com"}, "198.51.100.1").status_code == 401
        # One customer's network is one address.
        assert [tried(one, wrong, f"2606:4700::{n}").status_code for n in range(1, 7)] == [401] * 5 + [429]


def test_many_addresses_that_guess_together_get_one_password_each(settings, monkeypatch):
    """On two workers' counts of one database; the owner gets in from anywhere, and the counts are bounded."""
    monkeypatch.setattr(attempts, "_FREE_OF_ALL", 8)
    with live_server(settings) as live:
        one, other = live.server.attempts, attempts.Attempts(live.server.database)
        owner = "maria@example.com"
        for n in range(8):
            assert (one, other)[n % 2].wait(owner, f"198.51.100.{n}") == 0
        assert one.wait(owner, "203.0.113.1") == 0
        assert 1 <= other.wait(owner, "203.0.113.1") <= 30
        assert one.wait(owner, "198.51.100.7") == 0
        assert other.wait(owner, "198.51.100.7") >= 30
        # The right password is taken from wherever none was tried, again and again.
        for _ in range(3):
            assert other.wait(owner, "203.0.113.9") == 0
            one.forgive(owner, "203.0.113.9")
        assert [one.wait("paulo@example.com", "203.0.113.1") for _ in range(4)] == [0] * 4
        monkeypatch.setattr(attempts, "_MOST", 5)
        monkeypatch.setattr(attempts, "_ADDED", 4)
        for n in range(40):
            one.wait(owner, f"2606:4700:{n}::1")
        assert live.server.database.scalar(SERVER, sa.select(sa.func.count()).select_from(attempt)) <= 5 + 4


def test_an_address_is_believed_of_named_proxies_only(settings):
    login = {"email": "maria@example.com", "password": "wrong"}
    with live_server(settings) as live:
        statuses = [
            httpx.post(
                live.url + "/v1/auth/login", json=login, headers={"x-forwarded-for": f"198.51.100.{n}"}
            ).status_code
            for n in range(6)
        ]
    assert statuses == [401] * 5 + [429]


def test_passwords_tried_at_the_same_time_are_counted_before_they_are_tried(settings):
    with live_server(settings) as live:
        with ThreadPoolExecutor(12) as pool:
            waits = list(
                pool.map(lambda _: live.server.attempts.wait("maria@example.com", "198.51.100.1"), range(12))
            )
        assert waits.count(0) == 5
        live.server.attempts.forgive("Maria@example.com ", "198.51.100.1")
        assert live.server.attempts.wait("maria@example.com", "198.51.100.1") == 0


def test_a_cookie_needs_a_header_that_other_sites_cannot_send(onebrain_server_url):
    login = {"email": f"{uuid.uuid4().hex}@example.com", "password": "SecurePassword123!"}
    httpx.post(onebrain_server_url + "/v1/auth/register", json=login)
    answer = httpx.post(onebrain_server_url + "/v1/auth/login", json=login)
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=Lax"))
    headers = {"cookie": cookie.partition(";")[0]}
    refused = httpx.post(onebrain_server_url + "/v1/memory", json={"body": "x"}, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "CSRF_VALIDATION")
    taken = httpx.post(
        onebrain_server_url + "/v1/memory",
        json={"body": "x"},
        headers={**headers, "x-requested-with": "XMLHttpRequest"},
    )
    assert taken.status_code == 201


def test_an_agent_that_registers_may_read_its_own_empty_brain(onebrain_server_url):
    body = {"name": f"agent {uuid.uuid4().hex[:8]}", "description": "reads what it is told"}
    made = httpx.post(onebrain_server_url + "/v1/agents/register", json=body).json()["data"]["apiKey"]
    assert set(made["scopes"]) == {"connect.read", "brain.read", "entity.read"}
    headers = {"authorization": f"ApiKey {made['fullKey']}"}
    assert httpx.get(onebrain_server_url + "/v1/memory", headers=headers).json()["data"] == []
    assert (
        httpx.post(onebrain_server_url + "/v1/memory", json={"body": "x"}, headers=headers).status_code == 403
    )


@pytest.fixture(scope="module")
def limited():
    settings = Settings(
        database_url="sqlite://",
        log_level="error",
        rate_limit_max=40,
        rate_limit_write_max=5,
        rate_limit_window=3600,
        cors_origins=("https://app.example",),
        free_plan={
            "memories": 2,
            "memory_writes_per_month": 0,
            "context_calls_per_month": 1,
            "extract_calls_per_month": 1,
        },
    )
    with live_server(settings) as live:
        # No window ends during a test.
        live.server.limiter.clock = lambda: 0.0
        yield live


class TestLimits:
    def get(self, live, path, key=None, **headers):
        return httpx.get(live.url + path, headers={"authorization": f"ApiKey {key or live.key}", **headers})

    def test_headers_say_what_is_left(self, limited):
        key = limited.account("headers@example.com")
        answer = self.get(limited, "/v1/memory", key)
        assert answer.headers["x-ratelimit-limit"] == "40"
        assert answer.headers["x-ratelimit-remaining"] == "39"
        assert 0 < int(answer.headers["x-ratelimit-reset"]) <= 3600

    def test_writes_are_limited_by_route_and_key(self, limited):
        key = limited.account("writes@example.com")
        headers = {"authorization": f"ApiKey {key}"}
        codes = [
            httpx.post(limited.url + "/v1/memory", json={"body": "x"}, headers=headers).status_code
            for _ in range(6)
        ]
        assert codes == [201] * 5 + [429]
        assert (
            httpx.post(limited.url + "/v1/projects", json={"name": "x"}, headers=headers).status_code == 201
        )
        other = {"authorization": f"ApiKey {limited.account('writes2@example.com')}"}
        assert httpx.post(limited.url + "/v1/memory", json={"body": "x"}, headers=other).status_code == 201

    def test_the_global_limit_tells_when_to_come_back(self, limited):
        key = limited.account("global@example.com")
        with httpx.Client(base_url=limited.url, headers={"authorization": f"ApiKey {key}"}) as client:
            answers = [client.get("/v1/memory") for _ in range(41)]
        assert [answer.status_code for answer in answers[-2:]] == [200, 429]
        assert int(answers[-1].headers["retry-after"]) > 0

    def test_a_keys_own_limit_counts(self, limited):
        key = limited.account("own@example.com")
        with httpx.Client(base_url=limited.url, headers={"authorization": f"ApiKey {key}"}) as client:
            [row] = client.get("/v1/api-keys").json()["data"]
            client.patch(f"/v1/api-keys/{row['id']}", json={"rateLimitPerMin": 2})
            assert [client.get("/v1/memory").status_code for _ in range(3)] == [200, 200, 429]

    def test_the_free_plan_is_enforced(self, limited):
        key = limited.account("free@example.com", plan="free")
        with httpx.Client(base_url=limited.url, headers={"authorization": f"ApiKey {key}"}) as client:
            codes = [client.post("/v1/memory", json={"body": f"x{n}"}) for n in range(3)]
            assert [answer.status_code for answer in codes] == [201, 201, 403]
            assert codes[-1].json()["error"]["code"] == "PLAN_LIMIT_EXCEEDED"
            assert "retry-after" not in codes[-1].headers
            assert [client.get("/v1/context/brief").status_code for _ in range(2)] == [200, 429]
            plan = client.get("/v1/billing/plan").json()["data"]
            assert (plan["memoryLimit"], plan["memoryUsed"]) == (2, 2)

    def test_only_listed_origins_may_read(self, limited):
        good = httpx.get(limited.url + "/health", headers={"origin": "https://app.example"})
        bad = httpx.get(limited.url + "/health", headers={"origin": "https://evil.example"})
        assert good.headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-origin" not in bad.headers
        asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
        assert (
            "POST"
            in httpx.options(limited.url + "/v1/memory", headers=asked).headers[
                "access-control-allow-methods"
            ]
        )


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
        "::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::",
        "fec0::1", "feff::1", "192.0.0.1", "192.0.0.9", "192.0.0.170", "::ffff:192.0.0.8", "2002:c000:8::1", "64:ff9b::a00:1",
        "64:ff9b:1::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "3fff::1", "100::1", "ff02::1", "fe80::1%eth0", "::",
        "::10.0.0.1", "::ffff:0:10.0.0.1", "4000::1", "255.255.255.255", "198.18.0.1", "203.0.113.1", "192.88.99.1", "x",
    ],
)  # fmt: skip
def test_private_addresses_are_known_in_every_dress(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::808:808"],
)
def test_public_addresses_are_reached(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://2130706433/",
        "https://0x7f.1/", "https://user:secret@example.com/", "https://127.0.0.1:22/", "ftp://example.com/", "https:///x",
        "https://8.8.8.8:0/",
    ],
)  # fmt: skip
async def test_the_address_guard_refuses(url):
    with pytest.raises(AddressRefused):
        await Fetcher().resolve(url)


def test_a_page_that_leads_to_a_private_address_is_not_fetched(onebrain_server):
    with live_server(Settings(database_url="sqlite://", rate_limit_max=0, log_level="error")) as live:
        headers = {"authorization": f"ApiKey {live.key}"}
        for url in ("https://127.0.0.1/", f"https://localhost:{live.url.rsplit(':', 1)[1]}/"):
            answer = httpx.post(live.url + "/v1/memory/ingest-url", json={"url": url}, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "INGEST_ERROR")
        answer = httpx.patch(
            live.url + "/v1/briefings/config", json={"webhookUrl": "https://10.0.0.1/"}, headers=headers
        )
        assert answer.status_code == 400


def test_changes_of_keys_are_in_the_audit_log(client):
    made = key_with(client, "brain.read")
    client.delete(f"/v1/api-keys/{made['id']}")
    actions = [row["action"] for row in client.get("/v1/user/export").json()["data"]["audit"]]
    assert actions[:2] == ["key.revoke", "key.create"]


def test_reading_writes_nothing(onebrain_server, client):
    client.post("/v1/memory", json={"body": "Maria prefers window seats"})
    server = onebrain_server.server

    def revision():
        server.flush()
        with server.engine.store.reading() as read:
            tenant = server.accounts.by_key(client.headers["authorization"].split()[1]).tenant
            return sum(space.seq for space in read.spaces(tenant)), server.owners.revision(tenant)

    before = revision()
    for path in ("/v1/memory", "/v1/brain/profile", "/v1/brain/context", "/v1/context/deep", "/v1/briefings/config",
                 "/v1/briefings/daily/today", "/v1/connect", "/v1/connect/delta?since=2020-01-01T00:00:00Z"):  # fmt: skip
        assert client.get(path).status_code == 200
    assert revision() == before


def test_encrypted_at_rest_nothing_is_readable_in_the_files(tmp_path):
    words = ("xylophonist", "quarterdeckish", "zanzibarian", "wombatology", "flibbertigibbet")
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'sealed.db'}",
        memory_encryption_key=bytes(range(32)),
        rate_limit_max=0,
        log_level="error",
    )
    with live_server(settings) as live:
        with httpx.Client(base_url=live.url, headers={"authorization": f"ApiKey {live.key}"}) as client:
            made = client.post(
                "/v1/memory",
                json={"title": words[0], "body": f"Maria is a {words[1]}", "metadata": {"k": words[2]}},
                headers={"idempotency-key": "one"},
            )
            assert made.status_code == 201
            client.post("/v1/entities", json={"name": words[3], "type": "person"})
            client.post("/v1/projects", json={"name": words[4]})
            found = client.post("/v1/memory/search", json={"query": words[1]}).json()["data"]["results"]
            assert found[0]["id"] == made.json()["data"]["id"]
        stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert [word for word in words if word.encode() in stored] == []


# ---- addresses in answers ---------------------------------------------------------------------------------------------

FORGED = {
    "host": "evil.example",
    "x-forwarded-host": "evil.example",
    "x-forwarded-server": "evil.example",
    "x-forwarded-proto": "evil",
    "x-forwarded-port": "666",
    "x-original-url": "https://evil.example/",
    "x-forwarded-prefix": "/evil.example",
    "forwarded": "host=evil.example;proto=evil",
    "origin": "https://evil.example",
    "referer": "https://evil.example/",
}


def test_agents_are_told_the_servers_own_address_whatever_the_headers_say(client):
    answer = client.get("/v1/connect", headers={"accept": "application/json", **FORGED})
    data = answer.json()["data"]
    base = str(client.base_url).rstrip("/")
    assert data["writeBack"]["singleEndpoint"] == f"{base}/v1/connect/memory"
    assert data["writeBack"]["batchEndpoint"] == f"{base}/v1/connect/memories"
    assert f"POST {base}/v1/connect/memory " in data["systemPrompt"]


def test_no_answer_repeats_an_address_from_a_header(onebrain_server, key):
    paths = [
        re.sub(r"{[a-zA-Z_]+}", "none", operation.path)
        for dialect in DIALECTS
        for operation in dialect.operations
        if operation.method == "GET"
    ]
    headers = {"authorization": f"Bearer {key}", "x-api-key": key, **FORGED}
    with httpx.Client(base_url=onebrain_server.url, headers=headers) as client:
        answers = [client.get(path) for path in [*paths, "/", "/nope", "/v1//memory/"]]
    told = [answer for answer in answers if "evil" in answer.text + str(answer.headers)]
    assert [str(answer.request.url) for answer in told] == []


def test_a_public_url_is_where_agents_write(settings):
    public = "https://memory.example.com/base"
    with live_server(replace(settings, public_url=public)) as live:
        headers = {"authorization": f"ApiKey {live.key}", "accept": "application/json", **FORGED}
        found = httpx.get(live.url + "/v1/connect", headers=headers).json()["data"]["writeBack"]
    assert found["singleEndpoint"] == f"{public}/v1/connect/memory"


@pytest.mark.parametrize(
    ("local", "base"),
    [
        (("10.0.0.5", 3000), "http://10.0.0.5:3000"),
        (("::1", 3000), "http://[::1]:3000"),
        # As the test's server is configured.
        (("/run/onebrain.sock", None), "http://127.0.0.1:0"),
        (None, "http://127.0.0.1:0"),
    ],
)
def test_the_address_is_the_one_that_the_request_came_in_at(onebrain_server, local, base):
    scope = {"path": "/", "query_string": b"", "headers": [(b"host", b"evil.example")], "server": local}
    assert Call(onebrain_server.server, scope, "id", "127.0.0.1").base_url == base
