"""Where it was measured."""

import os
import platform
import sqlite3
from pathlib import Path

import msgspec


class Machine(msgspec.Struct, frozen=True):
    """``load_average`` is that of the minute before the run: how busy others kept the machine."""

    cpu: str
    cores: int
    system: str
    python: str
    sqlite: str
    load_average: float

    @classmethod
    def here(cls) -> "Machine":
        return cls(
            cpu=_cpu(),
            cores=len(os.sched_getaffinity(0)),
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
            sqlite=sqlite3.sqlite_version,
            load_average=round(os.getloadavg()[0], 2),
        )

    def __str__(self) -> str:
        cores = f"{self.cores} core" + "s" * (self.cores != 1)
        return f"{self.cpu}, {cores}, {self.python}, SQLite {self.sqlite}"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
