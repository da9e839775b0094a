"""NATS JetStream: a replicated log between gateways, which publish, and workers, which store.

Only ``options`` and this may be imported without the driver.
"""

from typing import TYPE_CHECKING

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stores.contract import EventSink
from playsmart_gateway.stores.open import require_driver
from playsmart_gateway.stream.options import (
    JetStreamOptions,
    is_nats,
)
from playsmart_gateway.stream.source import Source

if TYPE_CHECKING:
    from playsmart_gateway.stream.looking import Look


def open_publisher(url: str, options: JetStreamOptions, database: EventSink) -> EventSink:
    """Return what publishes batches to the stream at ``url``; enter it to open it.

    The workers write them to the ``database``, which keeps the dead letters, too.

    Raises:
        ConfigError: the driver is not installed.
    """
    require_driver("nats", "NATS", "nats")
    from playsmart_gateway.stream.sink import JetStreamSink

    return JetStreamSink(url, options, database.bury)


async def look_for(url: str, options: JetStreamOptions, name: str) -> "Look":
    """Look whether the batch of that name is in the stream at ``url``; see ``looking.look``."""
    require_driver("nats", "NATS", "nats")
    from playsmart_gateway.stream.looking import look

    return await look(url, options, name)


def open_consumer(url: str, options: JetStreamOptions) -> Source:
    """Return what takes from the stream at ``url`` what gateways publish; enter it to open it.

    Raises:
        ConfigError: that is not a URL of NATS.
    """
    if not is_nats(url):
        raise ConfigError(["worker --from: must be nats://HOST:PORT[,HOST:PORT...]"])
    require_driver("nats", "NATS", "nats")
    from playsmart_gateway.stream.consumer import Consumer

    return Consumer(url, options)
