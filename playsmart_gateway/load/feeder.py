"""Who sends next: the hot path of a run, all of it in callbacks."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import perf_counter

from playsmart_gateway.load.client import Connection
from playsmart_gateway.load.figures import Figures
from playsmart_gateway.load.lane import Lane, Outcome
from playsmart_gateway.load.pool import Pool
from playsmart_gateway.load.response import Response
from playsmart_gateway.load.schedule import Schedule
from playsmart_gateway.load.workload import Workload


class Line:
    """What all feeders of a run share: what is sent, how fast, and who is told.

    Request ``i`` is due when ``schedule`` says, counted from ``start``, or at once without one;
    those from ``limit`` on do not exist. Nothing is sent unless ``sending``. ``changed`` is called
    when a request was settled or a feeder ran out.
    """

    def __init__(
        self,
        workload: Workload,
        heads: Mapping[str, bytes],
        *,
        limit: float,
        schedule: Schedule | None,
        changed: Callable[[], None],
    ) -> None:
        self.workload = workload
        self.heads = heads
        self.limit = limit
        self.schedule = schedule
        self.changed = changed
        self.start = 0.0
        self.sending = False


class Feeder:
    """Gives a lane's next request to the connection that waited longest, once it is due."""

    def __init__(self, lane: Lane, line: Line, figures: Figures, pool: Pool) -> None:
        self.lane = lane
        self.connections = [Connection(self) for _ in range(lane.connections)]
        self._line = line
        self._figures = figures
        self._pool = pool
        self._idle: deque[Connection] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def exhausted(self) -> bool:
        """Whether the lane has no request left."""
        return self.lane.request(len(self.lane.outcomes)) >= self._line.limit

    def pump(self) -> None:
        """Send everything that is due and has a connection; come back for what is not due yet."""
        line = self._line
        while self._idle and line.sending:
            position = len(self.lane.outcomes)
            request = self.lane.request(position)
            if request >= line.limit:
                return
            due = 0.0
            if line.schedule is not None:
                due = line.start + line.schedule.due(request)
                wait = due - perf_counter()
                if wait > 0:
                    self._wake_in(wait)
                    return
            connection = self._idle.popleft()
            if connection.ready:
                self._send(connection, position, request, due)

    def _send(self, connection: Connection, position: int, request: int, due: float) -> None:
        workload = self._line.workload
        body = workload.body(request)
        head = self._line.heads[workload.user(request)]
        self.lane.outcomes.append(Outcome.UNKNOWN)
        self._figures.sending(workload.events(request))
        connection.position = position
        connection.send(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        connection.since = due or connection.sent_at

    def _wake_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.pump()

    def answered(self, connection: Connection, response: Response) -> None:
        """Count the answer and send the next request."""
        if 200 <= response.status < 300:
            self.lane.outcomes[connection.position] = Outcome.ACKNOWLEDGED
            request = self.lane.request(connection.position)
            self._figures.acknowledged(self._line.workload.events(request), connection.since)
        else:
            self.lane.outcomes[connection.position] = Outcome.REFUSED
            self._figures.refused(response, connection.since)
        if connection.ready:
            self._idle.append(connection)
            self.pump()
        self._line.changed()

    def failed(self, connection: Connection, kind: str) -> None:
        """Count a request without an answer; its outcome stays unknown."""
        self._figures.gave_up(kind, connection.since)
        self._line.changed()

    def opened(self, connection: Connection) -> None:
        """Put the connection to work."""
        self._pool.opened()
        self._idle.append(connection)
        self.pump()

    def closed(self, connection: Connection) -> None:
        """Take the connection out of work until it is open again."""
        with suppress(ValueError):  # it was not idle
            self._idle.remove(connection)
        self._pool.closed(connection)

    def close(self) -> None:
        """Stop waiting for what is due later."""
        if self._timer is not None:
            self._timer.cancel()
