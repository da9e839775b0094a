"""Cases about answers: what a client does with each status, and with what is no answer of ours."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from playsmart_gateway.clients.conformance.case import Case, Play, cases
from playsmart_gateway.clients.conformance.scene import (
    Life,
    NotHere,
    Scene,
    expect,
    token_for,
)
from playsmart_gateway.clients.conformance.server import (
    LOGIN_PAGE,
    Answer,
    Request,
    Script,
    accept,
    always,
    first,
    refusal,
)

_FLUSHES, _MOST_TRIES = 20, 10
_RETRY_AFTER_SECONDS = 4
_CLOCK_GRAIN_SECONDS = 0.1
_MOST_EVENTS_OF_A_SMALL_GATEWAY = 10
_TAKEN = b'{"success": true, "message": "accepted:3 buffered:3"}'
_NO_SUCCESS, _NO_ERROR = b'{"success": "no"}', b'{"error": null}'
_HTML = {"Content-Type": "text/html"}
_SHORT = Answer(body=_TAKEN + b" " * len(_TAKEN), fate="cut")
_RULE = "must be one of AppOpen, Custom"
_MOST_OF_A_LINE = 1_000


# --- the batch is kept


class _Trouble(NamedTuple):
    """An answer after which events have to be there still; ``what`` completes a sentence."""

    name: str
    what: str
    answer: Answer


_PASSING = (
    _Trouble("status-408", "a 408", refusal(408, "REQUEST_TIMEOUT", "too_slow")),
    _Trouble("status-429", "a 429", refusal(429, "RATE_LIMITED", "rate_limited", 1)),
    _Trouble("status-500", "a 500", refusal(500, "INTERNAL", "internal_error")),
    _Trouble("status-502", "a 502 of a proxy", Answer(502, b"<html>Bad Gateway</html>", _HTML)),
    _Trouble("status-503", "a 503", refusal(503, "UNAVAILABLE", "buffer_full", 1)),
    _Trouble("captive-portal", "a 200 with a hotel's login page", Answer(200, LOGIN_PAGE, _HTML)),
    _Trouble("status-202-not-ours", "a 202 that is no JSON", Answer(202, LOGIN_PAGE, _HTML)),
    _Trouble("status-202-no-success", "a 202 that says no success", Answer(202, _NO_SUCCESS)),
    _Trouble("status-204", "a 204", Answer(204)),
    _Trouble("status-400-not-ours", "a 400 without an error in it", Answer(400, _NO_ERROR)),
    _Trouble("silence", "no answer at all", Answer(fate="silence")),
    _Trouble("answer-cut-off", "half an answer", Answer(body=_TAKEN, fate="cut")),
    _Trouble("answer-too-short", "JSON that is shorter than its answer", _SHORT),
    _Trouble("answer-in-drops", "an answer byte by byte, without an end", Answer(fate="drops")),
    _Trouble("reset-after-reading", "a reset in place of the answer", Answer(fate="reset")),
)
"""The next try may work: the same process sends the batch again."""

_HOLDING = (
    _Trouble("status-401", "a 401", refusal(401, "UNAUTHORIZED", "token_expired")),
    _Trouble("status-403", "a 403", refusal(403, "FORBIDDEN", "user_id_mismatch")),
    _Trouble("status-404", "a 404", refusal(404, "NOT_FOUND", "not_found")),
    _Trouble("status-405", "a 405", refusal(405, "METHOD_NOT_ALLOWED", "method_not_allowed")),
    _Trouble("status-415", "a 415", refusal(415, "UNSUPPORTED_MEDIA_TYPE", "unsupported")),
    _Trouble("redirect", "a redirect", Answer(307, LOGIN_PAGE, {**_HTML, "Location": "/login"})),
)
"""Somebody has to mend something: the batch is kept at least until the next start."""


def _comes_again(trouble: Answer) -> Play:
    def play(scene: Scene) -> None:
        scene.server.script = first(trouble)
        life = scene.life()
        life.deliver(life.track(3))
        expect(len(scene.requests) > 1, "the batch again", "one request")
        scene.expect_each_event_to_keep_its_number()

    return play


def _is_kept(trouble: Answer) -> Play:
    def play(scene: Scene) -> None:
        scene.server.script = always(trouble)
        life = scene.life()
        marks = life.track(3)
        scene.flush_and_wait_for_a_request(life)
        life.flush()
        life.kill()
        scene.server.script = accept
        scene.life().deliver(marks)
        scene.expect_each_event_to_keep_its_number()

    return play


def reset_before_reading(scene: Scene) -> None:
    """A batch is sent again after a reset before it was read."""
    scene.server.reads_bodies = False
    scene.server.script = always(Answer(fate="reset"))
    life = scene.life()
    marks = life.track(3)
    scene.flush_and_wait_for_a_request(life)
    scene.server.reads_bodies = True
    scene.server.script = accept
    life.deliver(marks)


def no_network(scene: Scene) -> None:
    """Where nobody listens events are kept, nothing fails, and they are sent when somebody does."""
    scene.server.stop()
    life = scene.life()
    marks = life.track(3)
    left = life.flush()["left"]
    expect(left == 3, "flush to answer 3 left", left)
    queued = life.state().get("queued")
    expect(queued == 3, "state to answer 3 queued", queued)
    scene.server.start()
    life.deliver(marks)


def same_numbers_again(scene: Scene) -> None:
    """A batch whose answer was lost is sent again with its run and numbers, beside newer ones."""
    scene.server.script = first(Answer(fate="reset"))
    life = scene.life()
    marks = life.track(5)
    scene.flush_and_wait_for_a_request(life)
    life.deliver(marks + life.track(5))
    scene.expect_each_event_to_keep_its_number()


def redirect_takes_no_token(scene: Scene) -> None:
    """A redirect is not followed with the token, wherever it leads."""
    for status in (302, 307):
        headers = {**_HTML, "Location": scene.server.url + "/login"}
        scene.server.script = always(Answer(status, LOGIN_PAGE, headers))
        life = scene.life()
        life.track(1)
        scene.flush_and_wait_for_a_request(life)
        life.kill()
    shown = [each.token for each in scene.server.strays if each.token]
    expect(not shown, "no token to be sent elsewhere", f"{len(shown)} requests with it")


def rejected_among_good(scene: Scene) -> None:
    """A 202 that names rejected events is a 202: the batch is deleted."""
    rejected = [{"index": 1, "retryable": False, "details": []}]
    told = {"success": True, "message": "accepted:2 buffered:2", "rejected": rejected}
    scene.server.script = first(Answer(body=json.dumps(told).encode()))
    life = scene.life()
    life.deliver(life.track(3))
    scene.expect_quiet(life, "nothing to be sent again")
    life.kill()
    scene.expect_quiet(scene.life(), "nothing to be sent again by the next life")


# --- how long it waits


def waits_after_failures(scene: Scene) -> None:
    """After failures in a row it waits, ever longer, whatever asks it to send."""
    scene.server.script = always(refusal(500, "INTERNAL", "internal_error"))
    _expect_patience(scene, scene.life())


def waits_for_a_token(scene: Scene) -> None:
    """After a 401 it does not send again and again with the same token."""
    scene.server.script = always(refusal(401, "UNAUTHORIZED", "token_expired"))
    _expect_patience(scene, scene.life())


def _expect_patience(scene: Scene, life: Life) -> None:
    life.track(3)
    for _ in range(_FLUSHES):
        life.flush()
    came = len(scene.requests)
    wanted = f"1 to {_MOST_TRIES} requests for {_FLUSHES} flushes in a row"
    expect(1 <= came <= _MOST_TRIES, wanted, came)


def _waits_as_told(status: int, code: str, message: str) -> Play:
    def play(scene: Scene) -> None:
        scene.server.script = first(refusal(status, code, message, _RETRY_AFTER_SECONDS))
        life = scene.life()
        life.deliver(life.track(3))
        waited = scene.requests[1].arrived - scene.requests[0].arrived
        wanted = f"{_RETRY_AFTER_SECONDS} s to pass, as Retry-After says"
        expect(waited >= _RETRY_AFTER_SECONDS - _CLOCK_GRAIN_SECONDS, wanted, f"{waited:.1f} s")

    return play


def new_token(scene: Scene) -> None:
    """When a token has expired, the same batch is sent with the next one."""
    new = token_for("player")

    def script(sent: Request) -> Answer:
        return accept(sent) if sent.token == new else refusal(401, "UNAUTHORIZED", "token_expired")

    scene.server.script = script
    life = scene.life()
    marks = life.track(3)
    scene.flush_and_wait_for_a_request(life)
    life.ask("token", token=new)
    life.deliver(marks)
    scene.expect_each_event_to_keep_its_number()


# --- what is refused is halved


def _too_many(sent: Request) -> Answer:
    if len(sent.events) > _MOST_EVENTS_OF_A_SMALL_GATEWAY:
        return refusal(413, "TOO_LARGE", "body_too_large")
    return accept(sent)


def too_large(scene: Scene) -> None:
    """A batch that is too large is sent in halves, each event once and with its number."""
    scene.server.script = _too_many
    life = scene.life()
    marks = life.track(60)
    life.deliver(marks)
    life.drain()
    came = len([1 for each in scene.server.taken for _ in each.events])
    expect(came == len(marks), f"{len(marks)} events", came)
    scene.expect_each_event_to_keep_its_number()


def _refuses(status: int, code: str) -> Script:
    def script(sent: Request) -> Answer:
        if any((each.get("customdata") or {}).get("poison") for each in sent.events):
            return refusal(status, code, "invalid_payload")
        return accept(sent)

    return script


def _wrong(rule: object) -> dict[str, object]:
    return {"message": "invalid_payload", "details": [{"path": "events.0.type", "message": rule}]}


_ODD_ERRORS: Sequence[object] = (
    "text",
    7,
    ["list"],
    {"message": None},
    {"message": {"a": 1}, "details": [{"path": "a", "message": "b"}]},
    {"message": "", "details": []},
    {"message": "invalid_payload", "details": "text"},
    {"message": "invalid_payload", "details": {"0": {"path": "a", "message": "b"}}},
    {"message": "invalid_payload", "details": [None]},
    {"message": "invalid_payload", "details": [{"path": "events.0"}]},
    {"message": "\x1b[2J\r\n\u2028\U0001f600" * 100},
    _wrong(7),
    _wrong("x" * 100_000),
)
"""What stands in the place of an error: no client may stumble over it, or log without end."""


def _poison(status: int, code: str) -> Play:
    def play(scene: Scene) -> None:
        scene.server.script = _refuses(status, code)
        life = scene.life()
        marks = life.track(30)
        life.track(1, poison=True)
        marks += life.track(30)
        life.deliver(marks)
        life.drain()
        scene.expect_quiet(life, "the wrong event to be set aside")
        life.kill()
        scene.expect_quiet(scene.life(), "the next life to leave it aside")
        scene.expect_each_event_to_keep_its_number()

    return play


def reason_in_its_log(scene: Scene) -> None:
    """Of what is set aside the log says why, as far as the answer does: a line, and no token."""
    life = scene.life()
    for error in (*_ODD_ERRORS, _wrong(life.token), _wrong(_RULE)):
        told = {"success": False, "error": error}
        scene.server.script = always(Answer(400, json.dumps(told).encode()))
        life.track(1)
        scene.flush_and_wait_for_a_request(life)
        life.drain()
    scene.server.script = accept
    life.deliver(life.track(1))
    life.kill()
    if not life.errors.strip():
        raise NotHere("the client logs elsewhere, which is allowed")
    expect(life.token not in life.errors, "no token on standard error", "the token")
    expect(f"events.0.type {_RULE}" in life.errors, "the reason on standard error", life.errors)
    longest = max(map(len, life.errors.splitlines()))
    expect(longest <= _MOST_OF_A_LINE, f"lines of {_MOST_OF_A_LINE} characters", longest)


CASES = (
    *(
        Case(each.name, f"A batch is sent again after {each.what}", _comes_again(each.answer))
        for each in _PASSING
    ),
    *(
        Case(
            each.name,
            f"A batch is kept after {each.what}, and sent by the next life at last",
            _is_kept(each.answer),
        )
        for each in _HOLDING
    ),
    *cases(
        reset_before_reading,
        no_network,
        same_numbers_again,
        redirect_takes_no_token,
        rejected_among_good,
        waits_after_failures,
        waits_for_a_token,
    ),
    Case(
        "retry-after-429",
        "After a 429 it waits as long as Retry-After says",
        _waits_as_told(429, "RATE_LIMITED", "rate_limited"),
    ),
    Case(
        "retry-after-503",
        "After a 503 it waits as long as Retry-After says",
        _waits_as_told(503, "UNAVAILABLE", "buffer_full"),
    ),
    *cases(new_token, too_large),
    Case(
        "poison-400",
        "Of a batch that is refused with 400 only the wrong event is lost, and it is set aside",
        _poison(400, "BAD_REQUEST"),
    ),
    Case("poison-413", "So it is with 413", _poison(413, "TOO_LARGE")),
    Case("poison-422", "So it is with 422", _poison(422, "UNPROCESSABLE")),
    *cases(reason_in_its_log),
)
