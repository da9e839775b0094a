"""What is done to the gateway's surroundings, each undone on the way out."""

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

MOUNT = "/bin/mount"
UMOUNT = "/bin/umount"


class MountRefused(Exception):
    """No file system can be mounted here: it needs root."""


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold a write lock on a database, as a program would that forgot to commit."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None, timeout=10)) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield


@contextlib.contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """Mount a small file system on ``folder``; ``MountRefused`` if that is not allowed."""
    folder.mkdir(parents=True)
    command = [MOUNT, "-t", "tmpfs", "-o", f"size={size},mode=700", "crash-test", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except FileNotFoundError as error:
        raise MountRefused(f"there is no {MOUNT}") from error
    if done.returncode:
        raise MountRefused(done.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run([UMOUNT, "--lazy", str(folder)], check=True, timeout=10)


def fill(folder: Path) -> Path:
    """Take all the space that is left there; returns the file to remove."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4_096):
            pass
    return ballast


@contextlib.contextmanager
def limited(process_id: int, limit: int, value: int) -> Iterator[None]:
    """Lower a soft limit of a running process (Linux)."""
    before = resource.prlimit(process_id, limit)
    resource.prlimit(process_id, limit, (value, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process_id, limit, before)


def open_files(process_id: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{process_id}/fd"))  # noqa: PTH208 - names are enough


def powerless() -> list[str] | None:
    """Return the command under which file modes hold even for root; None if there is none."""
    if os.geteuid() != 0:
        return []
    if (setpriv := shutil.which("setpriv")) is None:
        return None
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search,-fowner", "--"]
