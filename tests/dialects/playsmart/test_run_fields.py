"""The fields by which a client numbers its events: what they must be, and what they do."""

import json
from typing import Any

import pytest

from playsmart_gateway.dialects.playsmart.request import Rejected, decode, decode_in_steps
from playsmart_gateway.errors import Malformed
from playsmart_gateway.events.about import About, Program
from playsmart_gateway.events.batch import MAX_SEQ, run_key
from playsmart_gateway.http.turns import at_once
from tests.support.process import StartGateway
from tests.support.uploads import make_event, make_upload

RUN = "0198c0de-3f00-7a61-9d2e-5b0c4f7a1e22"
GOOD: dict[str, list[Any]] = {
    "run": [RUN, "00000000-0000-0000-0000-000000000000", None],
    "seq": [0, 7, 7.0, MAX_SEQ, None],
    "sent_at": ["2026-04-22T14:30:00.5Z", "20260422T143000+02", None],
    "client": [
        {},
        None,
        {"name": "unity", "version": "1.2", "app_version": "2.1.5", "platform": "ios"},
        {"name": None, "other": 1},
    ],
}
BAD: dict[str, list[Any]] = {
    "run": ["", RUN.upper(), RUN[1:], RUN + "\n", RUN.replace("-", ""), 7, {}, f" {RUN}"],
    "seq": [-1, -1.0, MAX_SEQ + 1, 1e300, 1.5, "7", True, []],
    "sent_at": ["2026-04-22T14:30:00", "now", 1_776_868_200],
    "client": ["unity", [], 1, {"name": 1}, {"version": "1" * 65}, {"platform": "i\0s"}],
}
CASES = [
    pytest.param(name, value, id=f"{name}={json.dumps(value)[:50]}") for name in GOOD
    for value in GOOD[name]
]  # fmt: skip
WRONG = [
    pytest.param(name, value, id=f"{name}={json.dumps(value)[:50]}") for name in BAD
    for value in BAD[name]
]  # fmt: skip


def body(**fields: Any) -> bytes:
    return json.dumps(make_upload("player-1", make_event(), make_event()) | fields).encode()


@pytest.mark.parametrize(("name", "value"), CASES)
def test_each_field_is_optional_and_may_be_null(name: str, value: Any) -> None:
    """With a time that the typed decode does not take, each goes the slow way, too."""
    for more in ({}, {"events": [make_event(timestamp="20260422T143000Z")]}):
        sent = body(**{name: value}, **more)
        batch = decode(sent)
        assert batch == at_once(decode_in_steps(sent))
        assert bool(batch.run) is (name == "run" and value is not None)


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_one_is_refused_by_its_path(name: str, value: Any) -> None:
    with pytest.raises(Malformed) as refusal:
        decode(body(**{name: value}))
    assert [detail.path for detail in refusal.value.details] == [name]


def test_a_run_is_known_with_whose_it_is_and_its_first_number_is_0_unless_it_is_said() -> None:
    batch = decode(body(run=RUN))
    assert batch.run == run_key(bytes.fromhex(RUN.replace("-", "")), batch.game_id, batch.user_id)
    assert batch.seq == 0
    assert decode(body(run=RUN, seq=41)).seq == 41
    assert decode(body(seq=41)) == decode(body()), "without a run it says nothing"


def test_events_that_a_lenient_decode_refuses_keep_their_places() -> None:
    events = [make_event(), make_event(timestamp="now"), make_event(), 7]
    for more in ({}, {"run": RUN}, {"run": RUN, "client": {"name": "unity"}}):
        rejected: list[Rejected] = []
        batch = decode(body(events=events, **more), rejected=rejected)
        assert batch.count == 2
        assert [each.index for each in rejected] == [1, 3]
        assert list(batch.places) == [0, 2]
    assert batch.about == About(client=Program("unity"), refused=(1, 3))
    with pytest.raises(Malformed):
        decode(body(run=RUN, events=events[1::2]), rejected=[])


