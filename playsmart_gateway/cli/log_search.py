"""What a log says of a request and of its batches; see ``logs`` for how a line looks."""

import re
from collections import deque
from collections.abc import Iterable

import msgspec

from playsmart_gateway.logs import Line, read_line

ACCESS = "playsmart_gateway.access"
REFUSALS = "playsmart_gateway.http.refusals"
_TOLD = re.compile(r"refused: (.*?)(?: reason=\S+ .*)?$")
EARLY_LINES = 200
"""Lines of flushes before that of the answer that are remembered: a flush may be told first."""


class Request(msgspec.Struct):
    """One answer to a request; ``batch`` is what was taken, ``reason`` why nothing was.

    Beside the reason the operator may be ``told`` more. Of those events that came with a batch so
    many were ``rejected``.
    """

    status: int
    time: str = ""
    method: str = ""
    route: str = ""
    ms: float = 0.0
    batch: str = ""
    reason: str = ""
    rejected: int = 0
    told: str = ""


class Said(msgspec.Struct):
    """What a log says: the ``requests`` of one id, and of batches what was ``done`` and when.

    It has ``answers``, from the ``first`` to the ``last``; with ``gaps`` lines were dropped.
    """

    requests: list[Request] = []
    done: dict[str, list[str]] = {}
    answers: int = 0
    first: str = ""
    last: str = ""
    gaps: bool = False


def search(lines: Iterable[str], asked: str) -> Said:
    """Return what the log says of a request id, or of a batch by its name."""
    said = Said(done={asked: []})
    early: deque[Line] = deque(maxlen=EARLY_LINES)
    for text in lines:
        if ACCESS in text:
            if (line := read_line(text)) is not None:
                _heard(said, line, asked, early)
        elif REFUSALS in text:
            if (line := read_line(text)) is not None and line.value("request_id") == asked:
                said.requests.append(_request(line, line.text))
        elif "flushed events=" in text or "buried one batch" in text:
            if (line := read_line(text)) is not None:
                early.append(line)
                _note(said, line)
        elif "records were dropped" in text:
            said.gaps = True
    return said


def _heard(said: Said, line: Line, asked: str, early: Iterable[Line]) -> None:
    said.answers += 1
    said.first = said.first or line.time
    said.last = line.time
    if asked not in (line.value("request_id"), line.value("batch")):
        return
    request = _request(line)
    before = said.requests[-1] if said.requests else request
    if request.reason and not before.ms and before.reason == request.reason:
        request.told = said.requests.pop().told  # the line of the refusal, just before
    said.requests.append(request)
    if request.batch and request.batch not in said.done:
        said.done[request.batch] = []
        for each in early:
            _note(said, each)


def _request(line: Line, text: str = "") -> Request:
    return Request(
        int(line.value("status") or 0),
        line.time,
        line.value("method") or "",
        line.value("route") or "",
        float(line.value("ms") or 0),
        line.value("batch") or "",
        line.value("reason") or "",
        int(line.value("rejected") or 0),
        found[1] if (found := _TOLD.match(text)) else "",
    )


def _note(said: Said, line: Line) -> None:
    """Take note of a flush or a burial of one of the batches."""
    ends = [value for name, value in line.pairs if name in ("first", "last")]
    buried = line.value("batch")
    for name, done in said.done.items():
        journal, _, sequence = name.rpartition("-")
        for first, last in zip(ends[::2], ends[1::2], strict=False):
            if first.rpartition("-")[0] == journal and _lies(sequence, first, last):
                done.append(f"flushed at {line.time}")
        if buried == name:
            done.append(f"buried at {line.time}")


def _lies(sequence: str, first: str, last: str) -> bool:
    numbers = (first.rpartition("-")[2], sequence, last.rpartition("-")[2])
    if not all(each.isdecimal() for each in numbers):
        return False
    low, number, high = map(int, numbers)
    return low <= number <= high
