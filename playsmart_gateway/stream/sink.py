"""The store of a gateway that publishes: batches go to the stream, all else to a database.

The database is the one that the workers write to. What a client waits for (points of Lynes),
players and corrections go to it directly, and whatever is read comes from it.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Self

from playsmart_gateway.economy.points import Award
from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import encode
from playsmart_gateway.stores.contract import (
    Reader,
    Store,
)
from playsmart_gateway.stores.events import (
    NEVER,
    Expired,
)
from playsmart_gateway.stores.models import (
    Channel,
    CoinTransaction,
    OptOutState,
    PropertyValue,
    Written,
)
from playsmart_gateway.stores.rollups import FigureKeeper
from playsmart_gateway.stream.connection import (
    Connection,
    Message,
)
from playsmart_gateway.stream.link import Link
from playsmart_gateway.stream.options import JetStreamOptions
from playsmart_gateway.stream.topology import (
    ensure_stream,
    subject_of,
)

logger = logging.getLogger(__name__)

_TOO_LARGE = 10_054
HEADER_BYTES = 128
"""Room for the headers of a message beside its body; ours take less."""


class JetStreamStore:
    """Publishes batches to the stream at ``url``; ``database`` takes and answers all else.

    A batch is one message with a name, by which the stream knows it again within its duplicate
    window; behind that the database does.
    """

    def __init__(self, url: str, options: JetStreamOptions, database: Store) -> None:
        self._stream = options.stream
        self._options = options
        self._database = database
        self._link = Link(url, options, self._prepare)
        self._has_commits = False
        self._takes = 0

    async def __aenter__(self) -> Self:
        """Connect, see to the stream, and open the database, if it is up. See ``Sink``."""
        try:
            await self._database.__aenter__()
        except SinkUnavailable as error:  # what is published needs none, and it opens when used
            logger.warning("no database to read from yet: %s. %s", error, error.hint)
        try:
            await self._link.open()
        except BaseException:
            await self._database.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up and close the database."""
        await self._link.close()
        await self._database.__aexit__()

    async def write(self, batches: Sequence[Batch]) -> Written:
        """Publish; return when the stream has acknowledged every message. See ``Sink.write``.

        Not one transaction: after an error some may be there. They are known by their names when
        they come again.
        """
        messages = [self._message(batch) for batch in batches]
        async with self._link.connection() as connection:
            self._require_room(messages)
            acks = await connection.publish(messages)
        for ack in acks:
            if ack.error is not None:
                if ack.error.err_code == _TOO_LARGE:  # somebody changed the stream meanwhile
                    raise SinkRejected(f"NATS: {ack.error.description}", certain=True)
                hint = f"Look at the stream {self._stream} and the servers' disks."
                raise SinkUnavailable(f"NATS: {ack.error.description}", hint=hint)
        duplicate = sum(
            batch.count for batch, ack in zip(batches, acks, strict=True) if ack.duplicate
        )
        return Written(sum(batch.count for batch in batches) - duplicate, duplicate)

    async def trial(self, batches: Sequence[Batch]) -> None:
        """See ``Sink.trial``: a message cannot be taken back, so only its size is looked at."""
        if batches and batches[0].source == "lynes":
            await self._database.trial(batches)
            return
        messages = [self._message(batch) for batch in batches]
        async with self._link.connection():
            self._require_room(messages)

    async def sync(self) -> None:
        """Sync the database, if there is anything of ours to sync.

        What the stream acknowledged is as durable as its servers are; that must not wait for a
        database that is down.
        """
        if self._has_commits:
            self._has_commits = False
            try:
                await self._database.sync()
            except BaseException:
                self._has_commits = True
                raise

    async def keep(self) -> None:
        """See ``Sink.keep``; as with ``sync``, the stream has the batches themselves."""
        if self._has_commits:
            await self._database.keep()
            self._has_commits = False

    @property
    def renewals(self) -> int:
        """A stream is what it is; what another database lacks the workers had."""
        return 0

    @property
    def damage(self) -> SinkUnavailable | None:
        """See ``Store.damage``."""
        return self._database.damage

    @property
    def log_bytes(self) -> int:
        """See ``Store.log_bytes``."""
        return self._database.log_bytes

    async def look(self) -> None:
        """See ``Store.look``: what is published needs no database, and heals when it is used."""

    async def commit(self, batches: Sequence[Batch]) -> list[Award]:
        """See ``Sink.commit``: in the database, as somebody waits for the awards."""
        awards = await self._database.commit(batches)
        self._has_commits = True
        return awards

    async def bury(self, batch: Batch, reason: str) -> None:
        """See ``Sink.bury``."""
        await self._database.bury(batch, reason)

    async def replay(self, journal: str, sequence: int) -> Written | None:
        """See ``Store.replay``: into the database, where dead letters are."""
        return await self._database.replay(journal, sequence)

    async def adjust(
        self, user_id: str, amount: int, reason: str, *, force: bool = False
    ) -> CoinTransaction:
        """See ``Store.adjust``."""
        return await self._database.adjust(user_id, amount, reason, force=force)

    def reader(self) -> Reader:
        """See ``Store.reader``."""
        return self._database.reader()

    def figures(self) -> FigureKeeper | None:
        """See ``Store.figures``."""
        return self._database.figures()

    async def set_properties(
        self, app_id: str, user_id: str, values: Mapping[str, PropertyValue]
    ) -> dict[str, PropertyValue]:
        """See ``Store.set_properties``."""
        return await self._database.set_properties(app_id, user_id, values)

    async def exclude(self, app_id: str, user_id: str, expire_at: str | None) -> None:
        """See ``Store.exclude``."""
        await self._database.exclude(app_id, user_id, expire_at)

    async def include(self, app_id: str, user_id: str) -> bool:
        """See ``Store.include``."""
        return await self._database.include(app_id, user_id)

    async def set_opt_out(
        self, app_id: str, user_id: str, channel: Channel, state: OptOutState
    ) -> bool:
        """See ``Store.set_opt_out``."""
        return await self._database.set_opt_out(app_id, user_id, channel, state)

    async def names(self, user_id: str) -> set[str]:
        """See ``Store.names``."""
        return await self._database.names(user_id)

    async def erase(self, user_id: str, *, dry_run: bool = False) -> dict[str, int]:
        """See ``Store.erase``."""
        return await self._database.erase(user_id, dry_run=dry_run)

    async def scrub(self, *, rewrite: bool = True) -> None:
        """See ``Store.scrub``."""
        await self._database.scrub(rewrite=rewrite)

    async def expire(
        self,
        before: str,
        *,
        latest: str = NEVER,
        game_id: str | None = None,
        type_: str | None = None,
        after_batch: int = 0,
        max_events: int,
        dry_run: bool = False,
    ) -> Expired:
        """See ``Store.expire``."""
        return await self._database.expire(
            before, latest=latest, game_id=game_id, type_=type_,
            after_batch=after_batch, max_events=max_events, dry_run=dry_run,
        )  # fmt: skip

    async def _prepare(self, connection: Connection) -> None:
        self._takes = await ensure_stream(connection, self._options) - HEADER_BYTES
        largest = self._options.largest_batch_bytes
        if self._takes < largest:
            logger.warning(
                "NATS takes messages of %d bytes, requests may have %d: what is larger is buried; "
                "raise max_payload and the stream's limits, or lower server.max_body_bytes",
                self._takes, largest,
            )  # fmt: skip

    def _require_room(self, messages: Sequence[Message]) -> None:
        largest = max((len(message.body) for message in messages), default=0)
        if largest > self._takes:
            problem = f"{largest} bytes are more than NATS takes ({self._takes})"
            raise SinkRejected(problem, certain=True)

    def _message(self, batch: Batch) -> Message:
        name = f"{batch.journal}-{batch.sequence}"
        return Message(subject_of(self._stream, batch.game_id), name, b"".join(encode(batch)))
