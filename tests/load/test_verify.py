import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import (
    Baseline,
    Counts,
    Outcome,
    Replay,
    Sessions,
    Verification,
    Workload,
    verify,
)
from playsmart_gateway.load.databases import database_at
from tests.load.database import execute, store

OK, REFUSED, UNKNOWN = Outcome.ACKNOWLEDGED, Outcome.REFUSED, Outcome.UNKNOWN
SESSIONS = Sessions(["anna", "ben"], events=3, seed=1, run=1_767_225_600_000_000)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "play smart?.db"
    store(path)
    return path


def check(
    baseline: Baseline,
    outcomes: Sequence[Outcome],
    workload: Workload = SESSIONS,
    timeout_seconds: float = 0.0,
) -> Verification:
    (lane,) = workload.lanes(1)
    lane.outcomes.extend(outcomes)
    return verify(
        baseline,
        lambda: workload.tally([lane]),
        timeout_seconds=timeout_seconds,
        settle_seconds=0.01,
    )


def bodies(*requests: int) -> list[bytes]:
    return [SESSIONS.body(request) for request in requests]


def test_everything_stored_once_is_exactly_once(database: Path) -> None:
    baseline = Baseline.take(database)
    store(database, *bodies(1, 0, 3))
    found = check(baseline, [OK, OK, REFUSED, OK])
    assert found.exactly_once
    assert (found.acknowledged, found.stored, found.foreign) == (9, 9, 0)


def test_rows_from_before_the_run_are_not_looked_at(database: Path) -> None:
    store(database, *bodies(0))
    baseline = Baseline.take(database)
    assert baseline.event_id == 3
    assert check(baseline, [OK]).missing == 3


def test_an_event_that_is_not_there_is_missing(database: Path) -> None:
    baseline = Baseline.take(database)
    store(database, *bodies(0, 1))
    execute(database, "DELETE FROM events WHERE event_id = 5")
    found = check(baseline, [OK, OK])
    assert not found.exactly_once
    assert (found.stored, found.missing) == (5, 1)


def test_an_event_that_is_there_twice_is_duplicated(database: Path) -> None:
    baseline = Baseline.take(database)
    store(database, *bodies(0, 1, 0))
    found = check(baseline, [OK, OK])
    assert not found.exactly_once
    assert (found.stored, found.missing, found.duplicated) == (6, 0, 3)


def test_half_a_request_that_is_there_twice_is_duplicated(database: Path) -> None:
    baseline = Baseline.take(database)
    store(database, *bodies(0, 0))
    execute(database, "DELETE FROM events WHERE event_id IN (3, 5, 6)")
    found = check(baseline, [OK])
    assert (found.stored, found.missing, found.duplicated) == (2, 1, 1)


def test_a_refused_event_must_not_be_stored(database: Path) -> None:
    baseline = Baseline.take(database)
    store(database, *bodies(0, 1))
    found = check(baseline, [OK, REFUSED])
    assert not found.exactly_once
    assert (found.stored, found.unexpected) == (3, 3)


def test_an_unknown_outcome_may_be_stored_or_not_but_not_twice(database: Path) -> None:
    baseline = Baseline.take(database)
    store(database, *bodies(0, 1))
    found = check(baseline, [OK, UNKNOWN, UNKNOWN])
    assert found.exactly_once
    assert (found.unknown, found.unknown_stored) == (6, 3)
    store(database, *bodies(1))
    found = check(baseline, [OK, UNKNOWN, UNKNOWN])
    assert not found.exactly_once
    assert found.duplicated == 3


def test_rows_of_somebody_else_are_no_failure(database: Path) -> None:
    baseline = Baseline.take(database)
    other = Sessions(["anna"], events=2, seed=1, run=1)
    store(database, *bodies(0), other.body(0))
    found = check(baseline, [OK])
    assert found.exactly_once
    assert found.foreign == 2


@pytest.mark.parametrize(
    "change",
    [
        "user_id = 'carl'",
        "game_id = 'x'",
        "type = 'Custom'",
        "occurred_at = '2026-01-01T00:00:00.000001Z'",
        "occurred_at = 'yesterday'",
        "customdata = json_set(customdata, '$.added', 1)",
    ],
)
def test_an_event_that_was_changed_on_the_way_is_missing_and_unexpected(
    database: Path, change: str
) -> None:
    baseline = Baseline.take(database)
    store(database, *bodies(0))
    execute(database, f"UPDATE events SET {change} WHERE event_id = 1")
    found = check(baseline, [OK])
    assert not found.exactly_once
    assert (found.stored, found.missing, found.unexpected) == (2, 1, 1)


def test_an_id_of_this_run_that_was_never_sent_is_unexpected(database: Path) -> None:
    baseline = Baseline.take(database)
    store(database, *bodies(0, 7))
    assert check(baseline, [OK]).unexpected == 3
    execute(
        database,
        "UPDATE events SET customdata = replace(customdata, '-0-0\"', '-0-99\"') "
        "WHERE event_id = 1",
    )
    assert check(baseline, [OK]).unexpected == 4


def test_another_spelling_of_the_same_customdata_is_the_same_event(database: Path) -> None:
    baseline = Baseline.take(database)
    store(database, *bodies(0))
    execute(database, "UPDATE events SET customdata = replace(customdata, ', ', ' , ')")
    assert check(baseline, [OK]).exactly_once


def replay_of(*events: dict[str, object]) -> Replay:
    return Replay([json.dumps({"user_id": "anna", "game_id": "g", "events": events}).encode()])


