"""Accounts over HTTP: nobody becomes somebody else, and who may send gets a token."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.issuing import ACCESS_SECONDS, REFRESH_SECONDS
from playsmart_gateway.auth.passwords import is_of
from playsmart_gateway.auth.tokens import mint, open_verifier
from playsmart_gateway.build import check
from playsmart_gateway.config import Accounts, Auth, Config, Journal, Secret
from playsmart_gateway.dialects.playsmart.accounts import (
    DEVICE,
    LOGIN,
    MAX_BODY_BYTES,
    REFRESH,
    REGISTER,
)
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.coin_batches import EVENTS, batch
from tests.support.doubles import FakeClock
from tests.support.in_process import in_process
from tests.support.process import SECRET
from tests.support.uploads import make_event, make_upload

PASSWORD = "correct horse"
ADA = {"email": "ada@example.org", "password": PASSWORD, "deviceId": "device-ada"}
CREDENTIALS = {"email": "ada@example.org", "password": PASSWORD}
NO_OBJECTS: tuple[Any, ...] = ([], 1, None, "x")
PATHS = (REGISTER, LOGIN, REFRESH, DEVICE)
ON = Accounts(enabled=True)
WRONG = {"error": {"code": "UNAUTHORIZED", "message": "invalid_credentials"}}


class Gateway:
    """One with accounts, over its clock and a store in memory."""

    def __init__(
        self, app: Starlette, client: httpx.AsyncClient, store: MemorySink, clock: FakeClock
    ) -> None:
        self.app = app
        self.client = client
        self.store = store
        self.clock = clock

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        answer = await self.client.post(path, json=body, headers=headers)
        assert answer.headers["content-type"] == "application/json"
        return answer.status_code, answer.json()

    async def session(self, path: str, body: Any) -> dict[str, Any]:
        status, answer = await self.post(path, body)
        assert status in (200, 201)
        return dict(answer["data"])

    async def sends(self, token: str, user: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        upload = make_upload(user, make_event())
        return (await self.client.post("/ingest/events", json=upload, headers=headers)).status_code


@asynccontextmanager
async def running(
    accounts: Accounts = ON, auth: Auth | None = None, store: MemorySink | None = None
) -> AsyncIterator[Gateway]:
    config = Config(
        auth=auth or Auth(secret=SECRET), accounts=accounts, journal=Journal(enabled=False)
    )
    store, clock = store or MemorySink(), FakeClock(1_800_000_000.0)
    verifier = open_verifier(
        secret=config.auth.secret,
        secrets=[(each.kid, each.secret) for each in config.auth.secrets],
        issuer=config.auth.issuer,
        audience=config.auth.audience,
        clock=clock,
    )
    app = create_app(config, sink=store, clock=clock, verifier=verifier)
    async with in_process(app) as client:
        yield Gateway(app, client, store, clock)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with running() as found:
        yield found


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
async def test_without_accounts_there_is_no_such_path(path: str) -> None:
    async with running(Accounts()) as gateway:
        status, body = await gateway.post(path, ADA)
        assert (status, body["error"]["message"]) == (404, "not_found")


@pytest.mark.parametrize("path", PATHS)
async def test_other_methods_are_refused(gateway: Gateway, path: str) -> None:
    answer = await gateway.client.get(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("path", "body", "places"),
    [
        (REGISTER, {}, ["email", "password", "deviceId"]),
        (LOGIN, {}, ["email", "password"]),
        (REFRESH, {}, ["refresh_token"]),
        (REGISTER, {**ADA, "email": "ada"}, ["email"]),
        (REGISTER, {**ADA, "email": "a da@example.org"}, ["email"]),
        (REGISTER, {**ADA, "email": "ädá@example.org"}, ["email"]),
        (REGISTER, {**ADA, "email": "\N{KELVIN SIGN}ay@example.org"}, ["email"]),
        (REGISTER, {**ADA, "email": f"ada@{'e' * 251}"}, ["email"]),
        (REGISTER, {**ADA, "email": 1}, ["email"]),
        (REGISTER, {**ADA, "password": "1234567"}, ["password"]),
        (REGISTER, {**ADA, "password": "x" * 257}, ["password"]),
        (REGISTER, {**ADA, "deviceId": ""}, ["deviceId"]),
        (REGISTER, {**ADA, "deviceId": "a\nb"}, ["deviceId"]),
        (REGISTER, {**ADA, "deviceId": "x" * 257}, ["deviceId"]),
        (REGISTER, {**ADA, "deviceId": None}, ["deviceId"]),
        (LOGIN, {"refresh_token": ""}, ["refresh_token"]),
        (REFRESH, {"refresh_token": "x" * 8193}, ["refresh_token"]),
        *((path, wrong, [""]) for path in PATHS for wrong in NO_OBJECTS),
    ],
)
async def test_a_field_that_is_wrong_is_told(
    gateway: Gateway, path: str, body: Any, places: list[str]
) -> None:
    status, told = await gateway.post(path, body)
    assert (status, told["error"]["code"]) == (400, "BAD_REQUEST")
    assert told["error"]["message"] == "invalid_payload"
    details = told["error"]["details"]
    assert [detail["path"] for detail in details] == places
    for detail in details:
        is_missing = isinstance(body, dict) and detail["path"] not in body
        assert detail["message"].startswith("is required" if is_missing else "must be a")


@pytest.mark.parametrize("body", [b"", b"{", b'"\xff"', b"[" * 5_000, b'{"email": "\\ud800"}'])
async def test_a_body_that_is_no_json_object_is_refused(gateway: Gateway, body: bytes) -> None:
    answer = await gateway.client.post(LOGIN, content=body)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "invalid_payload")


async def test_a_body_is_short_and_json(gateway: Gateway) -> None:
    answer = await gateway.client.post(LOGIN, content=b" " * (MAX_BODY_BYTES + 1))
    assert answer.status_code == 413
    bomb = gzip.compress(b" " * (MAX_BODY_BYTES + 1))
    for path in PATHS:  # nobody has said yet who it is that sends it
        answer = await gateway.client.post(path, content=bomb, headers={"content-encoding": "gzip"})
        assert answer.status_code == 413
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await gateway.client.post(LOGIN, content=b"{}", headers=form)).status_code == 415


async def test_an_email_has_one_account_whatever_its_capitals(gateway: Gateway) -> None:
    await gateway.session(REGISTER, ADA)
    again = {**ADA, "email": " ADA@Example.ORG\n", "deviceId": "another"}
    known = {"error": {"code": "CONFLICT", "message": "email_already_registered"}}
    assert await gateway.post(REGISTER, again) == (409, known)


@pytest.mark.parametrize("owner", ["an account", "events", "a nameless player"])
async def test_who_knows_a_device_id_does_not_become_its_player(
    gateway: Gateway, owner: str
) -> None:
    victim = "device-ada"
    if owner == "events":
        await gateway.store.write([batch(1, EVENTS["open"], user=victim)])
    elif owner == "an account":
        await gateway.session(REGISTER, ADA)
    else:
        victim = (await gateway.session(DEVICE, {}))["user"]["id"]
    thief = {"email": "eve@example.org", "password": "password", "deviceId": victim}
    known = {"error": {"code": "CONFLICT", "message": "device_already_registered"}}
    assert await gateway.post(REGISTER, thief) == (409, known)
    assert await gateway.post(LOGIN, thief) == (401, WRONG)


async def test_a_wrong_password_and_an_unknown_email_are_refused_alike(gateway: Gateway) -> None:
    await gateway.session(REGISTER, ADA)
    for email in ("ada@example.org", "eve@example.org"):
        wrong = {"email": email, "password": "wrong horse"}
        assert await gateway.post(LOGIN, wrong) == (401, WRONG)
    metrics = (await gateway.client.get("/metrics")).text
    assert 'playsmart_auth_failures_total{door="password"} 2.0' in metrics


async def test_a_player_without_an_email_has_no_password_to_guess(gateway: Gateway) -> None:
    await gateway.session(DEVICE, {})
    status, _ = await gateway.post(LOGIN, {"email": "", "password": PASSWORD})
    assert status == 400


async def test_only_our_own_refresh_tokens_refresh(gateway: Gateway) -> None:
    session = await gateway.session(REGISTER, ADA)
    now, day = gateway.clock(), 86_400

    def minted(subject: str = "device-ada", *, ttl: int = day, **claims: object) -> str:
        return mint(subject, secret=SECRET, ttl_seconds=ttl, now=now, claims=claims)

    others = {
        session["access_token"]: "invalid_token",
        minted(kind="access"): "invalid_token",
        minted("nobody", kind="refresh"): "invalid_token",
        minted(kind="refresh", iat="now"): "invalid_token",
        minted(kind="refresh", iat=now - 1): "invalid_token",  # before there was the account
        minted(kind="refresh", ttl=-1): "token_expired",
        session["refresh_token"][:-4] + "AAAA": "invalid_token",
        "x.y.z": "invalid_token",
        "ä": "invalid_token",
    }
    for token, message in others.items():
        status, body = await gateway.post(REFRESH, {"refresh_token": token})
        assert (status, body["error"]["message"]) == (401, message)
        assert (await gateway.post(LOGIN, {"refresh_token": token}))[0] == 401


async def test_a_refresh_token_sends_no_events(gateway: Gateway) -> None:
    session = await gateway.session(REGISTER, ADA)
    assert await gateway.sends(session["refresh_token"], "device-ada") == 401


async def test_who_was_erased_gets_no_more_tokens(gateway: Gateway) -> None:
    session = await gateway.session(REGISTER, ADA)
    await gateway.store.erase("device-ada")
    sent = {"refresh_token": session["refresh_token"]}
    assert (await gateway.post(REFRESH, sent))[0] == 401
    assert await gateway.post(LOGIN, CREDENTIALS) == (401, WRONG)


async def test_who_was_revoked_gets_no_tokens_by_older_ones(gateway: Gateway) -> None:
    session = await gateway.session(REGISTER, ADA)
    now = int(gateway.clock())
    assert await gateway.store.accounts.revoke("device-ada", now + 1)
    sent = {"refresh_token": session["refresh_token"]}
    assert (await gateway.post(REFRESH, sent))[0] == 401
    again = await gateway.session(LOGIN, CREDENTIALS)  # in the second of the revocation
    assert (await gateway.post(REFRESH, {"refresh_token": again["refresh_token"]}))[0] == 200


async def test_one_address_asks_so_often_in_a_minute(gateway: Gateway) -> None:
    async with running(Accounts(enabled=True, requests_per_minute_of_address=3)) as gateway:
        for path in (DEVICE, REFRESH, LOGIN):
            assert (await gateway.post(path, {}))[0] in (201, 400)
        answer = await gateway.client.post(DEVICE, json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert 1 <= int(answer.headers["retry-after"]) <= 60


async def test_behind_a_proxy_an_address_is_what_the_proxy_says() -> None:
    few = Accounts(enabled=True, requests_per_minute_of_address=1, address_header="X-Real-IP")
    async with running(few) as gateway:
        for address, status in (
            ("192.0.2.1", 201),
            ("192.0.2.1", 429),
            ("192.0.2.2", 201),
            ("192.0.2.3, 192.0.2.2", 429),
            ("2001:db8::1", 201),
            ("2001:db8::2", 429),
        ):
            assert (await gateway.post(DEVICE, {}, **{"x-real-ip": address}))[0] == status


async def test_who_chooses_what_stands_before_the_address_or_the_port_behind_it_gains_nothing() -> (
    None
):
    """HAProxy adds a header behind those of the client; Azure's gateways tell the port, too."""
    few = Accounts(enabled=True, requests_per_minute_of_address=1, address_header="X-Forwarded-For")
    async with running(few) as gateway:
        for told, status in (
            (["192.0.2.1"], 201),
            (["198.51.100.1", "192.0.2.1"], 429),
            (["192.0.2.1:4001"], 429),
            (["[2001:db8::1]:4001"], 201),
            (["[2001:db8::2]:4002"], 429),
            (["[2001:db8::3]"], 429),
            (["[2001:db8:0:1::1]:4001"], 201),
            (["unknown"], 201),
        ):
            headers = [("x-forwarded-for", each) for each in told]
            answer = await gateway.client.post(DEVICE, json={}, headers=headers)
            assert answer.status_code == status, told


