"""Points, completions and streaks: the rules as data, the arithmetic, no I/O and no clock.

``Program`` holds what a project pays for; ``apply`` is the one step: a program, the state of one
user and an event in, the award and the next state out. Who stores the state, and when, is not
known here.
"""

from playsmart_gateway.loyalty.awards import (
    Award,
    Completions,
    HistoryEntry,
    State,
    Streak,
    StreakAward,
    apply,
)
from playsmart_gateway.loyalty.definitions import EventDefinition, Milestone, StreakDefinition
from playsmart_gateway.loyalty.metadata import Metadata, Value, usergroups
from playsmart_gateway.loyalty.program import Program

__all__ = [
    "Award",
    "Completions",
    "EventDefinition",
    "HistoryEntry",
    "Metadata",
    "Milestone",
    "Program",
    "State",
    "Streak",
    "StreakAward",
    "StreakDefinition",
    "Value",
    "apply",
    "usergroups",
]
