"""``serve --workers N``: one process that serves nothing itself, and N that are whole gateways.

The supervisor holds the port, deals the connections to its workers in turn (see ``acceptor``), and
starts a worker again that died. There is never an event loop in it when it forks, and no thread but
the one that writes the log (see ``output``): so a worker starts in the time of its replay, shares
the memory of all imported code, knows the configuration without a second reading, and has with its
siblings what no file system needs to hold (see ``peers``).

The first worker starts first and alone: it brings the schema up to date, and what is wrong with the
configuration or the store is said once. A worker that never came to serve ends the supervisor with
its exit code; one that did is started again, at once and then more and more patiently. It is the
same worker: it has the same journal folder, and its counts go on.
"""

import contextlib
import gc
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from playsmart_gateway import metrics, output
from playsmart_gateway.app import Application, limited_keys
from playsmart_gateway.config import Config
from playsmart_gateway.errors import ConfigError, GatewayError, explained, where
from playsmart_gateway.logs import always
from playsmart_gateway.peers.channels import Channels
from playsmart_gateway.peers.fair_lock import FairLock
from playsmart_gateway.peers.peer import Peer
from playsmart_gateway.peers.scoreboard import Scoreboard
from playsmart_gateway.pipeline.journal_folders import (
    HeldFolder,
    adopt,
    journal_folders,
    worker_folder,
)
from playsmart_gateway.rate_limit import SharedCounts
from playsmart_gateway.serve.acceptor import (
    Acceptor,
    listen,
)
from playsmart_gateway.serve.server import (
    HURRY,
    OTHER_FILES,
    OnListening,
    allow_files,
    ignore_hangup,
    nobody_told,
    serve,
)

logger = logging.getLogger(__name__)

FIRST_RESTART_SECONDS = 0.1
LAST_RESTART_SECONDS = 5.0
SETTLED_SECONDS = 10.0
"""A worker that lived so long before it died is started again at once."""

OVERTIME_SECONDS = 5.0
"""A worker that has not ended so long after its time to drain is killed."""

_TICK_SECONDS = 0.02
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
_BLOCKED = (*_SIGNALS, HURRY)


class MakeApp(Protocol):
    """Makes the application of a worker."""

    def __call__(self, *, worker: Peer) -> Application:
        """See ``create_app``."""
        ...


def supervise(config: Config, make_app: MakeApp, on_listening: OnListening = nobody_told) -> int:
    """Run ``config.server.workers`` workers until a signal, and return the exit code.

    ``on_listening`` is told the port when the first of them serves.

    0: everything that was accepted is stored. 1: something is not. Else that of a worker that could
    not start; it has said why.

    Raises:
        ConfigError: the store or the journal cannot be used by several processes, or is in use.
        GatewayError: the port cannot be listened to.
    """
    if config.storage.url == "memory:":
        raise ConfigError(["server.workers: a store in memory cannot be shared; set it to 1"])
    with contextlib.ExitStack() as stack:
        hold: Callable[[], None] = _nothing
        if config.journal.enabled:
            path, workers = Path(config.journal.path), config.server.workers
            hold = stack.enter_context(_journals(path, workers)).hold
        allow_files(
            config.server.max_connections + OTHER_FILES
        )  # some are taken back from the dead
        listener = stack.enter_context(listen(config.server.host, config.server.port))
        return _Supervisor(config, make_app, listener, hold, on_listening).supervise()


def _nothing() -> None:
    pass


@contextlib.contextmanager
def _journals(path: Path, workers: int) -> Iterator[HeldFolder]:
    """Hold the lock of all journals, the workers too; what others left is the first worker's."""
    whole = HeldFolder(path)
    whole.open()
    with contextlib.closing(whole):
        own = [worker_folder(path, number) for number in range(workers)]
        adopt(own[0], [each for each in journal_folders(path) if each not in own])
        yield whole


class _Life(msgspec.Struct):
    """One worker, from fork to fork: its process, if it has one now, and when it may have one."""

    number: int
    pid: int | None = None
    started_at: float = 0.0
    due_at: float | None = None
    deaths: int = 0
    has_served: bool = False
    exit_code: int = 0


