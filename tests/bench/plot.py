"""The results as a picture: events a second, on a logarithmic axis."""

from itertools import cycle
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, NullLocator

from tests.bench.options import GATEWAY
from tests.bench.results import Design, Results, Size
from tests.bench.table import count, human

_GREY, _PALE_BLUE, _BLUE, _DARK, _RED = "#b8bec6", "#9ecae9", "#1f6fb5", "#4a4f57", "#d1603d"
_VIOLETS, _GREEN = ("#6a51a3", "#9e9ac8", "#54278f", "#bcbddc"), "#4d9221"


def draw(results: Results, path: Path) -> None:
    """Write the picture; the suffix of ``path`` decides its format."""
    series = [_bars(size) for size in results.sizes]
    figure, axes = plt.subplots(figsize=(10, 5.8), layout="constrained")
    share = 0.86 / len(series[0])
    for place, (name, _, color) in enumerate(series[0]):
        bars = axes.bar(
            [number + (place - (len(series[0]) - 1) / 2) * share for number in range(len(series))],
            [bars[place][1] for bars in series],
            width=0.94 * share,
            color=color,
            label=name,
        )
        labels = [human(each[place][1]) for each in series]
        axes.bar_label(bars, labels, padding=2, fontsize=8 if len(series[0]) <= 5 else 7)
    axes.set_yscale("log")
    highest = max(value for bars in series for _, value, _ in bars)
    lowest = min(value for bars in series for _, value, _ in bars)
    axes.set_ylim(lowest / 3, highest * 2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: human(value)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("events a second (logarithmic)")
    axes.set_xticks(range(len(series)), [str(size.events) for size in results.sizes])
    axes.set_xlabel("events a request")
    axes.grid(axis="y", color="#e4e7eb")
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(
        "Durable throughput: answered 202 and stored",
        fontsize=14,
        weight="bold",
        loc="left",
        pad=40,
    )
    axes.annotate(
        f"{results.machine}\nload: {results.generator}",
        (0, 1),
        (0, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=9,
        color=_DARK,
    )
    columns = 5 if len(series[0]) <= 5 else 3
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _bars(size: Size) -> list[tuple[str, float, str]]:
    """Return name, events a second and colour; what stores is shown by what it stores."""
    bare = size.designs[0]
    ours = [each for each in size.designs if each.design.startswith(GATEWAY)]
    plain = [each for each in ours if each.design == GATEWAY]
    most = plain[-1]
    *peers, obvious = [each for each in size.designs[1:] if each not in ours]
    variants = [*plain[:-1], *(each for each in ours if each not in plain)]
    return [
        ("bare route (stores nothing)", bare.accepted_events, _GREY),
        (f"{_named(most)}, accepted", most.accepted_events, _PALE_BLUE),
        (f"{_named(most)}, durable", most.durable_events or 1.0, _BLUE),
        *(
            (f"{_named(each)}, durable", each.durable_events or 1.0, color)
            for each, color in zip(variants, cycle(_VIOLETS), strict=False)
        ),
        *((f"{each.design}, accepted", each.accepted_events, _GREEN) for each in peers),
        ("SQLite alone", size.sqlite, _DARK),
        ("obvious design, durable", obvious.durable_events or 1.0, _RED),
    ]


def _named(design: Design) -> str:
    players = "1 player" if design.players == 1 else f"{count(design.players)} players"
    return f"{design.design}, {players}"
