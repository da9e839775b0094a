"""The report as a page: one file for any browser, with its plots, that asks nobody for anything."""

from collections import Counter
from datetime import UTC, datetime
from html import escape

from playsmart_gateway.load.plots import Line, plot
from playsmart_gateway.load.report import Moment, Report, rows

MAX_REASONS = 5
"""Of refusals and errors that are drawn; the others are one line."""

_STYLE = """
:root { color-scheme: light dark; --page: #f4f5f7; --card: #fff; --ink: #16181d; --soft: #565d6b;
  --line: #e1e4ea; --bad: #b3243a; --c0: #2f6bde; --c1: #d9731a; --c2: #158a72; --c3: #8a4fc7;
  --c4: #c2418a; --c5: #7f8a12; --c6: #8b93a3; }
@media (prefers-color-scheme: dark) { :root { --page: #101216; --card: #191c22; --ink: #eceef2;
  --soft: #a8b0bd; --line: #2b303a; --bad: #ff8a93; --c0: #6f9bff; --c1: #f3984a; --c2: #40c0a0;
  --c3: #b88bf0; --c4: #ee7bb8; --c5: #bcc648; --c6: #808999; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 16px 48px; max-width: 1240px; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0 0 2px; } h2 { font-size: 15px; margin: 0; }
p { margin: 0 0 16px; color: var(--soft); } p.bad { color: var(--bad); }
.cards { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  margin: 0 0 16px; }
.card, figure, details { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 12px 14px; margin: 0; min-width: 0; }
.card b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 13px; }
.plots { display: grid; gap: 12px; grid-template-columns: repeat(2, minmax(0, 1fr));
  margin: 0 0 12px; }
@media (max-width: 900px) { .plots { grid-template-columns: minmax(0, 1fr); } }
figcaption { display: flex; flex-wrap: wrap; gap: 4px 16px; justify-content: space-between; }
figcaption ul { display: flex; flex-wrap: wrap; gap: 2px 12px; list-style: none; margin: 0;
  padding: 0; font-size: 13px; color: var(--soft); }
figcaption li { overflow-wrap: anywhere; }
figcaption li::before { content: ""; display: inline-block; width: 14px; height: 3px;
  margin-right: 5px; vertical-align: middle; background: var(--k); }
svg { display: block; width: 100%; height: auto; margin-top: 8px; }
svg text { fill: var(--soft); font-size: 12px; } svg text.y { text-anchor: end; }
svg text.x { text-anchor: middle; } svg line { stroke: var(--line); }
polyline { fill: none; stroke: var(--k); stroke-width: 2; stroke-linejoin: round;
  stroke-linecap: round; }
polyline.c6 { stroke-dasharray: 5 4; }
.c0 { --k: var(--c0); } .c1 { --k: var(--c1); } .c2 { --k: var(--c2); } .c3 { --k: var(--c3); }
.c4 { --k: var(--c4); } .c5 { --k: var(--c5); } .c6 { --k: var(--c6); }
@media (max-width: 600px) { svg text { font-size: 22px; } polyline { stroke-width: 3.5; } }
details + details { margin-top: 12px; } details { overflow-x: auto; }
summary { cursor: pointer; font-weight: 600; }
table { border-collapse: collapse; margin-top: 8px; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 16px 3px 0; text-align: right; white-space: nowrap; font-weight: 400; }
th:first-child, td:first-child { text-align: left; }
table.whole { width: 100%; max-width: 520px; }
table.whole td { white-space: normal; } table.whole td:last-child { padding-right: 0; }
thead th { color: var(--soft); border-bottom: 1px solid var(--line); }
"""


def page(report: Report, at: datetime | None = None) -> str:
    """Return the page of a run that ended ``at`` (now)."""
    when = (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    profile = "" if report.profile is None else f", {report.profile}"
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta http-equiv='Content-Security-Policy' "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Load{escape(profile)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>Load{escape(profile)}</h1><p>Ended {when}, after "
        f"{report.duration_seconds:,.1f} s{' (interrupted)' * report.interrupted}.</p>"
        f"{_warnings(report)}{_cards(report)}<div class='plots'>{_plots(report)}</div>"
        f"{_figures(report)}</main></body></html>\n"
    )


