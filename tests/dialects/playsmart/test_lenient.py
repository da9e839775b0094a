"""``Prefer: handling=lenient``: what is right is taken, and what is wrong is told.

The examples over HTTP are files in ``cases/playsmart``, too.
"""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.cli.log_search import search
from playsmart_gateway.dialects import load_config
from playsmart_gateway.dialects.playsmart.request import Rejected, decode, decode_in_steps
from playsmart_gateway.errors import Detail, Malformed
from playsmart_gateway.events.row import decode as read_rows
from playsmart_gateway.http.turns import at_once
from playsmart_gateway.pipeline.allowance import Allowance
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.doubles import FakeClock
from tests.support.examples import examples
from tests.support.in_process import in_process
from tests.support.process import SECRET, RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

LENIENT = {"prefer": "handling=lenient"}
WRONG = {"type": "AppOpen"}

# --- as if each were sent alone ------------------------------------------------------------------

WHEN = '"timestamp":"2026-04-22T14:30:00Z"'
GOOD = [
    f'{{"type":"AppOpen",{WHEN}}}',
    f'{{"type":"AppOpen",{WHEN},"customdata":{{"a":[1,2.50,"x"]}}}}',
    f'{{"type":"Custom","customEventName":"boss",{WHEN},"customdata":{{}}}}',
    f'{{"type":"Custom","customEventName":"é \\ud83d",{WHEN}}}',
    f'{{"type":"GameEnd","customEventName":7,{WHEN},"more":null}}',
    '{"type":"AppOpen","timestamp":"2026-12-31T23:59:59.9999999+00:00"}',
    '{"type":"AppOpen","timestamp":"20260422T143000.1234567Z"}',
    '{"timestamp":"2026-04-22T14:30:00\\u002e1234567-04:00","type":"AdImpression"}',
    f'{{"type":"LevelCompleted","type":"LevelCompleted",{WHEN},"customdata":{{"n":"\\u0000"}}}}',
    f'{{"type":"AppOpen",{WHEN},"customdata":{{"a":{"[" * 499}{"]" * 499}}}}}',
    f'{{"type":"AppOpen",{WHEN},"customdata":{{"pad":"{"." * 70_000}"}}}}',
]
BEYOND_THE_YEARS = '{"type":"AppOpen","timestamp":"9999-12-31T23:59:59-01:00"}'
BAD = [
    '{"type":"AppOpen"}',
    "{}",
    "null",
    "7",
    '"AppOpen"',
    "[]",
    f'{{"type":"LevelStarted",{WHEN}}}',
    f'{{"type":null,{WHEN}}}',
    f'{{"type":"Custom",{WHEN}}}',
    f'{{"type":"Custom","customEventName":"",{WHEN}}}',
    f'{{"type":"Custom","customEventName":"a\\u0000",{WHEN}}}',
    f'{{"type":"AppOpen",{WHEN},"customdata":null}}',
    f'{{"type":"AppOpen",{WHEN},"customdata":[]}}',
    f'{{"type":"AppOpen",{WHEN},"customdata":{{"a":{"[" * 500}{"]" * 500}}}}}',
    f'{{"type":"AppOpen",{WHEN},"customdata":{{"a":{"[" * 500}{"]" * 500},"p":"{"." * 70_000}"}}}}',
    BEYOND_THE_YEARS,
    '{"type":"AppOpen","timestamp":"2026-04-22T14:30:00"}',
    '{"type":"AppOpen","timestamp":1776868200}',
    '{"type":"IAPPurchase","timestamp":"2026-04-22T14:30:00Z\\u0000"}',
]


def upload_of(events: list[str]) -> bytes:
    return f'{{"user_id":"ada","game_id":"g","events":[{",".join(events)}]}}'.encode()


def drawing() -> dict[str, Any]:
    numbers = count()
    return {"g": lambda: next(numbers)}


def alone(event: str) -> tuple[bytes, list[Detail]]:
    """The row that a strict decode makes of it, or what is wrong with it."""
    try:
        return decode(upload_of([event])).rows[1:-1], []
    except Malformed as error:
        return b"", list(error.details)


