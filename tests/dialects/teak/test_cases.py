"""The worked examples and every error body of the contract, over HTTP, to the byte.

Each file in ``cases/teak`` is one request, as JSON and where that is possible as a form, perhaps
with requests before it, and all that must come of it: status, reply, rows. ``<session_id>``
stands for whatever id a session got, ``<new>`` for a player who was never seen.
"""

import json
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests import CASE_FILES
from tests.dialects.cases import as_sent
from tests.support.process import RunningGateway
from tests.support.teak import (
    CREDENTIALS,
    FORM,
    IDENTIFY,
    NO_LIMITS,
    as_form,
    call,
    teak_gateway,
)

FOLDER = CASE_FILES / "teak"
CASES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.iterdir())
}
REQUESTS = [
    (name, form) for name in CASES for form in (False, True)[: 1 + CASES[name].get("form", 0)]
]
_new = count()


@pytest.fixture(scope="module")
def teak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that knows ``player_123``, in France, and ``player_456``."""
    with teak_gateway(
        tmp_path_factory.mktemp("teak"),
        SERVER__MAX_BODY_BYTES="32768",
        BUFFER__FLUSH_INTERVAL_SECONDS="0.002",
        TEAK__LIMITS=NO_LIMITS,
    ) as running:
        for user in ("player_123", "player_456"):
            assert call(running, IDENTIFY, user_id=user, country_code="fr").status_code == 201
        running.settle()
        yield running
        assert running.stop() == 0


@pytest.mark.parametrize(("name", "form"), REQUESTS)
def test_a_worked_example_of_the_contract_holds(
    name: str, form: bool, teak: RunningGateway
) -> None:
    text = (FOLDER / f"{name}.json").read_text("utf-8").replace("<new>", f"new-{next(_new)}")
    case: dict[str, Any] = json.loads(text)
    for request in case.get("before", []):
        assert teak.client.post(request["path"], json=request["body"]).is_success
        teak.settle()
    newest = teak.newest_event_id()

    answer = teak.client.request(
        case.get("method", "POST"),
        case["path"],
        content=as_sent(case, body_of(case, form) or b""),
        headers={
            "content-type": FORM if form else case.get("content_type", "application/json"),
            **case.get("headers", {}),
        },
    )

    assert answer.status_code == case["status"], answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    for header, value in case.get("reply_headers", {}).items():
        assert answer.headers[header] == value
    session_id = re.search(r'"session_id": "([^"]+)"', answer.text)
    if case["reply_text"] is None:
        assert answer.text.startswith(case["reply_starts"])
    else:
        assert without(session_id, answer.text) == case["reply_text"]
    teak.settle()
    rows = [
        {
            "game_id": row["game_id"],
            "user_id": row["user_id"],
            "type": row["type"],
            "customdata_text": without(session_id, row["customdata"]),
        }
        for row in teak.events_after(newest)
    ]
    repeated = case.get("repeat_row", {"times": 0, "row": None})
    assert rows == case.get("rows", []) + [repeated["row"]] * repeated["times"]


def body_of(case: dict[str, Any], form: bool) -> bytes | None:
    if "body_text" in case:
        return str(case["body_text"]).encode()
    if "body" not in case:
        return None
    if repeated := case.get("repeat_event"):
        case["body"]["events"] = [repeated["event"]] * repeated["times"]
    body = case["body"]
    return (as_form(body) if form else json.dumps(body, ensure_ascii=False)).encode()


def without(session_id: re.Match[str] | None, text: str) -> str:
    return text.replace(session_id[1], "<session_id>") if session_id else text


def test_email_address_and_secret_are_in_no_event_and_no_log(teak: RunningGateway) -> None:
    """Whether the request was taken, wrong, or not believed."""
    private = {"email": "lovelace@example.com", "client_ip": "193.99.144.80"}
    call(teak, IDENTIFY, user_id="lovelace", **private)
    call(teak, IDENTIFY, user_id="lovelace", timezone_id="Mars/Olympus_Mons", **private)
    call(teak, IDENTIFY, user_id="lovelace", secret_key="old guess", **private)
    events = [{"user_id": "lovelace", "action_type": "spin", **private}, {**private}]
    call(teak, "/v2/analytics_events/batch", events=events)
    teak.settle()
    everything = str([tuple(row) for row in teak.select("SELECT * FROM events")]) + teak.log
    assert "lovelace" in everything
    for text in (*private.values(), CREDENTIALS["secret_key"], "old guess"):
        assert text not in everything
    stored = teak.select("SELECT email FROM app_players WHERE user_id = 'lovelace'")
    assert stored[0]["email"] == private["email"]


def test_the_columns_of_an_event_are_those_of_all_events(teak: RunningGateway) -> None:
    teak.settle()
    newest = teak.newest_event_id()
    call(teak, "/v2/analytics_events", user_id="player_123", action_type="spin")
    teak.settle()
    (row,) = teak.events_after(newest)
    assert (row["source"], row["custom_event_name"]) == ("teak", None)
    assert len(row["occurred_at"]) == len(row["received_at"]) == len("2024-01-15T12:00:00.000000Z")
    assert row["occurred_at"] <= row["received_at"]
