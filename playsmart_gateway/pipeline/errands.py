"""Errands: what a command on the same machine asks of a running gateway, without a port or a token.

The channel is the journal's folder, which is the gateway's own: a command puts a file there, the
process that holds the folder does what it says, and puts an empty file in its place. Who may write
there is who runs the gateway, so a file of anybody else is not heeded. There are two errands.
*Settle*, for one player: the process stores all that it has accepted so far, removes it from the
journal, and forgets what it remembers of the player. *Recall*, for one request: it puts there what
it remembers of it, as JSON.

A process that dies does the errand after its next start. A command that gives up takes its file
away.
"""

import asyncio
import contextlib
import os
import stat
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

LOOK_SECONDS = 0.2
STALE_SECONDS = 600.0
"""An answer that nobody came for is removed after that."""

MAX_ERRAND_BYTES = 65_536

_SETTLE, _RECALL, _DONE = ".errand", ".recall", ".done"


class Unanswered(Exception):
    """A process did not do its errand in time; ``folder`` is its journal's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.folder = folder


async def ask_to_settle(folders: Sequence[Path], user_id: str, patience_seconds: float) -> None:
    """Have the processes that hold these folders settle for a player; return when all have.

    Raises:
        Unanswered: one has not, in that time.
        OSError: a folder cannot be written.
    """
    await _ask(folders, _SETTLE, user_id, patience_seconds)


async def ask_to_recall(
    folders: Sequence[Path], request_id: str, patience_seconds: float
) -> list[bytes]:
    """Return what the processes that hold these folders remember of a request.

    Raises:
        Unanswered: one has not answered in that time.
        OSError: a folder cannot be written.
    """
    return await _ask(folders, _RECALL, request_id, patience_seconds)


async def _ask(
    folders: Sequence[Path], errand: str, about: str, patience_seconds: float
) -> list[bytes]:
    name = uuid.uuid4().hex
    deadline = time.monotonic() + patience_seconds
    answers = []
    try:
        for folder in folders:
            _put(folder / f"{name}{errand}", about.encode("utf-8", "surrogateescape"))
        for folder in folders:
            while not (folder / f"{name}{_DONE}").exists():
                if time.monotonic() > deadline:
                    raise Unanswered(folder)
                await asyncio.sleep(LOOK_SECONDS / 4)
            answers.append((folder / f"{name}{_DONE}").read_bytes())
    finally:
        for folder in folders:
            for suffix in (errand, _DONE):
                (folder / f"{name}{suffix}").unlink(missing_ok=True)
    return answers


class Errands:
    """Does the errands in ``folder``, one after the other.

    ``settle`` is called with a player, ``recall`` with a request id. ``clock`` is in seconds that
    nobody sets; the times of files are those of the wall.
    """

    def __init__(
        self,
        folder: Path,
        settle: Callable[[str], Awaitable[object]],
        clock: Callable[[], float] = time.monotonic,
        recall: Callable[[str], bytes] = lambda _: b"",
    ) -> None:
        self._folder = folder
        self._settle = settle
        self._recall = recall
        self._clock = clock
        self._answered: dict[str, float] = {}

    async def run(self) -> None:
        """Look for errands again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Do what is asked for now."""
        with contextlib.suppress(FileNotFoundError):  # the folder is the journal's to look after
            entries = list(os.scandir(self._folder))
            self._remove_stale([entry.name for entry in entries if entry.name.endswith(_DONE)])
            for entry in entries:
                if entry.name.endswith((_SETTLE, _RECALL)):
                    await self._do(Path(entry.path))

    def _remove_stale(self, answers: Sequence[str]) -> None:
        now = self._clock()
        self._answered = {name: self._answered.get(name, now) for name in answers}
        for name, seen_at in self._answered.items():
            if now - seen_at > STALE_SECONDS:
                (self._folder / name).unlink(missing_ok=True)

    async def _do(self, path: Path) -> None:
        about = _read(path)
        if about is None:
            return
        answer = b""
        if path.suffix == _SETTLE:
            await self._settle(about)
        else:
            answer = self._recall(about)
        _answer(path, answer)


def _answer(path: Path, content: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):  # whoever asked gave up
        path.unlink()
        _put(path.with_suffix(_DONE), content)


def _put(path: Path, content: bytes) -> None:
    """Make a file that is whole when it is seen, and that of the folder's owner alone."""
    draft = path.with_suffix(".draft")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(file, owner.st_uid, owner.st_gid)
        os.write(file, content)
    finally:
        os.close(file)
    draft.rename(path)


def _read(path: Path) -> str | None:
    """Return whose errand it is; None if it is not from whoever runs this process."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found = os.fstat(file)
        is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        content = os.read(file, MAX_ERRAND_BYTES) if is_ours else None
    finally:
        os.close(file)
    return None if content is None else content.decode("utf-8", "surrogateescape")
