"""What of a request may be shown to somebody who watches: all of it but secrets and e-mails.

Secrets go by their names (whatever a key like ``secret_key`` holds, see ``secret_names``), by their
looks (JSON Web Tokens, e-mail addresses) and by their values (those of the configuration, and the
request's own token), wherever they are: as a value, as a key, inside a text, inside a text that is
no JSON.
JSON travels on as text, number by number as it was written: a browser's JSON would round what it
reads. Most events hold nothing that could be a secret; they are found by a few searches in C.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec

from playsmart_gateway.console.inspector.nowhere import Nowhere
from playsmart_gateway.console.inspector.secret_names import HINT, is_secret_name
from playsmart_gateway.console.inspector.watcher import MAX_SHOWN_BYTES, Seen, Sent
from playsmart_gateway.events.batch import RUN_BYTES, Batch
from playsmart_gateway.events.row import decode, encode

MASK = "••••"
MAX_TEXT_LENGTH = 131_072
"""Characters of one text."""

MAX_PATH_LENGTH = 200
MAX_SENT_BYTES = 16_384
"""Of a request that was taken, shown beside its events."""

SHOWN_HEADERS = (b"content-type", b"prefer", b"idempotency-key")
MAX_DEPTH = 100
LEAST_SECRET_LENGTH = 4
"""Shorter ones are no secrets, and would be found everywhere."""

_CONFIGURED = re.compile(HINT, re.IGNORECASE)
"""In names of the configuration, where to hide too much does no harm."""

_PAIR = re.compile(
    rf"""(?<![\w-])([\w-]{{0,40}}?{HINT}[\w-]{{0,40}})\\*["']?\s{{0,8}}[:=]\s{{0,8}}""",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"""\\+["'][^"'\\]*|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,&}\]]+""",
)
_ADDRESS = r"""[^\s@"'<>()\[\]{},;:=&]"""
_BY_LOOKS = (
    r"eyJ[\w-]{8,}(?:\.[\w-]*)*|(?i:bearer)\s+\S+"
    rf"|(?<!{_ADDRESS}){_ADDRESS}+?(?:@|%40){_ADDRESS}+"
)
_SUSPICIOUS = (
    *(b"@", b"%40", b"eyj", b"bearer", b"secret", b"passw", b"token", b"authori", b"credential"),
    *(b"key", b"jwt", b"pwd", b"cookie", b"mail", b"passphrase", b"passcode", b"\\"),
)
"""In lower case; what has none of these, nor a known secret, has nothing to mask."""

_ESCAPE = re.compile(r"\\u00([0-7][0-9a-fA-F])|%([2-7][0-9a-fA-F])|\\(/)")
_MASKED = json.dumps(MASK, ensure_ascii=False)


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def secrets_of(settings: Any, *, secret: bool = False) -> Iterator[str]:
    """Yield the texts that go by a secret's name in a configuration of plain values."""
    if isinstance(settings, dict):
        for name, value in settings.items():
            yield from secrets_of(value, secret=_CONFIGURED.search(name) is not None)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from secrets_of(value, secret=secret)
    elif secret and isinstance(settings, str) and len(settings) >= LEAST_SECRET_LENGTH:
        yield settings


