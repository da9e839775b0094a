"""What a run measured, as data and as a table."""

from collections.abc import Container

import msgspec
from rich.table import Table
from rich.text import Text

from playsmart_gateway.load.histogram import Histogram
from playsmart_gateway.load.repeats import Retried
from playsmart_gateway.load.response import Response
from playsmart_gateway.load.schedule import Profile, Schedule
from playsmart_gateway.load.timeline import Timeline
from playsmart_gateway.load.verify import Verification

_MAX_CODE_CHARACTERS = 40
_MAX_REFUSALS = 100


class Latency(msgspec.Struct, frozen=True):
    """Latencies of all requests in milliseconds, those that were refused or given up included."""

    p50: float
    p90: float
    p95: float
    p99: float
    p99_9: float
    max: float
    mean: float

    @classmethod
    def of(cls, histogram: Histogram) -> "Latency":
        """Read the percentiles off a histogram of seconds."""
        shares = [histogram.percentile(percent) for percent in (50, 90, 95, 99, 99.9)]
        return cls(*(round(each * 1e3, 4) for each in (*shares, histogram.max, histogram.mean)))


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in some seconds of a run; rates are requests a second, latencies milliseconds.

    ``wanted`` is the rate at which requests were due; null if each waits for an answer.
    """

    at_seconds: int
    wanted: float | None
    sent: float
    acknowledged: float
    events: float
    p50: float
    p95: float
    p99: float
    refused: dict[str, int]
    errors: dict[str, int]


class Broke(msgspec.Struct, frozen=True):
    """Where a ramp broke: at which rate that was wanted, and why (``refusals`` or ``latency``).

    ``held`` is the highest rate that was acknowledged in a whole second before.
    """

    at_seconds: int
    wanted: float
    held: float
    why: str


class Bare(msgspec.Struct, frozen=True, kw_only=True):
    """What a bare route on this machine did with the same requests, milliseconds for ``p99``.

    ``ratio`` is the gateway's requests a second (of a ramp: what it held) to those of the bare
    route, ``usual`` what ``manual/performance.md`` has for as many events a request.
    """

    requests_per_second: float
    p99: float
    ratio: float
    usual: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one run; its field names are those of ``--json``.

    ``refused`` counts answers other than 2xx by status and error code, ``errors`` everything that
    ended without an answer by kind, connection attempts included. ``unknown`` requests were sent
    and never answered. ``never_sent`` ones were due and found no connection before the end. Rates
    are of answered requests and acknowledged events. Of ``processes`` some may be lost: of what
    they sent nothing is known. ``timeline`` has a moment every ``timeline_seconds``.
    """

    requests_sent: int
    responses_2xx: int
    refused: dict[str, int]
    errors: dict[str, int]
    unknown: int
    events_sent: int
    events_acknowledged: int
    duration_seconds: float
    requests_per_second: float
    events_per_second: float
    latency_ms: Latency
    never_sent: int
    interrupted: bool
    verify: Verification | None = None
    profile: str | None = None
    processes: int = 1
    lost_processes: int = 0
    timeline_seconds: int = 1
    timeline: list[Moment] = []
    broke: Broke | None = None
    bare: Bare | None = None


class _ErrorBody(msgspec.Struct):
    code: str


class _Envelope(msgspec.Struct):
    error: _ErrorBody


_decoder = msgspec.json.Decoder(_Envelope)


def refusal(response: Response, known: Container[str]) -> str:
    """Name an answer other than 2xx, as in ``503 UNAVAILABLE``, or ``503`` when it has no code.

    A server that invents codes does not fill the memory: past a hundred names only those ``known``
    are used.
    """
    try:
        code = _decoder.decode(response.body).error.code[:_MAX_CODE_CHARACTERS]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return str(response.status)
    name = f"{response.status} {code}"
    full = isinstance(known, dict) and len(known) >= _MAX_REFUSALS
    return str(response.status) if full and name not in known else name


