"""Lines over time, as SVG that needs nothing else: no script, no font, no network."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

WIDTH, HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 34, 14, 34
_TICKS = 5


class Line(NamedTuple):
    """A line: its name, the class by which it is drawn, and a value at each time; None is a gap."""

    name: str
    kind: str
    values: Sequence[float | None]


def plot(title: str, times: Sequence[float], end: float, lines: Sequence[Line]) -> str:
    """Return a figure: heading, legend and lines; times are in seconds, up to ``end``."""
    most = max((each for line in lines for each in line.values if each is not None), default=0.0)
    top, last = _round_up(most), max(end, 1.0)
    parts = []
    for value in _ticks(top):
        y = _y(value, top)
        parts.append(f"<line x1='{_LEFT}' x2='{WIDTH - _RIGHT}' y1='{y:.1f}' y2='{y:.1f}'/>")
        parts.append(f"<text x='{_LEFT - 6}' y='{y + 5:.1f}' class='y'>{_number(value)}</text>")
    for value in _ticks(last):
        x = _x(value, last)
        parts.append(f"<text x='{x:.1f}' y='{HEIGHT - 8}' class='x'>{_number(value)} s</text>")
    for line in lines:
        parts += [
            f"<polyline class='{line.kind}' points='{points}'/>"
            for points in _runs(times, line.values, last, top)
        ]
    said = ", ".join(line.name for line in lines)
    legend = "".join(f"<li class='{line.kind}'>{escape(line.name)}</li>" for line in lines)
    return (
        f"<figure><figcaption><h2>{escape(title)}</h2><ul>{legend}</ul></figcaption>"
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' "
        f"aria-label='{escape(title)}: {escape(said)}'>{''.join(parts)}</svg></figure>"
    )


def _runs(
    times: Sequence[float], values: Sequence[float | None], last: float, top: float
) -> list[str]:
    """Return the points of each stretch without a gap."""
    runs: list[list[str]] = [[]]
    for time, value in zip(times, values, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{_x(time, last):.1f},{_y(value, top):.1f}")
    # One point alone is no line: it is drawn as a short one.
    return [" ".join(run if len(run) > 1 else run * 2) for run in runs if run]


def _x(time: float, last: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * time / last


def _y(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top


def _step(most: float) -> float:
    """Return a round distance between ticks."""
    rough = max(most, 1e-9) / _TICKS
    power = 10.0 ** floor(log10(rough))
    return next(each * power for each in (1, 2, 5, 10) if each * power >= rough * 0.999)


def _round_up(most: float) -> float:
    step = _step(most)
    return float(max(ceil(most / step - 1e-9), 1) * step)


def _ticks(top: float) -> list[float]:
    step = _step(top)
    return [step * place for place in range(floor(top / step + 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.4g}"
