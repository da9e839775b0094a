"""The client for Python with one decision turned round: ``-m ...broken_clients NAME``.

Each is a mistake that was found in clients people use, and each loses events, has them twice, or
shows what nobody is to see. Without a name it is forked from, see ``nursery``. The campaign of
phones has to notice some of them, too (``--mutants``).
"""

import contextlib
import gzip
import json
import logging
import sys
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from typing_extensions import override

from playsmart_gateway.clients.python.adapter import main
from playsmart_gateway.clients.python.playsmart_client import (
    Answer,
    Client,
    Flushed,
    Queue,
    Segment,
)
from tests.clients.conformance.nursery import serve

ANSWER_SECONDS = 3.0
Data = Mapping[str, Any] | None
Settled = tuple[str, list[Path] | None]


class GoodClient(Client):
    """All as it should be, and in a hurry; its queue may be another."""

    answer_seconds, hurry = ANSWER_SECONDS, 4.0
    queue_kind = Queue

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.queue.__class__ = self.queue_kind


# --- runs and numbers


class NewRunOnRetry(GoodClient):
    @override
    def _post(self, connection: HTTPConnection, segment: Segment, token: str) -> Answer:
        return super()._post(connection, segment._replace(run=str(uuid.uuid4())), token)


class NumbersEveryFileFrom0(GoodClient):
    @override
    def _post(self, connection: HTTPConnection, segment: Segment, token: str) -> Answer:
        return super()._post(connection, segment._replace(first=0), token)


class RunForEver(GoodClient):
    @override
    def _begin(self) -> None:
        super()._begin()
        self.queue.run = "01900000-0000-7000-8000-000000000000"


class SamplesAfterNumbering(GoodClient):
    @override
    def _track(self, kind: str, data: Data, name: str | None) -> None:
        before = self.queue._next
        super()._track(kind, data, name)
        if self.queue._next == before:
            self.queue.close()
            self.queue._next += 1


class GoesOnAfterTheClockWasSet(GoodClient):
    @override
    def _track(self, kind: str, data: Data, name: str | None) -> None:
        self._drift = self._clock.wall() - self._clock.monotonic()
        super()._track(kind, data, name)


# --- what is deleted, and when


class DeletesBeforeTheAnswer(GoodClient):
    @override
    def _post(self, connection: HTTPConnection, segment: Segment, token: str) -> Answer:
        segment.path.unlink()
        return super()._post(connection, segment, token)


class _Deletes(GoodClient):
    """Takes these statuses for a good answer."""

    statuses = range(0)

    @override
    def _settle(self, segment: Segment, token: str, answer: Answer) -> Settled:
        if answer.status in self.statuses:
            segment.path.unlink()
            return "deleted", []
        return super()._settle(segment, token, answer)


class DeletesOn401(_Deletes):
    statuses = range(401, 402)


class DeletesOnAny4xx(_Deletes):
    statuses = range(400, 500)


class DeletesOnAny2xx(_Deletes):
    statuses = range(200, 300)


class DeletesOnAny3xx(_Deletes):
    statuses = range(300, 400)


class DoesNotReadTheAnswer(GoodClient):
    @override
    def _exchange(self, connection: HTTPConnection, method: str, path: str, *rest: Any) -> Answer:
        if method == "GET":
            return super()._exchange(connection, method, path, *rest)
        request = urllib.request.Request(self._url.geturl() + path, *rest)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
                return Answer(answer.status, {"success": True})
        except urllib.error.HTTPError as error:
            return Answer(error.code)
        except OSError:
            return Answer()


class WaitsForEveryByte(GoodClient):
    @override
    def _exchange(self, connection: HTTPConnection, method: str, path: str, *rest: Any) -> Answer:
        connection.request(method, self._url.path + path, *rest)
        answer = connection.getresponse()
        return Answer(answer.status, json.loads(answer.read()))


class NeverDeletes(GoodClient):
    @override
    def _settle(self, segment: Segment, token: str, answer: Answer) -> Settled:
        if answer.status == 202 and self.keeps(answer):
            return "stored", []
        return super()._settle(segment, token, answer)

    def keeps(self, answer: Answer) -> bool:
        return True


class KeepsWhatWasRejected(NeverDeletes):
    @override
    def keeps(self, answer: Answer) -> bool:
        return answer.says("rejected") is not None


class KeepsPoison(GoodClient):
    @override
    def _settle(self, segment: Segment, token: str, answer: Answer) -> Settled:
        if answer.status in (400, 413, 422):
            return "kept", None
        return super()._settle(segment, token, answer)


