"""What a case works with: a gateway, a folder, and the lives of a client one after the other."""

import base64
import contextlib
import itertools
import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from playsmart_gateway.clients.conformance.adapter import (
    Adapter,
    Broken,
    Start,
    Unsupported,
    start_program,
    wait,
)
from playsmart_gateway.clients.conformance.server import Request, ScriptedServer

PLAYER, OTHER_PLAYER = "player-of-conformance", "another-player"
GAME = "com.example.conformance"


class Unmet(Exception):
    """The client did something else than the case wants."""

    def __init__(self, wanted: str, came: object) -> None:
        super().__init__(f"expected {wanted}; came {came}")


class NotHere(Exception):
    """The case cannot be played with this client, for the reason given."""


def expect(condition: object, wanted: str, came: object) -> None:
    """Raise ``Unmet`` unless the condition holds."""
    if not condition:
        raise Unmet(wanted, came)


def token_for(player: str) -> str:
    """Return a token as a gateway takes it, by its looks; no two are the same."""
    claims = {"sub": player, "exp": int(time.time()) + 86_400, "jti": secrets.token_hex(8)}
    parts = json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps(claims), secrets.token_hex(32)
    return ".".join(base64.urlsafe_b64encode(each.encode()).decode().rstrip("=") for each in parts)


class Scene:
    """One case: ``server`` is its gateway and ``folder`` where the client keeps what waits.

    ``seconds`` is how long an answer, or events on their way, may take. Each event that is tracked
    has a number of its own in the whole case, its *mark*, in ``customdata.n``.
    """

    def __init__(
        self,
        server: ScriptedServer,
        folder: Path,
        seconds: float,
        command: Sequence[str],
        start: Start = start_program,
    ) -> None:
        self.server = server
        self.folder = folder
        self.seconds = seconds
        self.lives: list[Life] = []
        self.marks = itertools.count()
        self._command, self._start = command, start
        self._is_over = False

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End what runs, and let nothing start any more."""
        self._is_over = True
        for each in self.lives:
            each.kill()

    def life(self, player: str = PLAYER, token: str | None = None) -> "Life":
        """Start the client anew, in the same folder."""
        self._go_on()
        given = token_for(player) if token is None else token
        life = Life(self, Adapter(self._command, self.seconds, self._start), player, given)
        self.lives.append(life)
        life.begin()
        return life

    def _go_on(self) -> None:
        if self._is_over:
            raise Broken("the suite was stopped")

    # --- what the gateway has seen

    @property
    def requests(self) -> list[Request]:
        """All requests for events, in the order in which they came."""
        return self.server.requests

    def arrived(self) -> set[object]:
        """Return the marks of the events that the gateway has taken."""
        return {mark for _, _, mark in numbered(self.server.taken)}

    def expect_each_event_to_keep_its_number(self) -> None:
        """Check all that was ever sent: one number is one event, and one event has one number."""
        events: dict[object, object] = {}
        numbers: dict[object, object] = {}
        for run, number, mark in numbered(self.requests):
            expect(run, "a run in each batch", "a batch without")
            was = numbers.setdefault(mark, (run, number))
            now = f"number {number} of run {run}"
            expect(was == (run, number), f"event {mark} again as {_told(was)}", now)
            other = events.setdefault((run, number), mark)
            expect(other == mark, f"{now} to be event {other} for ever", f"event {mark} as that")

    def expect_quiet(self, life: "Life", why: str) -> None:
        """Check that further flushes send nothing."""
        before = len(self.requests)
        for _ in range(3):
            life.flush()
        expect(len(self.requests) == before, why, f"{len(self.requests) - before} more requests")

    def flush_and_wait_for_a_request(self, life: "Life") -> None:
        """Flush once, and wait until something came, as it may on another thread."""
        before = len(self.requests)
        life.flush()
        self.wait_for(lambda: len(self.requests) > before, "a request")

    def wait_for(self, condition: Callable[[], object], wanted: str) -> None:
        """Wait until something is so."""
        until = time.monotonic() + self.seconds
        while not condition():
            self._go_on()
            expect(time.monotonic() < until, f"{wanted} within {self.seconds:g} s", "nothing")
            time.sleep(0.02)

    # --- what the client keeps

    def files(self) -> list[Path]:
        """Return the files in the client's folder, at any depth."""
        return [each for each in self.folder.rglob("*") if each.is_file()]

    def queue(self) -> list[Path]:
        """Return the files ``<run>-<first number>.ndjson``, oldest first.

        Raises:
            NotHere: there is none, so this client keeps its events in another way.
        """
        found = sorted(self.folder.rglob("*-????????.ndjson"), key=lambda each: each.name)
        if not found:
            raise NotHere("the client keeps its events in other files than <run>-<number>.ndjson")
        return found


