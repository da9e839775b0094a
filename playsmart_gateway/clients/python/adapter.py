"""The client for Python behind standard input: ``-m playsmart_gateway.clients.python.adapter``.

A line in is a JSON object, and its ``do`` is what to do: ``init`` (``dir``, ``url``, ``user``,
``game``, ``token``, ``hurry``), ``track`` (``type``, ``name``, ``data``), ``flush``, ``token``
(``token``), ``alone``, ``background``, ``optout``, ``optin``, ``clock`` (``seconds``), ``state`` or
``quit``. A line out is an object, too: ``ok`` and, if that is false, ``error``. So a client of any
language is tried by the same program.
"""

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from playsmart_gateway.clients.python.playsmart_client import Client, Clock


class _Clock(Clock):
    """The phone's clock, which somebody may set."""

    def __init__(self) -> None:
        self.ahead = 0.0

    @override
    def wall(self) -> float:
        return time.time() + self.ahead


class Adapter:
    """One client, which ``init`` makes; it sends when it is told to."""

    def __init__(self, kind: type[Client] = Client) -> None:
        self._kind = kind
        self._make: Callable[..., Client] = kind
        self._client: Client | None = None
        self._tokens: dict[str, str] = {}
        self._user_id = ""
        self._clock = _Clock()
        self.is_over = False

    def answer(self, line: str) -> dict[str, Any]:
        """Do what a line says; return what to answer."""
        try:
            command = json.loads(line)
            do = _COMMANDS.get(command.pop("do", None))
            if do is None:
                return {"ok": False, "error": "unsupported"}
            return {"ok": True} | (do(self, **command) or {})
        except Exception as error:  # noqa: BLE001 - the next line may be better
            return {"ok": False, "error": type(error).__name__}

    def init(
        self,
        dir: str,  # noqa: A002
        url: str,
        user: str,
        game: str,
        token: str,
        hurry: float | None = None,
    ) -> None:
        """Make the client; a second time, another one in this process."""
        self._user_id, self._tokens = user, {user: token}

        def make(*, threaded: bool) -> Client:
            client = self._kind(
                url, dir, user, game, self._tokens.get, threaded=threaded, clock=self._clock
            )
            if hurry is not None:
                client.hurry = hurry
                client.answer_seconds /= hurry
            return client

        self._make = make
        self._begin(threaded=False)

    def alone(self) -> None:
        """Have a client that sends by itself, as in a game."""
        self._begin(threaded=True)

    def _begin(self, *, threaded: bool) -> None:
        if self._client:
            self._client.queue.close()
        self._client = self._make(threaded=threaded)

    def track(self, type: str, name: str | None = None, data: Any = None) -> None:  # noqa: A002
        """Keep an event."""
        self.client.track(type, data, name=name)

    def flush(self) -> dict[str, Any]:
        """Send what waits; ``left`` is how many events still do."""
        done = self.client.flush()
        return {"sent": done.sent, "left": self.queued(), "status": done.status}

    def token(self, token: str) -> None:
        """Have another token of the player when one is needed."""
        self._tokens[self._user_id] = token

    def background(self) -> None:
        """Tell the client that the game is not in front any more."""
        self.client.background()

    def optout(self) -> None:
        """Opt out for the player."""
        self.client.opt_out()

    def optin(self) -> None:
        """Opt in again."""
        self.client.opt_in()

    def clock(self, seconds: float) -> None:
        """Set the time of the day forward, or back."""
        self._clock.ahead += seconds

    def state(self) -> dict[str, Any]:
        """Tell how the client does."""
        return {
            "queued": self.queued(),
            "run": self.client.queue.run,
            "opted_out": self.client.opted_out,
            "disabled": not self.client.settings.enabled,
        }

    def quit(self) -> None:
        """End, and send nothing more: that is for ``flush``."""
        self.is_over = True
        if self._client:
            self._client.queue.close()

    @property
    def client(self) -> Client:
        """The client, once there is one."""
        if self._client is None:
            raise LookupError("init comes first")
        return self._client

    def queued(self) -> int:
        """Count the events that wait: of each file the lines but the first."""
        count = 0
        queue = self.client.queue
        for path in queue.files(queue.folder):
            if path.suffix == ".tmp":
                continue
            with contextlib.suppress(OSError):
                count += max(0, path.read_bytes().count(b"\n") - 1)
        return count


_COMMANDS: dict[str | None, Callable[..., dict[str, Any] | None]] = {
    "init": Adapter.init,
    "track": Adapter.track,
    "flush": Adapter.flush,
    "token": Adapter.token,
    "alone": Adapter.alone,
    "background": Adapter.background,
    "optout": Adapter.optout,
    "optin": Adapter.optin,
    "clock": Adapter.clock,
    "state": Adapter.state,
    "quit": Adapter.quit,
}


def main(kind: type[Client] = Client) -> None:
    """Answer each line of standard input, until ``quit`` or its end; log to standard error."""
    logging.basicConfig(format="%(message)s", level=logging.DEBUG)
    adapter = Adapter(kind)
    for line in sys.stdin:
        print(json.dumps(adapter.answer(line)), flush=True)  # noqa: T201 - it is the protocol
        if adapter.is_over:
            break


if __name__ == "__main__":
    main()
