"""Clients with one decision turned round: ``-m tests.clients.conformance.broken_clients NAME``.

Each is a mistake that was found in clients people use, and each loses events, has them twice, or
shows what nobody is to see.
"""

import json
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.clients.conformance.good_client import Answer, Client, obey

Lines = list[bytes]


class NewRunOnRetry(Client):
    def send(self, run: str, first: int, lines: Lines) -> Answer:
        self.run = str(uuid.uuid4())
        return super().send(self.run, first, lines)


class NumbersEveryFileFrom0(Client):
    def send(self, run: str, first: int, lines: Lines) -> Answer:
        return super().send(run, 0, lines)


class RunForEver(Client):
    def begin(self) -> None:
        super().begin()
        self.run = "01900000-0000-7000-8000-000000000000"


class DeletesBeforeTheAnswer(Client):
    def send(self, run: str, first: int, lines: Lines) -> Answer:
        (self.folder / f"{run}-{first:08d}.ndjson").unlink()
        return super().send(run, first, lines)

    def settle(self, file: Path, lines: Lines, answer: Answer) -> None:
        if not answer.is_taken:
            super().settle(file, lines, answer)


class DeletesOn401(Client):
    def settle(self, file: Path, lines: Lines, answer: Answer) -> None:
        if answer.status == 401:
            file.unlink()
        super().settle(file, lines, answer)


class DeletesOnAny4xx(Client):
    def settle(self, file: Path, lines: Lines, answer: Answer) -> None:
        if 400 <= answer.status < 500:
            file.unlink()
        else:
            super().settle(file, lines, answer)


class DeletesOnAny2xx(Client):
    def settle(self, file: Path, lines: Lines, answer: Answer) -> None:
        if answer.status // 100 == 2:
            file.unlink()
        else:
            super().settle(file, lines, answer)


class DeletesOnAny3xx(Client):
    def settle(self, file: Path, lines: Lines, answer: Answer) -> None:
        if answer.status // 100 == 3:
            file.unlink()
        else:
            super().settle(file, lines, answer)


