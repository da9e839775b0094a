"""What is measured is measured, and the store, an export and the lake answer alike."""

from pathlib import Path

from tests.campaigns.lake.cost import QUESTIONS, measure


async def test_store_export_and_lake_answer_alike_and_all_is_measured(tmp_path: Path) -> None:
    cost = await measure(tmp_path, 2_000)
    assert cost.events >= 2_000
    assert cost.seconds_per_100_000 > 0
    assert cost.seconds.keys() == QUESTIONS.keys()
    assert {*cost.megabytes} == {"store", "export", "lake"}
