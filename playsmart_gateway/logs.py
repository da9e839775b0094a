"""How the log is written, and read again: one line a record, for people or for machines.

A record may carry ``fields(...)`` beside its text. An exception is named by type and place, never
by its own text, which could quote a payload; control characters are written as escapes.
"""

import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from playsmart_gateway.errors import where

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

logger = logging.getLogger(__name__)

_FIELDS = "playsmart_fields"
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_always: dict[str, Any] = {}
_NONE: Mapping[str, Any] = {}
_CONSOLE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) [A-Z]+ (playsmart_gateway[\w.]*) (.*)"
)
_PAIR = re.compile(r"(?<!\S)([a-z_]+)=(\S+)")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def fields(**values: Any) -> dict[str, Any]:
    """Return what to pass as ``extra`` so that ``values`` are fields of the record."""
    return {_FIELDS: values}


def always(**values: Any) -> None:
    """Make ``values`` fields of every record of this process from now on."""
    _always.update(values)


def shown(text: str, most: int = 64) -> str:
    """Return a name that came from outside as a line may have it.

    It is cut to ``most`` characters; what could be read as another field, or as another line, is
    written with percent signs.
    """
    cut = quote(text[:most], safe="/:@+._~-", errors="backslashreplace")
    return cut if len(text) <= most else cut + "..."


def token_of(subject: str) -> str:
    """Say for the operator whose token a request came with."""
    return f"the token is of {shown(subject)}"


def set_up_logging(form: LogFormat, level: LogLevel) -> None:
    """Send every record of at least ``level``, and warnings, to standard error in this form."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else ConsoleFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(True)
    sys.unraisablehook = _log_unraisable


def _log_unraisable(found: "sys.UnraisableHookArgs") -> None:
    if error := found.exc_value:
        logger.error("an error that nobody could be told of", exc_info=error)


class ConsoleFormatter(logging.Formatter):
    """Time, level, logger, text, then the fields as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        text = f"{self.formatTime(record)} {record.levelname} {record.name} {_text(record)}"
        for name, value in _fields(record).items():
            text += f" {name}={value}"
        return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class JsonFormatter(logging.Formatter):
    """One JSON object: ``time`` (UTC), ``level``, ``logger``, ``message``, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _text(record),
            **_fields(record),
        }
        return _CONTROLS.sub(
            lambda found: f"\\u{ord(found[0]):04x}",
            msgspec.json.encode(line, enc_hook=str).decode(),
        )


class Line(NamedTuple):
    """A line of the log; ``pairs`` are all that it says as ``name=value``, texts included."""

    time: str
    logger: str
    text: str
    pairs: tuple[tuple[str, str], ...]

    def value(self, name: str) -> str | None:
        """Return what it says last of ``name``."""
        return next((value for key, value in reversed(self.pairs) if key == name), None)


def read_line(text: str) -> Line | None:
    """Read a line in either form, with whatever others put before it; None if it is not ours."""
    if (start := text.find('{"time":')) >= 0:
        try:
            found = _decode(text[start:])
        except ValueError:  # cut off, or another program's
            return None
        message = str(found.get("message", ""))
        pairs = (*_PAIR.findall(message), *((name, str(value)) for name, value in found.items()))
        return Line(str(found["time"]), str(found.get("logger", "")), message, pairs)
    if (match := _CONSOLE.search(text)) is None:
        return None
    time, name, message = match.groups()
    return Line(time, name, message, tuple(_PAIR.findall(message)))


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(record, _FIELDS, _NONE)
    return {**_always, **found} if _always else found


def _text(record: logging.LogRecord) -> str:
    text = record.getMessage().encode("utf-8", "backslashreplace").decode()
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return text
    headline, _, _ = text.partition("\n")
    return f"{headline}: {where(error)}"
