"""How many examples a property is shown: a quarter in ``make test``, all in ``make properties``."""

from typing import Any

from hypothesis import settings

QUICK, ALL = 25, 100
"""The ``max_examples`` of the two profiles, and so what others are measured by."""


def share(number: int) -> int:
    """Of ``number`` examples those that are shown in the profile that is loaded; at least 3."""
    return max(min(3, number), number * settings().max_examples // ALL)


def examples(number: int, **others: Any) -> settings:
    """Settings of a property that is shown another number of examples than 100."""
    return settings(max_examples=share(number), **others)
