"""The obvious design: what everyone writes first, to see what the gateway's is worth.

Honest work: every token is verified, every event validated, the buffer bounded, the store in
WAL mode, written in one transaction every two seconds and off the event loop. Only, an event is a
Python tuple from door to database, and ``executemany`` takes a step, and so the GIL, for each.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

MAX_BUFFERED = 1_000_000
FLUSH_SECONDS = 2.0
TYPES = {"AppOpen", "LevelCompleted", "GameEnd", "AdImpression", "IAPPurchase", "Custom"}
SCHEMA = """
    CREATE TABLE events (
        event_id INTEGER PRIMARY KEY, user_id TEXT NOT NULL, game_id TEXT NOT NULL,
        type TEXT NOT NULL, custom_event_name TEXT, occurred_at TEXT NOT NULL,
        received_at REAL NOT NULL, customdata TEXT
    )
"""
INSERT = """
    INSERT INTO events (user_id, game_id, type, custom_event_name, occurred_at, received_at,
                        customdata) VALUES (?, ?, ?, ?, ?, ?, ?)
"""

Row = tuple[str, str, str, str | None, str, float, str | None]


def open_database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(SCHEMA)
    return database


def write(database: sqlite3.Connection, rows: list[Row]) -> None:
    with database:
        database.executemany(INSERT, rows)


def rows_of(upload: dict[str, Any], received_at: float) -> list[Row]:
    """Validate; raises ValueError, TypeError or KeyError."""
    user_id, game_id, events = upload["user_id"], upload["game_id"], upload["events"]
    if not 1 <= len(events) <= 200:
        raise ValueError
    rows = []
    for event in events:
        kind, name, data = event["type"], event.get("customEventName"), event.get("customdata")
        if kind not in TYPES or (kind == "Custom" and not isinstance(name, str)):
            raise ValueError
        if data is not None and not isinstance(data, dict):
            raise ValueError
        if datetime.fromisoformat(event["timestamp"]).tzinfo is None:
            raise ValueError
        text = json.dumps(data) if data is not None else None
        rows.append((user_id, game_id, kind, name, event["timestamp"], received_at, text))
    return rows


def create_app(path: Path, secret: str) -> Starlette:
    buffer: list[Row] = []
    writing = 0
    database = open_database(path)

    async def ingest(request: Request) -> JSONResponse:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            claims = jwt.decode(token, secret, ["HS256"], {"require": ["exp", "sub"]})
        except jwt.InvalidTokenError:
            return JSONResponse({"error": {"code": "UNAUTHORIZED"}}, 401)
        try:
            upload = await request.json()
            rows = rows_of(upload, time.time())
        except (ValueError, TypeError, KeyError):
            return JSONResponse({"error": {"code": "BAD_REQUEST"}}, 400)
        if scheme.lower() != "bearer" or upload["user_id"] != claims["sub"]:
            return JSONResponse({"error": {"code": "FORBIDDEN"}}, 403)
        if len(buffer) + writing + len(rows) > MAX_BUFFERED:
            return JSONResponse({"error": {"code": "UNAVAILABLE"}}, 503, {"retry-after": "2"})
        buffer.extend(rows)
        message = f"accepted:{len(rows)} buffered:{len(buffer)}"
        return JSONResponse({"success": True, "message": message}, 202)

    async def metrics(_: Request) -> PlainTextResponse:
        return PlainTextResponse(f"playsmart_buffered_events {len(buffer) + writing}\n")

    async def flush() -> None:
        nonlocal buffer, writing
        if buffer:
            rows, buffer = buffer, []
            writing = len(rows)
            await asyncio.to_thread(write, database, rows)
            writing = 0

    async def flush_for_ever(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), FLUSH_SECONDS)
            await flush()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        flushing = asyncio.create_task(flush_for_ever(stopping))
        yield
        stopping.set()
        await flushing
        await flush()
        database.close()

    return Starlette(
        routes=[
            Route("/ingest/events", ingest, methods=["POST"]),
            Route("/metrics", metrics),
        ],
        lifespan=lifespan,
    )