def _warnings(report: Report) -> str:
    told = []
    if report.broke is not None:
        broke = report.broke
        told.append(
            f"It broke by {broke.why} after {broke.at_seconds:,} s, at {broke.wanted:,.0f} "
            f"requests a second; {broke.held:,.0f} were held before."
        )
    if report.lost_processes:
        told.append(
            f"{report.lost_processes} of {report.processes} processes were lost: what they sent in "
            "their last seconds is not counted."
        )
    if report.never_sent:
        told.append(
            f"{report.never_sent:,} requests were due and never sent: there was no free connection."
        )
    if report.verify is not None and not report.verify.exactly_once:
        told.append("Not every acknowledged event is stored exactly once.")
    return "".join(f"<p class='bad'>{escape(each)}</p>" for each in told)


def _cards(report: Report) -> str:
    failed = sum(report.refused.values()) + sum(report.errors.values())
    share = 100 * failed / max(report.requests_sent, 1)
    cards = [
        (f"{report.requests_per_second:,.0f}", "requests a second"),
        (f"{report.events_per_second:,.0f}", "events a second"),
        (f"{report.latency_ms.p50:,.1f} ms", "p50"),
        (f"{report.latency_ms.p95:,.1f} ms", "p95"),
        (f"{report.latency_ms.p99:,.1f} ms", "p99"),
        (f"{share:,.2f} %", "refused or unanswered"),
    ]
    told = "".join(f"<div class='card'><b>{value}</b><span>{name}</span></div>"
                   for value, name in cards)  # fmt: skip
    return f"<div class='cards'>{told}</div>"


def _plots(report: Report) -> str:
    moments, step = report.timeline, report.timeline_seconds
    times = [each.at_seconds + step / 2 for each in moments]
    end = float(len(moments) * step)
    rates = [
        Line("sent", "c1", [each.sent for each in moments]),
        Line("acknowledged", "c0", [each.acknowledged for each in moments]),
    ]
    if any(each.wanted is not None for each in moments):
        rates.insert(0, Line("due", "c6", [each.wanted for each in moments]))
    events = [Line("events", "c2", [each.events for each in moments])]
    latencies = [
        Line("p99", "c3", [_latency(each, each.p99) for each in moments]),
        Line("p95", "c1", [_latency(each, each.p95) for each in moments]),
        Line("p50", "c0", [_latency(each, each.p50) for each in moments]),
    ]
    return "".join(
        [
            plot("Requests a second", times, end, rates),
            plot("Latency, in milliseconds", times, end, latencies),
            plot("Events acknowledged a second", times, end, events),
            _failures(moments, times, step),
        ]
    )


def _latency(moment: Moment, value: float) -> float | None:
    """Return a latency; None where nothing ended, and 0 would look quick."""
    return value or None


def _failures(moments: list[Moment], times: list[float], step: int) -> str:
    counted: Counter[str] = Counter()
    for each in moments:
        counted.update(each.refused)
        counted.update(each.errors)
    if not counted:
        return "<figure><figcaption><h2>Refusals and errors</h2></figcaption><p>None.</p></figure>"
    shown = [name for name, _ in counted.most_common(MAX_REASONS)]
    lines = [
        Line(name, f"c{place}", [_failed(each, name) / step for each in moments])
        for place, name in enumerate(shown)
    ]
    if len(counted) > len(shown):
        rest = [
            sum(_failed(each, name) for name in counted if name not in shown) / step
            for each in moments
        ]
        lines.append(Line("others", "c6", rest))
    return plot("Refusals and errors a second", times, float(len(moments) * step), lines)


def _failed(moment: Moment, name: str) -> int:
    return moment.refused.get(name, 0) + moment.errors.get(name, 0)


def _figures(report: Report) -> str:
    whole = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows(report)
    )
    heads = ("second", "due", "sent", "acknowledged", "events", "p50", "p95", "p99", "failed")
    told = "".join(
        "<tr>" + "".join(f"<td>{each}</td>" for each in _cells(moment)) + "</tr>"
        for moment in report.timeline
    )
    head = "".join(f"<th>{each}</th>" for each in heads)
    return (
        "<details open><summary>Figures</summary>"
        f"<table class='whole'><tbody>{whole}</tbody></table></details>"
        f"<details><summary>Second by second</summary><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{told}</tbody></table></details>"
    )


def _cells(moment: Moment) -> list[str]:
    wanted = "" if moment.wanted is None else f"{moment.wanted:,.1f}"
    rates = [f"{each:,.1f}" for each in (moment.sent, moment.acknowledged, moment.events)]
    latencies = [f"{each:,.2f}" for each in (moment.p50, moment.p95, moment.p99)]
    failed = sum(moment.refused.values()) + sum(moment.errors.values())
    return [str(moment.at_seconds), wanted, *rates, *latencies, f"{failed:,}"]
