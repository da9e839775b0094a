"""A phone: one life of a client, behind its adapter, from its start to the kill.

It knows what the client has promised: an event whose ``track`` was answered is kept. What it was
told, and had not answered when it was killed, may be kept or not.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from playsmart_gateway.clients.conformance.adapter import Unsupported
from tests.support.polling import until

LEVEL_EVERY = 5
MOST_AT_ONCE = 60
MOST_IN_A_FILE = 100
SEND_SECONDS = 500
REFUSED = (401, 403)


class Phone:
    """A process of the adapter; ``kept`` events were answered for by now."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.kept = 0
        self._told = 0
        self._process = process
        self._unanswered: deque[str] = deque()

    async def begin(self, who: Mapping[str, object]) -> None:
        """Tell it who it is."""
        await self._ask({"do": "init", **who})

    async def leave_alone(self) -> None:
        """Have it send by itself, too, on a thread or timer of its own, if it can."""
        with contextlib.suppress(Unsupported):
            await self._ask({"do": "alone"})

    async def play(self, number: int, token: str, chance: Random, rest_seconds: float) -> None:
        """Be a game for ever: levels and other events, sent now and then, with rests in between."""
        while True:
            await self.track(number, chance.randint(1, MOST_AT_ONCE))
            if chance.random() < 0.5:
                await self.flush(token)
            await asyncio.sleep(chance.uniform(0, rest_seconds))

    async def track(self, number: int, count: int) -> None:
        """Track more events of life ``number``."""
        commands = []
        for _ in range(count):
            kind = "AppOpen" if self._told % LEVEL_EVERY else "LevelCompleted"
            data = {"life": number, "n": self._told}
            commands.append({"do": "track", "type": kind, "data": data})
            self._told += 1
        await self._ask(*commands)

    async def flush(self, token: str) -> int:
        """Have it send; return how much is left. It gets the token if one was refused."""
        told = await self._ask({"do": "flush"})
        if told.get("status") in REFUSED:
            await self._ask({"do": "token", "token": token})
        return int(told["left"])

    async def send_all(self, token: str) -> None:
        """Have it send until nothing is left, and end."""

        async def nothing_is_left() -> bool:
            return not await self.flush(token)

        await until(nothing_is_left, "the rest is sent", seconds=SEND_SECONDS)
        await self._ask({"do": "quit"})
        assert await self._process.wait() == 0

    async def kill(self) -> None:
        """Kill it, with all that it started, and hear what it had answered by then."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        assert self._process.stdout is not None
        for line in (await self._process.stdout.read()).splitlines(keepends=True):
            if line.endswith(b"\n"):
                self._heard(line)
        await self._process.wait()

    async def _ask(self, *commands: Mapping[str, object]) -> dict[str, Any]:
        """Give commands at once; return the answer to the last."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._unanswered += [str(each["do"]) for each in commands]
        self._process.stdin.writelines(json.dumps(each).encode() + b"\n" for each in commands)
        told = {}
        while self._unanswered:
            told = self._heard(await self._process.stdout.readline())
        return told

    def _heard(self, line: bytes) -> dict[str, Any]:
        assert line, f"it ended by itself before it answered {self._unanswered[0]}"
        do = self._unanswered.popleft()
        told = json.loads(line)
        if told.get("error") == "unsupported":
            raise Unsupported(do)
        assert told["ok"], f"{do}: {told}"
        self.kept += do == "track"
        return dict(told)


async def start(command: Sequence[str], log: Path) -> Phone:
    """Start an adapter; what it writes to standard error is added to ``log``."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    return Phone(process)


def recut(folder: Path, chance: Random) -> None:
    """Put the events that wait into other files: each run's in their order, cut anywhere.

    So may another version of the client do, and what the gateway has of a file is then a part of
    the next request. Nobody else may be there meanwhile; files of another kind stay as they are.
    """
    runs: dict[str, dict[int, Path]] = {}
    for path in folder.glob("*-????????.ndjson"):
        runs.setdefault(path.stem[:-9], {})[int(path.stem[-8:])] = path
    for run, files in runs.items():
        pieces = _joined(files)
        for path in files.values():
            path.unlink()
        for number, head, events in pieces:
            while events:
                count = chance.randint(1, MOST_IN_A_FILE)
                content = b"\n".join((head, *events[:count], b""))
                (folder / f"{run}-{number:08d}.ndjson").write_bytes(content)
                number, events = number + count, events[count:]


def _joined(files: Mapping[int, Path]) -> list[tuple[int, bytes, list[bytes]]]:
    """Number, first line and events of files of a run; what follows another is one with it."""
    pieces: list[tuple[int, bytes, list[bytes]]] = []
    for number in sorted(files):
        head, *events = files[number].read_bytes().split(b"\n")[:-1] or [b""]
        first, before, earlier = pieces[-1] if pieces else (0, b"", [])
        if (before, first + len(earlier)) == (head, number):
            earlier.extend(events)
        else:
            pieces.append((number, head, events))
    return pieces
