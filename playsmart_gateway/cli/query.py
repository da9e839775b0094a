"""``query``: a question in SQL to the lake and to what is not in it yet."""

import contextlib
import math
import os
import resource
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from playsmart_gateway.cli.arguments import Seconds
from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.formats import whole_file
from playsmart_gateway.cli.lake import required_job
from playsmart_gateway.cli.printing import (
    print_csv,
    print_json,
    raw_option,
    say,
)
from playsmart_gateway.cli.tables import print_rows as print_as_table
from playsmart_gateway.lake.job import Job
from playsmart_gateway.stores.open import open_store

if TYPE_CHECKING:
    from playsmart_gateway.lake.query import Answer

MEMORY_MIB = 1_024
SPARE_BYTES = 4_294_967_296
"""Of addresses, beside the memory that DuckDB may have: what goes beyond is no question."""

GRACE_SECONDS = 2.0


def _require_ending(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() != ".parquet":
        raise click.BadParameter(f"{path.name} must end in .parquet")
    return path


@click.command("query")
@click.argument("sql")
@config_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
@click.option(
    "--parquet",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_require_ending,
    help="Write a Parquet file, which ends in .parquet and is there once it is whole.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000_000),
    default=10_000,
    show_default=True,
    help="Rows of the answer.",
)
@click.option(
    "--timeout",
    "seconds",
    type=Seconds(0.1, 86_400),
    default=30.0,
    show_default=True,
    help="Seconds that it may take.",
)
@click.option(
    "--memory",
    type=click.IntRange(64, 1_048_576),
    default=MEMORY_MIB,
    show_default=True,
    help="MiB that it may need.",
)
@raw_option
def query_command(
    sql: str,
    config_path: Path | None,
    as_csv: bool,
    as_json: bool,
    parquet: Path | None,
    limit: int,
    seconds: float,
    memory: int,
    raw: bool,
) -> None:
    """Ask all events in SQL: one SELECT of DuckDB from the view `events`.

    It sees the files of the lake and, behind them, what is stored and not in them yet. Properties
    of events are columns with a p_ in front, as p_level; what is none of them is in customdata. The
    views of the store (v_daily, v_purchases and others) are there too. It cannot write, and opens
    no other file. Beside the answer it is told on standard error up to which event was asked.

    Exit code 1: the question is refused or wrong, or goes beyond a limit.
    """
    if as_csv + as_json + (parquet is not None) > 1:
        raise click.UsageError("say one of --csv, --json and --parquet")
    job = required_job(read_config(config_path))
    with _never_more_than(memory, seconds):
        answer = run_async(_ask(job, sql, seconds, limit, memory))
    if parquet is not None:
        import pyarrow.parquet

        with whole_file(parquet) as file:
            pyarrow.parquet.write_table(answer.table, file, compression="zstd")
    elif as_json:
        _print_json(answer)
    else:
        print_rows = print_csv if as_csv else print_as_table
        print_rows(answer.table.column_names, _rows(answer), raw=raw)
    if not answer.is_whole:
        say(f"note: these are the first {limit:,} rows; there are more (--limit)", err=True)
    behind = "" if answer.position == answer.end else f" of {answer.end:,}: the lake is behind"
    say(f"counted up to event {answer.position:,}{behind}", err=True)


async def _ask(job: Job, sql: str, seconds: float, rows: int, memory: int) -> "Answer":
    from playsmart_gateway.lake.place import open_place
    from playsmart_gateway.lake.query import Limits, ask

    limits = Limits(seconds, rows, f"{memory}MiB")
    async with open_store(job.database_url).reader() as reader:
        return await ask(open_place(job.lake_url), reader, sql, limits)


@contextlib.contextmanager
def _never_more_than(memory: int, seconds: float) -> Iterator[None]:
    """End this process where DuckDB does not heed its limits, as in one call of a function."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = memory * 2**20 + SPARE_BYTES
    if before[0] == resource.RLIM_INFINITY or before[0] > most:
        resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    timer = threading.Timer(seconds + GRACE_SECONDS, _end, [seconds])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        resource.setrlimit(resource.RLIMIT_AS, before)


def _end(seconds: float) -> None:
    say(f"error: it took longer than {seconds:g} s", err=True)
    sys.stderr.flush()
    os._exit(1)


def _rows(answer: "Answer") -> Iterator[list[Any]]:
    for batch in answer.table.to_batches(max_chunksize=1_000):
        for row in batch.to_pylist():
            yield [_plain(each) for each in row.values()]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; sums of whole numbers are decimals, and stay whole."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if value.tzinfo else str(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return str(value)


def _print_json(answer: "Answer") -> None:
    print_json(
        {
            "columns": answer.table.column_names,
            "rows": list(_rows(answer)),
            "is_whole": answer.is_whole,
            "counted_up_to": answer.position,
            "stored_up_to": answer.end,
        }
    )
