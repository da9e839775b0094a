"""What is shown of a request, and what never is: canaries in every place there is."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.config import Auth, Config, Operator, Secret
from playsmart_gateway.console.inspector.redact import (
    MAX_TEXT_LENGTH,
    Redactor,
    secrets_of,
)
from playsmart_gateway.console.inspector.watcher import Seen
from playsmart_gateway.dialects.teak.section import Teak, TeakApp
from playsmart_gateway.errors import Detail
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.http.error_body import Problems
from tests.support.examples import examples
from tests.support.process import SECRET

TIME = "2026-04-22T14:30:00Z"
KNOWN = "hush/hush-4711"
TOKEN = mint("ada", secret=SECRET, ttl_seconds=60, now=1_700_000_000.0)
EMAIL = "ada.l+x@example.co.uk"
CANARIES = (KNOWN, TOKEN, EMAIL, f"Bearer {TOKEN}", f"to <{EMAIL}>, soon")
BARE = (KNOWN, TOKEN, TOKEN[-30:], EMAIL, "example.co")


def seen(body: bytes | None = None, **fields: Any) -> Seen:
    defaults: dict[str, Any] = {
        "number": 1,
        "at": 1_700_000_000.5,
        "path": "/ingest/events",
        "request_id": b"request-7",
        "status": 400,
        "answer": b"{}",
        "seconds": 0.00125,
        "authorization": b"",
        "batch": None,
        "rows": None,
        "body_bytes": len(body or b""),
        "state": None,
    }
    return Seen(**{**defaults, "body": body, **fields})


def shown(request: Seen) -> str:
    message = Redactor([KNOWN]).message(request)
    return msgspec.json.encode(message).decode()


def accepted(rows: list[Any], user_id: str = "ada", game_id: str = "game", **fields: Any) -> Seen:
    batch = Batch("playsmart", game_id, user_id, len(rows), b"", "11", 1)
    encoded = json.dumps(rows, ensure_ascii=False).encode()
    return seen(batch=batch, rows=encoded, status=202, state="buffered", **fields)


def sees_no_canary(text: str) -> None:
    for bare in BARE:
        assert bare not in text
        assert json.dumps(bare)[1:-1] not in text


@pytest.mark.parametrize("canary", CANARIES)
def test_no_canary_is_shown_whatever_field_it_is_in(canary: str) -> None:
    event = ["Custom", canary, TIME, {canary: {"deep": [canary, {"in": f"a {canary} b"}]}}]
    many = [*event, None, canary, canary]
    answer = {"error": {"code": canary, "message": canary, "details": [{"path": canary}]}}
    problems = Problems(canary, canary, [Detail(canary, canary)])
    teak = {"status": canary, "errors": {canary: [canary]}, "results": [{"errors": {"x": canary}}]}
    for request in (
        accepted([event, many], user_id=canary, game_id=canary, request_id=b"x"),
        seen(answer=json.dumps(answer).encode()),
        seen(answer=json.dumps(teak).encode()),
        seen(problems=problems),
        seen(answer=canary.encode()),
        seen(request_id=canary.replace(" ", "").encode()),
        seen(json.dumps({"user_id": canary, "game_id": canary, canary: [canary]}).encode()),
        seen(json.dumps({"user_id": canary, "x": canary}).encode()[:-1]),
        seen(urlencode({"user_id": canary, canary: canary}).encode()),
        seen(f"just text {canary}".encode()),
        seen(f"broken {json.dumps(canary)[1:-1].replace('@', chr(92) + 'u0040')}".encode()),
        seen(f"broken {quote(canary, safe='')} %".encode()),
        seen(json.dumps({"text": json.dumps({"a": canary})}).encode()),
        seen(canary.encode("utf-16")),
    ):
        sees_no_canary(shown(request))


@pytest.mark.parametrize(
    "name",
    ["secret_key", "Secret", "password", "auth_token", "access_token", "access-token", "apiKey",
     "Authorization", "email", "e-mail", "cookie", "credentials"],
)  # fmt: skip
@pytest.mark.parametrize("value", ["open sesame", 4711999, {"a": ["open sesame"]}, ["open sesame"]])
def test_whatever_a_secrets_name_holds_is_masked(name: str, value: object) -> None:
    body = json.dumps({"user_id": "ada", "deep": [{name: value}]})
    for request in (
        seen(body.encode()),
        seen(json.dumps({"inside": body}).encode()),
        accepted([["Custom", "x", TIME, {"deep": {name: value}}]]),
    ):
        text = shown(request)
        assert "ada" in text
        assert "sesame" not in text or isinstance(value, dict | list)
        assert "4711999" not in text
    if isinstance(value, str):
        assert "sesame" not in shown(seen(body[:-3].encode()))
        assert "sesame" not in shown(seen(urlencode({name: value, "a": "b"}).encode()))


def test_the_requests_own_token_is_masked_whatever_it_looks_like() -> None:
    request = seen(b'{"user_id": "x-opaque-4711"}', authorization=b"Bearer opaque-4711")
    assert "opaque" not in shown(request)


def test_ordinary_words_are_left_alone() -> None:
    data = {"tokens": 50, "mail": "no", "score": 4800, "bearer": "of news", "note": "a = b: c"}
    (event,) = Redactor(["abcd"]).message(accepted([["AppOpen", None, TIME, data]]))["events"]
    assert event["data"] == json.dumps(data)


def test_numbers_are_shown_digit_for_digit() -> None:
    rows = b'[["purchase",null,"2026-04-22T14:30:00Z",{"value":1.2300e-7,"n":%b}]]' % (b"9" * 200)
    batch = Batch("teak", "game", "ada", 1, b"", "11", 1)
    message = Redactor([]).message(seen(batch=batch, rows=rows, status=200))
    assert "1.2300e-7" in message["events"][0]["data"]
    assert "9" * 200 in message["events"][0]["data"]


@pytest.mark.parametrize("email", [None, EMAIL])
def test_an_event_is_shown_with_its_name_time_player_and_customdata(email: str | None) -> None:
    rows = [["Custom", "jump", TIME, {"a": 1, "ü": None}, None, "grace", email]]
    message = Redactor([]).message(accepted([*rows, ["AppOpen", None, TIME, None]]))
    jump = {"type": "Custom", "name": "jump", "time": TIME}
    open_ = {"type": "AppOpen", "name": None, "time": TIME, "data": None, "player": None}
    events = json.loads(msgspec.json.encode(message["events"]))
    assert events == [jump | {"data": '{"a": 1, "ü": null}', "player": "grace"}, open_]
    assert (message["player"], message["game"], message["count"]) == ("ada", "game", 2)
    assert (message["outcome"], message["state"], message["ms"]) == ("accepted", "buffered", 1.25)


def test_problems_and_points_are_told_as_the_answer_has_them() -> None:
    problems = Problems("BAD_REQUEST", "no", [Detail("events.0.type", f"{KNOWN} is no type")])
    message = Redactor([KNOWN]).message(seen(problems=problems))
    assert (message["code"], message["message"]) == ("BAD_REQUEST", "no")
    assert message["details"] == [{"path": "events.0.type", "message": "•••• is no type"}]
    assert Redactor([]).message(accepted([], points=60))["points"] == 60
    assert Redactor([]).message(accepted([]))["points"] == 0


def test_what_an_answer_looks_like_tells_nothing() -> None:
    answer = {"error": {"code": "A", "message": "b"}, "data": {"pointsAwarded": 1, "streaks": []}}
    message = Redactor([]).message(accepted([], answer=json.dumps(answer).encode()))
    assert (message["code"], message["message"], message["details"]) == ("", "", [])
    assert message["points"] == 0


def test_bodies_that_cannot_be_shown_are_told_by_their_size() -> None:
    redactor = Redactor([])
    assert redactor.message(seen(b"\xff\xfe\x00"))["body"] == "3 bytes that are no text"
    assert redactor.message(seen(b"a\0b"))["body"] == "3 bytes that are no text"
    assert redactor.message(seen(body_bytes=5_000))["body"] == "5,000 bytes, not inflated"
    assert redactor.message(seen(body_bytes=500_000))["body"] == "500,000 bytes, too many to show"
    assert "body" not in redactor.message(seen())
    too_large = seen(batch=Batch("teak", "g", "p", 7, b""), status=200)
    assert redactor.message(too_large)["events"] is None


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b"a" * 100_000,
        b"@" * 100_000,
        b"a@" * 50_000,
        b"secret" * 20_000,
        b"secret:" * 20_000,
        b"Bearer " + b" " * 100_000,
        b"eyJ" * 30_000,
        json.dumps({"x": "secret=" * 10_000, "y": [[]] * 30_000}).encode(),
        b'"\\ud800"',
        b"[NaN]",
    ],
)
def test_hostile_bodies_are_shown_in_bounded_time_and_length(body: bytes) -> None:
    """Quadratic patterns would take minutes here."""
    assert len(shown(seen(body))) <= 3 * MAX_TEXT_LENGTH


@examples(30)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)
    | st.dictionaries(st.text(), inner), max_leaves=20,
), st.text())  # fmt: skip
def test_whatever_json_is_sent_nothing_known_is_shown(value: object, around: str) -> None:
    for body in (
        {"a": value, "b": f"{around}{KNOWN}{around}"},
        {f"{around}{KNOWN}": [value, KNOWN]},
    ):
        assert KNOWN not in shown(seen(json.dumps(body).encode()))


def test_every_secret_of_a_configuration_is_known() -> None:
    config = Config(
        auth=Auth(secret="one-secret", secrets=(Secret(kid="kid-1", secret="two-secret"),)),
        dialects={
            "teak": Teak(apps=(TeakApp(id="app", secret_key=("three-secret", "four-secret")),))
        },
        operator=Operator(token="five-secret-token"),
    )
    assert set(secrets_of(msgspec.to_builtins(config))) == {
        "one-secret",
        "two-secret",
        "three-secret",
        "four-secret",
        "five-secret-token",
    }
