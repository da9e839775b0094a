"""Teak's events on the express path: same bytes, rows, counts and journal as without it."""

import asyncio
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.dialects import load_config
from tests import CASE_FILES
from tests.dialects.cases import as_sent, plain_body_of
from tests.serve.sides import REST, Outcome, Side, make_config, on_both
from tests.support.examples import examples
from tests.support.teak import (
    BATCH,
    CREDENTIALS,
    ENVIRONMENT,
    EVENTS,
    FORM,
    IDENTIFY,
    NO_LIMITS,
    event,
)

RUN = "0198c0de-3f00-7a61-9d2e-5b0c4f7a1e22"


def configured(limits: str = NO_LIMITS) -> dict[str, Any]:
    return dict(load_config(None, {**ENVIRONMENT, "PLAYSMART_TEAK__LIMITS": limits}).dialects)


def post(path: str, body: object, headers: Mapping[str, str] | None = None) -> bytes:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Host": "x", "Content-Length": str(len(sent)), **(headers or {})}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode() + sent


def signed(**fields: object) -> dict[str, object]:
    return {**CREDENTIALS, **fields}


PLAYERS = [
    post(
        IDENTIFY,
        signed(user_id=user, country_code="fr"),
        {"Idempotency-Key": f"session of {user}"},  # which gives the session its id
    )
    for user in ("player_123", "player_456")
]
EVENT = post(EVENTS, signed(**event()))


async def sent(parts: Sequence[bytes], *, room: int = 10_000, **tables: Any) -> tuple[Outcome, int]:
    """Send ``parts`` behind the sessions of two players, with the express path and without."""
    rounds = [REST] * (len(PLAYERS) + len(parts))
    return await on_both([*PLAYERS, *parts], rounds, room=room, dialects=configured(), **tables)


async def test_events_of_known_players_are_answered_on_it() -> None:
    batch = post(BATCH, signed(events=[event(), event("player_456", action_type=""), event()]))
    outcome, answered = await sent([EVENT, batch])
    assert outcome.answers.count(b"HTTP/1.1 200 ") == 2
    assert answered == 2
    assert len(outcome.written) == 4


@pytest.mark.parametrize(
    "odd",
    [
        post(EVENTS, signed(**event("nobody"))),
        post(BATCH, signed(events=[event(), event("nobody"), event()], run=RUN, seq=4)),
        post(EVENTS, {**signed(**event()), "game_id": "nowhere"}),
        post(EVENTS, gzip.compress(json.dumps(signed(**event())).encode()),
             {"Content-Encoding": "gzip"}),
        post(EVENTS, b"<event/>", {"Content-Type": "text/xml"}),
    ],
    ids=["unknown player", "one unknown player", "unknown app", "compressed", "media"],
)  # fmt: skip
async def test_what_memory_does_not_know_is_for_the_application(odd: bytes) -> None:
    _, answered = await sent([odd])
    assert answered == 0


async def test_a_refusal_is_answered_on_it_too() -> None:
    wrong = [post(EVENTS, signed(user_id="player_123")), post(BATCH, signed(events=[]))]
    outcome, answered = await sent(wrong)
    assert outcome.answers.count(b"HTTP/1.1 400 ") == 2
    assert outcome.counts["law"][3] == {"malformed": 2}
    assert answered == 2


async def test_where_there_is_no_room_the_application_waits_for_it() -> None:
    outcome, answered = await sent([EVENT], room=4)
    assert outcome.answers.count(b"HTTP/1.1 503 ") == 1
    assert answered == 0


@pytest.mark.parametrize("express", [True, False])
async def test_a_call_is_counted_once_whoever_answers_it(tmp_path: Path, express: bool) -> None:
    """One that memory cannot answer is tried on the express path and then not counted twice."""
    config = make_config(tmp_path, dialects=configured("{analytics_events = 3}"))
    side = Side(tmp_path, config, express=express)
    endpoint: Any = side.app.frame._endpoints[EVENTS]
    endpoint._rate._clock = lambda: 1.0  # a second that lasts
    stranger = post(EVENTS, signed(**event("nobody")))
    parts = [*PLAYERS, stranger, EVENT, stranger, EVENT, stranger]
    outcome = await side.send(parts, [REST] * len(parts))
    statuses = [int(each[:3]) for each in outcome.answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [201, 201, 404, 200, 404, 429, 429]


def bodies() -> st.SearchStrategy[bytes]:
    users = st.sampled_from(["player_123"] * 4 + ["player_456", "nobody", "", 7])
    one = st.builds(
        event, users, st.sampled_from(["spin"] * 4 + ["", None]), value=st.sampled_from([1, "x"])
    )
    credentials = st.sampled_from([CREDENTIALS] * 9 + [{}, {**CREDENTIALS, "game_id": "nowhere"}])
    many = st.fixed_dictionaries(
        {"events": st.lists(one, max_size=4) | st.none()},
        optional={"run": st.just(RUN), "seq": st.sampled_from([1, 5, -1])},
    )
    made = st.builds(lambda who, what: {**who, **what}, credentials, one | many)
    as_json = made.map(lambda each: json.dumps(each).encode())
    as_form = st.builds(lambda each: urlencode({**CREDENTIALS, **each}).encode(), one)
    return as_json | as_json | as_form | st.sampled_from([b"", b"{", b"\xff", b"[]"])


HEADERS = [
    {}, {}, {"Content-Type": "application/json"}, {"Content-Type": FORM}, {"Idempotency-Key": "k"},
    {"X-Request-ID": "mine-1"}, {"Content-Encoding": "br"}, {"Prefer": "handling=lenient"},
]  # fmt: skip


@examples(60)
@given(
    parts=st.lists(
        st.builds(post, st.sampled_from([EVENTS, BATCH]), bodies(), st.sampled_from(HEADERS)),
        min_size=1,
        max_size=6,
    ),
    pipelined=st.booleans(),
    fsync=st.sampled_from(["interval", "always"]),
    room=st.sampled_from([10_000, 8]),
)
def test_whatever_is_sent_is_answered_counted_written_and_stored_as_without_it(
    parts: list[bytes], pipelined: bool, fsync: str, room: int
) -> None:
    whole = [b"".join(parts)] if pipelined else parts
    asyncio.run(sent(whole, fsync=fsync, room=room))


async def test_each_case_and_each_habit_is_answered_as_without_it() -> None:
    """All at one connection; what is right stands in the case.

    Wrong secrets are left out, whose answers wait for half a second.
    """
    parts = []
    for path in sorted(
        each for name in ("teak", "habits") for each in (CASE_FILES / name).iterdir()
    ):
        case = json.loads(path.read_text())
        is_one = case["path"] in (EVENTS, BATCH) and "method" not in case
        if is_one and case["status"] not in (403, 413):
            kind = {"Content-Type": case.get("content_type", "application/json")}
            body = as_sent(case, plain_body_of(case))
            parts.append(post(case["path"], body, {**kind, **case.get("headers", {})}))
    outcome, answered = await sent(parts)
    assert outcome.answers.count(b"HTTP/1.1 ") == len(PLAYERS) + len(parts)
    assert answered > len(parts) // 2
