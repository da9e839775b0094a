"""``stats --loss``: which numbers of runs never came, by game, app version, platform and day."""

import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import click

from playsmart_gateway.cli.printing import Show
from playsmart_gateway.cli.tables import Column, Row, numbers, print_table
from playsmart_gateway.stores.losses import QUIET_SECONDS, Loss, Losses
from playsmart_gateway.stores.models import EventFilter
from playsmart_gateway.stores.open import open_store

RUNS_PER_READ = 50_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Sum(NamedTuple):
    runs: int = 0
    numbers: int = 0
    lost: int = 0


async def read_losses(url: str, wanted: EventFilter) -> list[Loss]:
    """Return what was lost of a game, or of all, on whole days; in order.

    Days are those that begin at ``since`` or later and before ``until``.
    """
    before = int((time.time() - QUIET_SECONDS) * 1_000_000)
    losses = Losses()
    position: bytes | None = b""
    async with open_store(url, migrates=False).reader() as reader:
        while position is not None:
            page = await reader.losses(before, after=position, limit=RUNS_PER_READ)
            losses.add(each for each in page.losses if _is_wanted(each, wanted))
            position = page.position
    return losses.all()


def losses_as_json(found: Sequence[Loss]) -> dict[str, Any]:
    """Return them for machines."""
    return {
        "numbers": sum(each.numbers for each in found),
        "lost": sum(each.lost for each in found),
        "losses": [{**each._asdict(), "day": _date(each.day)} for each in found],
    }


def print_losses(found: Sequence[Loss], show: Show) -> None:
    """Print a table for the versions of each game, the largest loss first, and one for the days."""
    programs: defaultdict[tuple[str, ...], _Sum] = defaultdict(_Sum)
    days: defaultdict[tuple[str, ...], _Sum] = defaultdict(_Sum)
    for each in found:
        for sums, key in (
            (programs, (each.game_id, each.app_version, each.platform)),
            (days, (_date(each.day),)),
        ):
            runs, count, lost = sums[key]
            sums[key] = _Sum(runs + each.runs, count + each.numbers, lost + each.lost)
    by_loss = sorted(programs.items(), key=lambda each: (-each[1].lost, each[0]))
    _print([Column("game"), Column("app version"), Column("platform", rank=1)], by_loss, show)
    click.echo()
    _print([Column("day")], sorted(days.items()), show)
    count, lost = (sum(getattr(each, name) for each in found) for name in ("numbers", "lost"))
    click.echo(f"\n{lost:,} of {count:,} events never arrived: {_share(lost, count)}")


def _is_wanted(loss: Loss, wanted: EventFilter) -> bool:
    begins = f"{_date(loss.day)}T00:00:00.000000Z"
    return (
        wanted.game_id in (None, loss.game_id)
        and (wanted.since is None or begins >= wanted.since)
        and (wanted.until is None or begins < wanted.until)
    )


def _date(day: int) -> str:
    return f"{_EPOCH + timedelta(days=day):%Y-%m-%d}"


def _share(lost: int, numbers: int) -> str:
    return f"{100 * lost / numbers:.2f} %"


def _print(
    columns: Sequence[Column], sums: Sequence[tuple[tuple[str, ...], _Sum]], show: Show
) -> None:
    rows = [
        Row([*key, *(f"{number:,}" for number in each), _share(each.lost, each.numbers)])
        for key, each in sums
    ]
    figures = [*numbers("runs", rank=2), *numbers("events", "never arrived", "share")]
    print_table([*columns, *figures], rows, show)
