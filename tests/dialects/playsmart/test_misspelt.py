"""Customdata under another name is noticed wherever it comes, and nothing that only sounds so."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.dialects import load_config
from playsmart_gateway.dialects.playsmart.misspelt import may_misspell, misspells
from playsmart_gateway.dialects.playsmart.request import NO_DRAWS, decode
from playsmart_gateway.economy.coins import Draws
from playsmart_gateway.http.turns import LARGE_BODY_BYTES
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.in_process import in_process
from tests.support.process import SECRET
from tests.support.uploads import make_event, make_upload

ORIGIN = "https://game.example"
NOW = 1_800_000_000.0
TOKEN = mint("ada", secret=SECRET, ttl_seconds=3600, now=NOW)
PAYING: Draws = {"com.example.game": lambda: 7}

RIGHT = make_event("LevelCompleted", customdata={"level": 1})
WRONG = make_event("LevelCompleted", customData={"level": 1})
PADDING = "." * LARGE_BODY_BYTES
OTHERS = (
    "customData", "Customdata", "CustomData", "CUSTOMDATA", "custom_data", "Custom_Data",
    "CUSTOM_DATA", "custom-data",
)  # fmt: skip


def body_of(*events: object, **fields: object) -> bytes:
    return json.dumps(make_upload("ada", *events, **fields)).encode()


@pytest.mark.parametrize("draws", [NO_DRAWS, PAYING], ids=["plain", "paying"])
@pytest.mark.parametrize("name", OTHERS)
def test_one_event_among_many_is_found_by_each_spelling(name: str, draws: Draws) -> None:
    events = [RIGHT] * 50
    events[20] = make_event("LevelCompleted", **{name: {"level": "x" * 3_000}})
    body = body_of(*events)
    assert misspells(decode(body, draws).rows, body)


@pytest.mark.parametrize(
    "events",
    [
        [make_event()],
        [RIGHT],
        [make_event("Custom", customEventName="customData"), make_event()],
        [make_event("Custom", customEventName="jump", customdata={"custom_data": 1}), make_event()],
        [make_event("LevelCompleted", customdata={}, customData={"level": 1}), make_event()],
        [make_event(data={"level": 1}, customdatas=1)],
    ],
    ids=["none", "right", "a name", "within it", "both", "other keys"],
)
def test_what_only_sounds_like_it_is_not_counted(events: list[dict[str, Any]]) -> None:
    body = body_of(*events)
    assert not misspells(decode(body).rows, body)


@pytest.mark.parametrize("before", ["\ufeff", ""], ids=["mark", "none"])
def test_it_is_found_in_a_body_that_had_to_be_mended(before: str) -> None:
    body = before.encode() + body_of(WRONG).replace(b'"level"', b'"\\ud83d"')
    assert misspells(decode(body).rows, body)


@pytest.mark.parametrize("name", ["customData", "CustomData", "custom_data"])
def test_a_small_body_whose_last_event_has_it_is_looked_at(name: str) -> None:
    body = body_of(RIGHT, make_event("LevelCompleted", **{name: {"level": 1}}))
    assert may_misspell(decode(body).rows, body)
    right = body_of(RIGHT)
    assert not may_misspell(decode(right).rows, right)


LENIENT = {"prefer": "handling=lenient"}
BEACON = {"origin": ORIGIN, "content-type": "text/plain"}


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({}, {}),
        ({}, {"padding": PADDING}),
        (LENIENT, {}),
        (LENIENT, {"padding": PADDING}),
        (BEACON, {"access_token": TOKEN}),
    ],
    ids=["small", "large", "lenient", "large and lenient", "beacon"],
)
async def test_each_way_in_counts_the_request_once(
    tmp_path: Path, headers: Mapping[str, str], fields: Mapping[str, str]
) -> None:
    environment = {
        "PLAYSMART_AUTH__SECRET": SECRET,
        "PLAYSMART_JOURNAL__PATH": str(tmp_path / "journal"),
        "PLAYSMART_CORS__ORIGINS": f'["{ORIGIN}"]',
    }
    app = create_app(load_config(None, environment), sink=MemorySink(), clock=lambda: NOW)
    usual = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    async with in_process(app) as client:
        for count, events in enumerate([[RIGHT, make_event()], [RIGHT, WRONG, WRONG]]):
            answer = await client.post(
                "/ingest/events", headers={**usual, **headers}, content=body_of(*events, **fields)
            )
            assert answer.status_code == 202, answer.text
            metrics = (await client.get("/metrics")).text
            counted = f"playsmart_customdata_misspelt_requests_total {count:.1f}\n"
            assert counted in metrics
    assert not fields.get("padding") or len(body_of(RIGHT, **fields)) > LARGE_BODY_BYTES
