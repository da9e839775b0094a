"""The count itself: it finds what is wrong, in either database."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.open import open_store
from tests.support.count import Auditor
from tests.support.players import Ledger


def batch(sequence: int, number: int, *places: int) -> Batch:
    rows = [
        ["AppOpen", None, "2026-04-22T14:30:00Z", {"c": "ada", "b": number, "n": place}]
        for place in places
    ]
    return Batch(
        source="playsmart", game_id="a", user_id="ada", count=len(rows),
        rows=msgspec.json.encode(rows), journal="22" * 16, sequence=sequence, received_at=10**15,
    )  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/events.db"


async def test_what_is_lost_double_torn_and_never_accepted_is_found(url: str) -> None:
    ledger = Ledger()
    ledger.batches |= {
        ("ada", 1): (2, "accepted"),
        ("ada", 2): (1, "accepted"),
        ("ada", 3): (2, "unknown"),
        ("ada", 4): (1, "refused"),
    }
    async with open_store(url) as sink:
        await sink.write([batch(1, 1, 0, 1), batch(2, 3, 0), batch(3, 4, 0), batch(4, 1, 0)])
    verdict = await asyncio.to_thread(Auditor(url, ledger).audit)
    assert (verdict.lost, verdict.lost_events) == ([("ada", 2)], 1)
    assert verdict.duplicated == [("ada", 1)]
    assert verdict.torn == [("ada", 3)]
    assert verdict.never_accepted == [("ada", 4)]
    assert not verdict.exactly_once
