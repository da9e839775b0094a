"""What a pipeline stands on and does not make itself: clocks, chance, threads and the disk."""

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from playsmart_gateway.pipeline.disk import Disk, OsDisk

InThread = Callable[[Callable[[], object]], Awaitable[object]]


class Machine(NamedTuple):
    """The real machine, unless told otherwise; a simulation passes its own.

    ``clock`` is in seconds and never goes back, ``wall`` is the time of day in seconds since 1970.
    ``chance`` draws from 0 to 1. ``in_thread`` runs what may block. ``make_disk`` returns the disk
    for one journal, ``make_identity`` 16 bytes that no other journal has.
    """

    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    in_thread: InThread = asyncio.to_thread
    make_disk: Callable[[], Disk] = OsDisk
    make_identity: Callable[[], bytes] = lambda: uuid.uuid4().bytes


MACHINE = Machine()
