"""Every error has a status, a code and a public text, and none quotes what was sent."""

import json
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.errors import (
    Closing,
    ConfigError,
    Detail,
    Forbidden,
    GatewayError,
    Malformed,
    Overloaded,
    Refused,
    SinkError,
    SinkRejected,
    SinkUnavailable,
    Unauthenticated,
    where,
)
from playsmart_gateway.http.error_body import (
    CODES,
    MAX_DETAILS,
    error_body,
    error_headers,
)

REFUSALS = Refused.__subclasses__()


@pytest.mark.parametrize("refusal", REFUSALS)
def test_every_refusal_has_a_status_a_code_and_words(refusal: type[Refused]) -> None:
    raised = refusal()
    assert isinstance(raised, GatewayError)
    assert CODES[raised.status]
    assert HTTPStatus(raised.status)
    assert raised.message == str(raised) == refusal.default_message
    assert raised.tag.isidentifier()
    assert raised.details == ()


def test_no_two_refusals_share_a_tag() -> None:
    assert len({each.tag for each in REFUSALS}) == len(REFUSALS)


def test_the_envelope_is_written_as_the_contract_shows_it() -> None:
    body = error_body(Forbidden.status, Forbidden().message)
    assert body == b'{"error": {"code": "FORBIDDEN", "message": "user_id_mismatch"}}'


def test_details_are_a_list_of_path_and_message() -> None:
    details = [Detail("events.0.type", "is required")]
    assert json.loads(error_body(400, Malformed().message, details)) == {
        "error": {
            "code": "BAD_REQUEST",
            "message": "invalid_payload",
            "details": [{"path": "events.0.type", "message": "is required"}],
        }
    }


@given(st.text(), st.lists(st.tuples(st.text(), st.text()), max_size=3), st.booleans())
def test_a_body_is_laid_out_as_the_library_does(
    message: str, details: list[tuple[str, str]], says_whether: bool
) -> None:
    error: dict[str, Any] = {"code": "BAD_REQUEST", "message": message}
    if details:
        error["details"] = [{"path": path, "message": text} for path, text in details]
    if says_whether:
        error["retryable"] = False
    told = [Detail(*each) for each in details]
    body = error_body(400, message, told, says_whether_to_retry=says_whether)
    assert body == json.dumps({"error": error}).encode()


@pytest.mark.parametrize(("count", "told"), [(MAX_DETAILS, MAX_DETAILS), (MAX_DETAILS + 1, 21)])
def test_details_are_cut_behind_twenty(count: int, told: int) -> None:
    body = error_body(400, "invalid_payload", [Detail("a", "b")] * count)
    assert len(json.loads(body)["error"]["details"]) == told


def test_who_must_wait_is_told_how_long() -> None:
    for refusal in (Overloaded(retry_after_seconds=2), Closing(retry_after_seconds=2)):
        assert (b"retry-after", b"2") in error_headers(refusal)
    assert b"retry-after" not in dict(error_headers(Overloaded()))


def test_who_has_no_credential_is_told_of_which_kind() -> None:
    assert (b"www-authenticate", b"Bearer") in error_headers(Unauthenticated())
    assert b"www-authenticate" not in dict(error_headers(Forbidden()))


def test_a_config_error_keeps_every_problem() -> None:
    error = ConfigError(["one: bad", "two: worse"])
    assert error.problems == ("one: bad", "two: worse")
    assert str(error) == "one: bad; two: worse"


def test_a_sink_error_has_a_hint() -> None:
    assert SinkUnavailable("disk full", hint="make room").hint == "make room"
    assert SinkRejected("no").hint == ""
    assert issubclass(SinkUnavailable, SinkError)


def test_where_tells_the_place_and_not_the_text() -> None:
    try:
        raise LookupError("sesame-4711")
    except LookupError as error:
        told = where(error)
    assert told.startswith("LookupError at ")
    assert "test_where_tells_the_place_and_not_the_text" in told
    assert "sesame" not in told
