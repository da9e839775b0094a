"""Counting while a run goes on, and the report at its end."""

from collections import Counter
from math import inf
from time import perf_counter

from playsmart_gateway.load.histogram import Histogram
from playsmart_gateway.load.report import Latency, Report, refusal
from playsmart_gateway.load.response import Response


class Figures:
    """The counters of one run. Times are those of ``perf_counter``, in seconds.

    Every request that was sent is in flight until ``answered`` or ``gave_up`` says otherwise, and
    its latency counts in both cases: one that got no answer took at least as long as it was waited
    for, and leaving it out would flatter the server.
    """

    def __init__(self) -> None:
        self.latency = Histogram()
        self.errors: Counter[str] = Counter()
        self.sent = 0
        self.in_flight = 0
        self._refused: Counter[str] = Counter()
        self._acknowledged = self._unknown = 0
        self._events_sent = self._events_acknowledged = 0
        self._last_answer = 0.0

    def sending(self, events: int) -> None:
        """Count a request with ``events`` events that is about to be written."""
        self.sent += 1
        self.in_flight += 1
        self._events_sent += events

    def acknowledged(self, events: int, since: float) -> None:
        """Count a 2xx to a request with ``events`` events whose latency began at ``since``."""
        self._settled(since)
        self._acknowledged += 1
        self._events_acknowledged += events

    def refused(self, response: Response, since: float) -> None:
        """Count any other answer."""
        self._settled(since)
        self._refused[refusal(response, self._refused)] += 1

    def gave_up(self, kind: str, since: float) -> None:
        """Count a request without an answer."""
        self._settled(since)
        self._unknown += 1
        self.errors[kind] += 1

    def _settled(self, since: float) -> None:
        self._last_answer = perf_counter()
        self.latency.record(self._last_answer - since)
        self.in_flight -= 1

    def report(
        self, *, start: float, stopped: float, limit: float, rate: float | None, interrupted: bool
    ) -> Report:
        """Return the figures of a run that sent from ``start`` to ``stopped``.

        ``limit`` is how many requests were asked for, or ``inf``.
        """
        seconds = max(max(stopped, self._last_answer) - start, 1e-9)
        due = limit if rate is None else min(limit, int((stopped - start) * rate) + 1)
        return Report(
            requests_sent=self.sent,
            responses_2xx=self._acknowledged,
            refused=dict(self._refused.most_common()),
            errors=dict(self.errors.most_common()),
            unknown=self._unknown,
            events_sent=self._events_sent,
            events_acknowledged=self._events_acknowledged,
            duration_seconds=round(seconds, 6),
            requests_per_second=round((self.sent - self._unknown) / seconds, 1),
            events_per_second=round(self._events_acknowledged / seconds, 1),
            latency_ms=Latency.of(self.latency),
            never_sent=0 if due == inf else max(0, int(due) - self.sent),
            interrupted=interrupted,
        )
