"""The campaign in its short form."""

from pathlib import Path

from tests.campaigns.lake.kills import ERASE_EVERY, Campaign


async def test_whatever_is_killed_when_the_lake_has_each_event_once(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=19)
    for number in range(1, ERASE_EVERY + 6):
        await campaign.round(number)
    await campaign.end()
    assert campaign.total.kills == ERASE_EVERY + 5
    assert campaign.total.events
