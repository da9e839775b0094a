"""Points, completions and streaks: the rules as data, the arithmetic, no I/O and no clock.

``Program`` holds what a project pays for; ``apply`` is the one step: a program, the state of one
user and an event in, the award and the next state out. ``MetadataStats`` counts what events say
about themselves. Who stores the state and the counts, and when, is not known here.
"""

from playsmart_gateway.economy.points.analytics import (
    MetadataStats,
    merged,
)
from playsmart_gateway.economy.points.awards import (
    Award,
    Completions,
    HistoryEntry,
    State,
    Streak,
    StreakAward,
    apply,
)
from playsmart_gateway.economy.points.definitions import (
    EventDefinition,
    Milestone,
    StreakDefinition,
)
from playsmart_gateway.economy.points.metadata import (
    Metadata,
    Value,
    usergroups,
)
from playsmart_gateway.economy.points.program import Program
from playsmart_gateway.economy.points.summary import (
    MetadataSummary,
    summarize,
)

__all__ = [
    "Award",
    "Completions",
    "EventDefinition",
    "HistoryEntry",
    "Metadata",
    "MetadataStats",
    "MetadataSummary",
    "Milestone",
    "Program",
    "State",
    "Streak",
    "StreakAward",
    "StreakDefinition",
    "Value",
    "apply",
    "merged",
    "summarize",
    "usergroups",
]
