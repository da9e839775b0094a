"""What an event says about itself: at most ten named values (contract section 3)."""

from collections.abc import Mapping
from decimal import Decimal

Number = int | Decimal
"""A number as it was sent: never a float, which would round it."""

Value = str | Number | bool | list[str] | None
Metadata = Mapping[str, Value]

USERGROUP = "usergroup"


def number(metadata: Metadata, field: str) -> Number | None:
    """Return the number in ``field``; None for anything else: booleans are flags, not numbers."""
    value = metadata.get(field)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return value
    return None


def usergroups(metadata: Metadata) -> list[str]:
    """Return the groups that the event names, in their order; none for anything but text."""
    match metadata.get(USERGROUP):
        case str(group):
            return [group]
        case list(groups):
            return groups
    return []
