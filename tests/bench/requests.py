"""What every target is sent: the worked example of the contract, by a hundred players in turn."""

import json
import time
from itertools import cycle, islice
from typing import NamedTuple

from playsmart_gateway.auth.tokens import mint

SECRET = "a secret of the benchmark, which guards nothing"
PATH = "/ingest/events"
PLAYERS = 100
_TOKEN_SECONDS = 86_400
_EVENTS = (
    {
        "type": "LevelCompleted",
        "timestamp": "2026-04-22T14:30:00+00:00",
        "customdata": {"level": 5, "score": 4800, "duration_seconds": 42},
    },
    {
        "type": "AdImpression",
        "timestamp": "2026-04-22T14:30:45+00:00",
        "customdata": {"ad_unit": "post_level_interstitial"},
    },
    {
        "type": "Custom",
        "customEventName": "PowerUpUsed",
        "timestamp": "2026-04-22T14:29:15+00:00",
        "customdata": {"power_up": "shield"},
    },
)


class Request(NamedTuple):
    user: str
    token: str
    body: bytes


def requests(events: int) -> list[Request]:
    """Return one request a player, each with ``events`` events."""
    return [_request(f"device-abc-{number:03}", events) for number in range(PLAYERS)]


def _request(user: str, events: int) -> Request:
    upload = {
        "user_id": user,
        "game_id": "com.example.stackblaster",
        "events": list(islice(cycle(_EVENTS), events)),
    }
    token = mint(user, secret=SECRET, ttl_seconds=_TOKEN_SECONDS, now=time.time())
    return Request(user, token, json.dumps(upload).encode())
