"""What of a request may be shown to somebody who watches: all of it but secrets and e-mails.

Secrets go by their names (whatever a key like ``secret_key`` holds), by their looks (JSON Web
Tokens, e-mail addresses) and by their values (those of the configuration, and the request's own
token), wherever they are: as a value, as a key, inside a text, inside a text that is no JSON.
JSON is laid out here, number by number as it was written, so that a browser has only to show text.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from playsmart_gateway.watching import Seen

MASK = "••••"
MAX_TEXT_LENGTH = 65_536
"""Characters of one laid-out text."""

MAX_DEPTH = 20
MAX_PROBLEMS = 50
LINE_LENGTH = 76
LEAST_SECRET_LENGTH = 4
"""Shorter ones are no secrets, and would be found everywhere."""

_NAME = r"(?:secret|passw|token(?!s)|authori[sz]ation|credential|api_?key|cookie|e-?mail)"
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_SECRET_PAIR = re.compile(
    rf"""({_NAME}[\w-]{{0,40}}\\*["']?\s{{0,8}}[:=]\s{{0,8}})"""
    r"""(\\+["'][^"'\\]*|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,&}\]]+)""",
    re.IGNORECASE,
)
_ADDRESS = r"""[^\s@"'<>()\[\]{},;:=&]"""
_BY_LOOKS = (
    r"eyJ[\w-]{8,}(?:\.[\w-]*)*|(?i:bearer)\s+\S+"
    rf"|(?<!{_ADDRESS}){_ADDRESS}+?(?:@|%40){_ADDRESS}+"
)
_ESCAPE = re.compile(r"\\u00([0-7][0-9a-fA-F])|%([2-7][0-9a-fA-F])|\\(/)")
_decode_rows = msgspec.json.Decoder(list[list[msgspec.Raw]]).decode
_decode_text = msgspec.json.Decoder(str | None).decode


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def secrets_of(settings: Any, *, secret: bool = False) -> Iterator[str]:
    """Yield the texts that go by a secret's name in a configuration of plain values."""
    if isinstance(settings, dict):
        for name, value in settings.items():
            yield from secrets_of(value, secret=_SECRET_NAME.search(name) is not None)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from secrets_of(value, secret=secret)
    elif secret and isinstance(settings, str) and len(settings) >= LEAST_SECRET_LENGTH:
        yield settings


class Disclosure:
    """Makes requests fit to be shown; none of ``secrets`` ever is."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted(set(secrets), key=len, reverse=True)
        self._secrets = re.compile("|".join([*map(re.escape, known), _BY_LOOKS]))

    def message(self, seen: Seen) -> dict[str, Any]:
        """Return a request as plain values, every text of them masked."""
        answer = _read(seen.answer)
        code, message, problems = _problems(answer)
        shown: dict[str, Any] = {
            "id": seen.number,
            "at": int(seen.at * 1000),
            "path": seen.path,
            "request_id": seen.request_id.decode("ascii"),
            "status": seen.status,
            "outcome": "accepted" if seen.status < 400 else "refused",
            "state": seen.state or ("answered" if seen.status < 400 else "refused"),
            "ms": round(seen.seconds * 1000, 2),
            "code": code,
            "message": message,
            "details": [{"path": path, "message": text} for path, text in problems],
            "answer": self._lay_out(answer, ""),
        }
        if seen.batch is not None:
            shown |= {
                "source": seen.batch.source,
                "game": seen.batch.game_id,
                "player": seen.batch.user_id,
                "count": seen.batch.count,
            }
        elif seen.body is not None:
            shown |= self._body(seen.body)
        elif seen.body_bytes:
            shown["body"] = f"{seen.body_bytes:,} bytes, too many to show"
        token = seen.authorization.decode("latin-1").partition(" ")[2].strip()
        if len(token) >= LEAST_SECRET_LENGTH:
            shown = _replace(shown, token)
        shown = {name: self._masked(value) for name, value in shown.items()}
        if seen.batch is not None:
            shown["events"] = None if seen.rows is None else self._events(seen.rows)
        return shown

    def text(self, text: str) -> str:
        """Return a text without what looks like, or is, a secret or an e-mail address."""
        text = self._secrets.sub(MASK, text)
        if ":" in text or "=" in text:
            text = _SECRET_PAIR.sub(rf"\1{MASK}", text)
        return text

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return _sane(self.text(value))
        if isinstance(value, list):
            return [self._masked(each) for each in value]
        if isinstance(value, dict):
            return {name: self._masked(each) for name, each in value.items()}
        return value

    def _events(self, rows: bytes) -> list[dict[str, Any]]:
        events = []
        for kind, name, when, data, *others in _decode_rows(rows):
            text = bytes(data)
            event: dict[str, Any] = {
                "type": self._masked(_decode_text(kind)),
                "name": self._masked(_decode_text(name)),
                "time": _decode_text(when),
                "data": None if text == b"null" else _sane(self._lay_out(_read(text), "")),
            }
            if len(others) > 1 and (player := _decode_text(others[1])):
                event["player"] = self._masked(player)
            events.append(event)
        return events

    def _body(self, body: bytes) -> dict[str, Any]:
        content = _read(body)
        shown = {"body": self._lay_out(content, "")}
        if isinstance(content, dict):
            for name, key in (("player", "user_id"), ("game", "game_id")):
                if isinstance(content.get(key), str):
                    shown[name] = content[key]
        return shown

    def _lay_out(self, value: Any, indent: str) -> str:
        """Return JSON to read: short objects on one line, secrets masked by their names."""
        if isinstance(value, _Unreadable | _Number):
            return self.text(value)[:MAX_TEXT_LENGTH]
        if not isinstance(value, dict | list):
            text = self.text(value) if isinstance(value, str) else value
            return json.dumps(text, ensure_ascii=False)
        brackets = "{}" if isinstance(value, dict) else "[]"
        if len(indent) >= 2 * MAX_DEPTH:
            return f"{brackets[0]}…{brackets[1]}"
        deeper = indent + "  "
        if isinstance(value, dict):
            parts = [
                f"{json.dumps(self.text(name), ensure_ascii=False)}: "
                + (f'"{MASK}"' if _SECRET_NAME.search(name) else self._lay_out(each, deeper))
                for name, each in value.items()
            ]
        else:
            parts = [self._lay_out(each, deeper) for each in value]
        line = ", ".join(parts)
        if len(line) > LINE_LENGTH or "\n" in line:
            line = f"\n{deeper}" + f",\n{deeper}".join(parts) + f"\n{indent}"
        text = f"{brackets[0]}{line}{brackets[1]}"
        return text if len(text) <= MAX_TEXT_LENGTH else f"{text[:MAX_TEXT_LENGTH]}…"


class _Unreadable(str):
    """What is neither JSON nor a form."""

    __slots__ = ()


def _read(content: bytes) -> Any:
    """Return what JSON or a form holds; else its text, or how much of something else it is."""
    try:
        text = content.decode()
        return json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number)
    except UnicodeDecodeError:
        return _Unreadable(f"{len(content):,} bytes that are no text")
    except (ValueError, RecursionError):
        pass
    if "\0" in text:
        return _Unreadable(f"{len(content):,} bytes that are no text")
    if "=" in text and not re.search(r"[\s{\"]", text):
        return dict(parse_qsl(text, keep_blank_values=True))
    return _Unreadable(_ESCAPE.sub(_unescaped, text))


def _unescaped(match: re.Match[str]) -> str:
    """What is escaped would be found neither by its looks nor by its value."""
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else match[3]


def _problems(answer: Any) -> tuple[str, str, list[tuple[str, str]]]:
    """Return the code, the message and the details of an answer, whichever neighbour's it is."""
    if not isinstance(answer, dict):
        return "", "", []
    found = list(_flattened(answer.get("errors"), ""))
    for place, result in enumerate(answer.get("results") or ()):
        if isinstance(result, dict):
            found += _flattened(result.get("errors"), f"events.{place}.")
    error = answer.get("error")
    if isinstance(error, dict):
        found += [
            (str(each.get("path", "")), str(each.get("message", "")))
            for each in error.get("details") or ()
            if isinstance(each, dict)
        ]
        return str(error.get("code", "")), str(error.get("message", "")), found[:MAX_PROBLEMS]
    code = str(answer.get("status", "")) if found else ""
    message = "; ".join(f"{path} {text}".strip() for path, text in found[:2])
    return code, message, found[:MAX_PROBLEMS]


def _flattened(errors: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield each text of errors by parameter, with where it is."""
    if isinstance(errors, dict):
        for name, inner in errors.items():
            yield from _flattened(inner, f"{path}{name}")
    elif isinstance(errors, list):
        for inner in errors:
            yield from _flattened(inner, path)
    elif errors is not None:
        yield path, str(errors)


def _sane(text: str) -> str:
    """A lone surrogate is JSON, and no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _replace(value: Any, secret: str) -> Any:
    if isinstance(value, str):
        return value.replace(secret, MASK)
    if isinstance(value, list):
        return [_replace(each, secret) for each in value]
    if isinstance(value, dict):
        return {name: _replace(each, secret) for name, each in value.items()}
    return value
