"""Every refusal of one process, noted in one place: counted, remembered, and told in the log.

An attack must not fill the log, so each reason has a few lines a minute, and then one that says how
many more there were. Reasons are from a closed set (see ``errors.Refused``), which bounds all this.
"""

import logging
import re
import time
from collections.abc import Callable
from typing import NamedTuple

from playsmart_gateway.http.answered import Answered
from playsmart_gateway.logs import fields
from playsmart_gateway.metrics import Stats

MINUTE_SECONDS = 60.0
MAX_TOLD = 300
LINES_A_MINUTE = 10
"""Of each reason, unless the configuration says otherwise."""

_MOST_OF_PATH = 100
_ODD = re.compile(r"[^A-Za-z0-9/_.-]+|(?<![^/])(?:[^/]{33,}|(?=[^/]{12})[^/]*[0-9][^/]*)(?![^/])")

logger = logging.getLogger(__name__)


class Refusal(NamedTuple):
    """One request that was refused.

    ``reason`` is the word for it, ``told`` what the operator is told beside. Where the request was
    not read that far, method and route are empty.
    """

    request_id: bytes
    status: int
    reason: str
    told: str = ""
    method: str = ""
    route: str = ""


class Refusals:
    """Counts refusals in ``stats``, remembers them in ``answered``, and logs the first of a minute.

    Of each reason ``lines_a_minute`` are logged, with 0 nothing is; the rest is told by number when
    the minute is over. Call ``sweep`` now and then, so that this is told though nothing more comes.
    ``clock`` is in seconds and never goes back.
    """

    def __init__(
        self,
        stats: Stats,
        answered: Answered,
        *,
        lines_a_minute: int = LINES_A_MINUTE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.answered = answered
        self._stats = stats
        self._most = lines_a_minute
        self._clock = clock
        self._minute_ends = 0.0
        self._seen: dict[str, int] = {}

    def note(self, refusal: Refusal) -> None:
        """Take note of a request that was refused."""
        reason = refusal.reason
        self._stats.refused_requests[reason] += 1
        told = refusal.told[:MAX_TOLD]
        self.answered.refused(refusal.request_id, refusal.status, reason, told)
        now = self._clock()
        if now >= self._minute_ends:
            self.tell_the_rest()
            self._minute_ends = now + MINUTE_SECONDS
        seen = self._seen[reason] = self._seen.get(reason, 0) + 1
        if seen <= self._most:
            _log(refusal, told)

    def sweep(self) -> None:
        """Tell how many more there were, once the minute is over."""
        if self._seen and self._clock() >= self._minute_ends:
            self.tell_the_rest()

    def tell_the_rest(self) -> None:
        """Tell how many more there were until now, and begin anew."""
        for reason, seen in self._seen.items():
            if seen > self._most > 0:
                more = f"{seen - self._most:,}"
                logger.info(
                    "and %s more refused within a minute", more, extra=fields(reason=reason)
                )
        self._seen.clear()


def path_shown(path: str) -> str:
    """Return a path that a stranger asked for as a log may have it: cut, and of plain letters.

    What is between two slashes could be a token or a player if it is long, or has digits and is not
    short, and is left out.
    """
    return _ODD.sub("…", path[:_MOST_OF_PATH])


def _log(refusal: Refusal, told: str) -> None:
    known = {"method": refusal.method, "route": refusal.route}
    extra = fields(
        reason=refusal.reason,
        **{name: value for name, value in known.items() if value},
        status=refusal.status,
        request_id=refusal.request_id.decode("ascii"),
    )
    if told:
        logger.info("refused: %s", told, extra=extra)
    else:
        logger.info("refused", extra=extra)