async def test_without_a_proxy_an_address_is_that_of_the_connection() -> None:
    async with running(Accounts(enabled=True, requests_per_minute_of_address=1)) as gateway:
        for address, status in (("192.0.2.1", 201), ("192.0.2.1", 429), ("192.0.2.2", 201)):
            transport = httpx.ASGITransport(gateway.app, client=(address, 4001))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                assert (await client.post(DEVICE, json={})).status_code == status


async def test_a_header_that_nobody_configured_is_no_address() -> None:
    async with running(Accounts(enabled=True, requests_per_minute_of_address=1)) as gateway:
        for number, status in enumerate((201, 429)):
            told = {"x-real-ip": f"192.0.2.{number}", ":address": f"192.0.2.{number}"}
            assert (await gateway.post(DEVICE, {}, **told))[0] == status


async def test_one_account_is_tried_so_often_in_a_minute() -> None:
    async with running(Accounts(enabled=True, tries_per_minute_of_account=2)) as gateway:
        session = await gateway.session(REGISTER, ADA)
        wrong = {**CREDENTIALS, "password": "wrong horse"}
        for status in (401, 401, 429):
            assert (await gateway.post(LOGIN, wrong))[0] == status
        assert (await gateway.post(LOGIN, CREDENTIALS))[0] == 429
        other = {"email": "eve@example.org", "password": PASSWORD}
        assert (await gateway.post(LOGIN, other))[0] == 401
        sent = {"refresh_token": session["refresh_token"]}
        assert (await gateway.post(REFRESH, sent))[0] == 200  # nobody is kept out of a game by it


