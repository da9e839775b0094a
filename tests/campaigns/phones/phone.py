"""A phone with the client for Python: ``python -S -m tests.campaigns.phones.phone``.

It reads one JSON object on standard input (``Life``) and lives it: a game that tracks events and
sends them, until somebody kills it; or, with ``"is_last": true``, one that sends what is left.
"""

import http.client
import json
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playsmart_gateway.clients.python.playsmart_client import Answer, Client, Segment

LEAST_TO_HALVE = 10
LIFE_SECONDS = 600


@dataclass(frozen=True)
class Life:
    """What one process is told: who it is, where its files and the gateway are.

    ``tokens`` are tried in turn, the next one when one is refused. ``ledger`` grows by one byte
    with each event that was written: whoever kills the process knows what it has kept.
    ``is_patient`` sends a file again as it was; else it is halved where no answer came, as a
    smaller request may get through. ``pace`` is how long it pauses, as a share of what the client
    would. Times are in seconds.
    """

    number: int
    folder: str
    ledger: str
    port: int
    user_id: str
    game_id: str
    tokens: Sequence[str]
    is_patient: bool = True
    is_last: bool = False
    answer_seconds: float = 0.5
    pace: float = 0.02


class Phone(Client):
    """The client, in more of a hurry, and on a connection for each request."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._left = list(life.tokens)
        url = f"http://127.0.0.1:{life.port}"
        who = life.user_id, life.game_id
        super().__init__(url, life.folder, *who, self._next_token, threaded=False)
        self.answer_seconds = life.answer_seconds

    @property
    def has_more(self) -> bool:
        """Whether anything waits to be sent."""
        return any(Path(self._life.folder).glob("*.ndjson"))

    def _next_token(self, _: str) -> str:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]

    def _exchange(  # without ``override``, which is not of the standard library yet
        self, connection: http.client.HTTPConnection, method: str, path: str, *rest: Any
    ) -> Answer:
        if method == "GET":  # what meets its fate on the way are events
            return Answer()
        body, headers = rest
        lower = {name.lower(): value for name, value in headers.items()}
        answer = super()._exchange(connection, method, path, body, lower | {"connection": "close"})
        connection.close()
        return answer

    def _settle(
        self, segment: Segment, token: str, answer: Answer
    ) -> tuple[str, list[Path] | None]:
        what, again = super()._settle(segment, token, answer)
        if answer.wait is None and self._is_quiet():
            now = self._clock.monotonic()
            self._quiet_until = now + (self._quiet_until - now) * self._life.pace
        hopes_for_less = not (answer.status or self._life.is_patient)
        if hopes_for_less and len(segment.lines) >= LEAST_TO_HALVE:
            self.queue.halve(segment)
        return what, again


def play(life: Life, phone: Phone) -> None:
    """Be a game until somebody ends it: levels and other events, sent now and then."""
    chance = random.Random(life.number)
    place = 0
    with Path(life.ledger).open("ab", buffering=0) as ledger:
        while True:
            for _ in range(chance.randint(1, 60)):
                kind = "AppOpen" if place % 5 else "LevelCompleted"
                phone.track(kind, {"life": life.number, "n": place})
                ledger.write(b".")
                place += 1
            if chance.random() < 0.5:
                phone.flush()
            time.sleep(chance.uniform(0, 0.05))


def live(kind: type[Phone] = Phone) -> int:
    """Live the life on standard input."""
    signal.alarm(LIFE_SECONDS)  # whatever becomes of those who would kill it
    life = Life(**json.load(sys.stdin))
    phone = kind(life)
    if not life.is_last:
        play(life, phone)
    phone.flush()
    while phone.has_more:
        time.sleep(0.01)
        phone.flush()
    return 0


if __name__ == "__main__":
    sys.exit(live())
