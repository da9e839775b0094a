"""Coins: what earns how much (contract ``playsmart.md`` sections 4, 9 and 11). No clock, no I/O.

A completed level earns the base amount times the level multiplier; each multiple of the threshold
among a player's custom events in a game earns the base amount times the trigger multiplier. The
base amount is fixed or drawn between two inclusive bounds; products are rounded down. Multipliers
are whole millionths, so that every store computes the same integers.

A game may have a cap: what one player is paid there for events that were received on one day of UTC
while the cap was in force. The event that reaches it is paid up to it, those after it are stored
and pay nothing. So a day's sum is the smaller of cap and awards, however the events were stored.

Chance is drawn at the door and travels in the row, so a flush that is tried again pays the same.
All else is decided when events are stored: by the rule then in force, which also bounds a draw
made under an older one.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Literal, Self

import msgspec

LEVEL_COMPLETED = "LevelCompleted"
CUSTOM = "Custom"

MILLION = 1_000_000
MAX_BASE_AMOUNT = 1_000_000_000
MAX_MULTIPLIER = 1_000
"""With these two the product of a base amount and millionths fits 64 bits, and a player needs nine
million grants of the largest amount to fill a balance."""

Trigger = Literal["level_complete", "event_trigger"]
LEVEL_COMPLETE: Trigger = "level_complete"
EVENT_TRIGGER: Trigger = "event_trigger"
Draws = Mapping[str, Callable[[], int]]
"""How to draw a base amount, for each game that leaves it to chance."""


class Rule(msgspec.Struct, frozen=True):
    """What one game pays, in force: all zero for a game that pays nothing now."""

    game_id: str
    min_amount: int = 0
    max_amount: int = 0
    level_millionths: int = 0
    trigger_threshold: int = 0
    trigger_millionths: int = 0
    max_per_day: int = 0

    @classmethod
    def paying(
        cls,
        game_id: str,
        *,
        bounds: tuple[int, int],
        level_multiplier: float,
        trigger_threshold: int,
        trigger_multiplier: float,
        max_per_day: int = 0,
    ) -> Self:
        """Return the rule of a game that pays; 0 turns the event trigger off, and the cap."""
        return cls(
            game_id,
            *bounds,
            _millionths(level_multiplier),
            trigger_threshold,
            _millionths(trigger_multiplier) if trigger_threshold else 0,
            max_per_day,
        )

    @property
    def pays(self) -> bool:
        """Whether it can pay anything."""
        return self.max_amount > 0

    def base_amount(self, draw: int | None) -> int:
        """Return the amount before multiplying; a draw that is missing counts as the least."""
        if draw is None:
            return self.min_amount
        return min(max(draw, self.min_amount), self.max_amount)

    def level_award(self, draw: int | None) -> int:
        """Return what one completed level earns."""
        return self.base_amount(draw) * self.level_millionths // MILLION

    def trigger_award(self, draw: int | None, count: int) -> int:
        """Return what a custom event earns that is the player's ``count``-th in this game."""
        if not self.trigger_threshold or count % self.trigger_threshold:
            return 0
        return self.base_amount(draw) * self.trigger_millionths // MILLION

    def capped(self, award: int, paid: int) -> int:
        """Return what is paid of an award where so much was paid on that day already."""
        return min(award, max(0, self.max_per_day - paid)) if self.max_per_day else award

    def first_awards(self, types: Iterable[str], draw: int) -> int:
        """Return what events of these ``types`` pay, each with this draw, on a player's first day.

        That is a player of whom no custom event is counted, and who was paid nothing on that day.
        """
        paid = customs = 0
        for kind in types:
            if kind == LEVEL_COMPLETED:
                paid += self.capped(self.level_award(draw), paid)
            elif kind == CUSTOM:
                customs += 1
                paid += self.capped(self.trigger_award(draw, customs), paid)
        return paid

    def problems(self) -> list[str]:
        """Name what can never work about a rule that is meant to pay, each led by its key."""
        if self.max_amount < 1:
            return ["reward_fixed_amount, reward_max_amount: nothing could ever be paid"]
        problems = []
        if self.level_millionths and not self.level_award(self.max_amount):
            problems.append("level_completion_multiplier: every award would round down to nothing")
        if self.trigger_threshold and not self.trigger_award(self.max_amount, 0):
            problems.append("event_trigger_multiplier: every award would round down to nothing")
        if not self.level_millionths and not self.trigger_threshold:
            problems.append("level_completion_multiplier: nothing could ever be paid")
        return problems


def draws_for(rules: Sequence[Rule], randint: Callable[[int, int], int] | None = None) -> Draws:
    """Return how to draw, for each game whose rule leaves the amount to chance."""
    # Awards are worth money to somebody, so they are drawn from the system's chance.
    randint = randint or random.SystemRandom().randint

    def drawing(rule: Rule) -> Callable[[], int]:
        return lambda: randint(rule.min_amount, rule.max_amount)

    return {rule.game_id: drawing(rule) for rule in rules if rule.min_amount < rule.max_amount}


def is_whole_millionths(multiplier: float) -> bool:
    """Whether a multiplier has at most six decimals, as it is written."""
    return Decimal(repr(multiplier)) * MILLION % 1 == 0


def _millionths(multiplier: float) -> int:
    return int(Decimal(repr(multiplier)) * MILLION)