OPEN: dict[str, object] = {"type": "AppOpen", "timestamp": "2026-01-01T01:00:00+01:00"}
NAMED: dict[str, object] = {
    "type": "Custom",
    "customEventName": "Jump",
    "timestamp": "2026-01-01T00:00:00.5Z",
    "customdata": {"b": [1, 2.5, None], "a": {"ü": True}},
}


def test_equal_events_of_a_file_are_counted(database: Path) -> None:
    replay = replay_of(OPEN, OPEN, NAMED)
    baseline = Baseline.take(database)
    store(database, replay.body(0), replay.body(1))
    assert check(baseline, [OK, OK], replay).exactly_once
    found = check(baseline, [OK, OK, OK], replay)
    assert (found.acknowledged, found.stored, found.missing) == (9, 6, 3)
    found = check(baseline, [OK, REFUSED], replay)
    assert (found.stored, found.duplicated, found.unexpected) == (3, 3, 0)
    found = check(baseline, [OK, UNKNOWN], replay)
    assert found.exactly_once
    assert (found.unknown, found.unknown_stored) == (3, 3)
    found = check(baseline, [REFUSED, REFUSED], replay)
    assert (found.exactly_once, found.unexpected) == (False, 6)


def test_a_file_recognises_its_events_in_any_canonical_form(database: Path) -> None:
    ignored_name = {**OPEN, "customEventName": "ignored", "customdata": {}}
    replay = replay_of(OPEN, ignored_name, NAMED)
    baseline = Baseline.take(database)
    store(database, replay.body(0))
    execute(database, "UPDATE events SET custom_event_name = NULL WHERE type = 'AppOpen'")
    other = json.dumps({"user_id": "ben", "game_id": "g", "events": [OPEN]}).encode()
    store(database, other)
    found = check(baseline, [OK], replay)
    assert found.exactly_once
    assert found.foreign == 1


def test_a_refused_body_that_has_no_events_is_held_against_nobody(database: Path) -> None:
    replay = Replay([b'{"user_id":"anna","events":[{"type":7}]}'])
    assert check(Baseline.take(database), [REFUSED], replay).exactly_once


def test_it_waits_for_events_that_are_stored_late(database: Path) -> None:
    baseline = Baseline.take(database)
    store(database, *bodies(0))
    (lane,) = SESSIONS.lanes(1)
    lane.outcomes.extend([OK, OK])
    stored_late = iter([1])
    seen: list[int] = []

    def late(counts: Counts) -> None:
        seen.append(counts.stored)
        for request in stored_late:
            store(database, *bodies(request))

    found = verify(baseline, lambda: SESSIONS.tally([lane]), settle_seconds=0, on_progress=late)
    assert found.exactly_once
    assert found.waited_seconds > 0
    assert seen[0] == 3
    assert seen[-1] == 6


def test_late_rows_with_low_numbers_are_not_taken_for_loss(database: Path) -> None:
    store(database, *bodies(0))
    baseline = Baseline(database_at(database), 0)
    execute(database, "UPDATE events SET event_id = event_id + 100")
    (lane,) = SESSIONS.lanes(1)
    lane.outcomes.extend([OK, OK])
    late = iter([1])

    def add(_: object) -> None:
        for request in late:
            store(database, *bodies(request))
            execute(database, "UPDATE events SET event_id = event_id - 100 WHERE event_id > 103")

    found = verify(baseline, lambda: SESSIONS.tally([lane]), timeout_seconds=0.1, on_progress=add)
    assert found.exactly_once
    assert found.stored == 6


def test_a_duplicate_that_comes_last_is_still_seen(database: Path) -> None:
    baseline = Baseline.take(database)
    store(database, *bodies(0))
    late = iter([0])
    (lane,) = SESSIONS.lanes(1)
    lane.outcomes.append(OK)

    def add(_: object) -> None:
        for request in late:
            store(database, *bodies(request))

    found = verify(baseline, lambda: SESSIONS.tally([lane]), settle_seconds=0, on_progress=add)
    assert found.duplicated == 3


def test_a_database_that_goes_away_is_loss_with_a_reason(database: Path) -> None:
    baseline = Baseline.take(database)
    database.unlink()
    found = check(baseline, [OK])
    assert not found.exactly_once
    assert "does not exist" in found.problem
    assert check(baseline, [REFUSED]).exactly_once


@pytest.mark.parametrize("content", [None, b""])
def test_a_file_without_events_is_refused_before_the_run(
    database: Path, content: bytes | None
) -> None:
    database.unlink()
    if content is not None:
        database.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot verify: .*(does not exist|no such table)"):
        Baseline.take(database)


def test_a_file_that_is_no_database_is_refused_before_the_run(database: Path) -> None:
    database.write_text("this is not a database, and long enough to have a header" * 10)
    with pytest.raises(ConfigError, match="cannot be read"):
        Baseline.take(database)


def test_the_database_is_not_changed_by_looking_at_it(database: Path) -> None:
    store(database, *bodies(0))
    before = database.read_bytes(), sorted(database.parent.iterdir())
    assert check(Baseline(database_at(database), 0), [OK]).exactly_once
    assert (database.read_bytes(), sorted(database.parent.iterdir())) == before


def test_what_nobody_can_read_is_compared_as_it_stands(database: Path) -> None:
    at_the_end: dict[str, object] = {"type": "AppOpen", "timestamp": "9999-12-31T23:59:59-01:00"}
    timeless: dict[str, object] = {"type": "AppOpen", "timestamp": "2026-01-01T00:00:00"}
    replay = replay_of(at_the_end, timeless)
    baseline = Baseline.take(database)
    store(database, *bodies(0))
    execute(database, "UPDATE events SET customdata = '{' WHERE event_id = 1")
    found = check(baseline, [REFUSED], replay)
    assert (found.exactly_once, found.foreign) == (True, 3)
