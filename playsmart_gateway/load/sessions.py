"""Synthetic players: believable games, made anew from the number of the request.

A player plays one session an hour (see ``games``) and sends it in batches of the same size. The
hours begin a week before the run and start over after a year. There are 48 lives, whose sessions
are made from the seed when they are first played, and kept as finished request bodies in which only
the player, the hour and the number of the request are blank. Filling in 200 events takes some 10
us, so the generator is not what limits a run.

On demand the bodies have ``run`` and ``seq``: a hundred requests of a player are a run, few enough
that those under way at once leave no more gaps in it than a gateway remembers. All runs begin with
the same bytes, so that they can be found again.

Every event's ``customdata.load_id`` is ``<seed>-<run>-<request>-<place>`` and unique, so what was
stored can be counted exactly.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from hashlib import blake2b

from msgspec import json

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load.games import LIVES, Life, Moment, session_number
from playsmart_gateway.load.lane import WHOLE, Lane, Share, interleaved
from playsmart_gateway.load.row import Row, rows
from playsmart_gateway.load.tally import IdTally, Tally

MAX_EVENTS = 200
MAX_PLAYERS = 100_000
GAME_ID = "load.playsmart"
PLAYER_PREFIX = f"{GAME_ID}-"
"""What load sends is of a game of its own, and of players who are known by their ids: it can be
told from what was played, and removed."""

_SESSION_EVENTS = 200
_RUN_REQUESTS = 100
_STORY_STARTS = timedelta(days=7)
_STORY_HOURS = 365 * 24


class Sessions:
    """An endless workload of ``events`` events a request, by ``users`` in turn.

    ``seed`` decides the games; ``run`` is microseconds since 1970, tells runs apart and anchors the
    clocks of the players. At most 200 events and 100,000 users. ``numbered`` ones have run and seq.
    """

    length = None

    def __init__(
        self,
        users: Sequence[str],
        *,
        events: int,
        seed: int,
        run: int,
        game_id: str = GAME_ID,
        numbered: bool = False,
    ) -> None:
        problems = []
        if not 1 <= events <= MAX_EVENTS:
            problems.append(f"events: {events} is not from 1 to {MAX_EVENTS}")
        if not 1 <= len(users) <= MAX_PLAYERS:
            problems.append(f"players: {len(users)} is not from 1 to {MAX_PLAYERS}")
        if problems:
            raise ConfigError(problems)
        self.users = users
        self._events = events
        self._name = f"{seed}-{run:x}"
        self._numbered = numbered
        self.runs = blake2b(self._name.encode(), digest_size=6).digest()
        """What the names of all runs begin with."""
        self._batches = max(1, _SESSION_EVENTS // events)
        self._begin = datetime.fromtimestamp(run / 1e6, UTC) - _STORY_STARTS
        self._hour = lru_cache(maxsize=_STORY_HOURS)(self._hour_text)
        self._game_id = game_id
        self._lives = [Life(seed, number, self._batches * events) for number in range(LIVES)]
        self._templates: dict[tuple[int, int], list[bytes]] = {}

    def user(self, request: int) -> str:
        """Return the player: everybody in turn."""
        return self.users[request % len(self.users)]

    def events(self, request: int) -> int:
        """Return how many events every request has."""
        return self._events

    def body(self, request: int) -> bytes:
        """Return the body: the player's next batch."""
        turn, player = divmod(request, len(self.users))
        hour, batch = divmod(turn, self._batches)
        blanks = (self._hour(hour % _STORY_HOURS), b"%d" % request) * self._events
        user = _quoted(self.users[player])
        template = self._session(player % LIVES, hour)[batch]
        if self._numbered:
            return template % (user, *self._number(turn, player), *blanks)
        return template % (user, *blanks)

    def lanes(self, connections: int, share: Share = WHOLE) -> list[Lane]:
        """One lane: whoever is free sends the next request."""
        return [Lane((share.place,), cycle=share.of, connections=connections)]

    def together(self, lanes: Sequence[Lane]) -> list[Lane]:
        """See ``Workload``."""
        return [interleaved(lanes)]

    def tally(self, lanes: Sequence[Lane]) -> Tally:
        """Return a tally that knows every event by its ``load_id``."""
        (lane,) = lanes
        load_id = re.compile(rf'"load_id":\s?"{re.escape(self._name)}-(\d{{1,18}})-(\d{{1,3}})"')
        return IdTally(partial(_locate, load_id), self._rows, bytes(lane.outcomes), self._events)

    def _session(self, life: int, hour: int) -> list[bytes]:
        number = session_number(hour)
        if (found := self._templates.get((life, number))) is None:
            played, zone = self._lives[life], self._lives[life].country.zone
            batches = self._cut(played.session(number))
            found = self._templates[life, number] = [
                _template(self._name, self._game_id, zone, batch, numbered=self._numbered)
                for batch in batches
            ]
        return found

    def _rows(self, request: int) -> list[Row]:
        return rows(self.body(request))

    def _number(self, turn: int, player: int) -> tuple[bytes, int]:
        """Return run and seq of a player's request."""
        life, place = divmod(turn, _RUN_REQUESTS)
        number = life * len(self.users) + player
        prefix = self.runs.hex()
        run = f"{prefix[:8]}-{prefix[8:]}-8000-8000-{number:012x}"  # a UUID of version 8: our own
        return run.encode(), place * self._events

    def _hour_text(self, hour: int) -> bytes:
        return (self._begin + timedelta(hours=hour)).isoformat()[:13].encode()

    def _cut(self, moments: list[Moment]) -> Iterator[list[Moment]]:
        for first in range(0, len(moments), self._events):
            yield moments[first : first + self._events]


def player_names(seed: int, count: int) -> list[str]:
    """Return the user ids of ``count`` made-up players, different for every seed."""
    return [f"{PLAYER_PREFIX}{seed}-{number:06d}" for number in range(count)]


def _locate(load_id: re.Pattern[str], row: Row) -> tuple[int, int] | None:
    found = load_id.search(row.customdata or "")
    return (int(found[1]), int(found[2])) if found else None


def _template(name: str, game_id: str, zone: str, batch: list[Moment], *, numbered: bool) -> bytes:
    """Return a body with blanks: the user, run and seq, and of each event hour and request."""
    events = b",".join(_event(name, zone, place, each) for place, each in enumerate(batch))
    number = b'"run":"%b","seq":%d,' if numbered else b""
    return b'{"user_id":%%b,%b"game_id":%b,"events":[%b]}' % (number, _literal(game_id), events)


def _event(name: str, zone: str, place: int, moment: Moment) -> bytes:
    minutes, milliseconds = divmod(moment.milliseconds, 60_000)
    time = f":{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}{zone}"
    named = b'"customEventName":%b,' % _literal(moment.name) if moment.name else b""
    data = _literal(moment.data)[1:]
    return b'{"type":%b,%b"timestamp":"%%b%b","customdata":{"load_id":"%b-%%b-%d",%b}' % (
        _literal(moment.type),
        named,
        time.encode(),
        name.encode(),
        place,
        data,
    )


def _literal(value: object) -> bytes:
    """Return ``value`` as JSON that survives being a template."""
    return json.encode(value).replace(b"%", b"%%")


@lru_cache(maxsize=MAX_PLAYERS)
def _quoted(user: str) -> bytes:
    return json.encode(user)
