"""Requests and rows as the files of cases write them."""

import gzip
import json
import sqlite3
from datetime import datetime
from typing import Any

from playsmart_gateway.auth.tokens import mint
from tests.support.process import SECRET


def body_of(case: dict[str, Any]) -> bytes:
    return as_sent(case, plain_body_of(case))


def as_sent(case: dict[str, Any], body: bytes) -> bytes:
    """A body as the client sends it: all of it in gzip, or as many bytes as the case says."""
    return gzip.compress(body)[: case.get("gzip_bytes")] if case.get("gzip") else body


def plain_body_of(case: dict[str, Any]) -> bytes:
    if "body_text" in case:
        return str(case["body_text"]).encode()
    if repeated := case.get("repeat_event"):
        case["body"]["events"] = [repeated["event"]] * repeated["times"]
    return json.dumps(case["body"], ensure_ascii=False).encode()


def headers_of(case: dict[str, Any]) -> dict[str, str]:
    headers = {"content-type": "application/json", **case.get("headers", {})}
    if token := case["token"]:
        signed = mint(
            token["sub"],
            secret=token.get("secret", SECRET),
            ttl_seconds=token.get("ttl_seconds", 3600),
            now=datetime.now().timestamp(),
            claims=token.get("claims"),
        )
        headers["authorization"] = f"Bearer {signed}"
    return headers


def as_in_a_case(row: sqlite3.Row) -> dict[str, Any]:
    values = dict(row)
    assert len(values.pop("received_at")) == len("2024-01-15T12:00:00.000000Z")
    del values["event_id"]
    assert values.pop("adjusted_at") == values["occurred_at"]
    del values["clock"]
    if values["customdata"] is not None:
        values["customdata"] = json.loads(values["customdata"])
    return values
