"""Looking into the stream from outside, for one batch: nothing is taken, made or changed."""

from typing import NamedTuple

from nats.js.errors import NotFoundError

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import decode
from playsmart_gateway.stream.connection import Connection
from playsmart_gateway.stream.link import Link
from playsmart_gateway.stream.options import JetStreamOptions

MAX_LOOKS = 1_000
"""Messages that are looked at, oldest first; each is asked for by itself."""


class Look(NamedTuple):
    """What was seen: the ``batch``, if it was, and how many of the ``messages`` were looked at.

    The stream holds what no worker has stored yet.
    """

    batch: Batch | None
    messages: int
    looked: int


async def look(url: str, options: JetStreamOptions, name: str) -> Look:
    """Look whether the batch of that name is in the stream at ``url``.

    Raises:
        ConfigError: the URL is none, or nobody there will answer.
        SinkUnavailable: nobody answers now.
    """

    async def prepare(_: Connection) -> None:
        pass

    link = Link(url, options, prepare)
    await link.open()
    try:
        async with link.connection() as connection:
            return await _look(connection, options.stream, name)
    finally:
        await link.close()


async def _look(connection: Connection, stream: str, name: str) -> Look:
    streams = connection.streams
    try:
        state = (await streams.stream_info(stream)).state
    except NotFoundError:
        return Look(None, 0, 0)
    place, looked = state.first_seq, 0
    while looked < MAX_LOOKS and place <= state.last_seq:
        try:
            message = await streams.get_msg(stream, seq=place, subject=">", next=True)
        except NotFoundError:  # a worker was quicker, and this was the last
            break
        looked += 1
        batch = decode(message.data or b"")
        if batch is not None and batch.name == name:
            return Look(batch, state.messages, looked)
        place = message.seq + 1
    return Look(None, state.messages, looked)
