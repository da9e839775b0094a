"""What every target is sent: the worked example of the contract, each time by another player."""

import json
import time
from collections.abc import Sequence
from functools import lru_cache
from itertools import cycle, islice
from typing import NamedTuple, overload

from typing_extensions import override

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


class Crowd(Sequence[Request]):
    """A request of each of ``players``, made when it is asked for; their tokens are there before.

    The bodies are the same but for the name of the player, between ``before`` and ``behind``.
    """

    def __init__(self, events: int, players: int) -> None:
        self.names, self.tokens = _players(players)
        upload = {
            "user_id": "",
            "game_id": "com.example.stackblaster",
            "events": list(islice(cycle(_EVENTS), events)),
        }
        before, quotes, behind = json.dumps(upload).partition('""')
        self.before = f"{before}{quotes[0]}".encode()
        self.behind = f"{quotes[1]}{behind}".encode()

    @override
    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, place: int) -> Request: ...
    @overload
    def __getitem__(self, place: slice) -> list[Request]: ...
    @override
    def __getitem__(self, place: int | slice) -> Request | list[Request]:
        if isinstance(place, slice):
            return [self[number] for number in range(len(self))[place]]
        name = self.names[place]
        return Request(name, self.tokens[place], self.before + name.encode() + self.behind)


def requests(events: int) -> list[Request]:
    """Return one request of each of a hundred players, with ``events`` events."""
    return Crowd(events, PLAYERS)[:]


@lru_cache(maxsize=4)
def _players(count: int) -> tuple[list[str], list[str]]:
    names, now = [f"device-abc-{number:06}" for number in range(count)], time.time()
    return names, [mint(name, secret=SECRET, ttl_seconds=_TOKEN_SECONDS, now=now) for name in names]
