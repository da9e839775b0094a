"""The results for people."""

from collections.abc import Callable, Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tests.bench.options import GATEWAY
from tests.bench.results import MEGABYTE, Design, Results, Size, SustainedDesign
from tests.bench.sustained import EVENTS

_PIPED_WIDTH = 100


def width(*, is_terminal: bool) -> int | None:
    """Return how wide to print: as the terminal is, or enough for the table in a pipe."""
    return None if is_terminal else _PIPED_WIDTH


def render(results: Results) -> Group:
    options = results.options
    journal = results.gateway.get("journal")
    lines = [
        f"{results.machine}; load average before: {results.machine.load_average}",
        f"load: {results.generator}; medians of {options.rounds} x {options.seconds} s; "
        f"journal: {_journal(journal)}",
    ]
    if options.settings:
        lines.append(f"gateway with {', '.join(options.settings)}")
    return Group(
        *map(Text, lines),
        Text(),
        *(part for size in results.sizes for part in _size(size)),
        *_sustained(results),
        _legend(),
        Text(),
        *_memory(results),
        Text(),
        _floors(results),
    )


def human(value: float | None) -> str:
    """Return a number with three figures, as in 304 k."""
    if value is None:
        return ""
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * factor:
            number = value / factor
            return f"{number:.{0 if number >= 99.95 else 1 if number >= 9.995 else 2}f} {unit}"
    return f"{value:.0f}"


def count(number: int) -> str:
    """Return a number of players, short: 10 k, not 10.0 k."""
    return f"{number // 1_000} k" if number % 1_000 == 0 and number else str(number)


def _journal(table: dict[str, object] | None) -> str:
    if table is None:
        return "none"
    return ", ".join(f"{key} = {value}" for key, value in table.items())


def _size(size: Size) -> Iterator[RenderableType]:
    yield _size_table(size)
    for each in size.designs:
        if each.design == GATEWAY and each.first is not None:
            yield Text(
                f"the first request of each of {each.players:,} players, whose token is not known "
                f"yet: {human(each.first.requests)}/s, {each.first.of_bare:.2f} of the bare "
                f"route's, {each.first.cpu_us:.0f} us of processor time\n"
            )


def _size_table(size: Size) -> Table:
    events = f"{size.events} event" + "s" * (size.events != 1)
    grid = _grid(f"{events} a request")
    grid.add_column("", overflow="fold", min_width=11)
    for name, *_ in _COLUMNS:
        grid.add_column(name, justify="right", no_wrap=True)
    most = max(each.players for each in size.designs)
    for design in size.designs:
        style = "bold" if design.design == GATEWAY and design.players == most else ""
        grid.add_row(design.design, *(show(design) for _, show, _ in _COLUMNS), style=style)
    for name, rate in (("SQLite", size.sqlite), ("executemany", size.executemany)):
        grid.add_row(name, "", "", "", human(rate), _ratio(rate / size.sqlite))
    return grid


def _legend() -> Text:
    words = [f"{name}: {meaning}" for name, _, meaning in _COLUMNS if meaning]
    return Text("; ".join([*words, "SQLite and executemany: bare inserts, no HTTP."]), "dim")


def _grid(title: str) -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, title=title, title_justify="left")


def _refused(design: Design | SustainedDesign) -> str:
    return f"{design.refused:.0%}"


def _latency(design: Design | SustainedDesign) -> str:
    return f"{design.p50_ms:.1f}/{design.p99_ms:.1f}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


_COLUMNS: tuple[tuple[str, Callable[[Design], str], str], ...] = (
    (
        "players",
        lambda each: count(each.players),
        "each request is another one's, and all are known to the gateway before",
    ),
    ("events/s", lambda each: human(each.accepted_events), "answered with 202"),
    ("of bare", lambda each: _ratio(each.of_bare), "of the bare route's rate"),
    ("durable/s", lambda each: human(each.durable_events), "and stored, drain included"),
    ("of SQL", lambda each: _ratio(each.of_sqlite), "durable/s of SQLite's"),
    ("loaded/s", lambda each: human(each.stored_events_under_load), "stored during the load"),
    ("503", _refused, "share of requests refused"),
    ("p50/p99 ms", _latency, ""),
    ("cpu us", lambda each: f"{each.cpu_us:.0f}", "processor time of the target a request"),
)
"""Heading, cell, and what it means. They fit into 85 characters."""


def _sustained(results: Results) -> Iterator[RenderableType]:
    if not results.sustained:
        return
    seconds = results.options.sustained_seconds
    grid = _grid(f"{EVENTS} events a request, the buffer full, {seconds} s")
    grid.add_column("")
    for name in _SUSTAINED:
        grid.add_column(name, justify="right")
    for each in results.sustained:
        grid.add_row(
            each.design,
            count(each.players),
            human(each.stored_events),
            _ratio(each.of_sqlite),
            _refused(each),
            _latency(each),
            f"{each.full:.0%}",
        )
    yield grid


_SUSTAINED = (" players", " stored/s", " of SQL", " 503", " p50/p99 ms", " full")


def _memory(results: Results) -> Iterator[Text]:
    for each in results.measured.memory:
        bytes_each = (each.peak - each.before) / each.buffered
        yield Text(
            f"{each.buffered:,} events buffered, {each.events} a request: peak "
            f"{each.peak / MEGABYTE:.0f} MB, {each.before / MEGABYTE:.0f} MB of it before the "
            f"first event, {bytes_each:.0f} bytes an event"
        )


def _floors(results: Results) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("floor")
    grid.add_column("measured", justify="right")
    grid.add_column("promised", justify="right")
    grid.add_column("")
    for floor in results.floors:
        sign = "<=" if floor.at_most else ">="
        kept = Text("kept", "green") if floor.kept else Text("MISSED", "bold red")
        value = f"{floor.value:,.2f}".removesuffix(".00")
        grid.add_row(floor.name, value, f"{sign} {floor.limit:g}", kept)
    return grid
