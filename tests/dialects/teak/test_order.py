"""The order of the checks, and whose budget a request spends; on a clock that stands."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from playsmart_gateway.app import create_app
from playsmart_gateway.config import Config
from playsmart_gateway.dialects import load_config
from playsmart_gateway.dialects.teak.apps import read_apps
from playsmart_gateway.dialects.teak.endpoints import (
    AnalyticsBatch,
    AnalyticsEvents,
    IdentifyPlayer,
    Parts,
    SetPlayerProperties,
)
from playsmart_gateway.dialects.teak.renderer import Renderer
from playsmart_gateway.dialects.teak.section import Teak
from playsmart_gateway.http.content_encoding import Inflater
from playsmart_gateway.http.endpoint import Answer
from playsmart_gateway.http.turns import LongWork, Turns
from playsmart_gateway.rate_limit import WrongTries
from playsmart_gateway.rate_limit import in_process as in_process_limit
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.doubles import FakeClock
from tests.support.in_process import in_process
from tests.support.teak import CREDENTIALS, ENVIRONMENT, IDENTIFY

KINDS = (AnalyticsEvents, AnalyticsBatch, IdentifyPlayer, SetPlayerProperties)
LIMIT = 3

# Valid but for the player, and wrong in every parameter.
BODIES: dict[str, dict[str, Any]] = {
    "/v2/analytics_events": {"user_id": "nobody", "action_type": "spin"},
    "/v2/analytics_events/batch": {"events": [{"user_id": "nobody", "action_type": "spin"}]},
    "/v2/identify": {"user_id": "somebody", "country_code": "DE"},
    "/v2/player_properties": {"user_id": "nobody", "properties": {"coins": 1}},
}
WRONG: dict[str, Any] = {"properties": 7, "events": 7, "country_code": "XX"}
TAKEN = {"/v2/analytics_events": 404, "/v2/player_properties": 404, "/v2/identify": 201}


class Door:
    """One endpoint, called as the frame calls it."""

    def __init__(self, parts: Parts, kind: type[Any], limit: int = LIMIT) -> None:
        self.path: str = kind.path
        self._endpoint = kind(parts, limit)

    async def __call__(self, **fields: Any) -> Answer:
        body = json.dumps({**CREDENTIALS, **fields}).encode()

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        answer = await self._endpoint({b"content-type": b"application/json"}, receive)
        assert isinstance(answer, Answer)
        return answer

    async def valid(self, **fields: Any) -> int:
        return (await self(**{**BODIES[self.path], **fields})).status


def inflater(max_bytes: int) -> Inflater:
    return Inflater(max_bytes, 10 * max_bytes, LongWork(Turns()))


async def at_once(_: float) -> None:
    """Instead of the pause after a wrong secret."""


@asynccontextmanager
async def opened(folder: Path, clock: FakeClock) -> AsyncIterator[Parts]:
    environment = {**ENVIRONMENT, "PLAYSMART_JOURNAL__PATH": str(folder / "journal")}
    config: Config = load_config(None, environment)
    app = create_app(config, sink=MemorySink())
    async with in_process(app):
        gateway = app.state.gateway
        yield Parts(
            apps=read_apps(config.of(Teak).apps),
            intake=gateway.intake,
            known_players=gateway.known_players,
            reader=gateway.reader,
            players=gateway.store,
            renderer=Renderer(),
            stats=gateway.stats,
            inflater=inflater(1_000),
            store_client_ip=False,
            clock=clock,
            tries=WrongTries(gateway.stats.count_auth_failure, pause=at_once),
            make_limit=partial(in_process_limit, clock=clock),
        )


@pytest.mark.parametrize("kind", KINDS)
async def test_app_then_secret_then_limit_then_parameters_then_player(
    kind: type[Any], tmp_path: Path
) -> None:
    async with opened(tmp_path, FakeClock()) as parts:
        door = Door(parts, kind)
        expected = TAKEN.get(door.path, 200)
        assert (await door(**WRONG)).status == 400
        assert (await door.valid()) == expected
        assert (await door(**WRONG)).status == 400
        assert (await door(**WRONG)).status == 429
        assert (await door.valid()) == 429
        assert (await door(secret_key="guess", **WRONG)).status == 403
        assert (await door(game_id="nobody", secret_key="guess", **WRONG)).status == 404


@pytest.mark.parametrize("kind", KINDS)
async def test_who_does_not_know_the_secret_spends_nothing(kind: type[Any], tmp_path: Path) -> None:
    async with opened(tmp_path, FakeClock()) as parts:
        door = Door(parts, kind)
        for _ in range(50):
            assert await door.valid(secret_key="guess") == 403
            assert await door.valid(game_id="nobody") == 404
            assert (await door(padding="x" * 1_000)).status == 413
        statuses = [await door.valid() for _ in range(LIMIT + 1)]
        assert statuses == [TAKEN.get(door.path, 200)] * LIMIT + [429]


@pytest.mark.parametrize("kind", KINDS)
async def test_one_request_too_many_is_told_path_and_limit_and_waits_a_second(
    kind: type[Any], tmp_path: Path
) -> None:
    clock = FakeClock()
    async with opened(tmp_path, clock) as parts:
        door = Door(parts, kind)
        for _ in range(LIMIT):
            assert await door.valid() < 429
        refused = await door(**BODIES[door.path])
        assert refused.status == 429
        assert refused.body.decode() == (
            f'{{"status":"rate_limit","errors":{{"rate_limit":["{door.path} may only be called 3 '
            'times per second. Please wait a second and try again"]}}'
        )
        assert (b"retry-after", b"1") in refused.headers
        assert (b"content-type", b"application/json") in refused.headers
        assert refused.reason == "rate_limited"
        clock.advance(1)
        assert await door.valid() < 429


async def test_each_app_has_a_budget_of_its_own_on_each_path(tmp_path: Path) -> None:
    async with opened(tmp_path, FakeClock()) as parts:
        doors = [Door(parts, kind) for kind in KINDS]
        for door in doors:
            assert 429 not in [await door.valid() for _ in range(LIMIT)]
        for door in doors:
            assert await door.valid() == 429
            assert await door.valid(game_id="other", secret_key="old secret") != 429


async def test_a_full_batch_is_one_request(tmp_path: Path) -> None:
    async with opened(tmp_path, FakeClock()) as parts:
        door = Door(parts._replace(inflater=inflater(100_000)), AnalyticsBatch)
        events = BODIES[door.path]["events"] * 100
        assert [(await door(events=events)).status for _ in range(LIMIT)] == [200] * LIMIT


@pytest.mark.parametrize("kind", KINDS)
async def test_a_limit_of_0_is_none(kind: type[Any], tmp_path: Path) -> None:
    async with opened(tmp_path, FakeClock()) as parts:
        door = Door(parts, kind, limit=0)
        assert {await door.valid() for _ in range(300)} == {TAKEN.get(door.path, 200)}


async def test_the_limits_that_are_documented_hold_unless_configured(tmp_path: Path) -> None:
    """100, 100, 200 and 1,000 a second."""
    clock = FakeClock()
    config = load_config(None, ENVIRONMENT)
    limits = config.of(Teak).limits
    assert (limits.analytics_events, limits.batch) == (100, 100)
    assert (limits.identify, limits.player_properties) == (200, 1_000)
    async with opened(tmp_path, clock) as parts:
        door = Door(parts, IdentifyPlayer, limits.identify)
        assert [await door.valid() for _ in range(201)] == [201] * 200 + [429]
        assert door.path == IDENTIFY
