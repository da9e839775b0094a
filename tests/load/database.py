"""A database as the gateway leaves it, made from request bodies by an independent hand."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    event_id INTEGER PRIMARY KEY, source TEXT, game_id TEXT, user_id TEXT, type TEXT,
    custom_event_name TEXT, occurred_at TEXT, received_at TEXT, customdata TEXT)
"""


def stored(body: bytes) -> list[tuple[Any, ...]]:
    """Return the rows of a request body."""
    request = json.loads(body)
    return [
        (
            "playsmart",
            request["game_id"],
            request["user_id"],
            event["type"],
            event.get("customEventName"),
            datetime.fromisoformat(event["timestamp"])
            .astimezone(UTC)
            .strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "2026-01-01T00:00:00.000000Z",
            json.dumps(event["customdata"]) if "customdata" in event else None,
        )
        for event in request["events"]
    ]


def store(database: Path, *bodies: bytes) -> None:
    """Append the events of ``bodies``."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(SCHEMA)
        for body in bodies:
            connection.executemany(
                "INSERT INTO events (source, game_id, user_id, type, custom_event_name, "
                "occurred_at, received_at, customdata) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                stored(body),
            )


def execute(database: Path, sql: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(sql)