@pytest.mark.parametrize(
    ("auth", "problem"),
    [
        (Auth(jwks_url="https://id.example/jwks"), "needs auth.secret"),
        (Auth(public_key_file="key.pem"), "needs auth.secret"),
        (Auth(secret=SECRET * 2, algorithms=("HS512",)), "HS256"),
    ],
)
def test_tokens_that_nobody_would_believe_are_not_signed(auth: Auth, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"accounts.enabled: .*{problem}"):
        check(Config(auth=auth, accounts=ON))


# --- what is as it should be ---------------------------------------------------------------------


async def test_who_registers_sends_events(gateway: Gateway) -> None:
    status, body = await gateway.post(REGISTER, {**ADA, "unknown": {"key": 1}})
    data = body["data"]
    user = {
        "id": "device-ada",
        "email": "ada@example.org",
        "pseudo": "",
        "total_games_completed": 0,
    }
    assert (status, data["user"]) == (201, user)
    assert list(body) == ["data"]
    assert list(data) == ["access_token", "refresh_token", "user"]
    assert await gateway.sends(data["access_token"], "device-ada") == 202
    assert await gateway.sends(data["access_token"], "device-eve") == 403


async def test_fields_are_taken_up_to_their_limits(gateway: Gateway) -> None:
    for email, password, device_id in (
        ("a@b", "x" * 8, "d"),
        (f"ada@{'e' * 250}", "x" * 256, "d" * 256),
        (f"{'e' * 64}@example.org", " correct horse ", "device ada"),
    ):
        sent = {"email": email, "password": password, "deviceId": device_id}
        user = (await gateway.session(REGISTER, sent))["user"]
        assert (user["id"], user["email"]) == (device_id, email)
    assert (await gateway.post(REFRESH, {"refresh_token": "x" * 8192}))[0] == 401


