"""``/dashboard/report/data``: one question an answer, from a process of its own."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import open_verifier
from playsmart_gateway.config import Auth, Config, Journal, Operator, Storage
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.questions import process
from playsmart_gateway.questions.asked import Report
from playsmart_gateway.questions.process import WAITING, Busy, Desk
from playsmart_gateway.stores.open import open_store
from tests.support.counted import MONDAY, batch, keeper, row
from tests.support.figures import follow_to_the_end
from tests.support.in_process import in_process
from tests.support.process import SECRET

TOKEN = "a token of operators"
PATH = "/dashboard/report/data"
ASKED = {"type": "report", "first": "2026-03-02", "last": "2026-03-08"}
MONDAYS = Report(first=MONDAY.date(), last=MONDAY.date())


async def ask(url: str, asked: object, auth: tuple[str, str] | None = ("me", TOKEN)) -> Any:
    config = Config(
        journal=Journal(enabled=False), auth=Auth(secret=SECRET), operator=Operator(token=TOKEN),
        storage=Storage(url=url),
    )  # fmt: skip
    app = create_app(config, verifier=open_verifier(secret=SECRET))
    async with in_process(app) as http:
        text = asked if isinstance(asked, str) else json.dumps(asked)
        return await http.get(PATH, params={"asked": text}, auth=auth or httpx.USE_CLIENT_DEFAULT)


async def test_a_question_is_answered_with_what_is_stored(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    async with open_store(url) as sink, keeper(sink) as figures:
        sold = row("IAPPurchase", None, price=4.99, currency="EUR", country="DE")
        await sink.write([batch(1, "ada", MONDAY, row(), sold), batch(2, "bob", MONDAY)])
        await follow_to_the_end(figures)
    told = await ask(url, {**ASKED, "period": "week"})
    assert told.status_code == 200
    found = told.json()
    (week,) = found["periods"]
    assert (week["start"], week["players"], week["payers"]) == ("2026-03-02", 2, 1)
    assert week["revenue"] == {"EUR": 4.99}
    countries = [each["value"] for each in found["groups"] if each["meaning"] == "country"]
    assert countries == ["DE"]
    assert found["counted_up_to"] == "2026-03-02T00:00:00.000000Z"
    steps = [{"type": "AppOpen"}, {"type": "IAPPurchase"}]
    told = await ask(url, {**ASKED, "type": "funnel", "steps": steps})
    assert [each["players"] for each in told.json()["steps"]] == [2, 1]
    told = await ask(url, {**ASKED, "type": "return"})
    assert told.json()["cohorts"][0]["players"] == 2


async def test_who_has_no_token_asks_nothing(tmp_path: Path) -> None:
    told = await ask(f"sqlite:///{tmp_path}/events.db", ASKED, auth=None)
    assert told.status_code == 401


@pytest.mark.parametrize(
    "asked",
    [
        "", "{", "[]", {}, {"type": "report"}, {**ASKED, "type": "sql"}, {**ASKED, "url": "x"},
        {**ASKED, "last": "2026-03-01"}, {**ASKED, "zone": "Nowhere"}, {**ASKED, "by": "luck"},
        {**ASKED, "first": "1026-03-01"}, {**ASKED, "where": {"mode": 1}},
        {**ASKED, "where": {f"p{n}": "x" for n in range(6)}},
        {**ASKED, "type": "values"}, {**ASKED, "type": "values", "property": "x" * 257},
        {**ASKED, "game": "x" * 257}, {**ASKED, "type": "funnel", "steps": []},
        {**ASKED, "type": "funnel", "steps": [{"type": "a"}] * 7},
        {**ASKED, "type": "funnel", "steps": [{"type": "a"}] * 2, "within_days": 0},
    ],
    ids=str,
)  # fmt: skip
async def test_what_makes_no_sense_is_refused_and_starts_no_process(
    asked: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/at/all")
    told = await ask(f"sqlite:///{tmp_path}/events.db", asked)
    assert (told.status_code, told.json()["error"]["code"]) == (400, "BAD_REQUEST")


async def test_a_store_that_cannot_be_asked_is_told_of(tmp_path: Path) -> None:
    told = await ask("memory:", ASKED)
    assert told.status_code == 503
    assert "cannot be asked in SQL" in told.json()["error"]["message"]


async def test_only_so_many_wait_for_their_turn() -> None:
    desk = Desk("memory:")
    asking = [asyncio.ensure_future(desk.ask(MONDAYS)) for _ in range(WAITING + 1)]
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in found] == [SinkUnavailable] * WAITING + [Busy]


async def test_who_takes_too_long_is_ended_and_nobody_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    slow.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(slow))
    monkeypatch.setattr(process, "KILL_SECONDS", 0.5)
    with pytest.raises(SinkUnavailable, match="no answer in time"):
        await Desk("memory:").ask(MONDAYS)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_a_process_that_dies_is_told_of_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\ncat\nexit 3\n")
    broken.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(SinkUnavailable, match="the process that looks ended"):
        await Desk("postgresql://me:secret@host/db").ask(MONDAYS)
