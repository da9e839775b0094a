"""The load generator: a client like any other, and afterwards the one who counts.

The path of a request::

    Sessions | Repeated | Replay ──> Lane ──> Connection ──> the gateway
      request i                       whose     keep-alive        │
                                      turn      HTTP/1.1          v
                                        └── outcome, latency <── answer

What is sent is a ``Workload``: request ``i`` is a pure function of ``i``, so a run remembers one
byte a request (acknowledged, refused or unknown) and builds the bodies again when it verifies.
``run_load``
sends and measures; ``verify`` reads the database and counts that every acknowledged event is there
exactly once. Every run is bounded by its options.
"""

from playsmart_gateway.load.histogram import Histogram
from playsmart_gateway.load.lane import Lane, Outcome
from playsmart_gateway.load.options import LoadOptions
from playsmart_gateway.load.pool import Unreachable
from playsmart_gateway.load.repeats import Repeated, Retried
from playsmart_gateway.load.replay import Replay
from playsmart_gateway.load.report import Report, table
from playsmart_gateway.load.run import Progress, Run, run_load
from playsmart_gateway.load.sessions import GAME_ID, PLAYER_PREFIX, Sessions, player_names
from playsmart_gateway.load.tally import Counts
from playsmart_gateway.load.verify import Baseline, Verification, verify
from playsmart_gateway.load.workload import Workload

__all__ = [
    "GAME_ID",
    "PLAYER_PREFIX",
    "Baseline",
    "Counts",
    "Histogram",
    "Lane",
    "LoadOptions",
    "Outcome",
    "Progress",
    "Repeated",
    "Replay",
    "Report",
    "Retried",
    "Run",
    "Sessions",
    "Unreachable",
    "Verification",
    "Workload",
    "player_names",
    "run_load",
    "table",
    "verify",
]
