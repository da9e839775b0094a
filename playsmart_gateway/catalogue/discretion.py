"""Which values of properties may be shown as examples: few, short, and none that is a person's.

Of numbers the least and the greatest are kept, of texts those that more than one player sent. Of a
property whose name sounds like a person, a device or a secret nothing is, nor of a value that looks
like one. A property itself is known by its name, unless that could be what a player wrote: then two
must have sent it, as of what one alone sent nothing may be left when they are erased.
"""

import re

import msgspec

MAX_EXAMPLES = 3
MAX_EXAMPLE_LENGTH = 24
LARGEST = 1e9
"""Numbers beyond it are ids, telephone numbers and instants, not measures."""

_PRIVATE = (
    "address|age|agent|auth|birth|city|contact|device|email|finger|gender|gps|guid|hash|id|idfa"
    "|idfv|imei|ip|key|lat|latitude|lon|lng|longitude|login|mac|mail|msisdn|name|nick|nickname"
    "|password|phone|player|postal|pwd|secret|serial|session|sex|ssn|street|surname|tel|telephone"
    "|text|token|url|user|username|uid|uuid|zip"
)
_is_private = re.compile(rf"(?:^|_)(?:{_PRIVATE})s?(?:_|$)").search
_humps = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+").sub
_looks_private = re.compile(
    r"@|://|\d{5}|\d+[.:]\d+[.:]\d+[.:]|[0-9a-fA-F]{12}|\+\d|\s\S+\s|[^ -~]"
).search
"""Addresses, telephone numbers, ids, sentences, and what is not plain ASCII."""

_identifier = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.:-]*").fullmatch


def is_of_the_game(name: str) -> bool:
    """Whether a property is named as programs name things, and not as people write."""
    return _identifier(name) is not None


def is_private(name: str) -> bool:
    """Whether a property's name sounds like what is a person's."""
    return bool(_is_private(_humps("_", name).lower()))


class Values(msgspec.Struct, omit_defaults=True):
    """What may be shown of the values of a property."""

    least: float | None = None
    most: float | None = None
    examples: list[str] = []

    def take_number(self, name: str, value: float) -> None:
        """Widen the range by a number, if it may be shown."""
        if self.least is not None and self.most is not None and self.least <= value <= self.most:
            return
        if abs(value) > LARGEST or is_private(name):
            return
        self.least = value if self.least is None else min(self.least, value)
        self.most = value if self.most is None else max(self.most, value)

    def may_take(self, name: str, value: str) -> bool:
        """Whether a text may become an example, once two players have sent it."""
        return (
            len(self.examples) < MAX_EXAMPLES
            and 0 < len(value) <= MAX_EXAMPLE_LENGTH
            and value not in self.examples
            and not is_private(name)
            and not _looks_private(value)
        )

    def take_text(self, value: str) -> None:
        """Take an example that may be taken."""
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(value)
