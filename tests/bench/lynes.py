"""``make bench ARGS=--lynes``: requests that wait for their commit, alone and beside PlaySmart's.

Three measurements, each with a gateway of its own whose store notes how long its commits take:
one client that comes now and then, 64 clients at once, and PlaySmart at saturation without and
with 200 requests a second of this kind.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from playsmart_gateway.auth.tokens import mint
from tests.bench.generators import CONNECTIONS, BenchError, Wrk, generator
from tests.bench.processes import Target
from tests.bench.requests import PATH, SECRET, Request, requests
from tests.bench.table import human
from tests.bench.target import COMMITS

EVENT = "/event"
CLIENTS = 64
USERS = 1_000
BESIDE_PER_SECOND = 200
BESIDE_CONNECTIONS = 10
EVENTS = 200
LEAST_SHARED = 5.0
MOST_COMMITS = 5.0
LEAST_BESIDE = 0.85
"""The floors: requests a commit, p99 of an answer in commits, PlaySmart of what it is alone."""

PROJECT = (
    "lynes.rate_limit=0",
    'lynes.events=[{id="daily_login",kind="fix",points=10,max_completions=1,'
    'completion_window="daily"},{id="purchase_completed",kind="transactional",'
    'reward_value_field="orderValue",points_per_unit=1},{id="level_completed",kind="fix",points=5}]',
    'lynes.streaks=[{id="daily_app_use",events=["daily_login"],milestones=[{count=7,points=50}]}]',
)
_METADATA: dict[str, dict[str, Any]] = {
    "daily_login": {"platform": "ios", "appVersion": "2.1.4", "sessionLength": 183},
    "purchase_completed": {
        "platform": "web", "transactionId": "tx_78912345", "orderValue": 129.99,
        "currency": "USD", "itemCount": 3, "paymentMethod": "credit_card",
    },
    "level_completed": {
        "levelId": "world_2_level_5", "difficulty": "normal", "timeToComplete": 347,
        "attempts": 2, "starsEarned": 3, "scoreAchieved": 12850, "powerupsUsed": 2,
        "platform": "ios",
    },
}  # fmt: skip


class Waited(msgspec.Struct):
    """Requests that waited for their commit; times are in milliseconds."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    commits: int
    commit_p50_ms: float

    @property
    def shared(self) -> float:
        return self.requests / self.commits

    @property
    def p99_in_commits(self) -> float:
        return self.p99_ms / self.commit_p50_ms


class LynesResults(msgspec.Struct):
    """Medians of the rounds; ``of_alone`` compares PlaySmart's durable events."""

    idle: Waited
    clients: Waited
    beside: Waited
    alone_events: float
    beside_events: float
    of_alone: float
    shared: float
    p99_in_commits: float

    @property
    def kept(self) -> bool:
        return (
            self.shared >= LEAST_SHARED
            and self.p99_in_commits <= MOST_COMMITS
            and self.of_alone >= LEAST_BESIDE
        )


def measure(rounds: int, seconds: int) -> LynesResults:
    """Measure ``rounds`` times, ``seconds`` each.

    Raises:
        BenchError: something cannot be measured here, or an answered event is not stored once.
    """
    wrk = generator("wrk")
    assert isinstance(wrk, Wrk)
    idle, clients, beside, alone = [], [], [], []
    durable = []
    for _ in range(rounds):
        idle.append(_idle(seconds))
        clients.append(_clients(wrk, seconds))
        alone.append(_saturated(wrk, seconds, beside=False)[0])
        events, waited = _saturated(wrk, seconds, beside=True)
        durable.append(events)
        beside.append(waited)
    most = _middle(clients)
    return LynesResults(
        idle=_middle(idle),
        clients=most,
        beside=_middle([each for each in beside if each is not None]),
        alone_events=median(alone),
        beside_events=median(durable),
        of_alone=median(there / gone for there, gone in zip(durable, alone, strict=True)),
        shared=most.shared,
        p99_in_commits=most.p99_in_commits,
    )


def render(results: LynesResults) -> Table:
    """Return the results for people."""
    headings = ("", "requests/s", "p50 ms", "p99 ms", "a commit", "commit p50 ms", "p99 in commits")
    table = Table(*headings, box=None)
    rows = {
        "one client now and then": results.idle,
        f"{CLIENTS} clients": results.clients,
        f"{BESIDE_PER_SECOND}/s beside PlaySmart": results.beside,
    }
    for name, each in rows.items():
        table.add_row(
            name,
            human(each.per_second),
            f"{each.p50_ms:.2f}",
            f"{each.p99_ms:.2f}",
            f"{each.shared:.1f}",
            f"{each.commit_p50_ms:.2f}",
            f"{each.p99_in_commits:.1f}",
        )
    table.caption = (
        f"PlaySmart, {EVENTS} events a request, durable events/s: {human(results.alone_events)}"
        f" alone, {human(results.beside_events)} beside it ({results.of_alone:.2f}); floors:"
        f" {LEAST_SHARED:g} a commit, p99 of {MOST_COMMITS:g} commits, {LEAST_BESIDE} beside"
    )
    return table


