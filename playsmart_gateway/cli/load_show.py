"""How ``load`` shows what it does: a bar while it sends and counts, and the report in the end."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from playsmart_gateway.cli.harmless import harmless_json
from playsmart_gateway.cli.printing import say
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import (
    Baseline,
    Counts,
    Job,
    Progress,
    Report,
    Run,
    Verification,
    Workload,
    loop_factory,
    run_load,
    run_processes,
    table,
    verify,
)
from playsmart_gateway.load.bare import SECONDS as BARE_SECONDS
from playsmart_gateway.load.bare import bare_server, beside
from playsmart_gateway.load.html import page


def send_as_told(job: Job, workload: Workload, processes: int, *, beside_bare: bool) -> Run:
    """Run the load on a loop of its own. The first Ctrl-C ends it early, the second at once."""

    async def bare(stop: asyncio.Event, bar: Bar) -> Report:
        async with bare_server() as url:
            options = msgspec.structs.replace(
                job.options, url=url, duration_seconds=BARE_SECONDS, requests=None, rate=None,
                profile=None, ca=None, insecure=False,
            )  # fmt: skip
            return (await send(job._replace(options=options), "bare route", stop, bar)).report

    async def send(job: Job, name: str, stop: asyncio.Event, bar: Bar) -> Run:
        task = bar.add_task(name, total=1.0, rate=0.0, p99=0.0)

        def show(at: Progress) -> None:
            rate, p99 = at.requests_per_second, at.p99_seconds * 1e3
            bar.update(task, completed=at.done, rate=rate, p99=p99, refresh=True)

        if processes == 1:
            return await run_load(job.options, workload, job.token_for, stop=stop, on_progress=show)
        return await run_processes(
            job, processes, stop=stop, on_progress=show, say=lambda text: say(text, err=True)
        )

    async def both() -> Run:
        with _interruptible() as stop, _bar(_RATES) as bar:
            first = await bare(stop, bar) if beside_bare else None
            run = await send(job, "sending", stop, bar)
            return run if first is None else Run(beside(run.report, first), run.lanes)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(both())


_RATES = "{task.fields[rate]:,.0f} req/s  p99 {task.fields[p99]:,.1f} ms"


@contextlib.contextmanager
def _interruptible() -> Iterator[asyncio.Event]:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def interrupt() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        stop.set()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def count_stored(baseline: Baseline, workload: Workload, run: Run, timeout: float) -> Verification:
    """Count what is stored, for so many seconds at most."""
    with _bar("{task.completed:,} of {task.total:,} events stored") as bar:
        task = bar.add_task("verifying", total=run.report.events_acknowledged)

        def show(counts: Counts) -> None:
            bar.update(task, completed=counts.stored, total=counts.acknowledged, refresh=True)

        return verify(
            baseline, lambda: workload.tally(run.lanes), timeout_seconds=timeout, on_progress=show
        )


def _bar(figures: str) -> Bar:
    """Return a progress bar on standard error, which shows nothing unless that is a terminal.

    It is drawn only when told to: a thread that draws would take the interpreter away from the
    loop at any moment, and be measured as the gateway's latency.
    """
    console = Console(stderr=True)
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn(figures),
        console=console,
        auto_refresh=False,
        disable=not console.is_terminal,
    )


class Outputs(NamedTuple):
    """Where the report goes: as JSON to a file or out (``-``), and as a page."""

    json_file: str | None
    html_file: Path | None

    @classmethod
    def at(cls, json_file: str | None, html_file: Path | None) -> "Outputs":
        """Look whether files can be written there, before anything is sent.

        Raises:
            ConfigError: they cannot be.
        """
        named = {"--json": None if json_file in (None, "-") else Path(json_file or "")}
        for option, file in {**named, "--html": html_file}.items():
            if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
                raise ConfigError([f"{option}: {file} cannot be written: there is no such folder"])
        return cls(json_file, html_file)

    def write(self, report: Report) -> None:
        """Write it, and print a table unless JSON is printed."""
        text = harmless_json(msgspec.json.format(msgspec.json.encode(report), indent=2))
        if self.json_file == "-":
            click.echo(text)
        else:
            Console(highlight=False).print(table(report))
        if self.json_file not in (None, "-"):
            _write(Path(self.json_file or ""), text + b"\n")
        if self.html_file is not None:
            _write(self.html_file, page(report).encode())
        if report.requests_sent and not report.responses_2xx:
            click.echo("Nothing was accepted; the answers above say why.", err=True)
        if report.verify is not None and report.verify.problem:
            say(f"error: {report.verify.problem}", err=True)


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise click.ClickException(f"cannot write {file}: {error.strerror}") from error
    say(f"written: {file}", err=True)