class DoesNotReadTheAnswer(Client):
    def call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        request = urllib.request.Request(f"http://{self.address}{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=3) as answer:  # noqa: S310
                told = {"success": True} if method == "POST" else json.load(answer)
                return Answer(answer.status, told)
        except urllib.error.HTTPError as error:
            return Answer(error.code)
        except (OSError, ValueError):
            return Answer()


class NeverDeletes(Client):
    def settle(self, file: Path, lines: Lines, answer: Answer) -> None:
        if not answer.is_taken:
            super().settle(file, lines, answer)
        else:
            self.quiet_until = time.monotonic() + 0.01


class KeepsWhatWasRejected(NeverDeletes):
    def settle(self, file: Path, lines: Lines, answer: Answer) -> None:
        is_whole = answer.is_taken and "rejected" not in answer.told
        (Client if is_whole else NeverDeletes).settle(self, file, lines, answer)


class Hammers(Client):
    def settle(self, file: Path, lines: Lines, answer: Answer) -> None:
        super().settle(file, lines, answer)
        if not answer.is_taken:
            self.quiet_until = time.monotonic() + 0.000_1


class WaitsOnlyAsItLikes(Client):
    def settle(self, file: Path, lines: Lines, answer: Answer) -> None:
        super().settle(file, lines, answer._replace(retry_after=None))


class LogsItsToken(Client):
    def call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        answer = super().call(method, path, body, headers)
        if answer.status >= 400:
            print("refused:", headers, file=sys.stderr, flush=True)
        return answer


class WritesItsTokenDown(Client):
    def change_token(self, token: str) -> None:
        super().change_token(token)
        (self.folder / "token").write_text(token)

    def read_settings(self) -> None:
        super().read_settings()
        self.change_token(self.token)


class TwoAtOnce(Client):
    def send(self, run: str, first: int, lines: Lines) -> Answer:
        second = threading.Thread(target=super().send, args=(run, first, lines))
        second.start()
        answer = super().send(run, first, lines)
        second.join()
        return answer


class KeepsPoison(Client):
    def halve(self, file: Path, lines: Lines) -> None:
        self.quiet_until = time.monotonic() + 0.01


class NumbersHalvesAnew(Client):
    def halve(self, file: Path, lines: Lines) -> None:
        middle = len(lines) // 2
        if middle == 0:
            super().halve(file, lines)
            return
        file.unlink()
        for start, part in ((0, lines[:middle]), (middle, lines[middle:])):
            new = file.with_name(f"{uuid.uuid4()}-{start:08d}.ndjson")
            new.write_bytes(b"".join(each + b"\n" for each in part))


class SendsAnybodysEvents(Client):
    def waiting(self) -> list[Path]:
        return sorted(each for each in self.folder.parent.rglob("*.ndjson") if each.is_file())


class StopsAtAStrangeFile(Client):
    def waiting(self) -> list[Path]:
        found = sorted(self.folder.glob("*.ndjson"))
        strange = any(not each.is_file() or each.read_bytes()[:1] == b"\0" for each in found)
        return [] if strange else found

    def queued(self) -> int:
        return len(list(self.folder.glob("*.ndjson")))


class SendsTornLines(Client):
    def lines(self, file: Path) -> Lines:
        return [each for each in file.read_bytes().split(b"\n") if each]


class WritesWhenItSends(Client):
    def __init__(self, **given: Any) -> None:
        self.held: list[tuple[str, Any, Any]] = []
        super().__init__(**given)

    def track(self, kind: str, name: str | None = None, data: object = None) -> None:
        self.held.append((kind, name, data))

    def flush(self) -> dict[str, Any]:
        for each in self.held:
            super().track(*each)
        self.held.clear()
        return super().flush()


class NewestFirst(Client):
    def waiting(self) -> list[Path]:
        return super().waiting()[::-1]


class Unbounded(Client):
    def close_file(self) -> None:
        self.open, self.in_file, self.file_bytes = None, 0, 0


class OptsOutOfSendingOnly(Client):
    def opt_out(self) -> None:
        self.opted_out = True

    def queued(self) -> int:
        return 0 if self.opted_out else super().queued()


class KnowsNoSettings(Client):
    def read_settings(self) -> None:
        self.disabled = False


class TellsOfTheSwitchAndSends(Client):
    def flush(self) -> dict[str, Any]:
        was, self.disabled = self.disabled, False
        told = super().flush()
        self.disabled = was
        return told


class SamplesAfterNumbering(Client):
    def track(self, kind: str, name: str | None = None, data: object = None) -> None:
        before = self.next
        super().track(kind, name, data)
        if self.next == before:
            self.close_file()
            self.next += 1


class SentOnce(Client):
    def now(self) -> str:
        self.first = getattr(self, "first", super().now())
        return self.first


class SentAtOfAnyRun(Client):
    def send(self, run: str, first: int, lines: Lines) -> Answer:
        was, self.run = self.run, run
        answer = super().send(run, first, lines)
        self.run = was
        return answer


class GoesByTheGatewaysClock(Client):
    def now(self) -> str:
        return (datetime.now(UTC) + timedelta(days=1)).isoformat()


class GoesOnAfterTheClockWasSet(Client):
    def set_clock(self, seconds: float) -> None:
        self.clock_error += seconds


class SendsText(Client):
    def call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        return super().call(method, path, body, headers | {"Content-Type": "text/plain"})


class PacksInSilence(Client):
    def call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        headers.pop("Content-Encoding", None)
        return super().call(method, path, body, headers)


class TakesNamesForTypes(Client):
    def track(self, kind: str, name: str | None = None, data: object = None) -> None:
        super().track(name or kind, None, data)


class SleepsInTheBackground(Client):
    def background(self) -> None:
        pass


class SendsNothingWithoutSettings(Client):
    def read_settings(self) -> None:
        self.disabled = True
        super().read_settings()


class WritesAnyLine(Client):
    def track(self, kind: str, name: str | None = None, data: object = None) -> None:
        text = json.dumps(data).replace("\\n", " ")
        super().track(kind, name, json.loads(text))


CLIENTS = {
    name: each
    for name, each in list(globals().items())
    if isinstance(each, type) and issubclass(each, Client) and each is not Client
}

if __name__ == "__main__":
    obey(CLIENTS[sys.argv[1]])
