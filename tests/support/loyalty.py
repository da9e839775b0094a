"""A loyalty program, and batches that it rewards."""

from datetime import date
from decimal import Decimal

from playsmart_gateway.dialects.lynes.request import Request
from playsmart_gateway.dialects.lynes.request import batch as batch_of
from playsmart_gateway.economy.points import (
    EventDefinition,
    Metadata,
    Milestone,
    Program,
    StreakDefinition,
)
from playsmart_gateway.events.batch import Batch

PROGRAM = Program(
    [
        EventDefinition(id="login", kind="fix", points=10, max_completions=1,
                        completion_window="daily", group_points={"gold": 30}),
        EventDefinition(id="watch", kind="conditional", points=20, condition_minimum=Decimal(5),
                        max_completions=2),
        EventDefinition(id="buy", kind="transactional", reward_value_field="value",
                        points_per_unit=1, title="A purchase", description="In the shop"),
    ],
    [
        StreakDefinition(id="days", events=("login", "watch"),
                         milestones=(Milestone(count=1, points=1), Milestone(count=3, points=50))),
        StreakDefinition(id="weeks", events=("login",), period="weekly"),
        StreakDefinition(id="never", events=("buy",), milestones=(Milestone(count=2, points=7),)),
    ],
)  # fmt: skip
NOON = 1_776_859_200_000  # 22 April 2026, 12:00 UTC
DAY = 86_400_000
ALWAYS = {"first": date.min, "last": date.max}


def event(
    sequence: int,
    event_id: str = "login",
    user: str = "ada",
    metadata: Metadata | None = None,
    at_ms: int = NOON,
    project: str = "p",
) -> Batch:
    request = Request(event_id, user, dict(metadata or {}))
    found = batch_of(request, project=project, received_at_ms=at_ms)
    found.journal, found.sequence = "33" * 16, sequence
    return found
