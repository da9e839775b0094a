"""How the log is written: one line a record, for people or for machines.

A record may carry ``fields(...)`` beside its text. An exception is named by type and place, never
by its own text, which could quote a payload; control characters are written as escapes.
"""

import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from playsmart_gateway.errors import where

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

logger = logging.getLogger(__name__)

_FIELDS = "playsmart_fields"
_always: dict[str, Any] = {}
_NONE: Mapping[str, Any] = {}
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def fields(**values: Any) -> dict[str, Any]:
    """Return what to pass as ``extra`` so that ``values`` are fields of the record."""
    return {_FIELDS: values}


def always(**values: Any) -> None:
    """Make ``values`` fields of every record of this process from now on."""
    _always.update(values)


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
