"""``export``: stored events as files."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast, get_args

import click
import msgspec

from playsmart_gateway.cli.common import config_option, read_config, run_async, until_ctrl_c
from playsmart_gateway.cli.filters import filter_options
from playsmart_gateway.cli.formats import (
    Exported,
    Format,
    Writer,
    export_events,
    open_writer,
    whole_file,
)
from playsmart_gateway.cli.known import tell_unknown
from playsmart_gateway.cli.printing import print_json, progress_bar, raw_option, say
from playsmart_gateway.stores.models import EventFilter
from playsmart_gateway.stores.open import open_store

STANDARD_OUTPUT = Path("-")
_SUFFIXES: dict[str, Format] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".csv": "csv",
    ".parquet": "parquet",
}
_COMPRESSED = (".bz2", ".gz", ".xz", ".zip", ".zst")


@click.command("export")
@config_option
@click.option(
    "--format",
    "kind",
    type=click.Choice(get_args(Format)),
    help="How to write them; without, the ending of --output says, or else it is ndjson.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=STANDARD_OUTPUT,
    help="File that is there once it is whole, ending in .ndjson, .jsonl, .csv or .parquet; - is "
    "standard output (the default).",
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

    A terminal is shown the progress and told what was written. Events that go to standard output
    go there alone.

    In CSV, control characters are written as the escapes of JSON, and a text that a spreadsheet
    would calculate gets a ' in front, unless --raw is given. In NDJSON no value changes.
    """
    to_file = output != STANDARD_OUTPUT
    kind = _format_of(output, kind) if to_file else kind or "ndjson"
    if kind == "parquet" and not to_file:
        raise click.BadParameter("Parquet needs a file", param_hint="--output")
    config = read_config(config_path)
    with _opened(output) as file:
        writer = open_writer(kind, file, raw=raw)
        quiet = not to_file and sys.stdout.isatty()  # events are progress enough
        url = config.storage.database_url
        exported = run_async(_export(url, writer, wanted, after, quiet=quiet))
        size = file.tell() if to_file else None
    if as_json:
        told = {"file": f"{output}", "bytes": size} if to_file else {}
        print_json({**msgspec.structs.asdict(exported), **told}, err=not to_file)
    elif to_file or sys.stderr.isatty() or not exported.complete:
        state = "exported" if exported.complete else "interrupted after"
        where = f", {size:,} bytes, to {output}" if to_file else ""
        text = f"{state} {exported.events:,} events{where}; to go on, --after {exported.cursor}"
        say(text, err=not to_file)
    if not exported.events and not after:
        tell_unknown(config, game=wanted.game_id, kind=wanted.type, name=wanted.custom_event_name)
    context.exit(0 if exported.complete else 1)


def _format_of(output: Path, kind: Format | None) -> Format:
    """Return the format that the name of a file says, unless it is said otherwise.

    Raises:
        click.BadParameter: the name says none, or another one.
    """
    ending = output.suffix.lower()
    said = _SUFFIXES.get(ending)
    problem = None
    if ending in _COMPRESSED:
        problem = f"nothing is compressed here, so {ending} would be wrong; write it to a pipe"
        problem += ", export --format csv | gzip > events.csv.gz, or as .parquet"
    elif kind is not None and said not in (None, kind):
        problem = f"{output.name} ends as {said} does, and --format says {kind}"
    elif kind is None and said is None and ending:
        problem = f"{ending} is no ending of a format: take {', '.join(_SUFFIXES)}, or say --format"
    if problem is not None:
        raise click.BadParameter(problem, param_hint="--output")
    return kind or said or "ndjson"


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


async def _export(
    url: str, writer: Writer, wanted: EventFilter, after: int, *, quiet: bool
) -> Exported:
    with until_ctrl_c() as stop, progress_bar(quiet=quiet) as bar:
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
