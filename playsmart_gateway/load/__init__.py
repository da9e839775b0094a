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
from playsmart_gateway.load.job import Job, Played, Recorded, always
from playsmart_gateway.load.lane import WHOLE, Lane, Outcome, Share
from playsmart_gateway.load.loops import allow_open_files, loop_factory
from playsmart_gateway.load.options import LoadOptions
from playsmart_gateway.load.pool import Unreachable
from playsmart_gateway.load.processes import MAX_PROCESSES, run_processes
from playsmart_gateway.load.repeats import Repeated, Retried
from playsmart_gateway.load.replay import Replay
from playsmart_gateway.load.report import Report, table
from playsmart_gateway.load.run import Progress, Run, run_load
from playsmart_gateway.load.schedule import Profile
from playsmart_gateway.load.sessions import GAME_ID, PLAYER_PREFIX, Sessions, player_names
from playsmart_gateway.load.tally import Counts
from playsmart_gateway.load.verify import Baseline, Verification, verify
from playsmart_gateway.load.workload import Workload

__all__ = [
    "GAME_ID",
    "MAX_PROCESSES",
    "PLAYER_PREFIX",
    "WHOLE",
    "Baseline",
    "Counts",
    "Histogram",
    "Job",
    "Lane",
    "LoadOptions",
    "Outcome",
    "Played",
    "Profile",
    "Progress",
    "Recorded",
    "Repeated",
    "Replay",
    "Report",
    "Retried",
    "Run",
    "Sessions",
    "Share",
    "Unreachable",
    "Verification",
    "Workload",
    "allow_open_files",
    "always",
    "loop_factory",
    "player_names",
    "run_load",
    "run_processes",
    "table",
    "verify",
]
