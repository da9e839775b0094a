"""Several processes that load together: one tells, adds up, and says who died.

Each has a share of the requests, by their numbers, and connections of its own. They connect, wait
for each other, and begin at the same instant of the same clock. Each tells what it has counted,
second by second: of one that is killed that is not lost, but what became of its requests one by one
is. Ctrl-C is the coordinator's: the others do not hear it and are told. A process whose coordinator
is gone ends.

Both ends are this program; they talk by a pair of sockets that nobody else has.
"""

import asyncio
import contextlib
import pickle
import signal
import socket
import struct
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, Literal, NamedTuple

import msgspec

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load.breaking import Breaking
from playsmart_gateway.load.figures import Figures
from playsmart_gateway.load.job import Job
from playsmart_gateway.load.lane import Share
from playsmart_gateway.load.pool import Unreachable
from playsmart_gateway.load.run import Part, Progress, Run
from playsmart_gateway.load.timeline import Stretch, Timeline

MAX_PROCESSES = 64
READY_SECONDS = 60.0
"""To import, make tokens and connect, beyond what a connection may take."""

BEGIN_SECONDS = 0.05
"""From the order to begin to the beginning: so that it has come everywhere."""

_SIZE = struct.Struct(">Q")
_ARGV = (sys.executable, "-m", "playsmart_gateway.load")


class Ready(NamedTuple):
    """All connections are open."""


class Begin(NamedTuple):
    """Send from this instant on, by ``perf_counter``, which all processes share."""

    at: float


class Sofar(NamedTuple):
    """How it goes, and stretches of ``seconds`` each that are over, from the place ``first`` on."""

    progress: Progress
    seconds: int
    first: int
    stretches: list[Stretch]

    @property
    def upto(self) -> int:
        """Until when all is told, in seconds since the start."""
        return (self.first + len(self.stretches)) * self.seconds


class Telling:
    """Cuts off a timeline what is over and was not told yet.

    It is told in pairs: when two stretches become one, both were told or none.
    """

    def __init__(self) -> None:
        self._upto = 0

    def next(self, timeline: Timeline, elapsed: float, progress: Progress) -> Sofar:
        """Return what there is to tell ``elapsed`` seconds after the start."""
        first, over = self._upto // timeline.seconds, len(timeline.whole(elapsed)) // 2 * 2
        told = Sofar(progress, timeline.seconds, first, timeline.stretches[first:over])
        self._upto = told.upto
        return told


class Stop(NamedTuple):
    """Send nothing more; what is in flight is waited for as for ever, or for two seconds."""

    is_interrupted: bool


class Failed(NamedTuple):
    """It could not be done, as the user has to be told."""

    error: ConfigError | Unreachable


Message = Ready | Begin | Sofar | Stop | Failed | Part | Job


