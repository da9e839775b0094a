"""The page of the dead letters, and what it asks: ``/dead-letters/data`` and ``/dead-letters/one``.

The newest are listed, and all are counted by game and reason, without what is in them. What is in
one is masked as in the inspector. However many watch, the store is asked the same once a second at
most, on a connection that ingest does not use.
"""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway.console.access import OperatorGate
from playsmart_gateway.console.inspector.redact import Redactor
from playsmart_gateway.console.pages import Cache, files, json_answer, operators_only
from playsmart_gateway.errors import SinkError
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.http.error_body import error_body
from playsmart_gateway.http.static import Frame
from playsmart_gateway.stores.readers import DeadLetterReader

PATH = "/dead-letters"
MAX_LISTED = 200
"""Letters of one answer, the newest; all are counted."""

MAX_TEXT = 1_024
"""Characters of what is asked for: no game and no reason is longer."""

MAX_SHOWN_BYTES = 131_072
"""Of one letter; what is larger the command ``dead-letters show`` prints."""

_FILES = {
    PATH: "dead_letters.html",
    f"{PATH}/dead_letters.css": "dead_letters.css",
    f"{PATH}/dead_letters.js": "dead_letters.js",
}
_INVALID = error_body(400, "invalid_query")


def routes(
    reader: DeadLetterReader, gate: OperatorGate, redactor: Redactor, frame: Frame
) -> list[Route]:
    """Return the page, in its ``frame``, and what it asks of ``reader``."""

    async def read(wanted: tuple[str | None, str | None]) -> dict[str, Any]:
        game_id, reason = wanted
        counted = await reader.buried_by_reason()
        letters = await reader.newest_buried(MAX_LISTED, game_id=game_id, reason=reason)
        return {
            "counts": [each._asdict() for each in counted],
            "letters": [{"id": each.name, **msgspec.structs.asdict(each)} for each in letters],
            "listed_at_most": MAX_LISTED,
        }

    cache = Cache(read)

    async def data(request: Request) -> Response:
        game_id, reason = (request.query_params.get(name) for name in ("game", "reason"))
        if max(len(game_id or ""), len(reason or "")) > MAX_TEXT:
            return Response(_INVALID, 400, media_type="application/json")
        try:
            return json_answer(await cache.take((game_id, reason)))
        except SinkError as error:
            return json_answer({"trouble": str(error)})

    async def one(request: Request) -> Response:
        journal, _, sequence = request.query_params.get("id", "").rpartition("-")
        if not journal or len(journal) > MAX_TEXT or not _is_sequence(sequence):
            return Response(_INVALID, 400, media_type="application/json")
        try:
            batch = await reader.buried_batch(journal, int(sequence))
        except SinkError as error:
            return json_answer({"trouble": str(error)})
        if batch is None:
            return Response(error_body(404, "not_found"), 404, media_type="application/json")
        return json_answer(await asyncio.to_thread(_shown, batch, redactor))

    pages = files(Path(__file__).parent, _FILES, frame)
    return operators_only(gate, pages | {f"{PATH}/data": data, f"{PATH}/one": one})


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
