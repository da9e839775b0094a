"""Talking to Teak's endpoints, and the apps that all tests of them configure."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx

from tests.support.process import SECRET, RunningGateway

EVENTS = "/v2/analytics_events"
BATCH = "/v2/analytics_events/batch"
IDENTIFY = "/v2/identify"
PROPERTIES = "/v2/player_properties"
PATHS = (EVENTS, BATCH, IDENTIFY, PROPERTIES)
FORM = "application/x-www-form-urlencoded"

APPS = (
    '[{id = "your_teak_app_id", secret_key = "your_server_secret", link_domains = ["go.example"],'
    ' links = {"/shop" = "teak1:///shop/{{ player_level }}"},'
    ' properties = {player_level = "string", coins = "number"}},'
    ' {id = "other", secret_key = ["new secret", "old secret"]}]'
)
ENVIRONMENT = {
    "PLAYSMART_AUTH__SECRET": SECRET,
    "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.02",
    "PLAYSMART_TEAK__APPS": APPS,
}
NO_LIMITS = "{analytics_events = 0, batch = 0, identify = 0, player_properties = 0}"
CREDENTIALS = {"game_id": "your_teak_app_id", "secret_key": "your_server_secret"}


@contextmanager
def teak_gateway(folder: Path, **environment: str) -> Iterator[RunningGateway]:
    """Run a gateway with our apps in ``folder``; nothing unexpected may be in its log."""
    added = {f"PLAYSMART_{name}": value for name, value in environment.items()}
    running = RunningGateway(folder, {**ENVIRONMENT, **added})
    try:
        yield running
        assert "Traceback" not in running.log
        assert "CRITICAL" not in running.log
    finally:
        running.close()


def call(running: RunningGateway, path: str, **fields: object) -> httpx.Response:
    """Post these fields as JSON with the credentials of the app, unless they are given, too."""
    return running.client.post(path, json={**CREDENTIALS, **fields})


def identify(running: RunningGateway, user_id: str, **fields: object) -> dict[str, Any]:
    """Start a session that must be taken; from Germany, unless it is told."""
    where = {} if "client_ip" in fields else {"country_code": "DE"}
    answer = call(running, IDENTIFY, **{"user_id": user_id, **where, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def event(user_id: str = "player_123", action_type: str = "spin", **more: object) -> dict[str, Any]:
    return {"user_id": user_id, "action_type": action_type, **more}


def as_form(fields: Mapping[str, Any]) -> str:
    """Write a JSON object as Rack would read it: ``events[0][user_id]=ada``."""
    pairs: list[str] = []

    def write(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                write(f"{name}[{key}]" if name else key, inner)
        elif isinstance(value, list):
            for place, inner in enumerate(value):
                write(f"{name}[{place}]", inner)
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            pairs.append(f"{name}={quote_plus(text)}")

    write("", dict(fields))
    return "&".join(pairs)
