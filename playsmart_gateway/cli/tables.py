"""Tables for people: as wide as the terminal at most, and as wide as they are where there is none.

Where a terminal is too narrow, bars go first, then columns by their ``rank``, which are named under
the table; then texts are cut, which an ellipsis shows. A row is a line, so that a table can be read
and be searched. ``COLUMNS`` says how wide the terminal is to be taken for.
"""

import os
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import click
from rich.cells import cell_len, set_cell_size

from playsmart_gateway.cli.printing import Show, as_text, harmless, print_json, shown

BAR_WIDTH = 30
LONE_BAR_WIDTH = 40
"""Of one that stands beside nothing but its number."""

CELL_WIDTH = 60
"""Characters of a value of any kind: what somebody sent may be a book."""

LEAST_BAR = 5
LEAST_TEXT = 8
"""Characters of a text that are shown at least."""


class Column(NamedTuple):
    """A column: one with a ``rank`` may be missing, the largest first.

    Those above 1 go before a text is cut, that of 1 when cutting texts is not enough.
    """

    heading: str
    right: bool = False
    rank: int = 0
    whole: bool = False

    @property
    def is_cut(self) -> bool:
        """Whether its texts may be cut: a part of a number, or of an id, is worth nothing."""
        return not (self.right or self.whole)


class Row(NamedTuple):
    """Texts, the length of a bar behind them, and whether they stand out."""

    cells: Sequence[str]
    bar: float | None = None
    bold: bool = False


def numbers(*headings: str, rank: int = 0) -> list[Column]:
    """Return columns of numbers, which are never cut."""
    return [Column(heading, right=True, rank=rank) for heading in headings]


