"""A latency histogram in bounded memory.

Buckets are log-linear, as in HdrHistogram: every power of two is cut into 128 equal parts, so a
bucket is at most 1/128 of its value wide and its middle at most 0.4 % off. Values are whole
nanoseconds; those under 256 are exact. Whatever is recorded, 64 bits need 7,424 buckets.
"""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate
from math import ceil

_PARTS_BITS = 7
_PARTS = 1 << _PARTS_BITS
_MAX_NANOSECONDS = (1 << 64) - 1
_BUCKETS = (64 - _PARTS_BITS + 1) << _PARTS_BITS


class Histogram:
    """Durations, counted by size; relative error of a percentile under 0.4 %."""

    __slots__ = ("_counts", "_max", "_min", "_sum", "count")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._min = _MAX_NANOSECONDS
        self._max = 0
        self._sum = 0
        self.count = 0

    def record(self, seconds: float) -> int:
        """Count one duration, and return its bucket.

        Negative ones count as 0, ones over 584 years as that.
        """
        value = min(max(int(seconds * 1e9), 0), _MAX_NANOSECONDS)
        shift = value.bit_length() - _PARTS_BITS - 1
        bucket = value if shift <= 0 else (shift << _PARTS_BITS) + (value >> shift)
        self._counts[bucket] += 1
        self.count += 1
        self._sum += value
        if value > self._max:
            self._max = value
        if value < self._min:
            self._min = value
        return bucket

    def count_again(self, bucket: int, times: int) -> None:
        """Count so many durations of a bucket, each as its middle."""
        value = _middle(bucket)
        self._counts[bucket] += times
        self.count += times
        self._sum += value * times
        self._max = max(self._max, value)
        self._min = min(self._min, value)

    def add(self, other: "Histogram") -> None:
        """Count all that another one has counted."""
        self._counts = [one + more for one, more in zip(self._counts, other._counts, strict=True)]
        self._min = min(self._min, other._min)
        self._max = max(self._max, other._max)
        self._sum += other._sum
        self.count += other.count

    def percentile(self, percent: float) -> float:
        """Return the duration in seconds that ``percent`` of all recorded ones do not exceed.

        ``percent`` is from 0 to 100. Nearest rank, so it is the size of a duration that occurred;
        0.0 when nothing was recorded.
        """
        if not self.count:
            return 0.0
        rank = max(1, ceil(self.count * percent / 100))
        if rank >= self.count:
            return self.max
        middle = _middle(bisect_left(list(accumulate(self._counts)), rank))
        return min(max(middle, self._min), self._max) / 1e9

    @property
    def max(self) -> float:
        """The longest duration, exact, in seconds; 0.0 when nothing was recorded."""
        return self._max / 1e9

    @property
    def mean(self) -> float:
        """The mean duration, exact, in seconds; 0.0 when nothing was recorded."""
        return self._sum / self.count / 1e9 if self.count else 0.0


def percentile_of(counts: Mapping[int, int], percent: float) -> float:
    """Return a percentile in seconds of what is counted by bucket; 0.0 if that is nothing."""
    rank, seen = max(1, ceil(sum(counts.values()) * percent / 100)), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return _middle(bucket) / 1e9
    return 0.0


def _middle(index: int) -> int:
    shift = max(0, (index >> _PARTS_BITS) - 1)
    low = index if shift == 0 else (index - (shift << _PARTS_BITS)) << shift
    return low + ((1 << shift) >> 1)
