"""The sink keeps at least half the speed of a bare ``COPY``; here only that it can be measured."""

from tests.bench.postgres import measure
from tests.support.engines.postgres import fetch


async def test_the_sink_and_a_bare_copy_store_the_same_rows(postgres_url: str) -> None:
    rates = await measure(postgres_url, 200, 0)
    assert min(rates.copy, rates.sink, rates.ratio) > 0
    both = "(TABLE event_rows EXCEPT TABLE bare_event_rows)".replace(
        "TABLE", "SELECT event_id, customdata::text FROM"
    )
    assert await fetch(postgres_url, f"SELECT count(*) FROM {both} AS missing") == [(0,)]
    assert await fetch(postgres_url, "SELECT count(*) FROM bare_event_rows") == [(30_000,)]
