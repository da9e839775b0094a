"""Which players of which apps are known, and the country of their latest session.

A session makes its player known at once: what waits in the buffer is remembered until it is stored,
and what was in the journal at the start, too. Behind that is a bounded cache of players who were
seen lately, and behind that one indexed read of the store for all that it does not hold.

With several workers each tells the others of every session, before it is answered, and what is
still waiting when one of them starts. So a player is known everywhere at once, and a country that
changed is not remembered elsewhere.

A session that was named by a key may come again when the player has begun another since, maybe in
another country. The store knows it for a repeat, and changes nothing; so those that were named
lately are remembered here, too.
"""

from collections.abc import Collection, Sequence

from playsmart_gateway.events.batch import SESSION, Batch
from playsmart_gateway.events.sessions import (
    session_of,
    sessions_in,
)
from playsmart_gateway.peers.peer import (
    Known,
    Peer,
    Started,
)
from playsmart_gateway.stores.readers import AppPlayerReader

MAX_CACHED = 100_000
"""Players seen lately, and sessions named lately; some 200 bytes each."""

_Key = tuple[str, str]


class KnownPlayers:
    """Answers from memory what it can, and from ``reader`` what it must."""

    def __init__(self, reader: AppPlayerReader, max_cached: int = MAX_CACHED) -> None:
        self._reader = reader
        self._max_cached = max_cached
        self._cached: dict[_Key, str] = {}
        self._waiting: dict[_Key, tuple[int, str]] = {}
        self._named: dict[bytes, None] = {}
        self._worker: Peer | None = None

    def share(self, worker: Peer) -> None:
        """Tell the siblings of ``worker`` of sessions, and hear of theirs."""
        self._worker = worker
        worker.on(Known, self._heard)
        worker.on(Started, self._tell_what_waits)

    def country(self, app_id: str, user_id: str) -> str | None:
        """Return the country of a player whom memory knows, empty if unknown; None for others."""
        key = app_id, user_id
        if (waiting := self._waiting.get(key)) is not None:
            return waiting[1]
        if (country := self._cached.pop(key, None)) is not None:
            self._cached[key] = country  # the one used last is forgotten last
        return country

    def recall(self, app_id: str, user_ids: Collection[str]) -> dict[str, str]:
        """Return the country of each of these players whom memory knows."""
        if self._worker is not None:
            self._worker.read()  # a session that was answered elsewhere has been told of before
        found = {}
        for user_id in user_ids:
            if (country := self.country(app_id, user_id)) is not None:
                found[user_id] = country
        return found

    async def countries(self, app_id: str, user_ids: Collection[str]) -> dict[str, str]:
        """Return the country of each of these players who is known.

        Raises:
            SinkUnavailable: memory does not know all of them, and the store cannot be read.
        """
        found = self.recall(app_id, user_ids)
        others = [user_id for user_id in user_ids if user_id not in found]
        if others:
            stored = await self._reader.countries(app_id, others)
            for user_id in stored:
                # A session may have come in the meantime, and knows better.
                country = self.country(app_id, user_id)
                found[user_id] = stored[user_id] if country is None else country
                self._remember((app_id, user_id), found[user_id])
            for user_id in others:  # whom the store does not know, a sibling may have told of
                if (country := self.country(app_id, user_id)) is not None:
                    found[user_id] = country
        return found

    def accepted(self, batch: Batch) -> None:
        """Take note of a batch that is in the journal and waits for the store."""
        if batch.kind == SESSION and (session := session_of(batch)) is not None:
            key = session.app_id, session.user_id
            country = self.country(*key) if self._is_repeat(batch.run) else None
            country = session.country_code if country is None else country
            count, _ = self._waiting.get(key, (0, ""))
            self._waiting[key] = count + 1, country
            if self._worker is not None:
                self._worker.tell(Known(*key, country))

    def buried(self, batch: Batch) -> None:
        """Nothing to note: it leaves the buffer next."""

    def left_the_buffer(self, batches: Sequence[Batch]) -> None:
        """Take note that these batches wait no longer."""
        if not self._waiting:
            return
        for _, session in sessions_in(batches):
            key = session.app_id, session.user_id
            count, country = self._waiting.pop(key)
            self._remember(key, country)
            if count > 1:
                self._waiting[key] = count - 1, country

    def forget(self, user_id: str) -> None:
        """Forget a player in every app, of whom nothing waits."""
        for key in [key for key in self._cached if key[1] == user_id]:
            del self._cached[key]

    def _heard(self, known: Known) -> None:
        """Take note of a session at a sibling."""
        key = known.app_id, known.user_id
        if key in self._waiting:
            self._waiting[key] = self._waiting[key][0], known.country
        else:
            self._remember(key, known.country)

    def _tell_what_waits(self, started: Started) -> None:
        """Tell a sibling that has just started what the store cannot tell it yet."""
        assert self._worker is not None
        for (app_id, user_id), (_, country) in self._waiting.items():
            self._worker.tell(Known(app_id, user_id, country), started.worker)

    def _is_repeat(self, run: bytes) -> bool:
        """Whether a session of this run came lately; it has now."""
        if not run or run in self._named:
            return bool(run)
        self._named[run] = None
        if len(self._named) > self._max_cached:
            del self._named[next(iter(self._named))]
        return False

    def _remember(self, key: _Key, country: str) -> None:
        self._cached.pop(key, None)
        self._cached[key] = country
        if len(self._cached) > self._max_cached:
            del self._cached[next(iter(self._cached))]