@examples(150)
@given(st.lists(st.sampled_from(GOOD) | st.sampled_from(BAD), min_size=1, max_size=8))
@example([GOOD[0], BEYOND_THE_YEARS])
def test_exactly_what_a_strict_decode_takes_one_by_one_is_taken_in_order(
    events: list[str],
) -> None:
    body = upload_of(events)
    each = [alone(event) for event in events]
    right = [row for row, problems in each if not problems]
    wrong = [
        Rejected(
            index=place,
            details=[
                Detail(told.path.replace("events.0", f"events.{place}", 1), told.message)
                for told in problems
            ],
        )
        for place, (_, problems) in enumerate(each)
        if problems
    ]
    assert leniently(body, in_steps=True) == leniently(body)
    if right:
        assert leniently(body) == (b"[" + b",".join(right) + b"]", len(right), wrong)
    else:
        told = [detail for each in wrong for detail in each.details]
        assert leniently(body) == told == strictly(body)


def leniently(body: bytes, *, in_steps: bool = False) -> object:
    """The rows, their number and what was rejected; or the details of a refusal."""
    rejected: list[Rejected] = []
    try:
        read = (
            at_once(decode_in_steps(body, {}, rejected)) if in_steps else decode(body, {}, rejected)
        )
    except Malformed as error:
        return [*rejected, *error.details]
    return read.rows, read.count, rejected


def strictly(body: bytes) -> object:
    with pytest.raises(Malformed) as caught:
        decode(body)
    return [*caught.value.details]


@given(st.lists(st.sampled_from(GOOD) | st.sampled_from(BAD), max_size=6))
@example([GOOD[0], BEYOND_THE_YEARS])
def test_only_events_that_are_taken_draw(events: list[str]) -> None:
    rejected: list[Rejected] = []
    try:
        batch = decode(upload_of(events), drawing(), rejected)
    except Malformed:
        return
    assert [row.draw for row in read_rows(batch.rows)] == list(range(batch.count))
    assert batch.count + len(rejected) == len(events)
    assert at_once(decode_in_steps(upload_of(events), drawing(), [])).rows == batch.rows


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        upload_of([GOOD[0], BAD[0]])[:-1],
        upload_of([GOOD[0], BAD[0]]).replace(b"ada", b"\xff"),
        upload_of([GOOD[0], BAD[0]]).replace(b'"ada"', b"7"),
        upload_of([GOOD[0], BAD[0]]).replace(b'"game_id"', b'"Game"'),
        upload_of([]),
        upload_of(GOOD[:1] * 201),
        b'{"user_id":"ada","game_id":"g","events":{}}',
        b'{"user_id":"ada","game_id":"g"}',
    ],
)
def test_what_is_around_the_events_is_not_forgiven(body: bytes) -> None:
    rejected: list[Rejected] = []
    with pytest.raises(Malformed) as lenient:
        decode(body, {}, rejected)
    with pytest.raises(Malformed) as strict:
        decode(body)
    assert [each.path for each in lenient.value.details] == [
        each.path for each in strict.value.details
    ]
    assert rejected == []