def test_of_a_run_it_is_kept_who_sent_it_and_when() -> None:
    client = {"name": "unity", "version": None, "app_version": "2.1.5", "platform": ""}
    said: dict[str, Any] = {"sent_at": "2026-04-22T16:30:00.123456+02:00", "client": client}
    expected = About(1_776_868_200_123_456, Program("unity", "", "2.1.5", ""))
    for odd in ({}, {"events": [make_event(timestamp="20260422T143000Z")]}):
        assert decode(body(run=RUN, **said, **odd)).about == expected
        assert decode(body(**said, **odd)).about == expected  # a key may name the run yet
        assert decode(body(**said | {"client": None}, **odd)).about == About(expected.sent_at)
        assert decode(body(**said | {"sent_at": None}, **odd)).about == About(None, expected.client)
        nothing = {"sent_at": None, "client": {"name": "", "other": 1}}
        assert decode(body(**nothing, **odd)).about is None
    for year, sign in (("0001", "+"), ("9999", "-")):
        edge = f"{year}-06-01T00:00:00{sign}00:00"
        assert decode(body(run=RUN, sent_at=edge)).about is not None


@pytest.mark.process
def test_a_repeat_is_answered_as_the_first_time_and_stored_once(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway()
    sent = body(run=RUN, seq=5)
    for _ in range(2):
        answer = gateway.post(sent, sub="player-1")
        assert answer.status_code == 202
        assert answer.json()["message"].startswith("accepted:2 ")
    gateway.settle()
    gateway.post(body(run=RUN, seq=6), sub="player-1")
    gateway.settle()
    ((events,),) = gateway.select("SELECT count(*) FROM events")
    assert events == 3
    (run,) = gateway.select("SELECT next, missing, duplicates FROM runs")
    assert tuple(run) == (8, "[[0,5]]", 3)
    assert gateway.metrics()["playsmart_events_duplicate_total"] == 3


@pytest.mark.process
def test_what_is_refused_of_a_run_has_come_and_a_repeat_is_told_the_same(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway()
    lenient = {"prefer": "handling=lenient"}
    events = [make_event(), make_event(timestamp="now"), make_event()]
    client = {"name": "unity", "app_version": "2.1.5"}
    sent = body(run=RUN, events=events, client=client, sent_at="2026-04-22T14:30:00Z")
    first, again = (gateway.post(sent, sub="player-1", headers=lenient) for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.json()["rejected"] == again.json()["rejected"]
    assert again.json()["message"].startswith("accepted:2 ")
    keyed = {"idempotency-key": "order-1", **lenient}
    for mended in (events, [make_event()] * 3):
        answer = gateway.post(body(events=mended), sub="player-1", headers=keyed)
        assert answer.status_code == 202
    gateway.settle()
    gateway.post(body(run=RUN, seq=1), sub="player-1")
    gateway.settle()
    ((stored,),) = gateway.select("SELECT count(*) FROM events")
    assert stored == 4, "number 1 was refused, and number 2 stored"
    query = "SELECT next, missing, duplicates, app_version, offset_ms > 0 FROM runs "
    runs = gateway.select(query + "LEFT JOIN clients USING (client_id) ORDER BY duplicates")
    assert list(map(tuple, runs)) == [(3, None, 3, None, None), (3, None, 4, "2.1.5", 1)]


@pytest.mark.process
def test_a_request_that_is_repeated_with_its_key_is_stored_once(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway()
    lenient = {"prefer": "handling=lenient"}
    named: list[tuple[str, str, dict[str, Any], dict[str, str]]] = [
        ("order-1", "player-1", {}, {}),
        ("order-1", "player-1", {}, lenient),
        ("order-2", "player-1", {}, {}),
        ("order-1", "player-2", {}, lenient),
        ("order-1", "player-1", {"run": RUN}, {}),
        ("", "player-1", {}, {}),
    ]
    said = {"sent_at": "2026-04-22T14:30:00Z", "client": {"name": "server"}}
    for key, player, more, headers in named:
        sent = body(user_id=player, **said, **more)
        answer = gateway.post(sent, sub=player, headers={"idempotency-key": key, **headers})
        assert answer.status_code == 202
    gateway.settle()
    ((events,),) = gateway.select("SELECT count(*) FROM events")
    assert events == 10, "a key is a player's own, a run comes before it, and none is none"
    runs = gateway.select("SELECT next, duplicates FROM runs")
    assert sorted(map(tuple, runs)) == [(2, 0), (2, 0), (2, 0), (2, 2)]
    query = "SELECT name, runs, min(offset_ms) > 0 FROM runs JOIN clients USING (client_id)"
    assert [tuple(row) for row in gateway.select(query)] == [("server", 4, 1)]
