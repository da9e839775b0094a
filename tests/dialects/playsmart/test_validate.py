"""``POST /ingest/validate``: says what the real thing would say, and keeps nothing of it."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.dialects import load_config
from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.pipeline.allowance import Allowance
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.coin_batches import EVENTS, batch
from tests.support.doubles import FakeClock
from tests.support.in_process import in_process
from tests.support.process import SECRET
from tests.support.uploads import in_toml, make_event, make_upload

OPERATOR = "0123456789-operator"
FIXED = {"id": "fixed", "coins_enabled": True, "reward_fixed_amount": 10, "max_coins_per_day": 25}
CHANCE = {
    "id": "chance",
    "coins_enabled": True,
    "reward_mode": "random_range",
    "reward_min_amount": 5,
    "reward_max_amount": 15,
    "event_trigger_threshold": 2,
}


class Scene:
    """A gateway in this process; ``ada`` is its player."""

    def __init__(self, http: httpx.AsyncClient, app: Any) -> None:
        self._http = http
        self.stats = app.state.gateway.stats

    async def post(
        self, path: str, content: bytes | dict[str, Any], sub: str = "ada", **headers: str
    ) -> httpx.Response:
        token = mint(sub, secret=SECRET, ttl_seconds=3600, now=time.time())
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        sent = {"authorization": f"Bearer {token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._http.post(path, content=body, headers=sent)

    async def validate(self, content: bytes | dict[str, Any], **headers: str) -> httpx.Response:
        return await self.post("/ingest/validate", content, **headers)


@asynccontextmanager
async def playing(
    *, development: bool = True, allowance: Allowance | None = None, **more: str
) -> AsyncIterator[Scene]:
    settings = {"AUTH__SECRET": SECRET, "JOURNAL__ENABLED": "false", **more}
    config = load_config(None, {f"PLAYSMART_{name}": value for name, value in settings.items()})
    sink = MemorySink()
    app = create_app(config, sink=sink, development=development, allowance=allowance)
    async with in_process(app) as http:
        yield Scene(http, app)
    assert sink.batches == {}


def levels(count: int, game: str = "fixed") -> dict[str, Any]:
    return make_upload("ada", *[make_event("LevelCompleted")] * count, game_id=game)


async def test_what_would_be_taken_is_counted_and_nothing_is_kept() -> None:
    async with playing(GAMES=in_toml([FIXED])) as scene:
        answer = await scene.validate(levels(2))
        assert answer.status_code == 200
        assert answer.text == '{"data": {"valid": true, "events": 2, "coins": 20}}'
        assert (scene.stats.received, scene.stats.accepted) == (0, 0)
        assert scene.stats.unaccounted(0) == 0
        assert scene.stats.requests["/ingest/validate", 200].count == 1


async def test_where_chance_decides_the_least_and_the_most_are_told() -> None:
    async with playing(GAMES=in_toml([CHANCE])) as scene:
        customs = [make_event("Custom", customEventName="jump")] * 3
        body = make_upload("ada", make_event("LevelCompleted"), *customs, game_id="chance")
        answer = await scene.validate(body)
        assert answer.json() == {
            "data": {"valid": True, "events": 4, "coins": 5 + 2, "coins_most": 15 + 7}
        }


async def test_the_cap_of_a_day_and_games_that_pay_nothing_are_known() -> None:
    async with playing(GAMES=in_toml([FIXED])) as scene:
        assert (await scene.validate(levels(3))).json()["data"]["coins"] == 25
        assert (await scene.validate(levels(3, "unknown"))).json()["data"]["coins"] == 0


REFUSED: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "no events": json.dumps({**make_upload("ada"), "events": []}).encode(),
    "201 events": json.dumps(levels(201)).encode(),
    "a wrong event": json.dumps(make_upload("ada", make_event(), {"type": "AppOpen"})).encode(),
    "another player": json.dumps(make_upload("eve")).encode(),
    "large and wrong": json.dumps(make_upload("ada", make_event(), {"x": "." * 99_999})).encode(),
    "too large": b" " * 1_048_577,
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=list(REFUSED))
async def test_what_would_be_refused_is_refused_in_the_same_words(body: bytes) -> None:
    async with playing() as scene:
        real, dry = await scene.post("/ingest/events", body), await scene.validate(body)
        assert (dry.status_code, dry.text) == (real.status_code, real.text)
        assert dry.status_code >= 400


LENIENT = "handling=lenient"


@pytest.mark.parametrize("padding", ["", "." * 99_999], ids=["small", "large"])
async def test_leniently_it_tells_the_wrong_events_as_the_real_thing_does(padding: str) -> None:
    events = [make_event("LevelCompleted"), {"type": "AppOpen", "x": padding}, make_event()]
    wrong = make_upload("ada", *events, game_id="fixed")
    async with playing(GAMES=in_toml([FIXED])) as scene:
        dry = await scene.validate(wrong, prefer=LENIENT)
        assert (dry.status_code, dry.headers["preference-applied"]) == (200, LENIENT)
        rejected = dry.json()["data"].pop("rejected")
        assert [each["index"] for each in rejected] == [1]
        assert rejected[0]["details"] == [{"path": "events.1.timestamp", "message": "is required"}]
        assert dry.json()["data"] | {"rejected": 0} == {
            "valid": False, "events": 2, "coins": 10, "rejected": 0,
        }  # fmt: skip
        assert scene.stats.rejected["malformed"] == 0
        strict = await scene.validate(wrong)
        assert (strict.status_code, "preference-applied" in strict.headers) == (400, False)


async def test_leniently_it_says_of_good_events_what_it_says_anyway() -> None:
    async with playing(GAMES=in_toml([FIXED])) as scene:
        strict, lenient = [await scene.validate(levels(2), prefer=it) for it in ("", LENIENT)]
        assert (lenient.status_code, lenient.text) == (200, strict.text)
        assert lenient.headers["preference-applied"] == LENIENT


@pytest.mark.parametrize("what", [each for each in REFUSED if "wrong" not in each])
async def test_leniently_it_refuses_in_the_words_of_the_real_thing(what: str) -> None:
    async with playing() as scene:
        real = await scene.post("/ingest/events", REFUSED[what], prefer=LENIENT)
        dry = await scene.validate(REFUSED[what], prefer=LENIENT)
        assert (dry.status_code, dry.text) == (real.status_code, real.text)
        assert dry.status_code >= 400


async def test_leniently_wrong_events_count_as_sent() -> None:
    allowance = Allowance(events_per_second=1, bytes_per_second=0, clock=FakeClock(), sets=8)
    body = make_upload("ada", make_event(), *[{"type": "AppOpen"}] * 8)
    async with playing(allowance=allowance) as scene:
        assert (await scene.validate(body, prefer=LENIENT)).status_code == 200
        assert (await scene.validate(levels(1))).status_code == 429


async def test_a_token_of_the_player_is_needed_everywhere() -> None:
    async with playing() as scene:
        assert (await scene.validate(b"", authorization="")).status_code == 401


async def test_outside_of_development_it_needs_the_token_of_the_operator() -> None:
    async with playing(development=False, OPERATOR__TOKEN=OPERATOR) as scene:
        answer = await scene.validate(levels(1))
        assert answer.status_code == 401
        assert answer.json()["error"]["message"] == "operator_token_required"
        answer = await scene.validate(levels(1), x_operator_token=OPERATOR)
        assert answer.status_code == 200
        answer = await scene.validate(
            levels(1), authorization=f"Bearer {OPERATOR}", x_operator_token=OPERATOR
        )
        assert answer.json()["error"]["message"] == "invalid_token"


async def test_where_nobody_is_an_operator_there_is_none_of_it() -> None:
    async with playing(development=False) as scene:
        answer = await scene.validate(levels(1), x_operator_token=OPERATOR)
        assert (answer.status_code, answer.json()["error"]["message"]) == (404, "not_found")


async def test_it_counts_as_sent_for_what_a_player_may_send() -> None:
    allowance = Allowance(events_per_second=1, bytes_per_second=0, clock=FakeClock(), sets=8)
    async with playing(allowance=allowance) as scene:
        assert (await scene.validate(levels(9))).status_code == 200
        assert (await scene.validate(levels(1))).status_code == 429
        assert (await scene.post("/ingest/events", levels(1))).status_code == 429


RULES = st.builds(
    Rule,
    st.just("game"),
    st.just(7),
    st.just(7),
    st.integers(0, 3_000_000),
    st.integers(0, 4),
    st.integers(0, 3_000_000),
    st.sampled_from([0, 1, 20, 50]),
)


@given(RULES, st.lists(st.sampled_from(list(EVENTS)), min_size=1, max_size=20))
async def test_the_coins_are_those_that_a_store_pays_a_new_player(
    rule: Rule, names: list[str]
) -> None:
    sink = MemorySink([rule])
    async with sink:
        await sink.write([batch(1, *[EVENTS[name] for name in names], game="game")])
        player = await sink.reader().player("ada")
    assert player is not None
    kinds = [EVENTS[name][0] for name in names]
    assert rule.first_awards(kinds, 7) == player.coins_balance