class NumbersHalvesAnew(GoodClient):
    class queue_kind(Queue):  # noqa: N801 - it stands for the attribute
        @override
        def halve(self, segment: Segment) -> list[Path]:
            halves = super().halve(segment._replace(run=str(uuid.uuid4())))
            segment.path.unlink()
            return halves


# --- how long it waits, and for what


class Hammers(GoodClient):
    @override
    def _settle(self, segment: Segment, token: str, answer: Answer) -> Settled:
        what, again = super()._settle(segment, token, answer)
        self._quiet_until = float("-inf")
        self._refused.clear()
        return what, None if answer.status == 401 else again


class WaitsOnlyAsItLikes(GoodClient):
    @override
    def _settle(self, segment: Segment, token: str, answer: Answer) -> Settled:
        return super()._settle(segment, token, answer._replace(wait=None))


class TwoAtOnce(GoodClient):
    @override
    def _post(self, connection: HTTPConnection, segment: Segment, token: str) -> Answer:
        second = threading.Thread(target=super()._post, args=(self._connection(), segment, token))
        second.start()
        answer = super()._post(connection, segment, token)
        second.join()
        return answer


class NewestFirst(GoodClient):
    class queue_kind(Queue):  # noqa: N801
        @override
        def closed(self) -> list[Path]:
            return super().closed()[::-1]


class SleepsInTheBackground(GoodClient):
    @override
    def background(self) -> None:
        pass


class NeverWakes(GoodClient):
    @override
    def _work(self) -> None:
        with contextlib.closing(self._connection()) as connection:
            self._refresh_settings(connection)


# --- tokens and players


class SaysNoReason(GoodClient):
    @override
    def _why(self, answer: Answer) -> str:
        return ""


class RepeatsAnyReason(GoodClient):
    @override
    def _why(self, answer: Answer) -> str:
        return f": {answer.told}"


class LogsItsToken(GoodClient):
    @override
    def _exchange(self, connection: HTTPConnection, method: str, path: str, *rest: Any) -> Answer:
        answer = super()._exchange(connection, method, path, *rest)
        if answer.status >= 400:
            logging.info("refused: %s", rest[1:])
        return answer


class WritesItsTokenDown(GoodClient):
    @override
    def _post(self, connection: HTTPConnection, segment: Segment, token: str) -> Answer:
        (self.queue.folder / "token").write_text(token)
        return super()._post(connection, segment, token)


class SendsAnybodysEvents(GoodClient):
    @override
    def _token(self, user_id: str) -> str | None:
        return super()._token(self._head["user_id"])


class SendsWhatIsNoToken(GoodClient):
    @override
    def _token(self, user_id: str) -> str | None:
        return (self._ask_token(user_id) or "none").replace("\n", " ")


# --- files


class GoesOnBehindATornLine(GoodClient):
    class queue_kind(Queue):  # noqa: N801
        @override
        def _written(self, file: int, content: bytes) -> bool:
            super()._written(file, content)
            return True


class GoesOnInADeletedFile(GoodClient):
    class queue_kind(Queue):  # noqa: N801
        @override
        def close(self, *, if_deleted: bool = False) -> None:
            if not if_deleted:
                super().close()


class StopsAtAStrangeFile(GoodClient):
    class queue_kind(Queue):  # noqa: N801
        @override
        def closed(self) -> list[Path]:
            found = sorted(self.folder.glob("*.ndjson"))
            strange = any(not each.is_file() or each.read_bytes()[:1] == b"\0" for each in found)
            return [] if strange else super().closed()


class SendsTornLines(GoodClient):
    class queue_kind(Queue):  # noqa: N801
        @override
        def read(self, path: Path) -> Segment | None:
            content = path.read_bytes()
            path.write_bytes(content.rstrip(b"\n") + b"\n")
            return super().read(path)


class IgnoresLocks(GoodClient):
    class queue_kind(Queue):  # noqa: N801
        @override
        def read(self, path: Path) -> Segment | None:
            own, self.run = self.run, path.stem[:36]
            segment = super().read(path)
            self.run = own
            return segment


class WritesWhenItSends(GoodClient):
    def __init__(self, *given: Any, **named: Any) -> None:
        self.held: list[tuple[str, Data, str | None]] = []
        super().__init__(*given, **named)

    @override
    def track(self, kind: str, data: Data = None, *, name: str | None = None) -> None:
        self.held.append((kind, data, name))

    @override
    def flush(self) -> Flushed:
        for each in self.held:
            self._track(*each)
        self.held.clear()
        return super().flush()


