"""Requests that are sent twice on purpose, as a phone does that lost the answer.

The same body comes again: at once, so that both may be under way together, or some or many requests
later. A gateway has to store it once, and to count the other one as a repeat.
"""

from collections.abc import Sequence
from fractions import Fraction

import msgspec

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load.databases import Database
from playsmart_gateway.load.lane import WHOLE, Lane, Outcome, Share
from playsmart_gateway.load.sessions import Sessions
from playsmart_gateway.load.tally import Again, Tally

_LATER = (0, 8, 0, 1_000)
"""How many repeats later a request is repeated, in turn; multiples of this length, so that none is
repeated for two of them."""
_FINEST = 1_000

_REPEATED = "SELECT coalesce(sum(duplicates), 0) FROM runs WHERE run >= $1 AND run <= $2"
_LAST_RUN = b"\xff" * 24
_COINS = """
    SELECT coalesce(sum(amount), 0), count(*) - count(DISTINCT event_id) + coalesce(sum(
        CASE WHEN EXISTS (SELECT 1 FROM events WHERE events.event_id = entry.event_id)
             THEN 0 ELSE 1 END
    ), 0)
    FROM coin_transactions AS entry WHERE id > $1 AND event_id IS NOT NULL
"""
_WRONG_BALANCES = """
    SELECT count(*) FROM players
    WHERE user_id IN (SELECT user_id FROM coin_transactions WHERE id > $1) AND coins_balance <> (
        SELECT sum(CASE type WHEN 'earn' THEN amount ELSE -amount END)
        FROM coin_transactions AS entry WHERE entry.user_id = players.user_id
    )
"""


class Repeated:
    """The requests of ``sessions``, of which a share is sent twice, and some of the first thrice.

    Request ``i`` of ``sessions`` is sent at some position, and again at a later one. Both are pure
    functions of the position: of 100 requests and a share of 0.2 there are 120 positions.
    """

    length = None

    def __init__(self, sessions: Sessions, share: float) -> None:
        """``share`` is from 0 to 1, in thousandths. ``sessions`` are numbered."""
        if not 0 <= share <= 1:
            raise ConfigError([f"retries: {share:g} is not from 0 to 1"])
        self._sessions = sessions
        self._share = Fraction(share).limit_denominator(_FINEST)
        self._each = 1 + self._share

    @property
    def users(self) -> Sequence[str]:
        """See ``Sessions``."""
        return self._sessions.users

    def request(self, position: int) -> int:
        """Return which request of ``sessions`` is sent at a position, for the first time or not."""
        request = self._before(position)
        if self._before(position + 1) > request:
            return request
        repeat = position - request
        later = _LATER[repeat % len(_LATER)]
        return self._repeated_by(repeat - later if repeat >= later else repeat)

    def user(self, request: int) -> str:
        """See ``Sessions``."""
        return self._sessions.user(self.request(request))

    def events(self, request: int) -> int:
        """See ``Sessions``."""
        return self._sessions.events(request)

    def body(self, request: int) -> bytes:
        """See ``Sessions``."""
        return self._sessions.body(self.request(request))

    def lanes(self, connections: int, share: Share = WHOLE) -> list[Lane]:
        """See ``Sessions``."""
        return self._sessions.lanes(connections, share)

    def together(self, lanes: Sequence[Lane]) -> list[Lane]:
        """See ``Workload``."""
        return self._sessions.together(lanes)

    def tally(self, lanes: Sequence[Lane]) -> Tally:
        """Return a tally that wants each request once, and knows how many came again.

        A request is acknowledged if one of its copies is; refused if all of them are.
        """
        (sent,) = lanes
        firsts = bytearray([Outcome.REFUSED]) * self._before(len(sent.outcomes))
        certain = possible = 0
        for position, outcome in enumerate(sent.outcomes):
            if outcome == Outcome.REFUSED:
                continue
            request = self.request(position)
            known = firsts[request]
            if known == Outcome.REFUSED:
                firsts[request] = outcome
                continue
            possible += 1
            if Outcome.ACKNOWLEDGED in (known, outcome):
                firsts[request] = Outcome.ACKNOWLEDGED
                certain += known == outcome
        (lane,) = self._sessions.lanes(sent.connections)
        lane.outcomes = firsts
        tally = self._sessions.tally([lane])
        events = self._sessions.events(0)
        tally.again = Again(self._sessions.runs, certain * events, possible * events)
        return tally

    def _before(self, position: int) -> int:
        """Return how many requests are sent for the first time before a position."""
        return -(-position * self._each.denominator // self._each.numerator)

    def _repeated_by(self, repeat: int) -> int:
        """Return the request in front of a repeat, if it comes at once."""
        share = self._share
        return -(-(repeat + 1) * share.denominator // share.numerator) - 1


class Retried(msgspec.Struct, frozen=True):
    """What became of events that were sent again.

    ``acknowledged_again`` are those of repeats that were acknowledged like their firsts,
    ``unknown`` those of which one copy was not answered, and ``counted`` those that the gateway
    took for repeats. ``coins`` were paid since the run began; ``wrong_coins`` counts entries of the
    ledger for no event or for one that was paid already, and players who have not what their
    entries amount to.
    """

    acknowledged_again: int
    unknown: int
    counted: int
    coins: int
    wrong_coins: int

    @property
    def all_counted(self) -> bool:
        """Whether every repeat is counted that must be."""
        return self.counted >= self.acknowledged_again

    @property
    def right(self) -> bool:
        """Whether repeats and coins are as they must be."""
        most = self.acknowledged_again + self.unknown
        return self.all_counted and self.counted <= most and not self.wrong_coins


def look(database: Database, again: Again, event_id: int) -> Retried:
    """Ask a database for what the gateway counted, and for its coins behind an ``event_id``.

    Raises ``Unreadable``.
    """
    (counted,) = database.ask(_REPEATED, again.runs, again.runs + _LAST_RUN)
    coins, wrong = database.ask(_COINS, event_id)
    (balances,) = database.ask(_WRONG_BALANCES, event_id)
    return Retried(
        again.certain,
        again.possible - again.certain,
        *(int(counted), int(coins), int(wrong) + int(balances)),
    )
