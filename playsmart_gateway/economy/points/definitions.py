"""What an operator defines: events, streaks, milestones, under their names in the configuration.

A struct holds what was written, possible or not; ``Program`` says what is wrong with it.
"""

from decimal import Decimal

import msgspec

MAX_ID_LENGTH = 256
"""Characters of an event, user or streak id."""

MAX_NAME_LENGTH = 128
"""Characters of the name of a metadata field."""

MAX_POINTS = 1_000_000_000
"""Most points that one reward pays; nine thousand million of them fit a signed 64-bit balance."""


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class EventDefinition(Definition, frozen=True):
    """One event and its reward (contract section 8); None is a key that was left out.

    ``kind`` decides which keys have a use:

    - ``fix`` pays ``points``.
    - ``conditional`` pays ``points`` when the metadata field ``condition_field`` (default
      ``amount``) is a number of at least ``condition_minimum``.
    - ``transactional`` pays ``points_per_unit`` for each ``unit`` (default 1) of the number in the
      metadata field ``reward_value_field``, rounded half up, at most ``max_points``.

    A user is rewarded at most ``max_completions`` times in each ``completion_window`` (``daily``,
    ``weekly``, ``monthly`` or the default ``total``). ``group_points`` replaces ``points``, or
    ``points_per_unit`` of a transactional event, for members of a group. ``title`` (default: the
    id) and ``description`` are shown in the history.
    """

    id: str
    kind: str
    title: str = ""
    description: str = ""
    active: bool = True
    requires_api_key: bool = False
    points: int | None = None
    condition_field: str | None = None
    condition_minimum: Decimal | None = None
    reward_value_field: str | None = None
    points_per_unit: int | None = None
    unit: Decimal | None = None
    max_points: int | None = None
    max_completions: int | None = None
    completion_window: str | None = None
    group_points: dict[str, int] = {}


class Milestone(Definition, frozen=True):
    """A streak that reaches ``count`` pays ``points``."""

    count: int
    points: int


class StreakDefinition(Definition, frozen=True):
    """Consecutive periods (``daily``, ``weekly``, ``monthly``) with at least one of ``events``."""

    id: str
    events: tuple[str, ...]
    period: str = "daily"
    title: str = ""
    description: str = ""
    milestones: tuple[Milestone, ...] = ()