@pytest.mark.parametrize(
    ("sent", "told"), [(0, "0"), (201, "201"), (1_000, "1000"), (1_001, "more than 1000")]
)
def test_how_many_events_came_is_told_as_far_as_it_is_counted(sent: int, told: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode(upload_of(["7"] * sent), {}, [])
    (detail,) = caught.value.details
    assert detail == Detail("events", f"must be an array of 1 to 200 events, got {told}")


# --- over HTTP -----------------------------------------------------------------------------------


class Scene:
    """A gateway in this process; ``ada`` is its player."""

    def __init__(self, http: httpx.AsyncClient, app: Any) -> None:
        self.http = http
        self.stats = app.state.gateway.stats
        self.inspector = app.state.gateway.inspector

    async def send(
        self, content: bytes | dict[str, Any], headers: Any = LENIENT, sub: str = "ada"
    ) -> httpx.Response:
        token = mint(sub, secret=SECRET, ttl_seconds=3600, now=time.time())
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        sent = [("authorization", f"Bearer {token}"), *httpx.Headers(headers).multi_items()]
        return await self.http.post("/ingest/events", content=body, headers=sent)


@asynccontextmanager
async def playing(allowance: Allowance | None = None, **more: str) -> AsyncIterator[Scene]:
    settings = {"AUTH__SECRET": SECRET, "JOURNAL__ENABLED": "false", **more}
    config = load_config(None, {f"PLAYSMART_{name}": value for name, value in settings.items()})
    app = create_app(config, sink=MemorySink(), allowance=allowance)
    async with in_process(app) as http:
        yield Scene(http, app)
    assert app.state.gateway.stats.unaccounted(0) == 0


MIXED = make_upload("ada", make_event(), WRONG, make_event("GameEnd"), WRONG)


async def test_the_wrong_events_are_counted_as_received_and_rejected() -> None:
    async with playing() as scene:
        answer = await scene.send(MIXED)
        assert answer.status_code == 202
        assert answer.json()["message"] == "accepted:2 buffered:2"
        assert [each["index"] for each in answer.json()["rejected"]] == [1, 3]
        assert (scene.stats.received, scene.stats.accepted) == (4, 2)
        assert scene.stats.rejected == {"malformed": 2}
        assert scene.stats.refused_requests == {}
    assert scene.stats.stored == 2


async def test_who_asks_for_nothing_is_answered_as_ever() -> None:
    async with playing() as scene:
        for headers in ({}, {"prefer": "handling=strict"}, {"prefer": "return=minimal"}):
            answer = await scene.send(MIXED, headers)
            assert answer.status_code == 400
            assert "preference-applied" not in answer.headers
            assert "retryable" not in answer.text
        assert scene.stats.received == 0


async def test_several_headers_are_read_as_one_list() -> None:
    async with playing() as scene:
        headers = [("prefer", "wait=9"), ("prefer", "handling=lenient"), ("prefer", "a")]
        assert (await scene.send(MIXED, headers)).status_code == 202


async def test_at_most_as_many_are_told_as_there_can_be() -> None:
    async with playing() as scene:
        answer = await scene.send(make_upload("ada", *[WRONG] * 199, make_event()))
        assert len(answer.json()["rejected"]) == 199
        assert answer.json()["message"] == "accepted:1 buffered:1"


@pytest.mark.parametrize(
    ("body", "status", "retryable"),
    [
        (b"not json", 400, False),
        (b" " * 2_000_000, 413, False),
        (b'{"user_id":"eve","game_id":"g","events":[%b]}' % GOOD[0].encode(), 403, None),
    ],
)
async def test_whether_to_send_it_again_is_told(
    body: bytes, status: int, retryable: bool | None
) -> None:
    async with playing() as scene:
        answer = await scene.send(body)
        assert answer.status_code == status
        assert answer.json()["error"].get("retryable") is retryable


async def test_what_is_refused_for_now_may_be_sent_again() -> None:
    async with playing(BUFFER__MAX_EVENTS="1") as scene:
        answer = await scene.send(MIXED)
        assert (answer.status_code, answer.json()["error"]["retryable"]) == (503, True)
        assert scene.stats.rejected == {"buffer_full": 2}, "the client sends all of them again"


async def test_wrong_events_are_part_of_what_a_player_may_send() -> None:
    clock = FakeClock()
    allowance = Allowance(events_per_second=1, bytes_per_second=0, clock=clock, sets=8)
    async with playing(allowance) as scene:
        assert (await scene.send(MIXED)).status_code == 202
        answer = await scene.send(MIXED)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
        assert answer.json()["error"]["retryable"] is True


# --- for who runs it -----------------------------------------------------------------------------


def test_the_log_says_how_many_were_rejected(start_gateway: StartGateway) -> None:
    gateway = start_gateway(LOG__ACCESS="true")
    request_id = {"x-request-id": "lenient-7"}
    answer = gateway.post(MIXED, sub="ada", headers=LENIENT | request_id)
    assert answer.status_code == 202
    line = gateway.wait_for_log(r".*request_id=lenient-7.*")[0]
    assert "events=2" in line
    assert "rejected=2" in line
    (request,) = search([line], "lenient-7").requests
    assert request.rejected == 2


async def test_who_watches_sees_what_was_wrong_beside_what_was_taken() -> None:
    async with playing() as scene:
        watcher = scene.inspector.watch()
        await scene.send(MIXED)
        seen = watcher.take()
        assert seen is not None
        assert (seen.status, seen.batch is not None and seen.batch.count) == (202, 2)
        assert [each.path for each in seen.problems.details] == [
            "events.1.timestamp",
            "events.3.timestamp",
        ]


def test_a_large_body_is_sifted_in_steps_and_all_of_it_is_accounted_for(
    gateway: RunningGateway,
) -> None:
    gateway.settle()
    before = gateway.law()
    answer = gateway.post(upload_of([*GOOD, *BAD]), sub="ada", headers=LENIENT)
    assert answer.status_code == 202
    assert [each["index"] for each in answer.json()["rejected"]] == [
        len(GOOD) + place for place in range(len(BAD))
    ]
    terms = gateway.settle()
    assert terms["stored"] - before["stored"] == len(GOOD)
    assert terms["rejected"] - before["rejected"] == len(BAD)
