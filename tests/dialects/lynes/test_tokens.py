"""Whose tokens open Lynes: those of players too, or those of servers alone."""

import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from playsmart_gateway.app import Application, create_app
from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.build import check
from playsmart_gateway.config import Config, Journal
from playsmart_gateway.dialects import load_config
from playsmart_gateway.dialects.lynes.access import players_open_lynes, program_for
from playsmart_gateway.dialects.lynes.descriptor import LYNES
from playsmart_gateway.dialects.lynes.section import Lynes
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stores.memory.store import MemorySink
from tests.dialects.lynes.client import PATHS
from tests.support.in_process import in_process
from tests.support.process import SECRET, StartGateway
from tests.support.uploads import make_upload

SERVERS_SECRET = "known to servers and to no player's device"
EVENTS = '[{id = "daily_login", kind = "fix", points = 10}]'
KEYS_OF_ITS_OWN = f'{{secret = "{SERVERS_SECRET}"}}'
AUDIENCE_OF_ITS_OWN = '{audience = "lynes"}'


def configured(**environment: str) -> Config:
    settings = {"AUTH__SECRET": SECRET, "LYNES__EVENTS": EVENTS, **environment}
    config = load_config(None, {f"PLAYSMART_{name}": text for name, text in settings.items()})
    return msgspec.structs.replace(config, journal=Journal(enabled=False))


def opened(config: Config) -> Application:
    return create_app(config, sink=MemorySink(program=program_for(config)))


def bearer(secret: str, sub: str, **claims: object) -> dict[str, str]:
    token = mint(sub, secret=secret, ttl_seconds=60, now=time.time(), claims=claims)
    return {"authorization": f"Bearer {token}"}


async def answers(http: httpx.AsyncClient, headers: dict[str, str]) -> list[int]:
    """The status of each path of Lynes, under each prefix, for that token."""
    event = {"eventId": "daily_login", "userId": "ada"}
    found = []
    for prefix in ("", "/v0", "/v1", "/v2", "/v3"):
        found += [(await http.post(f"{prefix}/event", json=event, headers=headers)).status_code]
        for path in PATHS:
            found += [(await http.get(prefix + path, headers=headers)).status_code]
    return found


@pytest.mark.parametrize("auth", [KEYS_OF_ITS_OWN, AUDIENCE_OF_ITS_OWN])
async def test_with_keys_or_an_audience_of_its_own_no_path_of_lynes_opens_for_a_player(
    auth: str,
) -> None:
    """Nobody pays points to a victim, or reads what a victim has, with a player's token."""
    config = configured(LYNES__AUTH=auth)
    server = (
        bearer(SERVERS_SECRET, "my-server")
        if auth == KEYS_OF_ITS_OWN
        else bearer(SECRET, "my-server", aud=["lynes"])
    )
    async with in_process(opened(config)) as http:
        for player in (bearer(SECRET, "ada"), bearer(SECRET, "ada", aud="playsmart")):
            assert set(await answers(http, player)) == {401}
        assert set(await answers(http, server)) == {200, 404}
        own = await http.post(
            "/ingest/events", json=make_upload("ada"), headers=bearer(SECRET, "ada")
        )
        assert own.status_code == 202


async def test_keys_of_its_own_open_nothing_of_the_players() -> None:
    config = configured(LYNES__AUTH=KEYS_OF_ITS_OWN)
    server = bearer(SERVERS_SECRET, "ada")
    async with in_process(opened(config)) as http:
        sent = await http.post("/ingest/events", json=make_upload("ada"), headers=server)
        read = await http.get("/v1/players/ada", headers=server)
    assert (sent.status_code, read.status_code) == (401, 401)


async def test_if_nothing_is_written_down_the_contract_holds_and_any_token_opens_lynes() -> None:
    async with in_process(opened(configured())) as http:
        assert set(await answers(http, bearer(SECRET, "eve"))) == {200, 404}


async def test_a_token_of_a_player_who_was_revoked_opens_nothing_of_lynes_either() -> None:
    """Though Lynes has a section of its own, and so remembers tokens of its own."""
    config = configured(LYNES__STRICT_USER="true", LYNES__AUTH="{leeway_seconds = 5}")
    app = opened(config)
    async with in_process(app) as http:
        assert set(await answers(http, bearer(SECRET, "ada"))) <= {200, 403, 404}
        app.state.gateway.verifier.revoke({"ada": time.time() + 60})
        assert set(await answers(http, bearer(SECRET, "ada"))) == {401}


async def test_an_api_key_comes_on_top_of_keys_of_its_own() -> None:
    config = configured(
        LYNES__AUTH=KEYS_OF_ITS_OWN,
        LYNES__API_KEY="a key of the project",
        LYNES__EVENTS='[{id = "daily_login", kind = "fix", points = 10, requires_api_key = true}]',
    )
    event = {"eventId": "daily_login", "userId": "ada"}
    server = bearer(SERVERS_SECRET, "my-server")
    async with in_process(opened(config)) as http:
        assert (await http.post("/event", json=event, headers=server)).status_code == 403
        both = {**server, "x-api-key": "a key of the project"}
        assert (await http.post("/event", json=event, headers=both)).status_code == 200


