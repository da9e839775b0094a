"""``report``: what players did, period by period, and what events say in a property."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import click
import msgspec

from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.known import NO_RUNS, tell_unknown
from playsmart_gateway.cli.printing import print_csv, print_json, raw_option, say
from playsmart_gateway.cli.tables import print_rows
from playsmart_gateway.cli.times import Day, Instant, Zone, days_between
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.lake.job import job_for
from playsmart_gateway.questions.answers import RETAINED, Answer, ReportAnswer, ValuesAnswer
from playsmart_gateway.questions.asked import MEANINGS, PeriodName, Report, Values
from playsmart_gateway.questions.process import Question, answer

WEEKS_SHOWN = 4
CUSTOM = "Custom"
Table = tuple[Sequence[str], Iterable[Sequence[Any]]]
"""Headings, and rows."""


def _share(part: float, whole: float) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def _mean(amount: float, count: int) -> float | None:
    return round(amount / count, 4) if count else None


def _money(revenue: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:,.2f} {currency}" for currency, amount in revenue.items())


def _amounts(revenue: Mapping[str, float], currencies: Iterable[str]) -> Iterator[float]:
    return (round(revenue.get(one, 0.0), 2) for one in currencies)


def _overview(found: ReportAnswer) -> Table:
    names = ("from", "players", "new", "sessions", "ads", "purchases", "payers", "revenue")
    return names, (
        (
            getattr(each, "start", "all"), each.players, each.new_players, each.sessions, each.ads,
            each.purchases, each.payers, _money(each.revenue),
        )
        for each in (*found.periods, found.total)
    )  # fmt: skip


def _revenue(found: ReportAnswer) -> Table:
    currencies = [*found.total.revenue]
    names = ["from", *currencies, "purchases", "unpriced", "payers", "conversion %"]
    names += [f"{currency} a player" for currency in currencies]
    return names, (
        (
            getattr(each, "start", "all"), *_amounts(each.revenue, currencies),
            each.purchases, each.unpriced, each.payers, _share(each.payers, each.players),
            *(_mean(each.revenue.get(one, 0.0), each.players) for one in currencies),
        )
        for each in (*found.periods, found.total)
    )  # fmt: skip


def _groups(meaning: str) -> Callable[[ReportAnswer], Table]:
    def table(found: ReportAnswer) -> Table:
        currencies = [*found.total.revenue]
        return [meaning, *currencies, "purchases", "payers"], (
            (
                each.value, *_amounts(each.revenue, currencies), each.purchases,
                each.payers,
            )
            for each in found.groups
            if each.meaning == meaning
        )  # fmt: skip

    return table


def _retention(found: ReportAnswer) -> Table:
    names = ("from", "new", *(f"D{days} %" for days in RETAINED))
    return names, (
        (each.start, each.players, *(_share(came, of) for of, came in each.back))
        for each in found.cohorts
        if each.players
    )


def _active(found: ReportAnswer) -> Table:
    return ("day", "DAU", "WAU", "MAU", "stickiness %"), (
        (
            each.day, each.players_day, each.players_week, each.players_month,
            _share(each.players_day, each.players_month),
        )
        for each in found.active
    )  # fmt: skip


def _levels(found: ReportAnswer) -> Table:
    def rows() -> Iterator[Sequence[Any]]:
        before = 0
        for each in found.levels:
            # More may complete a level than the one before: who played that one earlier.
            lost = max(before - each.players, 0)
            yield (
                each.level, each.players, _share(lost, before), each.attempts,
                _share(each.failures, each.attempts), _mean(each.seconds, each.timed),
                "stands out" if each.stands_out else "",
            )  # fmt: skip
            before = each.players

    head = "level", "players", "drop-off %", "attempts", "failed %", "mean seconds", "difficulty"
    return head, rows()


def _names(found: ReportAnswer) -> Table:
    return ("type", "name", "events"), ((each.type, each.name, each.events) for each in found.names)


def _versions(found: ReportAnswer) -> Table:
    return ("app version", "platform", "events", "lost", "lost %"), (
        (each.app_version, each.platform, each.events, each.lost, _share(each.lost, each.events))
        for each in found.versions
    )


WHAT: dict[str, Callable[[ReportAnswer], Table]] = {
    "overview": _overview, "revenue": _revenue, **{each: _groups(each) for each in MEANINGS},
    "retention": _retention, "active": _active, "levels": _levels, "names": _names,
    "versions": _versions,
}  # fmt: skip


def _values(found: ValuesAnswer, asked: Values) -> Table:
    beside = [f"{asked.beside} {_said(each)}" for each in found.beside]
    return [asked.property, "events", "players", "before", *beside], (
        (_said(each.value), each.events, each.players, each.before, *each.beside)
        for each in found.rows
    )


def _said(value: str | None) -> str:
    return "(nothing)" if value is None else value


@click.command("report")
@config_option
@click.option("--game", help="Only of this game (or app).")
@click.option(
    "--period", type=click.Choice(get_args(PeriodName)), default="day", show_default=True,
    help="How long each row is.",
)  # fmt: skip
@click.option(
    "--from", "first", type=Day(),
    help="The first day: 2026-04-22, yesterday, 7d (ago); else 4 weeks ago.",
)  # fmt: skip
@click.option("--to", "last", type=Day(), help="The last day, said likewise; else today.")
@click.option("--since", type=Instant(), help="The time whose day is the first: 24h, 7d (ago).")
@click.option("--until", type=Instant(), help="The time before which the last day is.")
@click.option("--zone", type=Zone(), default="UTC", show_default=True, help="Whose days are meant.")
@click.option("--happened", is_flag=True, help="By when things happened, not when they came.")
@click.option(
    "--where", multiple=True, metavar="NAME=VALUE",
    help="Only players of this platform, app_version or country; or events that say this.",
)  # fmt: skip
@click.option(
    "--what", type=click.Choice([*WHAT]), default="overview", show_default=True,
    help="Which table; that of revenue by country is called country.",
)  # fmt: skip
@click.option(
    "--property", "said", help="What events say in this property, in the place of a table."
)
@click.option("--beside", help="And in this one, a column for each value.")
@click.option("--type", "event_type", help="Only events of this type, with --property.")
@click.option("--name", help="Only custom events of this name, with --property.")
@raw_option
@click.option("--csv", "as_csv", is_flag=True, help="Print the table as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print all of the answer as JSON.")
def report_command(
    config_path: Path | None,
    what: str,
    *,
    raw: bool,
    as_csv: bool,
    as_json: bool,
    **told: Any,
) -> None:
    """Print what players did by day, week or month, or what events say in a property.

    Days of UTC, by when things came, are read from sums, which a gateway keeps; those of another
    zone, by when things happened, or of some, are counted event by event, as properties are: in the
    lake, if there is one, and what is stored behind it. --json has all that the page has, and the
    same of as long a time before.
    """
    if as_csv and as_json:
        raise click.UsageError("say one of --csv and --json")
    asked = _asked(**told)
    config = read_config(config_path)
    job = job_for(config)
    question = Question(
        config.storage.database_url, asked, lake_url=None if job is None else job.lake_url
    )
    found = run_async(_answer(question))
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    if isinstance(asked, Values):
        assert isinstance(found, ValuesAnswer)
        names, rows = _values(found, asked)
    else:
        assert isinstance(found, ReportAnswer)
        names, rows = WHAT[what](found)
    (print_csv if as_csv else print_rows)(names, rows, raw=raw)
    if isinstance(found, ValuesAnswer) and (numbers := found.numbers) is not None:
        middle = f"mean {numbers.mean:,.6g}, median {numbers.median:,.6g}"
        say(f"numbers: {middle}, {numbers.least:,.6g} to {numbers.most:,.6g}", err=True)
    if isinstance(found, ReportAnswer) and what == "versions" and not found.versions:
        known = "only by days of UTC, by when things came, of all players"
        say(NO_RUNS if found.source == "sums" else f"what never arrived is known {known}", err=True)
    rest = "" if found.complete else "; there is more, and time ended first"
    say(f"counted up to {found.counted_up_to or 'nothing yet'}{rest}", err=True)
    if isinstance(found, ReportAnswer) and not found.total.players:
        tell_unknown(config, game=asked.game)


def _asked(
    *, first: date | None, last: date | None, since: datetime | None, until: datetime | None,
    happened: bool, where: Sequence[str], said: str | None, beside: str | None,
    event_type: str | None, name: str | None, **span: Any,
) -> Report | Values:  # fmt: skip
    """Return what is asked.

    Raises:
        UsageError: it contradicts itself.
    """
    zone = ZoneInfo(span["zone"])
    begins, ends = days_between(zone, first, last, since, until)
    ends = ends or datetime.now(zone).date()
    begins = begins or ends - timedelta(weeks=WEEKS_SHOWN) + timedelta(days=1)
    span |= {
        "first": begins, "last": ends, "by": "happened" if happened else "received",
        "where": dict(_pair(each) for each in where),
    }  # fmt: skip
    mark = None
    if event_type is not None or name is not None:
        mark = {"type": event_type or CUSTOM, "name": name}
    try:
        if said is not None:
            span |= {"type": "values", "property": said, "beside": beside, "mark": mark}
            return msgspec.convert(span, Values)
        if beside is not None or mark is not None:
            raise click.UsageError("--beside, --type and --name go with --property")
        return msgspec.convert({**span, "type": "report"}, Report)
    except msgspec.ValidationError as error:
        raise ConfigError([f"{error}"]) from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise click.UsageError("--where: must be NAME=VALUE")
    return name, value


async def _answer(question: Question) -> Answer:
    if question.lake_url is None:
        return await answer(question)
    from playsmart_gateway.lake.answering import answer_from_lake  # what it needs is there now

    return await answer_from_lake(question)
