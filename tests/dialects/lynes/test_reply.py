"""The answers of ``POST /event``, to the byte."""

import json

import pytest

from playsmart_gateway.dialects.lynes.reply import ERRORS, error_body, success_body
from playsmart_gateway.economy.points import (
    Award,
    HistoryEntry,
    StreakAward,
)
from playsmart_gateway.errors import Conflict, Detail, Refused


def award(event_id: str, points: int, *streaks: StreakAward, at_ms: int = 0) -> Award:
    entry = HistoryEntry("event", event_id, event_id, "", points, at_ms)
    return Award(points, streaks, (entry,))


def test_success_is_written_as_the_contract_shows_it() -> None:
    streak = StreakAward("daily_app_use", 3, 1_680_870_896_789, False, 0)
    assert success_body("user123", award("daily_login", 10, streak, at_ms=1_648_232_567_123)) == (
        b'{"success": true, "data": {"eventId": "daily_login", "userId": "user123", '
        b'"pointsAwarded": 10, "timestamp": 1648232567123, "streaks": [{"streakId": '
        b'"daily_app_use", "currentCount": 3, "lastUpdate": "2023-04-07T12:34:56.789Z", '
        b'"milestoneReached": false, "pointsAwarded": 0}]}}'
    )


def test_an_event_without_streaks_lists_none() -> None:
    body = json.loads(success_body("ü\u2028", award("e", 0)))
    assert body["data"] == {
        "eventId": "e", "userId": "ü\u2028", "pointsAwarded": 0, "timestamp": 0, "streaks": [],
    }  # fmt: skip


def test_a_full_second_has_its_milliseconds() -> None:
    told = award("e", 0, StreakAward("s", 1, 1_680_870_896_000, True, 5))
    (streak,) = json.loads(success_body("u", told))["data"]["streaks"]
    assert streak["lastUpdate"] == "2023-04-07T12:34:56.000Z"
    assert (streak["milestoneReached"], streak["pointsAwarded"]) == (True, 5)


def test_an_error_keeps_the_flag_and_the_envelope() -> None:
    assert error_body(401) == (
        b'{"success": false, "error": {"code": "unauthorized", '
        b'"message": "Invalid or expired authentication token"}}'
    )


def test_details_name_each_wrong_field() -> None:
    body = error_body(400, [Detail("userId", "is required")])
    assert json.loads(body)["error"] == {
        "code": "bad_request",
        "message": "Invalid request body",
        "details": [{"path": "userId", "message": "is required"}],
    }


@pytest.mark.parametrize(
    "status",
    {each.status for each in Refused.__subclasses__() if each is not Conflict} | {404, 429},
)
def test_every_refusal_has_a_code_and_a_message(status: int) -> None:
    """But of what is somebody's already: nothing here can be."""
    code, message = ERRORS[status]
    assert code.isidentifier()
    assert message
