"""Ten thousand events that real children made while they played, over HTTP and into the store."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from playsmart_gateway.stores.open import open_store
from tests.support.process import StartGateway
from tests.support.waves import PATH, WAVES

PRINTED = "%Y-%m-%dT%H:%M:%S.%fZ"


@pytest.mark.skipif(not PATH.exists(), reason=f"the data set is not at {PATH}")
def test_every_event_of_a_real_game_is_stored_exactly_once(start_gateway: StartGateway) -> None:
    bodies = [line.rstrip(b"\n") for line in gzip.decompress(PATH.read_bytes()).splitlines()]
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    tokens: dict[str, str] = {}
    expected: list[tuple[Any, ...]] = []
    for body in bodies:
        upload = json.loads(body)
        user_id = upload["user_id"]
        tokens.setdefault(user_id, running.token(user_id))
        answer = running.post(body, headers={"authorization": f"Bearer {tokens[user_id]}"})
        assert answer.status_code == 202, answer.text
        assert answer.text.startswith(
            f'{{"success": true, "message": "accepted:{len(upload["events"])} buffered:'
        )
        expected += [
            (
                user_id,
                upload["game_id"],
                event["type"],
                event.get("customEventName"),
                datetime.fromisoformat(event["timestamp"]),
                event["customdata"],
            )
            for event in upload["events"]
        ]
    law = running.settle()
    assert law == {
        "received": 10_000, "stored": 10_000, "duplicate": 0, "rejected": 0, "buffered": 0,
    }  # fmt: skip
    assert running.stop() == 0

    events = running.events_after(0)
    stored = [
        (
            event["user_id"],
            event["game_id"],
            event["type"],
            event["custom_event_name"],
            datetime.strptime(event["occurred_at"], PRINTED).replace(tzinfo=UTC),
            json.loads(event["customdata"]),
        )
        for event in events
    ]
    assert stored == expected, "in the order in which they were accepted"
    assert len({event["event_id"] for event in events}) == 10_000
    assert {event["source"] for event in events} == {"playsmart"}
    assert Counter(event["type"] for event in events) == {
        "AppOpen": 47, "LevelCompleted": 566, "Custom": 9_387,
    }  # fmt: skip
    assert len({event["user_id"] for event in events}) == len(tokens) == 49
    received = [datetime.strptime(e["received_at"], PRINTED).replace(tzinfo=UTC) for e in events]
    assert received == sorted(received)


@pytest.mark.skipif(not PATH.exists(), reason=f"the data set is not at {PATH}")
async def test_every_level_of_a_real_game_is_paid_once_each_time_it_is_played(
    start_gateway: StartGateway,
) -> None:
    """The contract has no event id: the same events sent again are events that happened again."""
    bodies = [line.rstrip(b"\n") for line in gzip.decompress(PATH.read_bytes()).splitlines()]
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05", GAMES=WAVES)
    for times in (1, 2):
        for body in bodies:
            user_id = json.loads(body)["user_id"]
            assert running.post(body, sub=user_id).status_code == 202
        running.settle()
        sums = "SELECT count(*), sum(amount), count(DISTINCT user_id) FROM coin_transactions"
        (paid,) = running.select(f"{sums} WHERE type = 'earn' AND trigger = 'level_complete'")
        assert (paid[0], paid[1]) == (566 * times, 5_660 * times)
        (total,) = running.select("SELECT sum(coins_balance) FROM players")
        assert total[0] == 5_660 * times
        async with open_store(f"sqlite:///{running.folder}/data/playsmart.db").reader() as reader:
            audited = await reader.audit(1_000_000)
        assert audited.violations == ()
        assert audited.position == audited.end
