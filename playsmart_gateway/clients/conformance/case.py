"""What a case is: a name, what a good client does in it, and a function that plays it."""

from collections.abc import Callable
from typing import NamedTuple

from playsmart_gateway.clients.conformance.scene import Scene

Play = Callable[[Scene], None]


class Case(NamedTuple):
    """``play`` raises ``Unmet`` or ``Broken`` where the client fails, and returns where not."""

    name: str
    about: str
    play: Play


def cases(*plays: Play) -> tuple[Case, ...]:
    """Return functions as cases: their names, and the sentence of their docstrings."""
    return tuple(
        Case(each.__name__.replace("_", "-"), (each.__doc__ or "").rstrip("."), each)
        for each in plays
    )