class Life:
    """One process of the client, from its start to its end."""

    def __init__(self, scene: Scene, adapter: Adapter, player: str, token: str) -> None:
        self.player = player
        self.token = token
        self._scene = scene
        self._adapter = adapter

    @property
    def errors(self) -> str:
        """What it wrote to standard error."""
        return self._adapter.errors

    def begin(self) -> None:
        """Tell it who it is."""
        self.ask(
            "init",
            dir=str(self._scene.folder),
            url=self._scene.server.url,
            user=self.player,
            game=GAME,
            token=self.token,
        )

    def ask(self, do: str, **arguments: object) -> dict[str, Any]:
        """Give a command and return the answer."""
        return self._adapter.ask({"do": do, **arguments})

    def track(self, count: int = 1, kind: str = "AppOpen", **data: object) -> list[object]:
        """Track events and return their marks."""
        commands = self.to_track(count, kind, **data)
        self._adapter.tell(commands)
        for each in commands:
            self._adapter.answer(each)
        return marks_of(commands)

    def to_track(
        self, count: int, kind: str = "AppOpen", **data: object
    ) -> list[Mapping[str, object]]:
        """Return the commands that track events."""
        return [
            {"do": "track", "type": kind, "data": {"n": next(self._scene.marks), **data}}
            for _ in range(count)
        ]

    def ask_at_once(self, *names: str) -> None:
        """Give commands without waiting in between; what it does not support it may leave."""
        commands = [{"do": each} for each in names]
        self._adapter.tell(commands)
        for each in commands:
            with contextlib.suppress(Unsupported):
                self._adapter.answer(each)

    def tell(self, *commands: Mapping[str, object]) -> None:
        """Give commands whose answers nobody waits for."""
        self._adapter.tell(commands)

    def flush(self) -> dict[str, Any]:
        """Have it send what it may send now."""
        told = self.ask("flush")
        for name in ("sent", "left"):
            expect(_is_count(told.get(name)), f"flush to answer {name} as a count", told)
        return told

    def deliver(self, marks: Iterable[object]) -> None:
        """Flush until the gateway has taken these events."""
        wanted = set(marks)

        def is_there() -> bool:
            return wanted <= self._scene.arrived()

        self._flush_until(is_there, lambda: self._missing(wanted))

    def drain(self) -> None:
        """Flush until it says that nothing is left."""
        self._flush_until(lambda: self._last["left"] == 0, lambda: f"{self._last['left']} left")

    def _missing(self, wanted: set[object]) -> str:
        missing = len(wanted - self._scene.arrived())
        last = {name: self._last.get(name) for name in ("sent", "left", "status")}
        return f"{len(wanted) - missing} of {len(wanted)}; the last flush says {json.dumps(last)}"

    def _flush_until(self, condition: Callable[[], bool], came: Callable[[], str]) -> None:
        until = time.monotonic() + self._scene.seconds
        pause = 0.02
        while True:
            self._last = self.flush()
            if condition():
                return
            expect(self._last["left"], "what was not taken to be left", came())
            wanted = f"all events to be taken within {self._scene.seconds:g} s of flushes"
            expect(time.monotonic() < until, wanted, came())
            wait(pause, until)
            pause = min(0.5, 1.5 * pause)

    def state(self) -> dict[str, Any]:
        """Return what it says of itself."""
        return self.ask("state")

    def quit(self) -> None:
        """End it as a game ends."""
        self.ask("quit")
        seconds = self._scene.seconds
        expect(self._adapter.ends(), f"an end within {seconds:g} s of quit", "none")

    def flush_until_it_is_killed(self) -> None:
        """Flush, and wait until somebody has killed it on the way."""
        self.tell({"do": "flush"})
        try:
            self._adapter.answer({"do": "flush"})
        except Broken:
            return
        self.kill()

    def limit_files(self, most_bytes: int | None) -> None:
        """Let none of its files grow beyond this, as if the disk were full; None to end that."""
        self._adapter.limit_files(most_bytes)

    def kill(self) -> None:
        """Kill it."""
        self._adapter.kill()


def numbered(requests: Sequence[Request]) -> Iterator[tuple[object, int, object]]:
    """Yield run, number and mark of all events in these requests, in their order."""
    for request in list(requests):
        batch = request.batch
        seq = batch.get("seq")
        first = seq if isinstance(seq, int) else 0
        for place, event in enumerate(request.events):
            data = event.get("customdata")
            if isinstance(data, dict) and "n" in data:
                yield batch.get("run"), first + place, data["n"]


def marks_of(commands: Iterable[Mapping[str, Any]]) -> list[object]:
    """Return the marks of the events that commands track."""
    return [each["data"]["n"] for each in commands]


def _told(number: object) -> str:
    assert isinstance(number, tuple)
    return f"number {number[1]} of run {number[0]}"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
