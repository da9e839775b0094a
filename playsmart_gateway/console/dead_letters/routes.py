"""The page of the dead letters, and what it asks: ``/dead-letters/data`` and ``/dead-letters/one``.

The newest are listed, and all are counted by game and reason, without what is in them. What is in
one is masked as in the inspector. However many watch, the store is asked the same once a second at
most, on a connection that ingest does not use.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway.console.access import OperatorGate, PageEndpoint, guarded
from playsmart_gateway.console.inspector.redact import Redactor
from playsmart_gateway.errors import SinkError
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.http.error_body import error_body
from playsmart_gateway.http.static import Asset, Frame
from playsmart_gateway.stores.readers import DeadLetterReader

PATH = "/dead-letters"
FRESH_SECONDS = 1.0
"""How long what was read is given to others."""

MAX_LISTED = 200
"""Letters of one answer, the newest; all are counted."""

MAX_READ = 16
"""Choices of a game and a reason whose answer is kept so long."""

MAX_TEXT = 1_024
"""Characters of what is asked for: no game and no reason is longer."""

MAX_SHOWN_BYTES = 131_072
"""Of one letter; what is larger the command ``dead-letters show`` prints."""

_HERE = Path(__file__).parent
_INVALID = error_body(400, "invalid_query")


def routes(
    reader: DeadLetterReader, gate: OperatorGate, redactor: Redactor, frame: Frame
) -> list[Route]:
    """Return the page, in its ``frame``, and what it asks of ``reader``."""
    shelf = Shelf(reader)

    async def data(request: Request) -> Response:
        game_id, reason = (request.query_params.get(name) for name in ("game", "reason"))
        if max(len(game_id or ""), len(reason or "")) > MAX_TEXT:
            return Response(_INVALID, 400, media_type="application/json")
        try:
            return _json(await shelf.take(game_id, reason))
        except SinkError as error:
            return _json({"trouble": str(error)})

    async def one(request: Request) -> Response:
        journal, _, sequence = request.query_params.get("id", "").rpartition("-")
        if not journal or len(journal) > MAX_TEXT or not _is_sequence(sequence):
            return Response(_INVALID, 400, media_type="application/json")
        try:
            batch = await reader.buried_batch(journal, int(sequence))
        except SinkError as error:
            return _json({"trouble": str(error)})
        if batch is None:
            return Response(error_body(404, "not_found"), 404, media_type="application/json")
        return _json(await asyncio.to_thread(_shown, batch, redactor))

    page = frame(PATH, (_HERE / "dead_letters.html").read_text("utf-8"))
    answers = {
        PATH: _asset(page.encode(), "text/html"),
        f"{PATH}/dead_letters.css": _asset((_HERE / "dead_letters.css").read_bytes(), "text/css"),
        f"{PATH}/dead_letters.js": _asset(
            (_HERE / "dead_letters.js").read_bytes(), "text/javascript"
        ),
        f"{PATH}/data": data,
        f"{PATH}/one": one,
    }
    return [
        Route(path, guarded(gate, answer), include_in_schema=False)
        for path, answer in answers.items()
    ]


class Shelf:
    """What was read a moment ago, for all who watch; one reads at a time.

    ``steady`` is in seconds and says how old it is.
    """

    def __init__(
        self, reader: DeadLetterReader, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._reader = reader
        self._steady = steady
        self._turn = asyncio.Lock()
        self._read: dict[tuple[str | None, str | None], tuple[float, dict[str, Any]]] = {}

    async def take(self, game_id: str | None, reason: str | None) -> dict[str, Any]:
        """Return counts of all letters, and the newest of a game, a reason, or both.

        Raises:
            SinkError: the store cannot be read now.
        """
        async with self._turn:
            now = self._steady()
            self._read = {
                key: each for key, each in self._read.items() if now - each[0] < FRESH_SECONDS
            }
            if (known := self._read.get((game_id, reason))) is not None:
                return known[1]
            counted = await self._reader.buried_by_reason()
            letters = await self._reader.newest_buried(MAX_LISTED, game_id=game_id, reason=reason)
            found = {
                "counts": [each._asdict() for each in counted],
                "letters": [{"id": each.name, **msgspec.structs.asdict(each)} for each in letters],
                "listed_at_most": MAX_LISTED,
            }
            if len(self._read) < MAX_READ:
                self._read[game_id, reason] = now, found
            return found


def _shown(batch: Batch, redactor: Redactor) -> dict[str, Any]:
    """Return the events of a letter, masked, or its text where it is no batch of events."""
    size = len(batch.rows)
    if size > MAX_SHOWN_BYTES:
        return {"size": size, "events": None, "text": None}
    try:
        return {"size": size, "events": redactor.events(batch.rows), "text": None}
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        text = bytes(batch.rows).decode("utf-8", "backslashreplace")
        return {"size": size, "events": None, "text": redactor.text(text)}


def _is_sequence(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _json(told: object) -> Response:
    return Response(msgspec.json.encode(told), media_type="application/json")


def _asset(content: bytes, media_type: str) -> PageEndpoint:
    asset = Asset.of(content, media_type)

    async def answer(request: Request) -> Response:
        return asset.answer(request, {})

    return answer
