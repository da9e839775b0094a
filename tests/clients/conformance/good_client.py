"""A client that keeps all the rules: ``-m tests.clients.conformance.good_client``.

Standard library alone. One file of events is at most one request; it is deleted after a 202 that is
the gateway's own. ``broken_clients`` turns one decision of it round at a time.
"""

import gzip
import hashlib
import http.client
import json
import os
import random
import shutil
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

MOST_EVENTS, MOST_BYTES, MOST_QUEUE_BYTES = 100, 48_000, 10_485_760
ANSWER_SECONDS = 3.0
PAUSE_SECONDS = 0.25
AN_HOUR = 3_600.0
Told = dict[str, Any]


class Answer(NamedTuple):
    """Status 0 for nothing that is whole."""

    status: int = 0
    told: Any = None
    retry_after: float | None = None

    @property
    def is_taken(self) -> bool:
        return self.status == 202 and isinstance(self.told, dict) and bool(self.told.get("success"))


class Client:
    """The whole of it; nothing is sent but by ``flush``."""

    def __init__(self, dir: str, url: str, user: str, game: str, token: str) -> None:  # noqa: A002
        self.address = url.partition("://")[2]
        self.user, self.game, self.token = user, game, token
        name = hashlib.sha256(f"{game}/{user}".encode()).hexdigest()[:16]
        self.folder = Path(dir) / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.opted_out = self.disabled = False
        self.sample: dict[str, float] = {}
        self.clock_error = 0.0
        self.failures, self.quiet_until = 0, 0.0
        self.begin()
        self.read_settings()

    def begin(self) -> None:
        """Begin a new run."""
        stamp = f"{time.time_ns() // 1_000_000:012x}"
        tail = uuid.uuid4().hex
        self.run = str(uuid.UUID(f"{stamp}7{tail[:3]}8{tail[4:19]}"))
        self.next = 0
        self.open: Path | None = None
        self.in_file = self.file_bytes = 0

    # --- what is tracked

    def track(self, kind: str, name: str | None = None, data: object = None) -> None:
        if self.opted_out or self.sample.get(name or kind, 1.0) <= 0:
            return
        event = {"type": kind, "timestamp": self.now(), "customdata": data}
        if name is not None:
            event["customEventName"] = name
        line = json.dumps(event).encode() + b"\n"
        if self.in_file >= MOST_EVENTS or self.file_bytes + len(line) > MOST_BYTES:
            self.close_file()
        if self.open is None:
            self.open = self.folder / f"{self.run}-{self.next:08d}.ndjson"
        with self.open.open("ab", buffering=0) as file:
            file.write(line)
        self.next += 1
        self.in_file += 1
        self.file_bytes += len(line)

    def close_file(self) -> None:
        self.open, self.in_file, self.file_bytes = None, 0, 0
        waiting = self.waiting()
        sizes = {each: each.stat().st_size for each in waiting}
        while waiting and sum(sizes[each] for each in waiting) > MOST_QUEUE_BYTES - MOST_BYTES:
            waiting.pop(0).unlink()

    def waiting(self) -> list[Path]:
        return sorted(each for each in self.folder.glob("*.ndjson") if each.is_file())

    def lines(self, file: Path) -> list[bytes]:
        found = []
        for each in file.read_bytes().split(b"\n")[:-1]:  # behind the last one is what was torn
            try:
                is_event = isinstance(json.loads(each), dict)
            except ValueError:
                is_event = False
            found += [each] if is_event else []
        return found

    def queued(self) -> int:
        return sum(each.read_bytes().count(b"\n") for each in self.waiting())

    # --- what is sent

    def flush(self) -> Told:
        self.close_file()
        sent, status = 0, None
        while not (self.disabled or self.opted_out or time.monotonic() < self.quiet_until):
            file = next(iter(self.waiting()), None)
            if file is None:
                break
            lines = self.lines(file)
            if not lines:
                file.unlink()
                continue
            answer = self.send(file.name[:36], int(file.name[37:45]), lines)
            status = answer.status or None
            sent += len(lines) if answer.is_taken else 0
            self.settle(file, lines, answer)
        return {"sent": sent, "left": self.queued(), "status": status}

    def settle(self, file: Path, lines: list[bytes], answer: Answer) -> None:
        if answer.is_taken:
            file.unlink()
            self.failures = 0
        elif answer.status in (400, 413, 422):
            self.halve(file, lines)
        elif answer.status in (401, 403, 404, 405, 410, 415) or answer.status // 100 == 3:
            self.quiet_until = time.monotonic() + AN_HOUR
        else:
            self.failures += 1
            most = min(60.0, PAUSE_SECONDS * 2.0**self.failures)
            pause = random.uniform(0, most) if answer.retry_after is None else answer.retry_after
            self.quiet_until = time.monotonic() + pause

    def halve(self, file: Path, lines: list[bytes]) -> None:
        if len(lines) == 1:
            (self.folder / "rejected").mkdir(exist_ok=True)
            file.replace(self.folder / "rejected" / file.name)
            return
        middle = len(lines) // 2
        first = int(file.name[37:45])
        for start, part in ((middle, lines[middle:]), (0, lines[:middle])):
            half = file.with_name(f"{file.name[:36]}-{first + start:08d}.ndjson")
            half.with_suffix(".tmp").write_bytes(b"".join(each + b"\n" for each in part))
            half.with_suffix(".tmp").replace(half)

    def send(self, run: str, first: int, lines: list[bytes]) -> Answer:
        head: Told = {"user_id": self.user, "game_id": self.game, "run": run, "seq": first}
        if run == self.run:
            head["sent_at"] = self.now()
        body = json.dumps(head).encode()[:-1] + b', "events": [' + b",".join(lines) + b"]}"
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        if len(body) > 1_000:
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        return self.call("POST", "/ingest/events", body, headers)

    def call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self.address, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content, after = answer.read(), answer.headers.get("Retry-After", "")
        except (OSError, http.client.HTTPException) as error:
            print("no answer:", type(error).__name__, file=sys.stderr, flush=True)
            return Answer()
        finally:
            connection.close()
        print(method, path, answer.status, file=sys.stderr, flush=True)
        try:
            told = json.loads(content)
        except ValueError:
            told = None
        return Answer(answer.status, told, float(after) if after.isdigit() else None)

    # --- what it is told

    def read_settings(self) -> None:
        told = self.call("GET", "/limits", None, {}).told
        if isinstance(told, dict) and isinstance(told.get("enabled"), bool):
            self.disabled = told.get("enabled") is False
            self.sample = told["sample"] if isinstance(told.get("sample"), dict) else {}

    def background(self) -> None:
        self.flush()

    def change_token(self, token: str) -> None:
        self.token, self.quiet_until = token, 0.0

    def opt_out(self) -> None:
        self.opted_out = True
        shutil.rmtree(self.folder)

    def set_clock(self, seconds: float) -> None:
        self.clock_error += seconds
        self.begin()

    def now(self) -> str:
        now = datetime.now(UTC) + timedelta(seconds=self.clock_error)
        return now.isoformat(timespec="microseconds")

    def state(self) -> Told:
        return {
            "queued": self.queued(),
            "run": self.run,
            "opted_out": self.opted_out,
            "disabled": self.disabled,
        }


def obey(kind: type[Client]) -> None:
    """Answer each line on standard input, until the end of it or ``quit``."""
    client: Client | None = None
    for line in sys.stdin:
        command = json.loads(line)
        do = command.pop("do")
        told: Told = {}
        if do == "init":
            client = kind(**command)
        elif do != "quit":
            assert client is not None, "init comes first"
            if do == "track":
                client.track(command["type"], command.get("name"), command.get("data"))
            elif do == "token":
                client.change_token(**command)
            elif do == "clock":
                client.set_clock(**command)
            elif do == "background":
                client.background()
            elif do == "optout":
                client.opt_out()
            else:
                told = {"flush": client.flush, "state": client.state}[do]()
        sys.stdout.write(json.dumps({"ok": True, **told}) + "\n")
        sys.stdout.flush()
        if do == "quit":
            return
    os._exit(0)


if __name__ == "__main__":
    obey(Client)