async def test_a_session_tells_how_many_games_its_player_has_ended(gateway: Gateway) -> None:
    session = await gateway.session(DEVICE, {})
    ended = ["GameEnd", None, "2026-04-22T14:30:00Z", None]
    await gateway.store.write([batch(1, ended, ended, user=session["user"]["id"])])
    again = await gateway.session(REFRESH, {"refresh_token": session["refresh_token"]})
    assert again["user"] == session["user"] | {"total_games_completed": 2}


async def test_who_logs_in_sends_events(gateway: Gateway) -> None:
    await gateway.session(REGISTER, ADA)
    status, body = await gateway.post(LOGIN, {**CREDENTIALS, "email": "Ada@Example.org"})
    assert status == 200
    assert await gateway.sends(body["data"]["access_token"], "device-ada") == 202


@pytest.mark.parametrize("path", [REFRESH, LOGIN])
async def test_a_refresh_token_gets_new_tokens_and_stays_good(gateway: Gateway, path: str) -> None:
    first = await gateway.session(DEVICE, {})
    assert first["user"]["email"] == ""
    gateway.clock.advance(ACCESS_SECONDS + 1)
    assert await gateway.sends(first["access_token"], first["user"]["id"]) == 401
    for _ in range(2):  # the first answer was lost
        status, body = await gateway.post(path, {"refresh_token": first["refresh_token"]})
        assert (status, body["data"]["user"]) == (200, first["user"])
        assert await gateway.sends(body["data"]["access_token"], first["user"]["id"]) == 202
    gateway.clock.advance(REFRESH_SECONDS - ACCESS_SECONDS)
    assert (await gateway.post(path, {"refresh_token": first["refresh_token"]}))[0] == 401
    assert (await gateway.post(path, {"refresh_token": body["data"]["refresh_token"]}))[0] == 200


