"""Where a gateway breaks under a load that rises: measured by its own beginning, not by a clock.

What is usual is the p99 of the first seconds. It breaks where more than one request in a hundred is
refused or given up, or where half of all take ten times the usual p99, in three seconds in a row.
"""

from collections.abc import Sequence
from statistics import median

import msgspec

from playsmart_gateway.load.options import LoadOptions
from playsmart_gateway.load.report import Broke, Report
from playsmart_gateway.load.schedule import Profile, Schedule
from playsmart_gateway.load.timeline import Stretch, Timeline

USUAL_STRETCHES = 5
TIMES_USUAL = 10
FAILED_SHARE = 0.01
IN_A_ROW = 3


class Breaking:
    """Watches a run for where it breaks, if it is a ramp."""

    def __init__(self, options: LoadOptions) -> None:
        self._profile = options.profile
        self._schedule = options.schedule
        self._found: Broke | None = None

    def has_come(self, timeline: Timeline, elapsed: float) -> bool:
        """Look at what is over of a run after ``elapsed`` seconds; whether it broke."""
        if self._profile is Profile.RAMP and self._schedule is not None:
            self._found = self._found or broke(timeline, self._schedule, elapsed)
        return self._found is not None

    def told(self, report: Report) -> Report:
        """Return a report with where it broke."""
        profile = None if self._profile is None else str(self._profile)
        return msgspec.structs.replace(report, profile=profile, broke=self._found)


def broke(timeline: Timeline, schedule: Schedule, elapsed: float) -> Broke | None:
    """Return where it broke in what is over of a run; None if it did not."""
    whole = timeline.whole(elapsed)
    usual = [each.percentile(99) for each in whole[:USUAL_STRETCHES] if each.ended]
    if len(whole) <= USUAL_STRETCHES or not usual:
        return None
    limit, row, last = TIMES_USUAL * median(usual), 0, ""
    for place, each in enumerate(whole):
        is_due = schedule.rate(place * timeline.seconds) * timeline.seconds >= 1
        why = _wrong(each, limit if place >= USUAL_STRETCHES and is_due else None)
        row = row + 1 if why else 0
        last = why or last
        if row == IN_A_ROW:
            began = place - IN_A_ROW + 1
            at = began * timeline.seconds
            return Broke(at, round(schedule.rate(at), 1), _held(whole[:began], timeline), last)
    return None


def _wrong(each: Stretch, limit: float | None) -> str:
    """Return what is wrong with a stretch; nothing ended counts as latency."""
    if each.failed > FAILED_SHARE * each.ended:
        return "refusals"
    if limit is None:
        return ""
    is_stuck = each.ended == 0 or each.percentile(50) > limit
    return "latency" if is_stuck else ""


def _held(before: Sequence[Stretch], timeline: Timeline) -> float:
    most = max((each.acknowledged for each in before), default=0)
    return round(most / timeline.seconds, 1)