def main(rounds: int, seconds: int, *, as_json: bool) -> bool:
    """Measure and print; return whether the floors were kept."""
    results = measure(rounds, seconds)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(results)).decode())
    else:
        Console().print(render(results))
    return results.kept


def _idle(seconds: int) -> Waited:
    with tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder:
        with Target("lynes", Path(folder), PROJECT) as target:
            times = asyncio.run(_pace(target.port, seconds, 1, 20))
            target.stop()
            _require_stored(target, len(times), 0)
        return _waited(Path(folder), times, seconds)


def _clients(wrk: Wrk, seconds: int) -> Waited:
    with tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder:
        with Target("lynes", Path(folder), PROJECT) as target:
            load = wrk.run(target.port, _events(), seconds, EVENT, connections=CLIENTS)
            if load.refused or load.errors:
                raise BenchError(f"{load.refused} refused, {load.errors} errors")
            target.stop()
            _require_stored(target, load.answered, CLIENTS)
        commits = _commits(Path(folder))
        return Waited(
            load.answered,
            load.answered / load.seconds,
            load.p50_ms,
            load.p99_ms,
            len(commits),
            median(commits) * 1_000,
        )


def _saturated(wrk: Wrk, seconds: int, *, beside: bool) -> tuple[float, Waited | None]:
    """Return PlaySmart's durable events a second, and how those beside it fared."""
    with tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder:
        with Target("lynes", Path(folder), PROJECT) as target:
            times, load, started = asyncio.run(_load(wrk, target.port, seconds, beside=beside))
            drained = target.drain()
            rows = target.count("event_rows") - len(times)
            acknowledged = load.accepted * EVENTS
            if not acknowledged <= rows <= acknowledged + CONNECTIONS * EVENTS:
                raise BenchError(f"{rows} events are stored of {acknowledged} acknowledged")
        waited = _waited(Path(folder), times, seconds) if beside else None
        return acknowledged / (drained - started), waited


async def _load(
    wrk: Wrk, port: int, seconds: int, *, beside: bool
) -> tuple[list[float], Any, float]:
    started = time.monotonic()
    running = asyncio.to_thread(wrk.run, port, requests(EVENTS), seconds, PATH)
    if not beside:
        return [], await running, started
    pacing = _pace(port, seconds, BESIDE_CONNECTIONS, BESIDE_PER_SECOND)
    load, times = await asyncio.gather(running, pacing)
    return times, load, started


async def _pace(port: int, seconds: int, connections: int, per_second: int) -> list[float]:
    """Send so many requests a second, whatever the answers take; return how long each took."""
    sent = _events()
    pause = connections / per_second

    async def client(number: int) -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(pause * number / connections)
        times, due = [], time.perf_counter()
        for place in range(int(seconds / pause)):
            request = sent[(number + place * connections) % len(sent)]
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            begun = time.perf_counter()
            writer.write(
                b"POST /event HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\n"
                b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
                % (request.token.encode(), len(request.body), request.body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            answer = await reader.readexactly(length)
            times.append(time.perf_counter() - begun)
            if not head.startswith(b"HTTP/1.1 200"):
                raise BenchError(f"an event was answered {answer!r}")
            due += pause
        writer.close()
        return times

    found = await asyncio.gather(*(client(number) for number in range(connections)))
    return [each for times in found for each in times]


def _events() -> list[Request]:
    token = mint("bench", secret=SECRET, ttl_seconds=86_400, now=time.time())
    kinds = list(_METADATA)
    bodies: list[dict[str, Any]] = [
        {
            "eventId": kinds[number % 3],
            "userId": f"user-{number * 7 % USERS}",
            "metadata": _METADATA[kinds[number % 3]],
        }
        for number in range(3 * USERS)
    ]
    return [Request("bench", token, json.dumps(body).encode()) for body in bodies]


def _require_stored(target: Target, answered: int, in_flight: int) -> None:
    rows = target.count("event_rows")
    if not answered <= rows <= answered + in_flight:
        raise BenchError(f"{rows} events are stored of {answered} answered")


def _commits(folder: Path) -> list[float]:
    files = folder.glob(f"*.{COMMITS}")  # each worker has its own
    return [
        each for file in files for each in msgspec.json.decode(file.read_bytes(), type=list[float])
    ]


def _waited(folder: Path, times: Sequence[float], seconds: int) -> Waited:
    ordered, commits = sorted(times), _commits(folder)
    return Waited(
        len(ordered),
        len(ordered) / seconds,
        median(ordered) * 1_000,
        ordered[len(ordered) * 99 // 100] * 1_000,
        len(commits),
        median(commits) * 1_000,
    )


def _middle(all_of: Sequence[Waited]) -> Waited:
    middle = {
        name: median(getattr(each, name) for each in all_of) for name in Waited.__struct_fields__
    }
    return msgspec.convert(
        {**middle, "requests": int(middle["requests"]), "commits": int(middle["commits"])}, Waited
    )
