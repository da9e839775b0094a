"""Counting while a run goes on, and the report at its end."""

from collections import Counter
from math import inf
from time import perf_counter

from playsmart_gateway.load.histogram import Histogram
from playsmart_gateway.load.report import Latency, Report, refusal, told
from playsmart_gateway.load.response import Response
from playsmart_gateway.load.schedule import Schedule
from playsmart_gateway.load.timeline import Stretch, Timeline


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
        self.start = 0.0
        self.timeline = Timeline()

    def sending(self, events: int) -> None:
        """Count a request with ``events`` events that is about to be written."""
        self.sent += 1
        self.in_flight += 1
        self._events_sent += events
        stretch = self.timeline.at(perf_counter() - self.start)
        stretch.sent += 1
        stretch.events_sent += events

    def acknowledged(self, events: int, since: float) -> None:
        """Count a 2xx to a request with ``events`` events whose latency began at ``since``."""
        stretch = self._settled(since)
        stretch.acknowledged += 1
        stretch.events += events
        self._acknowledged += 1
        self._events_acknowledged += events

    def refused(self, response: Response, since: float) -> None:
        """Count any other answer."""
        reason = refusal(response, self._refused)
        self._settled(since).refused[reason] += 1
        self._refused[reason] += 1

    def gave_up(self, kind: str, since: float) -> None:
        """Count a request without an answer."""
        self._settled(since).errors[kind] += 1
        self._unknown += 1
        self.errors[kind] += 1

    def _settled(self, since: float) -> Stretch:
        now = self._last_answer = perf_counter()
        stretch = self.timeline.at(now - self.start)
        stretch.latencies[self.latency.record(now - since)] += 1
        self.in_flight -= 1
        return stretch

    @classmethod
    def of(cls, timeline: Timeline) -> "Figures":
        """Return what a timeline tells; what was in flight stays so."""
        found = cls()
        found.timeline = timeline
        for each in timeline.stretches:
            found.sent += each.sent
            found._events_sent += each.events_sent
            found._acknowledged += each.acknowledged
            found._events_acknowledged += each.events
            found._refused.update(each.refused)
            found.errors.update(each.errors)
            for bucket, times in each.latencies.items():
                found.latency.count_again(bucket, times)
        answered = found._acknowledged + found._refused.total()
        found._unknown = found.sent - answered
        return found

    def add(self, other: "Figures") -> None:
        """Count all that another one has counted, of a run that began at the same time."""
        self.latency.add(other.latency)
        self.errors.update(other.errors)
        self.sent += other.sent
        self.in_flight += other.in_flight
        self._refused.update(other._refused)
        self._acknowledged += other._acknowledged
        self._unknown += other._unknown
        self._events_sent += other._events_sent
        self._events_acknowledged += other._events_acknowledged
        self._last_answer = max(self._last_answer, other._last_answer)
        self.timeline.add(other.timeline)

    def report(
        self, *, stopped: float, limit: float, schedule: Schedule | None, interrupted: bool
    ) -> Report:
        """Return the figures of a run that sent until ``stopped``.

        ``limit`` is how many requests were asked for, or ``inf``.
        """
        seconds = max(max(stopped, self._last_answer) - self.start, 1e-9)
        due = limit
        if schedule is not None:
            due = min(limit, int(schedule.arrivals(stopped - self.start)) + 1)
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
            timeline=told(self.timeline, schedule, stopped - self.start),
        )