class Unbounded(GoodClient):
    class queue_kind(Queue):  # noqa: N801
        @override
        def _bound(self, most_bytes: int, room: int) -> None:
            self._room, self._most = sys.maxsize, most_bytes


class OptsOutUpToAFolder(GoodClient):
    class queue_kind(Queue):  # noqa: N801
        @override
        def clear(self) -> None:
            self.close()
            for path in sorted(self.folder.glob("*.ndjson")):
                path.unlink()


class ForgetsTheOptOut(GoodClient):
    @override
    def opt_out(self) -> None:
        super().opt_out()
        (self.queue.folder / "opted-out").unlink()


class GoesOnAfterTheOptIn(GoodClient):
    @override
    def opt_in(self) -> None:
        run, following = self.queue.run, self.queue._next
        super().opt_in()
        self.queue.run, self.queue._next = run, following


class OptsOutOfSendingOnly(GoodClient):
    @override
    def opt_out(self) -> None:
        self.opted_out = True


# --- the settings


class KnowsNoSettings(GoodClient):
    @override
    def _refresh_settings(self, connection: HTTPConnection) -> None:
        pass


class TellsOfTheSwitchAndSends(GoodClient):
    @override
    def flush(self) -> Flushed:
        was = self.settings.enabled
        self.settings = self.settings._replace(enabled=True)
        done = super().flush()
        self.settings = self.settings._replace(enabled=self.settings.enabled and was)
        return done


class SendsNothingWithoutSettings(GoodClient):
    @override
    def _refresh_settings(self, connection: HTTPConnection) -> None:
        due = self._settings_due
        super()._refresh_settings(connection)
        self.settings = self.settings._replace(enabled=self._settings_due != due)


# --- what is in a request


class SentOnce(GoodClient):
    first = ""

    @override
    def _now(self) -> str:
        self.first = self.first or super()._now()
        return self.first


class SentAtOfAnyRun(GoodClient):
    @override
    def _post(self, connection: HTTPConnection, segment: Segment, token: str) -> Answer:
        was, self.queue.run = self.queue.run, segment.run
        answer = super()._post(connection, segment, token)
        self.queue.run = was
        return answer


class GoesByTheGatewaysClock(GoodClient):
    @override
    def _now(self) -> str:
        return (datetime.now(UTC) + timedelta(days=1)).isoformat()


class SendsText(GoodClient):
    @override
    def _exchange(self, connection: HTTPConnection, method: str, path: str, *rest: Any) -> Answer:
        if rest:
            rest[1]["Content-Type"] = "text/plain"
        return super()._exchange(connection, method, path, *rest)


class PacksInSilence(GoodClient):
    @override
    def _exchange(self, connection: HTTPConnection, method: str, path: str, *rest: Any) -> Answer:
        if rest:
            rest[1].pop("Content-Encoding", None)
        return super()._exchange(connection, method, path, *rest)


class PacksEverything(GoodClient):
    @override
    def _exchange(self, connection: HTTPConnection, method: str, path: str, *rest: Any) -> Answer:
        if rest and "Content-Encoding" not in rest[1]:
            rest[1]["Content-Encoding"] = "gzip"
            rest = gzip.compress(rest[0]), rest[1]
        return super()._exchange(connection, method, path, *rest)


class RaisesAtAnEmptyType(GoodClient):
    @override
    def track(self, kind: str, data: Data = None, *, name: str | None = None) -> None:
        if not kind:
            raise ValueError("an event has to have a type")
        super().track(kind, data, name=name)


class TakesNamesForTypes(GoodClient):
    @override
    def _track(self, kind: str, data: Data, name: str | None) -> None:
        super()._track(name or kind, data, None)


class WritesAnyLine(GoodClient):
    @override
    def _track(self, kind: str, data: Data, name: str | None) -> None:
        super()._track(kind, json.loads(json.dumps(data).replace("\\n", " ")), name)


CLIENTS = {
    name: each
    for name, each in list(globals().items())
    if isinstance(each, type) and issubclass(each, GoodClient) and name[0] != "_"
}


def be(name: str) -> None:
    """Obey as the client of a name."""
    main(CLIENTS[name])


if __name__ == "__main__":
    if sys.argv[1:]:
        be(*sys.argv[1:])
    else:
        serve(be)