async def test_two_nameless_players_are_two(gateway: Gateway) -> None:
    first, second = [(await gateway.session(DEVICE, {}))["user"]["id"] for _ in range(2)]
    assert first != second


async def test_answers_with_tokens_are_not_to_be_kept_on_the_way(gateway: Gateway) -> None:
    answer = await gateway.client.post(DEVICE, json={})
    assert answer.headers["cache-control"] == "no-store"


async def test_tokens_say_what_is_configured_and_the_first_secret_signs() -> None:
    secrets = (Secret(kid="new", secret=SECRET[::-1]), Secret(kid="old", secret=SECRET))
    auth = Auth(secrets=secrets, issuer="https://id.example", audience="games")
    async with running(auth=auth) as gateway:
        session = await gateway.session(REGISTER, ADA)
        assert await gateway.sends(session["access_token"], "device-ada") == 202
        older = mint(
            "device-ada", secret=SECRET, kid="old", ttl_seconds=60, now=gateway.clock() + 1,
            claims={"kind": "refresh", "iss": "https://id.example", "aud": "games"},
        )  # fmt: skip
        assert (await gateway.post(REFRESH, {"refresh_token": older}))[0] == 200


async def test_a_password_is_kept_as_a_hash_and_written_nowhere(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    session = await gateway.session(REGISTER, ADA)
    await gateway.post(LOGIN, {**CREDENTIALS, "password": "wrong horse"})
    account = await gateway.store.accounts.account("device-ada")
    assert account is not None
    assert account.password is not None
    assert PASSWORD not in account.password
    assert await asyncio.to_thread(is_of, PASSWORD, account.password)
    metrics = (await gateway.client.get("/metrics")).text
    for secret in (PASSWORD, "wrong horse", account.password, *session["access_token"].split(".")):
        assert secret not in caplog.text + metrics
