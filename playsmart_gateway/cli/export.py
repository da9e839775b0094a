"""``export``: stored events as files."""

import asyncio
import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast, get_args

import click
import msgspec

from playsmart_gateway.cli.common import config_option, read_config, until_ctrl_c
from playsmart_gateway.cli.filters import filter_options
from playsmart_gateway.cli.formats import (
    Exported,
    Format,
    Writer,
    export_events,
    open_writer,
    whole_file,
)
from playsmart_gateway.cli.printing import print_json, progress_bar, raw_option, say
from playsmart_gateway.stores.models import EventFilter
from playsmart_gateway.stores.open import open_store

STANDARD_OUTPUT = Path("-")
_SUFFIXES: dict[str, Format] = {".csv": "csv", ".parquet": "parquet"}


@click.command("export")
@config_option
@click.option(
    "--format",
    "kind",
    type=click.Choice(get_args(Format)),
    help="How to write them; without, the output's suffix says, or else it is ndjson.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=STANDARD_OUTPUT,
    help="File that is there once it is whole; - is standard output (the default).",
)
@click.option(
    "--after", type=click.IntRange(0, 2**62), default=0, help="Begin behind this event_id."
)
@filter_options
@raw_option
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_context
def export_command(
    context: click.Context,
    config_path: Path | None,
    kind: Format | None,
    output: Path,
    after: int,
    wanted: EventFilter,
    raw: bool,
    as_json: bool,
) -> None:
    """Write stored events to a file, beside a running gateway or without one.

    Every event of the range is looked at, as there is no index by player, game or type. Ctrl-C ends
    the export early: what is written is whole up to the event_id that is printed at the end, and
    --after continues there. Exit code 1 then.

    In CSV, control characters are written as the escapes of JSON, and a text that a spreadsheet
    would calculate gets a ' in front, unless --raw is given. In NDJSON no value changes.
    """
    kind = kind or _SUFFIXES.get(output.suffix, "ndjson")
    to_file = output != STANDARD_OUTPUT
    if kind == "parquet" and not to_file:
        raise click.BadParameter("Parquet needs a file", param_hint="--output")
    url = read_config(config_path).storage.database_url
    with _opened(output) as file:
        writer = open_writer(kind, file, raw=raw)
        exported = asyncio.run(_export(url, writer, wanted, after))
    if as_json:
        print_json(msgspec.structs.asdict(exported), err=not to_file)
    else:
        state = "exported" if exported.complete else "interrupted after"
        text = f"{state} {exported.events:,} events; to go on, --after {exported.cursor}"
        say(text, err=not to_file)
    context.exit(0 if exported.complete else 1)


@contextlib.contextmanager
def _opened(output: Path) -> Iterator[IO[bytes]]:
    if output == STANDARD_OUTPUT:
        # Unbuffered, Python's own would write a part and forget the rest when a signal comes.
        file = io.BufferedWriter(cast(io.RawIOBase, sys.stdout.buffer))
        try:
            yield file
        finally:
            file.detach()
    else:
        with whole_file(output) as aside:
            yield aside


async def _export(url: str, writer: Writer, wanted: EventFilter, after: int) -> Exported:
    with until_ctrl_c() as stop, progress_bar() as bar:
        task = bar.add_task("export", total=None)
        async with open_store(url).reader() as reader:
            return await export_events(
                reader,
                writer,
                wanted,
                after=after,
                stopped=stop.is_set,
                on_progress=lambda position, end: bar.update(
                    task, completed=position - after, total=end - after
                ),
            )
