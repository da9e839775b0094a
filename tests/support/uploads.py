"""Events and requests as games send them, and tables as the environment holds them."""

import json
from typing import Any


def in_toml(value: object) -> str:
    """A value as the environment holds it; what is None is left out."""
    if isinstance(value, dict):
        pairs = (f"{name} = {in_toml(each)}" for name, each in value.items() if each is not None)
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(in_toml, value))}]"
    return json.dumps(value)


def make_event(type_: str = "AppOpen", **fields: Any) -> dict[str, Any]:
    return {"type": type_, "timestamp": "2026-04-22T14:30:00+00:00", **fields}


def make_upload(user_id: str, *events: object, **fields: object) -> dict[str, Any]:
    """A request body; with no events given it holds one that is valid."""
    listed = list(events) or [make_event()]
    return {"user_id": user_id, "game_id": "com.example.game", "events": listed, **fields}


def as_toml(tables: str) -> str:
    """JSON tables as an inline TOML array."""
    written = []
    for table in json.loads(tables):
        pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
        written.append(f"{{{pairs}}}")
    return f"[{', '.join(written)}]"
