"""Reply bodies, to the letter."""

import json
from decimal import Decimal

import pytest

from playsmart_gateway.dialects.teak import replies
from playsmart_gateway.dialects.teak.analytics import AnalyticsEvent, Outcome, Rejected
from playsmart_gateway.dialects.teak.properties import Value
from playsmart_gateway.errors import Detail, Malformed, Overloaded
from playsmart_gateway.stores.models import OPT_OUT_STATES


def test_the_bodies_that_the_contract_prints_whole() -> None:
    assert replies.EVENT_TAKEN == b'{"status": "ok"}'
    assert replies.PLAYER_UNKNOWN == (
        b'{"status":"error","errors":{"user_id":["could not be found"]}}'
    )
    assert replies.WRONG_SECRET == b'{"status":"error","errors":{"authorization":["is invalid"]}}'
    assert replies.unknown_game("unknown_app_id") == (
        b'{"error":{"code":404,"message":"Could not find game with id unknown_app_id"}}'
    )
    assert (
        replies.unknown_app("x") == b'{"status":"error","errors":{"game_id":["Unknown app id x"]}}'
    )
    assert replies.properties({}, {}, []) == (
        b'{"status":"ok","new_properties":{},"old_properties":{},"unknown_properties":[]}'
    )


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/v2/analytics_events", 100), ("/v2/analytics_events/batch", 100), ("/v2/identify", 200)],
)
def test_the_rate_limit_names_path_and_limit(path: str, limit: int) -> None:
    assert replies.rate_limited(path, limit).decode() == (
        f'{{"status":"rate_limit","errors":{{"rate_limit":["{path} may only be called {limit} '
        'times per second. Please wait a second and try again"]}}'
    )


def test_a_batch_is_answered_event_by_event() -> None:
    outcomes: list[Outcome] = [
        AnalyticsEvent("player_123", "spin"),
        Rejected("unknown_player", replies.NOT_FOUND),
    ]
    assert replies.batch(outcomes) == (
        b'{"status": "ok", "results": [{"status": "ok", "user_id": "player_123"}, '
        b'{"status": "error", "user_id": "unknown_player", '
        b'"errors": {"user_id": ["could not be found"]}}], '
        b'"summary": {"total_events": 2, "successful_events": 1, "failed_events": 1}}'
    )
    assert json.loads(replies.batch([Rejected(None, {})]))["results"][0]["user_id"] is None


def test_a_user_id_cannot_break_out_of_its_string() -> None:
    name = 'a", "status": "x\\\n\u2028\U0001f600 {"'
    answer = json.loads(replies.batch([AnalyticsEvent(name, "spin")]))
    assert answer["results"] == [{"status": "ok", "user_id": name}]


def test_a_session_is_answered_as_in_the_example() -> None:
    assert replies.session("US", "12345", OPT_OUT_STATES, "teak12345:///reward?level=elite") == (
        b'{"country_code": "US", "session_id": "12345", "opt_out_states": '
        b'{"email": {"state": "opt_in"}, "push": {"state": "opt_in"}, '
        b'"sms": {"state": "opt_out"}}, "deep_link": "teak12345:///reward?level=elite"}'
    )
    assert replies.session("", "1", {}, None) == (
        b'{"country_code": "", "session_id": "1", "opt_out_states": {}}'
    )


def test_properties_print_numbers_as_plain_digits() -> None:
    widest = Decimal("-999999999999999999999999999.999999999")
    new: dict[str, Value] = {"level": "7", "a": Decimal("1E-9"), "b": widest, "c": Decimal("1.10")}
    assert replies.properties(new, {"level": "6"}, ["vip"]) == (
        b'{"status":"ok","new_properties":{"level":"7","a":0.000000001,'
        b'"b":-999999999999999999999999999.999999999,"c":1.10},'
        b'"old_properties":{"level":"6"},"unknown_properties":["vip"]}'
    )


def test_a_refusal_is_told_by_parameter_or_under_its_tag() -> None:
    details = [Detail("a", "x"), Detail("b", "y"), Detail("a", "z")]
    assert replies.sound(Malformed(details=details)).body == (
        b'{"status":"error","errors":{"a":["x","z"],"b":["y"]}}'
    )
    assert replies.sound(Overloaded()).body == (
        b'{"status":"error","errors":{"buffer_full":["buffer_full"]}}'
    )


@pytest.mark.parametrize("reply", [replies.unknown_game, replies.unknown_app])
def test_a_long_id_is_not_echoed_whole(reply: object) -> None:
    assert callable(reply)
    assert len(reply("x" * 1_000_000)) < 400