def told(timeline: Timeline, schedule: Schedule | None, seconds: float) -> list[Moment]:
    """Return a timeline as people and programs read it; ``seconds`` is for how long was sent."""
    step, moments = timeline.seconds, []
    for place, each in enumerate(timeline.stretches):
        wanted = None
        if schedule is not None:
            end = min((place + 1) * step, seconds)
            due = schedule.arrivals(end) - schedule.arrivals(min(place * step, seconds))
            wanted = round(due / step, 1)
        moments.append(
            Moment(
                at_seconds=place * step,
                wanted=wanted,
                sent=round(each.sent / step, 1),
                acknowledged=round(each.acknowledged / step, 1),
                events=round(each.events / step, 1),
                p50=round(each.percentile(50) * 1e3, 4),
                p95=round(each.percentile(95) * 1e3, 4),
                p99=round(each.percentile(99) * 1e3, 4),
                refused=dict(each.refused.most_common()),
                errors=dict(each.errors.most_common()),
            )
        )
    return moments


def table(report: Report) -> Table:
    """Render the figures for people."""
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="bold")
    grid.add_column(justify="right")
    for name, value in rows(report):
        color = {"exactly once": "green", "NOT exactly once": "red"}.get(value, "")
        grid.add_row(Text(name), Text(value, style=color))
    return grid


def rows(report: Report) -> list[tuple[str, str]]:
    """Return the figures of a report with their names, for people; without markup."""
    latency = report.latency_ms
    found = [
        ("duration", f"{report.duration_seconds:,.2f} s" + " (interrupted)" * report.interrupted),
        ("requests sent", f"{report.requests_sent:,}"),
        ("2xx", f"{report.responses_2xx:,}"),
        *((f"refused, {code}", f"{count:,}") for code, count in report.refused.items()),
        *((f"error, {kind}", f"{count:,}") for kind, count in report.errors.items()),
        ("never sent", f"{report.never_sent:,}"),
        ("events acknowledged", f"{report.events_acknowledged:,} of {report.events_sent:,}"),
        ("requests/s", f"{report.requests_per_second:,.0f}"),
        ("events/s", f"{report.events_per_second:,.0f}"),
        ("latency p50", f"{latency.p50:,.2f} ms"),
        ("latency p90", f"{latency.p90:,.2f} ms"),
        ("latency p95", f"{latency.p95:,.2f} ms"),
        ("latency p99", f"{latency.p99:,.2f} ms"),
        ("latency p99.9", f"{latency.p99_9:,.2f} ms"),
        ("latency max", f"{latency.max:,.2f} ms"),
    ]
    if report.processes > 1:
        lost = f", {report.lost_processes:,} lost" * bool(report.lost_processes)
        found.insert(0, ("processes", f"{report.processes:,}{lost}"))
    if report.broke is not None:
        broke = report.broke
        found += [
            ("broke", f"at {broke.wanted:,.0f} requests/s after {broke.at_seconds:,} s"),
            ("  by", broke.why),
            ("  held before", f"{broke.held:,.0f} requests/s"),
        ]
    elif report.profile == Profile.RAMP:
        found.append(("broke", "not in that time"))
    if report.bare is not None:
        bare = report.bare
        found += [
            ("bare route, requests/s", f"{bare.requests_per_second:,.0f}"),
            ("gateway, of the bare route", f"{bare.ratio:.2f}"),
            ("  usual", f"{bare.usual:.2f}"),
        ]
    return found if report.verify is None else found + _verify_rows(report.verify)


def _verify_rows(found: Verification) -> list[tuple[str, str]]:
    verdict = "exactly once" if found.exactly_once else "NOT exactly once"
    return [
        ("verified", verdict),
        ("  acknowledged and stored", f"{found.stored:,} of {found.acknowledged:,}"),
        ("  missing", f"{found.missing:,}"),
        ("  duplicated", f"{found.duplicated:,}"),
        ("  unexpected", f"{found.unexpected:,}"),
        ("  unknown outcome, stored", f"{found.unknown_stored:,} of {found.unknown:,}"),
        ("  of somebody else", f"{found.foreign:,}"),
        *(_retry_rows(found.retries) if found.retries else []),
    ]


def _retry_rows(found: Retried) -> list[tuple[str, str]]:
    unknown = f" to {found.acknowledged_again + found.unknown:,}" if found.unknown else ""
    return [
        ("  counted as sent again", f"{found.counted:,} of {found.acknowledged_again:,}{unknown}"),
        ("  coins paid", f"{found.coins:,}"),
        ("  wrong coins", f"{found.wrong_coins:,}"),
    ]
