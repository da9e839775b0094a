"""Refusals are counted, remembered, and told in the log, where no attack can fill it."""

import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.http.answered import Answered, Remembered
from playsmart_gateway.http.refusals import (
    MAX_TOLD,
    MINUTE_SECONDS,
    Refusal,
    Refusals,
    path_shown,
)
from playsmart_gateway.logs import ConsoleFormatter, read_line
from playsmart_gateway.metrics import Stats
from tests.support.doubles import FakeClock

EXPIRED = Refusal(
    b"r-1", 401, "unauthenticated:expired", "token.exp expired at 2026-11-30T02:00:00Z",
    "POST", "/ingest/events",
)  # fmt: skip


class Noted:
    """Refusals with a clock that stands, and the lines of the log."""

    def __init__(self, caplog: pytest.LogCaptureFixture, lines_a_minute: int = 3) -> None:
        caplog.set_level(logging.INFO)
        self.stats, self.clock = Stats(), FakeClock()
        self.answered = Answered(FakeClock(7.0))
        self.refusals = Refusals(
            self.stats, self.answered, lines_a_minute=lines_a_minute, clock=self.clock
        )
        self._caplog = caplog

    def lines(self) -> list[str]:
        """What was logged since the last call, without time and name."""
        printed = [ConsoleFormatter().format(each) for each in self._caplog.records]
        self._caplog.clear()
        return [line.partition(" playsmart_gateway.http.refusals ")[2] for line in printed]

    def note(self, times: int, refusal: Refusal = EXPIRED) -> None:
        for _ in range(times):
            self.refusals.note(refusal)


def test_a_refusal_is_told_with_reason_route_status_and_request_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    noted = Noted(caplog)
    noted.note(1)
    noted.note(1, Refusal(b"r-2", 400, "malformed:http"))
    assert noted.lines() == [
        "refused: token.exp expired at 2026-11-30T02:00:00Z reason=unauthenticated:expired "
        "method=POST route=/ingest/events status=401 request_id=r-1",
        "refused reason=malformed:http status=400 request_id=r-2",
    ]
    assert noted.stats.refused_requests == {"unauthenticated:expired": 1, "malformed:http": 1}
    assert list(noted.answered.find(b"r-1")) == [
        Remembered(401, reason=EXPIRED.reason, at=7.0, told=EXPIRED.told)
    ]


def test_of_many_a_few_lines_are_written_and_then_their_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    noted = Noted(caplog)
    noted.note(4_214)
    noted.note(3, Refusal(b"r-2", 404, "not_found:path"))
    assert len(noted.lines()) == 6
    noted.clock.advance(MINUTE_SECONDS - 0.1)
    noted.refusals.sweep()
    assert noted.lines() == []
    noted.clock.advance(0.1)
    noted.refusals.sweep()
    assert noted.lines() == [
        "and 4,211 more refused within a minute reason=unauthenticated:expired"
    ]
    noted.refusals.sweep()
    assert noted.lines() == []
    assert noted.stats.refused_requests["unauthenticated:expired"] == 4_214


def test_a_new_minute_begins_with_lines_though_nobody_swept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    noted = Noted(caplog)
    noted.note(5)
    noted.clock.advance(MINUTE_SECONDS)
    noted.note(1)
    lines = noted.lines()
    assert len(lines) == 5
    assert lines[3].startswith("and 2 more refused")
    assert lines[4].startswith("refused: ")


def test_who_stops_tells_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    noted = Noted(caplog)
    noted.note(5)
    noted.lines()
    noted.refusals.tell_the_rest()
    assert noted.lines() == ["and 2 more refused within a minute reason=unauthenticated:expired"]


def test_with_no_lines_a_minute_nothing_is_logged_and_all_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    noted = Noted(caplog, lines_a_minute=0)
    noted.note(5)
    noted.refusals.tell_the_rest()
    assert noted.lines() == []
    assert noted.stats.refused_requests["unauthenticated:expired"] == 5


def test_what_is_told_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    noted = Noted(caplog)
    noted.note(1, EXPIRED._replace(told="x" * 100_000))
    (line,) = noted.lines()
    assert len(line) < MAX_TOLD + 150
    (remembered,) = noted.answered.find(b"r-1")
    assert len(remembered.told) == MAX_TOLD


@given(st.text())
def test_a_path_is_shown_in_letters_that_mean_nothing_in_a_log(path: str) -> None:
    assert re.fullmatch("[A-Za-z0-9/_.…-]{0,100}", path_shown(path))


def test_a_path_is_shown_without_what_could_be_a_token() -> None:
    assert path_shown("/ingest/event") == "/ingest/event"
    assert path_shown(f"/ingest/{'eyJhbGciOiJIUzI1NiJ9' * 3}/x") == "/ingest/…/x"
    assert path_shown("/a b/?q=1\n") == "/a…b/…q…1…"
    assert path_shown("/users/deadbeefcafebabe0123456789abcdef") == "/users/…"
    assert path_shown("/device-abc-123/x") == "/…/x"
    assert path_shown("/sk_live_4242424242") == "/…"


@pytest.mark.parametrize(
    "path", ["/v2/analytics_events/batch", "/v1/app-settings", "/.well-known/openid-configuration"]
)
def test_a_path_of_words_is_shown_as_it_is(path: str) -> None:
    assert path_shown(path) == path


def test_a_line_is_read_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Refusals(Stats(), Answered()).note(EXPIRED)
    line = read_line(ConsoleFormatter().format(caplog.records[0]))
    assert line is not None
    assert line.value("reason") == "unauthenticated:expired"
    assert line.value("request_id") == "r-1"
