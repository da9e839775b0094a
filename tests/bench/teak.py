"""``make bench ARGS=--teak``: Teak's batches beside PlaySmart's, and what a refusal costs.

Both send 100 events a request through the same journal, buffer and store, in turns, with limits
lifted. Then the same batches run into a limit of one request a second.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import httpx
import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench.generators import CONNECTIONS, BenchError, Load, Wrk, generator
from tests.bench.processes import Target
from tests.bench.requests import PATH, PLAYERS, Request, requests
from tests.bench.table import human

EVENTS = 100
BATCH = "/v2/analytics_events/batch"
APP = {"game_id": "bench", "secret_key": "a secret of the benchmark"}
APPS = f'teak.apps=[{{id="{APP["game_id"]}",secret_key="{APP["secret_key"]}"}}]'
UNLIMITED = "teak.limits={analytics_events=0,batch=0,identify=0,player_properties=0}"
LIMITED = "teak.limits={analytics_events=0,batch=1,identify=0,player_properties=0}"


class Measure(msgspec.Struct):
    """Medians; ``cpu_us`` is the target's processor time for each answer, in microseconds."""

    requests: float
    cpu_us: float
    durable_events: float | None = None


class TeakResults(msgspec.Struct):
    """``of_playsmart`` compares durable events, ``refusal_cost`` the processor time of a 429."""

    playsmart: Measure
    teak: Measure
    refused: Measure
    of_playsmart: float
    refusal_cost: float


def measure(rounds: int, seconds: int) -> TeakResults:
    """Measure ``rounds`` times, ``seconds`` each.

    Raises:
        BenchError: something cannot be measured here, or an accepted event is not stored.
    """
    wrk = generator("wrk")
    assert isinstance(wrk, Wrk)
    found: dict[str, list[Measure]] = {"playsmart": [], "teak": [], "refused": []}
    for _ in range(rounds):
        found["playsmart"].append(_run(wrk, seconds, PATH, requests(EVENTS), UNLIMITED))
        found["teak"].append(_run(wrk, seconds, BATCH, _batches(), UNLIMITED))
        found["refused"].append(_run(wrk, seconds, BATCH, _batches(), LIMITED))
    middle = {name: _middle(each) for name, each in found.items()}
    ratios = [
        (teak.durable_events or 0) / (playsmart.durable_events or 1)
        for teak, playsmart in zip(found["teak"], found["playsmart"], strict=True)
    ]
    costs = [
        refused.cpu_us / teak.cpu_us
        for refused, teak in zip(found["refused"], found["teak"], strict=True)
    ]
    return TeakResults(**middle, of_playsmart=median(ratios), refusal_cost=median(costs))


def render(results: TeakResults) -> Table:
    """Return the results for people."""
    table = Table("", "requests/s", "durable events/s", "cpu us", box=None)
    for name in ("playsmart", "teak", "refused"):
        each: Measure = getattr(results, name)
        table.add_row(name, human(each.requests), human(each.durable_events), f"{each.cpu_us:.0f}")
    table.caption = (
        f"{EVENTS} events a request; teak durable of playsmart {results.of_playsmart:.2f}; "
        f"a 429 costs {results.refusal_cost:.2f} of an accepted batch"
    )
    return table


def main(rounds: int, seconds: int, *, as_json: bool) -> bool:
    """Measure and print; there is no floor to keep."""
    results = measure(rounds, seconds)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(results)).decode())
    else:
        Console().print(render(results))
    return True


def _run(wrk: Wrk, seconds: int, path: str, sent: Sequence[Request], limits: str) -> Measure:
    with (
        tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder,
        Target("gateway", Path(folder), (APPS, limits)) as target,
    ):
        if path == BATCH:
            _identify(target.port)
        before, started = target.cpu_seconds(), time.monotonic()
        load = wrk.run(target.port, sent, seconds, path)
        cpu_us = (target.cpu_seconds() - before) / load.answered * 1e6
        if limits == LIMITED:
            target.stop()
            return Measure(load.refused / load.seconds, cpu_us)
        drained = target.drain()
        rows = target.count("event_rows") - (2 * PLAYERS if path == BATCH else 0)
    return Measure(load.accepted / load.seconds, cpu_us, _stored(load, rows) / (drained - started))


def _stored(load: Load, rows: int) -> int:
    acknowledged = load.accepted * EVENTS
    if not acknowledged <= rows <= acknowledged + CONNECTIONS * EVENTS:
        raise BenchError(f"{rows} events are stored of {acknowledged} acknowledged")
    return acknowledged


def _identify(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for number in range(PLAYERS):
            sent = {**APP, "user_id": f"player-{number}", "country_code": "DE"}
            client.post("/v2/identify", json=sent).raise_for_status()


def _batches() -> list[Request]:
    """Return requests of the worked example, each with events of all the players."""
    events = [
        {
            "user_id": f"player-{number % PLAYERS}",
            "action_type": "spin",
            "object_type": "Mr. Bling Bling's Slots",
            "object_instance_id": "bet_5000",
            "event_count": 10,
            "value": 50_000,
            "sum_of_squares": 250_000_000,
            "country_code": "US",
        }
        for number in range(EVENTS)
    ]
    return [Request("", "none", json.dumps({**APP, "events": events}).encode())]


def _middle(measures: Sequence[Measure]) -> Measure:
    durable = [each.durable_events for each in measures if each.durable_events is not None]
    return Measure(
        median(each.requests for each in measures),
        median(each.cpu_us for each in measures),
        median(durable) if durable else None,
    )
