"""The page of the dead letters: who sees it, nothing secret is in it, and it is bounded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.config import Auth, Config, Journal, Operator
from playsmart_gateway.console.dead_letters.routes import (
    MAX_LISTED,
    MAX_SHOWN_BYTES,
)
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import DeadLetter
from tests.support.doubles import make_batch
from tests.support.in_process import in_process
from tests.support.process import SECRET

TOKEN = "a token of operators"
ME = ("me", TOKEN)
FILES = ("", "/dead_letters.css", "/dead_letters.js", "/data", "/one?id=journal-1")
SENT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.signature"


class Refusing(MemorySink):
    """A store that cannot be read now."""

    async def newest_buried(self, *_: Any, **__: Any) -> list[DeadLetter]:
        raise SinkUnavailable("the file is locked")

    async def buried_batch(self, journal: str, sequence: int) -> Batch | None:
        raise SinkUnavailable("the file is locked")


@asynccontextmanager
async def client(sink: MemorySink, token: str | None = TOKEN) -> AsyncIterator[httpx.AsyncClient]:
    config = Config(
        journal=Journal(enabled=False), auth=Auth(secret=SECRET), operator=Operator(token=token)
    )
    async with in_process(create_app(config, sink=sink)) as http:
        yield http


def name_of(batch: Batch) -> str:
    return f"{batch.journal}-{batch.sequence}"


@pytest.mark.parametrize("file", FILES)
async def test_who_has_the_token_sees_it_and_nobody_else(file: str) -> None:
    async with client(MemorySink()) as http:
        assert (await http.get(f"/dead-letters{file}")).status_code == 401
        assert (await http.get(f"/dead-letters{file}", auth=ME)).status_code in (200, 404)
    async with client(MemorySink(), None) as http:
        assert (await http.get(f"/dead-letters{file}", auth=ME)).status_code == 404


async def test_letters_are_counted_and_the_newest_are_listed_without_what_is_in_them() -> None:
    sink = MemorySink()
    for sequence in range(1, MAX_LISTED + 3):
        await sink.bury(make_batch(sequence), "too odd" if sequence > 1 else "too new")
    async with client(sink) as http:
        told = (await http.get("/dead-letters/data", auth=ME)).json()
        few = (await http.get("/dead-letters/data?reason=too+new", auth=ME)).json()
        none = (await http.get("/dead-letters/data?game=another", auth=ME)).json()
    assert [(each["reason"], each["letters"]) for each in told["counts"]] == [
        ("too odd", MAX_LISTED + 1),
        ("too new", 1),
    ]
    assert len(told["letters"]) == MAX_LISTED
    assert "rows" not in told["letters"][0]
    assert [each["sequence"] for each in few["letters"]] == [1]
    assert (none["letters"], none["counts"]) == ([], told["counts"])


async def test_what_is_in_a_letter_is_masked_as_in_the_inspector() -> None:
    sink = MemorySink()
    data = f'{{"password": "hunter22", "note": "Bearer {SENT}", "level": 5, "by": "me@home.org"}}'
    rows = f'[["Custom","odd","2026-04-22T14:30:00Z",{data}]]'.encode()
    batch = make_batch(1)
    batch.rows, batch.count = rows, 1
    await sink.bury(batch, "why not")
    async with client(sink) as http:
        told = await http.get("/dead-letters/one", params={"id": name_of(batch)}, auth=ME)
    assert '"level": 5' in told.json()["events"][0]["data"]
    for secret in ("hunter22", SENT, "me@home.org"):
        assert secret not in told.text
    assert told.headers["cache-control"] == "no-store"


async def test_what_is_no_batch_is_masked_text_and_what_is_too_large_is_not_read_out() -> None:
    sink = MemorySink()
    odd, large = make_batch(1), make_batch(2)
    odd.rows = f"not a batch, but token={SENT} \xff".encode("latin-1")
    large.rows = b"[" + b" " * MAX_SHOWN_BYTES + b"]"
    for batch in (odd, large):
        await sink.bury(batch, "why not")
    async with client(sink) as http:
        shown = (await http.get(f"/dead-letters/one?id={name_of(odd)}", auth=ME)).json()
        told = (await http.get(f"/dead-letters/one?id={name_of(large)}", auth=ME)).json()
    assert shown["events"] is None
    assert shown["text"].startswith("not a batch, but token=••••")
    assert told == {"size": MAX_SHOWN_BYTES + 2, "events": None, "text": None}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("data?game=" + "x" * 1_025, 400),
        ("data?reason=" + "x" * 1_025, 400),
        ("one", 400),
        ("one?id=journal", 400),
        ("one?id=-1", 400),
        ("one?id=journal-", 400),
        ("one?id=journal-x", 400),
        ("one?id=journal-" + "9" * 19, 400),
        ("one?id=journal-%C2%B2", 400),
        ("one?id=journal-7", 404),
    ],
)
async def test_what_makes_no_sense_is_refused(query: str, status: int) -> None:
    async with client(MemorySink()) as http:
        assert (await http.get(f"/dead-letters/{query}", auth=ME)).status_code == status


async def test_a_store_that_cannot_be_read_is_named() -> None:
    async with client(Refusing()) as http:
        for query in ("data", "one?id=journal-1"):
            told = await http.get(f"/dead-letters/{query}", auth=ME)
            assert told.json() == {"trouble": "the file is locked"}
