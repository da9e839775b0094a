"""What a process of load is to do, in a form in which it can be told another process."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from playsmart_gateway.load.lane import WHOLE, Share
from playsmart_gateway.load.options import LoadOptions
from playsmart_gateway.load.repeats import Repeated
from playsmart_gateway.load.replay import Replay
from playsmart_gateway.load.sessions import Sessions
from playsmart_gateway.load.workload import Workload


class Played(NamedTuple):
    """Games of made-up players; ``retries`` is the share that is sent twice. See ``Sessions``."""

    users: Sequence[str]
    events: int
    seed: int
    run: int
    game_id: str
    retries: float | None = None

    def workload(self) -> Workload:
        """Return what is sent. Raises ``ConfigError`` for impossible sizes."""
        sessions = Sessions(
            self.users,
            events=self.events,
            seed=self.seed,
            run=self.run,
            game_id=self.game_id,
            numbered=self.retries is not None,
        )
        return sessions if self.retries is None else Repeated(sessions, self.retries)


class Recorded(NamedTuple):
    """Bodies in a file; see ``Replay``."""

    file: Path

    def workload(self) -> Workload:
        """Return what is sent. Raises ``ConfigError`` if the file cannot be read as such."""
        return Replay.read(self.file)


class Job(NamedTuple):
    """A share of a run; ``token_for`` gives a user's token and can be pickled."""

    options: LoadOptions
    what: Played | Recorded
    token_for: Callable[[str], str]
    share: Share = WHOLE


def always(token: str) -> Callable[[str], str]:
    """Return what gives the same token to everybody."""
    return partial(_same, token)


def _same(token: str, _: str) -> str:
    return token
