"""``playsmart-gateway`` and ``python -m playsmart_gateway``: signals are heeded before the imports.

What the commands import takes a good part of a second. Meanwhile Ctrl-C would end in a traceback,
and a container, whose first process the kernel spares what it does not handle, would not hear that
it was told to stop.
"""

import os
import signal
import sys
from types import FrameType

FIRST_PROCESS = 1
SERVERS = ("serve", "worker")


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, end_at_once)
    if os.getpid() == FIRST_PROCESS:  # others end by themselves
        signal.signal(signal.SIGTERM, end_at_once)
    if sys.argv[1:2] and sys.argv[1] in SERVERS:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from playsmart_gateway.cli import main as run

    run()


def end_at_once(number: int, _: FrameType | None) -> None:
    """End as if nobody had handled this signal, while there is nothing to be finished."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # the first process survives its own signal


if __name__ == "__main__":
    main()