class Channel:
    """Messages in both directions."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """Talk over one end of a pair of sockets."""
        return cls(*await asyncio.open_connection(sock=end))

    def send(self, message: Message) -> None:
        """Send one; whether it comes is not known."""
        content = pickle.dumps(message)
        self._writer.write(_SIZE.pack(len(content)) + content)

    async def receive(self) -> Any:
        """Return the next one; None if the other end is gone."""
        try:
            (size,) = _SIZE.unpack(await self._reader.readexactly(_SIZE.size))
            return pickle.loads(await self._reader.readexactly(size))  # noqa: S301 - our own process
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close(self) -> None:
        """Let go of it; what was sent is sent first."""
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()
            self._writer.close()
            await self._writer.wait_closed()


class _Child:
    """One of the processes, and what is known of it."""

    def __init__(self, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.process = process
        self.channel = channel
        self.last: Sofar | None = None
        self.timeline = Timeline()
        self.part: Part | None = None


async def run_processes(
    job: Job,
    processes: int,
    *,
    stop: asyncio.Event,
    on_progress: Callable[[Progress], None],
    say: Callable[[str], None],
) -> Run:
    """Have so many processes do ``job`` together; ``say`` is told when one is lost.

    The connections of the options are those of all. See ``run_load`` for the rest.

    Raises:
        ConfigError: a process cannot do it.
        Unreachable: one of them reached nobody.
    """
    async with contextlib.AsyncExitStack() as stack:
        children = [
            await stack.enter_async_context(_started(_part_of(job, place, processes)))
            for place in range(processes)
        ]
        return await _Coordinator(job, children, on_progress, say).run(stop)


def _part_of(job: Job, place: int, of: int) -> Job:
    connections = max(1, (job.options.connections + of - 1 - place) // of)
    options = msgspec.structs.replace(job.options, connections=connections)
    return job._replace(options=options, share=Share(place, of))


@contextlib.asynccontextmanager
async def _started(job: Job) -> Any:
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        process = await asyncio.create_subprocess_exec(
            *_ARGV, str(number), pass_fds=[number], stdin=asyncio.subprocess.DEVNULL
        )
    channel = await Channel.over(ours)
    channel.send(job)
    try:
        yield _Child(process, channel)
    finally:
        await channel.close()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


class _Coordinator:
    """Leads a run of several processes from its beginning to the report."""

    def __init__(
        self,
        job: Job,
        children: list[_Child],
        on_progress: Callable[[Progress], None],
        say: Callable[[str], None],
    ) -> None:
        self._job = job
        self._children = children
        self._on_progress = on_progress
        self._say = say
        self._breaking = Breaking(job.options)
        self._lost: set[_Child] = set()

    async def run(self, stop: asyncio.Event) -> Run:
        """Have all begin, wait until all have ended, and add up."""
        patience = READY_SECONDS + self._job.options.timeout_seconds
        waiting = asyncio.ensure_future(stop.wait())
        try:
            async with asyncio.timeout(patience):
                await asyncio.gather(*(self._until_ready(each) for each in self._children))
            began = perf_counter() + BEGIN_SECONDS
            self._tell(Begin(began))
            waiting.add_done_callback(self._interrupt)
            await asyncio.gather(*(self._follow(each) for each in self._children))
        except TimeoutError:
            text = f"a process did not get ready in {patience:g} s; this machine has too much to do"
            raise Unreachable(text) from None
        finally:
            waiting.cancel()
        return self._added(began)

    def _interrupt(self, waiting: "asyncio.Task[Literal[True]]") -> None:
        if not waiting.cancelled():
            self._tell(Stop(is_interrupted=True))

    async def _until_ready(self, child: _Child) -> None:
        message = await child.channel.receive()
        if isinstance(message, Failed):
            raise message.error
        if not isinstance(message, Ready):
            code = await child.process.wait()
            raise Unreachable(f"a process of load has ended before it began ({_told(code)})")

    async def _follow(self, child: _Child) -> None:
        while child.part is None:
            message = await child.channel.receive()
            if isinstance(message, Sofar):
                child.last = message
                child.timeline.put(message.seconds, message.first, message.stretches)
                self._look(has_more=bool(message.stretches))
            elif isinstance(message, Part):
                child.part = message
            else:
                self._lost.add(child)
                code = await child.process.wait()
                place = self._children.index(child) + 1
                self._say(f"process {place} of {len(self._children)} is lost ({_told(code)})")
                return

    def _look(self, *, has_more: bool) -> None:
        """Show how it goes, and end it if it broke."""
        heard = [each.last for each in self._children if each.last is not None]
        running = [
            each.last.upto if each.last is not None else 0
            for each in self._children
            if each.part is None and each not in self._lost
        ]
        if has_more and running and self._breaking.has_come(self._merged(), min(running)):
            self._tell(Stop(is_interrupted=False))
        self._on_progress(
            Progress(
                max(each.progress.done for each in heard),
                sum(each.progress.requests_sent for each in heard),
                sum(each.progress.requests_per_second for each in heard),
                max(each.progress.p99_seconds for each in heard),
            )
        )

    def _merged(self) -> Timeline:
        merged = Timeline()
        for child in self._children:
            merged.add(child.timeline)
        return merged

    def _tell(self, message: Message) -> None:
        for child in self._children:
            if child not in self._lost:
                child.channel.send(message)

    def _added(self, began: float) -> Run:
        figures, stopped, interrupted, lanes = Figures(), began, False, []
        figures.start = began
        for child in self._children:
            if child.part is not None:
                figures.add(child.part.figures)
                stopped = max(stopped, child.part.stopped)
                interrupted = interrupted or child.part.interrupted
                lanes += child.part.lanes
            elif child.last is not None:
                figures.add(Figures.of(child.timeline))
                stopped = max(stopped, began + child.last.upto)
        if not self._lost:
            lanes = self._job.what.workload().together(lanes)
        part = Part(figures, lanes, stopped, interrupted=interrupted)
        report = self._breaking.told(part.report(self._job.options))
        told = msgspec.structs.replace(
            report, processes=len(self._children), lost_processes=len(self._lost)
        )
        return Run(told, lanes)


def _told(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"by {signal.Signals(-code).name}"
    return f"exit code {code}"