def settings(**found: str) -> dict[str, str]:
    return found


SAFE = [
    settings(LYNES__AUTH=KEYS_OF_ITS_OWN),
    settings(LYNES__AUTH=AUDIENCE_OF_ITS_OWN),
    settings(LYNES__AUTH='{issuer = "https://servers.example"}'),
    settings(LYNES__AUTH='{jwks_url = "https://id.example/servers"}'),
    settings(LYNES__STRICT_USER="true"),
    settings(LYNES__EVENTS="[]"),
]
DECIDED = settings(LYNES__STRICT_USER="false")
OPEN = [
    settings(),
    settings(LYNES__AUTH=f'{{secret = "{SECRET}"}}'),
    settings(LYNES__AUTH="{leeway_seconds = 5}"),
    settings(AUTH__AUDIENCE="lynes", LYNES__AUTH=AUDIENCE_OF_ITS_OWN),
    settings(AUTH__AUDIENCE="game", LYNES__AUTH=f'{{secret = "{SECRET}"}}'),
]


@pytest.mark.parametrize("written", [*SAFE, DECIDED])
def test_what_is_safe_or_was_decided_is_not_complained_about(written: dict[str, str]) -> None:
    assert not list(LYNES.doubts(configured(**written)))


@pytest.mark.parametrize("written", OPEN)
def test_keys_that_players_have_open_lynes_whatever_the_section_looks_like(
    written: dict[str, str],
) -> None:
    assert players_open_lynes(configured(**written))
    assert list(LYNES.doubts(configured(**written)))


@pytest.mark.parametrize("written", [*OPEN, DECIDED])
def test_where_everybody_may_register_lynes_is_not_left_open_whatever_was_decided(
    written: dict[str, str],
) -> None:
    """A stranger's token would pay, and read, every user."""
    check(configured(**written))
    assert problems(ACCOUNTS__ENABLED="true", **written) == [
        "lynes.strict_user: must be true, or [lynes.auth] have keys or an audience of its own, "
        "as accounts.enabled gives a token to everybody"
    ]


@pytest.mark.parametrize("written", SAFE)
def test_where_everybody_may_register_lynes_apart_or_strict_is_taken(
    written: dict[str, str],
) -> None:
    check(configured(ACCOUNTS__ENABLED="true", **written))


def test_serve_warns_where_players_open_lynes_and_only_there(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway(LYNES__EVENTS=EVENTS)
    assert running.stop() == 0
    assert running.log.count("the tokens of players open Lynes") == 1
    for written in ("true", "false"):
        running = start_gateway(LYNES__EVENTS=EVENTS, LYNES__STRICT_USER=written)
        assert running.stop() == 0
        assert "open Lynes" not in running.log


def test_development_mode_shows_how_lynes_is_made_safe(start_gateway: StartGateway) -> None:
    running = start_gateway("--dev", secret=None)
    assert running.stop() == 0
    running.told("[lynes.auth]\nsecret = ")
    assert "open Lynes" not in running.log


def problems(**environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(configured(**environment))
    assert SERVERS_SECRET[:20] not in str(caught.value)
    return list(caught.value.problems)


def test_what_is_wrong_with_its_keys_is_told_by_its_section() -> None:
    short = f'{{secret = "{SERVERS_SECRET[:20]}"}}'
    assert problems(LYNES__AUTH=short) == [
        "lynes.auth.secret: is 20 bytes long, must be 32 at least"
    ]
    both = f'{{secret = "{SERVERS_SECRET}", jwks_url = "https://id.example/keys"}}'
    assert problems(LYNES__AUTH=both) == [
        "lynes.auth: needs one of secret, secrets, public_key_file and jwks_url, "
        "found secret and jwks_url"
    ]


def test_each_key_of_the_section_has_a_variable_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('[lynes.auth]\naudience = "lynes"\nleeway_seconds = 3')
    variables: dict[str, Any] = {
        "PLAYSMART_LYNES__AUTH__SECRET": SERVERS_SECRET,
        "PLAYSMART_LYNES__AUTH__LEEWAY_SECONDS": "5",
    }
    auth = load_config(path, variables).of(Lynes).auth
    assert auth
    assert (auth.secret, auth.audience, auth.leeway_seconds) == (SERVERS_SECRET, "lynes", 5)
    with pytest.raises(ConfigError, match=r"^lynes\.auth\.secrt: unknown key; did you mean"):
        load_config(None, {"PLAYSMART_LYNES__AUTH__SECRT": "sesame"})