def terminal_width() -> int | None:
    """Return how many columns there are; None where nobody looks."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return os.get_terminal_size(sys.stdout.fileno()).columns if _is_terminal() else None


def print_table(
    columns: Sequence[Column], rows: Sequence[Row], show: Show = harmless, *, title: str = ""
) -> None:
    """Print rows under their headings; texts as ``show`` makes them."""
    rows = [Row([show(each) for each in row.cells], row.bar, row.bold) for row in rows]
    limit = terminal_width()
    kept, widths = _fitted(columns, rows, limit)
    signs = _signs()
    lengths = [row.bar or 0 for row in rows]
    room = BAR_WIDTH if limit is None else min(BAR_WIDTH, limit - _total(widths) - 1)
    scale = room / max(lengths, default=0) if any(lengths) and room >= LEAST_BAR else 0
    if title:
        click.secho(show(title), bold=True)
    _line([columns[place].heading for place in kept], columns, kept, widths, signs, bold=True)
    for row in rows:
        bar = signs.bar * max(1, round(scale * (row.bar or 0))) if scale and row.bar else ""
        cells = [row.cells[place] for place in kept]
        _line(cells, columns, kept, widths, signs, bold=row.bold, bar=bar)
    if missing := [each.heading for place, each in enumerate(columns) if place not in kept]:
        text = f"note: {limit} columns are too few for: {', '.join(missing)}"
        click.echo(f"{text}; --json has all", err=True)


def print_rows(names: Sequence[str], rows: Iterable[Sequence[Any]], *, raw: bool) -> None:
    """Print rows of any kind as a table; columns that hold only numbers are on the right."""
    listed = list(rows)
    columns = [
        Column(
            harmless(name),
            right=bool(listed) and all(isinstance(row[place], int | float) for row in listed),
            rank=min(place, 1),
        )
        for place, name in enumerate(names)
    ]
    cells = [Row([_cell(as_text(each)) for each in row]) for row in listed]
    print_table(columns, cells, shown(raw=raw))


def _cell(text: str) -> str:
    return text if len(text) <= CELL_WIDTH else f"{text[: CELL_WIDTH - 1]}{_signs().ellipsis}"


def print_bars(rows: Sequence[tuple[str, int]], show: Show) -> None:
    """Print numbers with their names and bars."""
    limit = terminal_width()
    texts = [(show(label), f"{count:,}", count) for label, count in rows]
    figures = max(len(figure) for _, figure, _ in texts)
    most = max(count for *_, count in texts)
    width = max(cell_len(label) for label, *_ in texts)
    if limit is not None:
        width = min(width, max(LEAST_TEXT, limit - figures - LEAST_BAR - 2))
    room = LONE_BAR_WIDTH if limit is None else min(LONE_BAR_WIDTH, limit - width - figures - 2)
    signs = _signs()
    for label, figure, count in texts:
        bar = signs.bar * max(1, round(room * count / most)) if room >= LEAST_BAR and most else ""
        text = f"{_cut(label, width, signs, right=True)} {figure:>{figures}} {bar}"
        click.echo(text.rstrip())


def print_terms(terms: Mapping[str, str], *, as_json: bool = False) -> None:
    """Print names, and beside each in full what it is; or all of it as JSON."""
    if as_json:
        print_json(terms)
        return
    width = max(map(len, terms))
    for name, about in terms.items():
        lines = folded(about, width + 2)
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {lines}")


def say_folded(lead: str, text: str) -> None:
    """Print a text behind ``lead``, its further lines below its beginning."""
    for line in f"{lead}{folded(harmless(text), cell_len(lead))}".splitlines():
        click.echo(line)


def folded(text: str, indent: int) -> str:
    """Return a text in lines that fit the terminal, each but the first behind so many blanks."""
    limit = terminal_width()
    if limit is None or limit - indent < 2 * LEAST_TEXT:
        return text
    wrapper = textwrap.TextWrapper(
        limit - indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
    return f"\n{' ' * indent}".join(wrapper.wrap(text))


class _Signs(NamedTuple):
    bar: str
    ellipsis: str


def _signs() -> _Signs:
    signs = _Signs("\u2588", "\u2026")
    try:
        "".join(signs).encode(sys.stdout.encoding or "ascii")
    except UnicodeError:
        return _Signs("#", "~")
    return signs


def _is_terminal() -> bool:
    try:
        return os.isatty(sys.stdout.fileno())
    except (OSError, ValueError):
        return False


def _total(widths: Iterable[int]) -> int:
    found = [*widths]
    return sum(found) + len(found) - 1


def _fitted(
    columns: Sequence[Column], rows: Sequence[Row], limit: int | None
) -> tuple[list[int], list[int]]:
    """Return which columns are shown, by their places, and how wide each is."""
    natural = [
        max([cell_len(column.heading), *(cell_len(row.cells[place]) for row in rows)])
        for place, column in enumerate(columns)
    ]
    kept = [*range(len(columns))]
    if limit is None:
        return kept, natural
    while _total(natural[place] for place in kept) > limit:
        least = [min(natural[each], LEAST_TEXT) for each in kept if columns[each].is_cut]
        fixed = [natural[each] for each in kept if not columns[each].is_cut]
        rank, last = max((columns[each].rank, each) for each in kept)
        if not rank or (_total(fixed + least) <= limit and rank < 2):
            break
        kept.remove(last)
    widths = [natural[place] for place in kept]
    while _total(widths) > limit:
        texts = [place for place, each in enumerate(kept) if columns[each].is_cut]
        widest = max(texts, key=widths.__getitem__, default=None)
        if widest is None or widths[widest] <= LEAST_TEXT:
            break
        widths[widest] -= 1
    return kept, widths


def _line(
    cells: Sequence[str],
    columns: Sequence[Column],
    kept: Sequence[int],
    widths: Sequence[int],
    signs: _Signs,
    *,
    bold: bool = False,
    bar: str = "",
) -> None:
    texts = [
        _cut(cell, width, signs, right=columns[place].right)
        for cell, place, width in zip(cells, kept, widths, strict=True)
    ]
    click.secho(" ".join([*texts, bar]).rstrip(), bold=bold)


def _cut(text: str, width: int, signs: _Signs, *, right: bool) -> str:
    missing = width - cell_len(text)
    if missing < 0:
        return set_cell_size(text, width - 1) + signs.ellipsis
    return " " * missing + text if right else text + " " * missing
