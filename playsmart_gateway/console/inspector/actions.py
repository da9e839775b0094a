"""What pages and programs ask the inspector for: memory, a trial of a body, a replay.

All of it is for operators. What is sent here is JSON, said to be so, which no page of another site
can have a browser send without asking first, and nobody else is told yes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway import errors
from playsmart_gateway.console.access import OperatorGate, guarded
from playsmart_gateway.console.inspector.forward import encode
from playsmart_gateway.console.inspector.recall import Busy, Query, Recall
from playsmart_gateway.console.inspector.redact import Redactor
from playsmart_gateway.console.inspector.replay import Replays
from playsmart_gateway.errors import (
    Malformed,
    NotFound,
    Refused,
    TooSlow,
    UnsupportedMedia,
)
from playsmart_gateway.http.endpoint import Answer, refusing

MAX_TRIED_BYTES = 262_144
"""Of a body to be tried; in JSON it may take twice as much."""

MAX_ASKED_BYTES = 2 * MAX_TRIED_BYTES
READ_SECONDS = 10.0
JSON = "application/json"

Trial = Callable[[bytes], Answer]
"""Judges a body as an endpoint would, and keeps nothing of it."""


class _Tried(msgspec.Struct):
    path: str
    body: str


class _Replayed(msgspec.Struct):
    id: str


_decode_tried = msgspec.json.Decoder(_Tried).decode
_decode_replayed = msgspec.json.Decoder(_Replayed).decode


class TooLarge(Exception):
    """What was sent here is larger than it may be."""


def routes(
    prefix: str,
    gate: OperatorGate,
    redactor: Redactor,
    recall: Recall,
    *,
    trials: Mapping[str, Trial],
    replays: Replays | None,
    shows_bodies: bool,
) -> list[Route]:
    """Return the routes; without ``replays`` nothing can be sent once more."""
    about = {
        "shows_bodies": shows_bodies,
        "may_replay": replays is not None,
        "tries": list(trials),
    }

    async def memory(request: Request) -> Response:
        try:
            query = Query.read(request.query_params)
        except ValueError as wrong:
            return _error(400, f"invalid_{wrong}")
        try:
            whole = await recall.whole(query)
        except Busy:
            return refusing(errors.Busy("too_many_look", retry_after_seconds=1))
        return Response(whole.encode(about, recall.now()), media_type=JSON)

    async def tried(request: Request) -> Response:
        asked = await _read(request, _decode_tried)
        if isinstance(asked, Response):
            return asked
        trial = trials.get(asked.path)
        if trial is None:
            return _error(404, "no_trial_of_that_path")
        body = asked.body.encode("utf-8", "surrogatepass")
        if len(body) > MAX_TRIED_BYTES:
            return _error(413, "body_too_large")
        answer = trial(body)
        code, message, details = answer.problems
        told: dict[str, Any] = {
            "status": answer.status,
            "code": code,
            "message": redactor.text(message),
            "details": [
                {"path": redactor.text(each.path), "message": redactor.text(each.message)}
                for each in details
            ],
            "answer": redactor.json(answer.body),
        }
        return Response(encode(told), media_type=JSON)

    async def replayed(request: Request) -> Response:
        if replays is None:
            return _error(404, "not_found")
        asked = await _read(request, _decode_replayed)
        if isinstance(asked, Response):
            return asked
        try:
            return Response(await replays.replay(asked.id), media_type=JSON)
        except Refused as refusal:
            return refusing(refusal)

    def route(name: str, endpoint: Callable[[Request], Awaitable[Response]], method: str) -> Route:
        path = f"{prefix}/{name}"
        return Route(path, guarded(gate, endpoint), methods=[method], include_in_schema=False)

    return [
        route("memory", memory, "GET"),
        route("validate", tried, "POST"),
        route("replay", replayed, "POST"),
    ]


async def _read(request: Request, decode: Callable[[bytes], Any]) -> Any:
    """Return what was sent, or the answer to who sent something else."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        return _error(415, "unsupported_media_type")
    try:
        async with asyncio.timeout(READ_SECONDS):
            return decode(await _body(request))
    except TooLarge:
        return _error(413, "body_too_large")
    except TimeoutError:
        return _error(408, "request_timeout")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _error(400, "invalid_payload")


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_ASKED_BYTES:
            raise TooLarge
    return body


_KINDS: Mapping[int, type[Refused]] = {
    each.status: each for each in (Malformed, NotFound, TooSlow, errors.TooLarge, UnsupportedMedia)
}


def _error(status: int, message: str) -> Response:
    return refusing(_KINDS[status](message))
