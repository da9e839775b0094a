"""Gateways whose inspector is asked for what it remembers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.support.polling import wait_until
from tests.support.process import RunningGateway

MAX_OF_ADDRESS = 12
OPERATOR = "operator-token-4711"
BEARER = {"authorization": f"Bearer {OPERATOR}"}
APPS = '[{id = "app", secret_key = "teak-secret-4711"}]'
EVENTS = '[{id = "level", kind = "fix", points = 5}]'
GAMES = '[{id = "com.example.game", coins_enabled = true, reward_fixed_amount = 7}]'


def started(folder: Path, *arguments: str, **environment: str) -> RunningGateway:
    settings = {
        "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.2",
        "PLAYSMART_GAMES": GAMES,
        "PLAYSMART_TEAK__APPS": APPS,
        "PLAYSMART_LYNES__EVENTS": EVENTS,
        **environment,
    }
    running = RunningGateway(folder, settings, *arguments)
    secret = folder / "data" / "dev-secret"
    if secret.exists():
        running.secret = secret.read_text("utf-8").strip()
    return running


def developed(folder: Path) -> Iterator[RunningGateway]:
    """Yield a gateway in development mode, and see it end well."""
    yield from _running(started(folder, "--dev"))


def produced(folder: Path) -> Iterator[RunningGateway]:
    """Yield a gateway as it is in production, with an operator's token."""
    secret, timeout = "a secret for tests, 32 bytes or longer", "0.5"
    yield from _running(
        started(
            folder,
            PLAYSMART_AUTH__SECRET=secret,
            PLAYSMART_OPERATOR__TOKEN=OPERATOR,
            PLAYSMART_SERVER__REQUEST_TIMEOUT_SECONDS=timeout,
            PLAYSMART_SERVER__MAX_CONNECTIONS_PER_ADDRESS=str(MAX_OF_ADDRESS),
        )
    )


def _running(gateway: RunningGateway) -> Iterator[RunningGateway]:
    try:
        yield gateway
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.log
    finally:
        gateway.close()


def recall(gateway: RunningGateway, **query: Any) -> dict[str, Any]:
    answer = gateway.client.get("/inspector/memory", params=query, headers=BEARER)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def by_id(gateway: RunningGateway, request_id: str) -> dict[str, Any]:
    (found,) = recall(gateway, request_id=request_id)["requests"]
    assert isinstance(found, dict)
    return found


def stored(gateway: RunningGateway, request_id: str) -> dict[str, Any]:
    return wait_until(
        lambda: each if (each := by_id(gateway, request_id))["state"] == "stored" else None
    )


def replay(gateway: RunningGateway, request: str) -> httpx.Response:
    return gateway.client.post("/inspector/replay", json={"id": request}, headers=BEARER)
