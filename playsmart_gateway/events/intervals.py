"""Which numbers of a run have come: all below ``next``, but those in a few gaps.

A client numbers the events of one process life from 0 on and sends spans of them, again when an
answer is lost, and cut in other places when it likes. ``Numbers.claim`` says which of a span are
new, so that each number is stored once. Nearly always a span begins where the last one ended, and
there are no gaps.
"""

import msgspec

MAX_GAPS = 64
"""Of one run. One more closes the oldest: what comes for it later is taken for a repeat."""

Span = tuple[int, int]
"""The first number, and the one behind the last."""


class Numbers(msgspec.Struct, gc=False):
    """The numbers below ``next`` have come, except those in ``gaps``.

    Gaps are in the order in which they were left or cut, which is that of their numbers; none is
    empty, and none touches another one.
    """

    next: int = 0
    gaps: tuple[Span, ...] = ()

    def claim(self, first: int, end: int) -> list[Span]:
        """Take the numbers from ``first`` to before ``end``; return those that are new, in order.

        ``0 <= first < end``. Numbers that are skipped become a gap.
        """
        if first == self.next:
            self.next = end
            return [(first, end)]
        new, left = [], []
        for start, stop in self.gaps:
            low, high = max(start, first), min(stop, end)
            if low >= high:
                left.append((start, stop))
                continue
            new.append((low, high))
            left += [each for each in ((start, low), (high, stop)) if each[0] < each[1]]
        if end > self.next:
            if first > self.next:
                left.append((self.next, first))
            new.append((max(first, self.next), end))
            self.next = end
        self.gaps = tuple(left[-MAX_GAPS:])
        return new