class Redactor:
    """Makes requests fit to be shown; none of ``secrets`` ever is.

    ``paths`` are those that there are, for who missed them.
    """

    def __init__(self, secrets: Iterable[str], paths: Iterable[str] = ()) -> None:
        self._nowhere = Nowhere(paths)
        known = sorted(set(secrets), key=len, reverse=True)
        self._known = [secret.encode() for secret in known]
        self._secrets = re.compile("|".join([*map(re.escape, known), _BY_LOOKS]))

    def message(self, seen: Seen) -> dict[str, Any]:
        """Return a request as plain values, every text of them masked."""
        code, message, details = seen.problems
        shown: dict[str, Any] = {
            "id": seen.number,
            "at": int(seen.at * 1000),
            "method": seen.method,
            "path": seen.path,
            "request_id": seen.request_id.decode("ascii"),
            "status": seen.status,
            "outcome": "accepted" if seen.status < 400 else "refused",
            "state": seen.state or ("answered" if seen.status < 400 else "refused"),
            "ms": round(seen.seconds * 1000, 2),
            "code": code,
            "message": message,
            "reason": seen.reason,
            "told": seen.told,
            "why": self._nowhere.why(seen),
            "replay_of": seen.replay_of,
            "may_replay": seen.sent is not None,
            "let_go": seen.was_let_go,
            "details": [{"path": each.path, "message": each.message} for each in details],
            "answer": self._json(_read(seen.answer)),
        }
        if seen.batch is not None:
            shown |= {
                "batch": seen.batch.name,
                "source": seen.batch.source,
                "game": seen.batch.game_id,
                "player": seen.batch.user_id,
                "count": seen.batch.count,
                "points": seen.points,
                "rejected": seen.rejected,
                **_run_of(seen.batch),
            }
        elif seen.body is not None:
            shown |= self._body(seen.body)
        elif seen.body_bytes and not seen.was_let_go:
            why = "too many to show" if seen.body_bytes > MAX_SHOWN_BYTES else "not inflated"
            shown["body"] = f"{seen.body_bytes:,} bytes, {why}"
        if seen.sent is not None:
            shown |= self._sent(seen, seen.sent)
        token = seen.authorization.decode("latin-1").partition(" ")[2].strip()
        if len(token) >= LEAST_SECRET_LENGTH:
            shown = _replace(shown, token)
        shown = {name: self._masked(value) for name, value in shown.items()}
        shown["path"] = shown["path"][:MAX_PATH_LENGTH]
        if seen.batch is not None:
            shown["events"] = None if seen.rows is None else self.events(seen.rows)
        return shown

    def _sent(self, seen: Seen, sent: Sent) -> dict[str, Any]:
        """Return what to send so that it is the same request, but for what is masked."""
        shown: dict[str, Any] = {
            "headers": {
                name.decode(): value.decode("latin-1")
                for name, value in sent.headers
                if name in SHOWN_HEADERS
            }
        }
        if seen.batch is not None and len(sent.text) <= MAX_SENT_BYTES:
            shown["sent"] = self._json(_read(sent.text))
        return shown

    def json(self, content: bytes) -> str:
        """Return JSON without secrets; what is none as its text."""
        return _sane(self._json(_read(content)))

    def text(self, text: str) -> str:
        """Return a text without what looks like, or is, a secret or an e-mail address."""
        text = self._secrets.sub(MASK, text)
        if ":" in text or "=" in text:
            text = _without_pairs(text)
        return text

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return _sane(self.text(value))
        if isinstance(value, list):
            return [self._masked(each) for each in value]
        if isinstance(value, dict):
            return {name: self._masked(each) for name, each in value.items()}
        return value

    def events(self, rows: bytes) -> list[dict[str, Any]]:
        """Return the events of a batch as plain values, every text of them masked.

        Texts that are JSON already are passed on as they are where possible.

        Raises:
            MsgspecError, UnicodeError, RecursionError: these are no rows of a batch.
        """
        harmless = self._is_harmless(rows)
        events = []
        for row in decode(rows):
            texts = {"type": row.type, "name": row.custom_event_name, "player": row.user_id}
            text = bytes(row.customdata)
            if harmless or self._is_harmless(encode([row])):
                shown = text.decode()
            else:
                texts = self._masked(texts)
                shown = _sane(self._json(_read(text)))
            when = msgspec.to_builtins(row.occurred_at)
            events.append({**texts, "time": when, "data": None if text == b"null" else shown})
        return events

    def _is_harmless(self, text: bytes) -> bool:
        lowered = text.lower()
        return not any(each in lowered for each in _SUSPICIOUS) and not any(
            each in text for each in self._known
        )

    def _body(self, body: bytes) -> dict[str, Any]:
        content = _read(body)
        shown = {"body": self._json(content)}
        if isinstance(content, dict):
            for name, key in (("player", "user_id"), ("game", "game_id")):
                if isinstance(content.get(key), str):
                    shown[name] = content[key]
        return shown

    def _json(self, value: Any, depth: int = 0) -> str:
        """Return a value as JSON without secrets; what is not JSON as its text."""
        if isinstance(value, _Unreadable | _Number):
            text = self.text(value)
        elif isinstance(value, str):
            text = json.dumps(self.text(value), ensure_ascii=False)
        elif not isinstance(value, dict | list):
            text = json.dumps(value)
        elif depth >= MAX_DEPTH:
            text = '"…"'
        elif isinstance(value, list):
            text = f"[{', '.join([self._json(each, depth + 1) for each in value])}]"
        else:
            parts = [
                f"{json.dumps(self.text(name), ensure_ascii=False)}: "
                + (_MASKED if is_secret_name(name) else self._json(each, depth + 1))
                for name, each in value.items()
            ]
            text = f"{{{', '.join(parts)}}}"
        return text if len(text) <= MAX_TEXT_LENGTH else f"{text[:MAX_TEXT_LENGTH]}…"


def _run_of(batch: Batch) -> dict[str, Any]:
    if not batch.run:
        return {}
    shown: dict[str, Any] = {"run": str(UUID(bytes=batch.run[:RUN_BYTES])), "seq": batch.seq}
    if batch.about is not None and batch.about.client is not None:
        shown["client"] = " ".join(filter(None, batch.about.client))
    return shown


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


def _without_pairs(text: str) -> str:
    """Mask what follows the name of a secret; a value that is not masked may hold another pair."""
    parts: list[str] = []
    at = 0
    for found in _PAIR.finditer(text):
        if found.start() < at or not _names_a_secret(text, found):
            continue
        if (value := _VALUE.match(text, found.end())) is not None:
            parts += text[at : found.end()], _MASKED if value[0].startswith('"') else MASK
            at = value.end()
    return "".join([*parts, text[at:]])


def _names_a_secret(text: str, pair: re.Match[str]) -> bool:
    name, before = pair[1], text[pair.start() - 1 : pair.start()]
    return is_secret_name(name) or (before == "\\" and is_secret_name(name[1:]))  # as in \ntoken


def _unescaped(match: re.Match[str]) -> str:
    """What is escaped would be found neither by its looks nor by its value."""
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else match[3]


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
