"""The stream: made when it is missing, refused when it would not keep what a 202 promises.

It is a work queue: a message stays until a worker has stored it, and then goes. When the stream is
full it refuses messages (``discard new``) instead of dropping old ones; the gateways' rings and
journals take it from there.
"""

import re

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stream.connection import Connection
from playsmart_gateway.stream.options import JetStreamOptions

DURABLE = "workers"
"""The name of the consumer that all workers share."""

_UNSAFE = re.compile(rb"[^A-Za-z0-9_-]")


def subject_of(stream: str, game_id: str) -> str:
    """Return the subject of a game's batches.

    Any id is one legal token, and two ids are two: what is no letter, digit, ``-`` or ``_`` is
    written as ``%XX``, byte by byte.
    """
    token = _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], game_id.encode())
    return f"{stream}.events.{token.decode() or '%'}"


async def ensure_stream(connection: Connection, options: JetStreamOptions) -> int:
    """Make the stream, or look at it; return how many bytes a message there may have.

    Raises:
        ConfigError: it is not; names every setting that differs.
    """
    wanted = _wanted(options)
    try:
        info = await connection.streams.stream_info(options.stream)
    except NotFoundError:
        info = await connection.streams.add_stream(wanted)
    found = info.config
    if list(found.subjects or ()) != wanted.subjects:
        raise ConfigError([f"nats.stream: {options.stream} is there with other subjects"])
    names = {
        "retention": "retention", "storage": "storage", "discard": "discard policy",
        "num_replicas": "nats.replicas", "max_age": "nats.max_age_seconds",
        "max_bytes": "nats.max_bytes", "duplicate_window": "nats.duplicate_window_seconds",
    }  # fmt: skip
    problems = [
        f"nats.stream: {options.stream} has {name} {_plain(is_)}, not {_plain(should)}; "
        "edit the stream or the configuration"
        for key, name in names.items()
        if (is_ := getattr(found, key)) != (should := getattr(wanted, key))
    ]
    if problems:
        raise ConfigError(problems)
    limits = (connection.max_payload, found.max_msg_size, found.max_bytes)
    return min(limit for limit in limits if limit is not None and limit > 0)


async def ensure_consumer(connection: Connection, options: JetStreamOptions) -> None:
    """Make the durable consumer, or change it to what is configured."""
    await connection.streams.add_consumer(
        options.stream,
        ConsumerConfig(
            durable_name=DURABLE,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=options.ack_wait_seconds,
            max_ack_pending=options.max_ack_pending,
            max_deliver=-1,  # what is delivered too often is buried by us, not forgotten there
        ),
    )


def _wanted(options: JetStreamOptions) -> StreamConfig:
    return StreamConfig(
        name=options.stream,
        subjects=[f"{options.stream}.events.*"],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        num_replicas=options.replicas,
        max_age=float(options.max_age_seconds),
        max_bytes=options.max_bytes or -1,
        duplicate_window=float(options.duplicate_window_seconds),
    )


def _plain(value: object) -> str:
    return str(getattr(value, "value", value)).removesuffix(".0")