class _Supervisor:
    """Keeps the workers alive, deals them connections, and stops them in order."""

    def __init__(
        self,
        config: Config,
        make_app: MakeApp,
        listener: socket.socket,
        hold_journal: Callable[[], None],
        on_listening: OnListening,
    ) -> None:
        workers = config.server.workers
        self._on_listening: OnListening | None = on_listening
        self._hold_journal = hold_journal
        self._config = config
        self._make_app = make_app
        self._address = listener.getsockname()
        self._patience = config.server.drain_timeout_seconds + OVERTIME_SECONDS
        self._scoreboard = Scoreboard(workers)
        self._channels = Channels(workers)
        self._fair_lock = FairLock()
        self._counts = SharedCounts(limited_keys(config))
        self._lifeline, self._line_end = os.pipe()
        self._lives = [_Life(number) for number in range(workers)]
        self._selector = selectors.DefaultSelector()
        self._acceptor = Acceptor(listener, self._scoreboard, self._channels, self._selector)
        self._stopping_since: float | None = None
        self._exit_code = 0

    def supervise(self) -> int:
        """Go on until every worker has ended after a signal, or one could not start."""
        ignore_hangup()
        with self._signals() as woken:
            self._selector.register(woken, selectors.EVENT_READ)
            self._lives[0].due_at = 0.0
            gc.freeze()  # so that workers do not write to the pages of what they share
            logger.info("running on http://%s:%d with %d workers", *self._where(), len(self._lives))
            while any(life.pid or life.due_at is not None for life in self._lives):
                for key, _ in self._selector.select(self._nap()):
                    if key.fileobj == woken:
                        self._heed(os.read(woken, 512))
                    else:
                        self._acceptor.deal()
                self._look_after_workers()
        return self._exit_code

    # ---- Waiting ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signals(self) -> Iterator[int]:
        """Turn signals into bytes to be read."""
        woken, end = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(end, False)
        signal.set_wakeup_fd(end)
        before = {each: signal.signal(each, lambda *_: None) for each in _SIGNALS}
        try:
            yield woken
        finally:
            signal.set_wakeup_fd(-1)
            for each, handler in before.items():
                signal.signal(each, handler)
            os.close(woken)
            os.close(end)

    def _nap(self) -> float:
        """Return the seconds until something has to be looked at that no signal tells of."""
        is_busy = self._acceptor.is_busy or any(
            life.due_at is not None
            or (life.pid is not None and self._scoreboard.state(life.number) == "starting")
            for life in self._lives
        )
        return _TICK_SECONDS if is_busy else 1.0

    def _heed(self, signals: bytes) -> None:
        for number in signals:
            if number in (signal.SIGCHLD, signal.SIGHUP):
                continue
            if self._stopping_since is None:
                logger.info("stopping %d workers", len(self._lives))
                self._stop(time.monotonic())
            else:
                self._tell_all(HURRY)

    # ---- Workers ----------------------------------------------------------------------------

    def _look_after_workers(self) -> None:
        now = time.monotonic()
        for life in self._lives:
            if life.pid is not None:
                life.has_served |= self._scoreboard.state(life.number) == "ready"
                pid, status = os.waitpid(life.pid, os.WNOHANG)
                if pid:
                    self._bury(life, os.waitstatus_to_exitcode(status), now)
            if life.due_at is not None and life.due_at <= now:
                self._start(life, now)
        if self._lives[0].has_served and self._stopping_since is None:
            if self._on_listening is not None:
                hung = self._scoreboard.read(0)
                reasons = metrics.decode(hung.content).not_ready if hung else []
                self._on_listening(self._address[1], reasons)
                self._on_listening = None
            for life in self._lives:
                if life.pid is None and life.due_at is None:
                    life.due_at = now
        self._acceptor.look()
        self._hold_journal()
        if self._stopping_since is not None and now - self._stopping_since > self._patience:
            self._tell_all(signal.SIGKILL)

    def _bury(self, life: _Life, code: int, now: float) -> None:
        """Take note of the end of a worker, and decide what comes after it."""
        life.pid, life.exit_code = None, code
        life.has_served |= self._scoreboard.state(life.number) in ("ready", "stopping")
        self._scoreboard.set_state(life.number, "gone")
        self._acceptor.take_back(life.number)
        if self._stopping_since is not None:
            if code:
                logger.error("worker %d ended with %d", life.number, code)
                self._exit_code = self._exit_code or 1
            return
        if not life.has_served:
            self._exit_code = code if code > 0 else 1
            self._stop(now)
            return
        life.deaths = 1 if now - life.started_at >= SETTLED_SECONDS else life.deaths + 1
        wait = min(FIRST_RESTART_SECONDS * 2 ** (life.deaths - 1), LAST_RESTART_SECONDS)
        life.due_at = now + wait
        logger.error("worker %d ended with %d, starting it again", life.number, code)

    def _start(self, life: _Life, now: float) -> None:
        """Fork a worker."""
        life.due_at = None
        if life.has_served:
            self._scoreboard.count_restart(life.number)
        self._scoreboard.set_state(life.number, "starting")
        signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)  # until the child can heed them
        pid = os.fork()
        if not pid:
            self._be_worker(life.number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)
        life.pid, life.started_at = pid, now

    def _be_worker(self, number: int) -> None:
        """Be a worker from here on, and never come back."""
        code = 1
        try:
            os.setpgid(0, 0)  # Ctrl-C is for the supervisor, which passes it on
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._acceptor.close_here()
            self._selector.close()
            os.close(self._line_end)
            always(worker=number)
            output.count_as_worker(number)
            shared = (self._scoreboard, self._channels, self._counts, self._fair_lock)
            worker = Peer(number, *shared, self._lifeline)
            code = serve(self._make_app(worker=worker), self._config)
        except GatewayError as error:
            lines, code = explained(error)
            sys.stderr.write("".join(f"{line}\n" for line in lines))
        except BaseException as error:  # noqa: BLE001 - nothing of the supervisor may run here
            logger.critical("worker %d failed: %s", number, where(error))
        finally:
            output.flush()
            os._exit(code)

    # ---- The end ----------------------------------------------------------------------------

    def _stop(self, now: float) -> None:
        """Take no more connections, and have all workers drain."""
        self._stopping_since = now
        self._acceptor.close()
        for life in self._lives:
            if life.due_at is not None and life.exit_code:
                logger.error("worker %d is gone: its journal keeps what it had", life.number)
                self._exit_code = self._exit_code or 1
            life.due_at = None
        self._tell_all(signal.SIGTERM)

    def _tell_all(self, number: signal.Signals) -> None:
        for life in self._lives:
            if life.pid is not None:
                os.kill(life.pid, number)

    def _where(self) -> tuple[str, int]:
        host = self._config.server.host
        host = f"[{host}]" if ":" in host else host
        return host, self._address[1]
