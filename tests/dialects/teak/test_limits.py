"""The limits on the wire: four clients flat out for three seconds of the server's clock."""

import threading
import time
from collections import Counter
from pathlib import Path

import httpx

from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.process import NO_TLS, RunningGateway
from tests.support.teak import (
    BATCH,
    CREDENTIALS,
    EVENTS,
    IDENTIFY,
    event,
    identify,
    teak_gateway,
)

LIMIT = 5
SECONDS = 3
BODIES: dict[str, dict[str, object]] = {
    EVENTS: event("ada", "single"),
    BATCH: {"events": [event("ada", "batch")]},
    IDENTIFY: {"user_id": "eve", "country_code": "DE"},
}


def insist(running: RunningGateway, path: str, app: dict[str, str], answers: Counter[str]) -> None:
    """Call ``path`` again and again; keep how often each answer came."""
    deadline = time.monotonic() + SECONDS
    with httpx.Client(
        base_url=running.url, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_TLS
    ) as client:
        while time.monotonic() < deadline:
            answer = client.post(path, json={**app, **BODIES[path]})
            answers[answer.text if answer.status_code == 429 else str(answer.is_success)] += 1


def test_no_second_of_the_server_ever_takes_more_than_the_limit(tmp_path: Path) -> None:
    """Windows are whole seconds: what was taken in one has it in its ``occurred_at``.

    The clock is read once for the limit and once for the event, so the test begins in the first
    half of a second: then the budget of each is used up long before it ends.
    """
    limits = f"{{analytics_events = {LIMIT}, batch = {LIMIT}, identify = {LIMIT}}}"
    other = {"game_id": "other", "secret_key": "new secret"}
    with teak_gateway(tmp_path, TEAK__LIMITS=limits) as running:
        identify(running, "ada")
        identify(running, "ada", **other)
        wait_until(lambda: True if 0.05 < time.time() % 1 < 0.5 else None)
        answers: dict[str, Counter[str]] = {path: Counter() for path in BODIES}
        clients = [
            threading.Thread(target=insist, args=(running, path, CREDENTIALS, answers[path]))
            for path in (EVENTS, BATCH, IDENTIFY, EVENTS)
        ]
        apart: Counter[str] = Counter()
        clients.append(threading.Thread(target=insist, args=(running, EVENTS, other, apart)))
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        running.settle()
        for path, (app, kind) in (
            (EVENTS, ("your_teak_app_id", "single")),
            (BATCH, ("your_teak_app_id", "batch")),
            (EVENTS, ("other", "single")),
        ):
            query = (
                "SELECT substr(occurred_at, 1, 19) AS second, count(*) AS taken FROM events"
                " WHERE game_id = ? AND type = ? GROUP BY second"
            )
            taken = {row["second"]: row["taken"] for row in running.select(query, app, kind)}
            assert taken
            assert max(taken.values()) <= LIMIT, (path, taken)
            told = apart if app == "other" else answers[path]
            assert sum(taken.values()) == told["True"]
        for path, told in [*answers.items(), (EVENTS, apart)]:
            assert set(told) == {
                "True",
                '{"status":"rate_limit","errors":{"rate_limit":["' + path + " may only be called "
                f'{LIMIT} times per second. Please wait a second and try again"]}}}}',
            }
        refused = sum(told.total() - told["True"] for told in (*answers.values(), apart))
        metrics = running.metrics()
        assert metrics["playsmart_requests_refused_total{reason=rate_limited}"] == refused
        played = running.select("SELECT * FROM events WHERE type = 'Played'")
        assert len(played) == answers[IDENTIFY]["True"] + 2
