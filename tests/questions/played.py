"""What players of two games did in some weeks, drawn; and a store that is filled with it."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from playsmart_gateway.stores.open import open_store
from tests.support.counted import MONDAY, batch, keeper, row
from tests.support.figures import follow_to_the_end
from tests.support.stores import empty

ROWS = st.one_of(
    st.builds(
        lambda price, currency, country: row(
            "IAPPurchase", None, price=price, currency=currency, country=country, platform="ios"
        ),
        st.sampled_from([1, 2.5, "4.99", "-4.99", ".5", "x", -1, True, None]),
        st.sampled_from(["EUR", "usd", "euro", None]),
        st.sampled_from(["de", "AT", "Narnia", None]),
    ),
    st.builds(row, st.sampled_from(["AppOpen", "AdImpression"])),
    st.builds(
        lambda name, mode: row("Custom", name, mode=mode, height=3.5),
        st.sampled_from(["Jump", "Fall"]),
        st.sampled_from([1, -2.5, "1", "hard", True, None, [1]]),
    ),
    st.builds(
        lambda kind, level: row(kind, None, level=level, duration_seconds=5),
        st.sampled_from(["LevelCompleted", "GameEnd"]),
        st.sampled_from([1, 2, 10, 2.5, "boss", "nan", "inf", "1_0", "7b", " 4"]),
    ),
)
STORY = st.lists(
    st.tuples(
        st.sampled_from(["ada", "bob", "eve", "tim"]),
        st.integers(0, 24 * 60),
        st.integers(-30, 30),
        st.sampled_from(["a", "b"]),
        st.lists(ROWS, min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=14,
)
Story = list[tuple[str, int, int, str, list[Any]]]


async def fill(url: str, story: Story, *, known: int = 0) -> None:
    """Events come in the order of time, and happened some hours before or after.

    The first are ``known`` already; without any the store is emptied first.
    """
    if not known:
        await empty(url)
    batches = []
    for n, (user, hours, off, game, rows) in enumerate(sorted(story, key=lambda each: each[1])):
        at = MONDAY + timedelta(hours=hours)
        happened = f"{at + timedelta(hours=off):%Y-%m-%dT%H:%M:%SZ}"
        moved = [[kind, name, happened, data] for kind, name, _, data in rows]
        batches.append(batch(n, user, at, *moved, game=game))
    async with open_store(url) as sink, keeper(sink) as figures:
        await sink.write(batches[known:])
        await follow_to_the_end(figures)
