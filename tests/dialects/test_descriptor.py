"""A dialect that nobody knew of: its descriptor is all that the rest of the house has to be given.

Acme's tracker sends ``POST /acme/v1/track`` with its token in a header of its own, one event a
request, and is told of errors as ``{"ok": false, "why": ...}``.
"""

import hmac
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx
import msgspec
import pytest

from playsmart_gateway.app import create_app, limited_keys
from playsmart_gateway.config import Config, masked
from playsmart_gateway.config.tables import DialectSection
from playsmart_gateway.dialects import ALL, load_config
from playsmart_gateway.dialects.descriptor import Dialect, Host, Limited, Opened
from playsmart_gateway.dialects.loose import decode_loosely
from playsmart_gateway.errors import ConfigError, RateLimited, Refused, Unauthenticated
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.row import PlainRow
from playsmart_gateway.http.endpoint import Answer, Endpoint, Headers
from playsmart_gateway.http.error_body import JSON_TYPE, Problems, Said
from playsmart_gateway.openapi.parts import Piece, answer, operation
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.doubles import FakeClock
from tests.support.in_process import in_process
from tests.support.process import SECRET

PATH = "/acme/v1/track"
TOKEN = "acme-token-4711"
EVENT = {"player": "ada", "what": "jump", "more": {"height": 3}}


class Acme(DialectSection, frozen=True):
    table: ClassVar[str] = "acme"
    token: str = ""
    rate_limit: int = 2


class Event(msgspec.Struct):
    player: str
    what: str
    more: msgspec.Raw = msgspec.Raw(b"null")


class Track(Endpoint[str, Event]):
    max_events = 1

    def __init__(self, host: Host) -> None:
        super().__init__(host.stats, host.inflater, room=host.intake)
        self._host = host
        self._token = host.config.of(Acme).token.encode()
        (limited,) = ACME.limits(host.config)
        self._rate = host.make_limit(limited.calls, limited.keys)

    async def authenticate(self, headers: Headers, body: bytes) -> str:
        if not hmac.compare_digest(headers.get(b"x-acme-token", b""), self._token):
            raise Unauthenticated
        if not self._rate.take("acme"):
            raise RateLimited(retry_after_seconds=1)
        return "acme"

    def decode(self, who: str, body: bytes) -> Event:
        return decode_loosely(body, msgspec.json.Decoder(Event).decode)

    async def act(self, who: str, asked: Event, size: int) -> Answer:
        when = datetime.fromtimestamp(self._host.clock(), UTC)
        rows = msgspec.json.encode([PlainRow(asked.what, None, when, asked.more)])
        batch = Batch("acme", who, asked.player, 1, rows)
        await self._host.intake.accept(batch)
        return Answer(200, b'{"ok": true}', [JSON_TYPE], batch)

    def sound(self, refusal: Refused) -> Said:
        body = json.dumps({"ok": False, "why": refusal.message}).encode()
        return Said(body, Problems("acme", refusal.message, refusal.details))


class _Acme(Dialect):
    name = "acme"
    section = Acme
    shown_as = "Acme events"
    links: ClassVar[dict[str, str]] = {PATH: "track with Acme (POST)"}

    def open(self, host: Host) -> Opened:
        return Opened({PATH: Track(host)})

    def pieces(self) -> Sequence[Piece]:
        told = {"200": answer("It was taken.", {"type": "object"}, {"taken": {"ok": True}})}
        return [Piece("Acme", "One.", {PATH: {"post": operation("track", "Track", "", told)}}, {})]

    def limits(self, config: Config) -> Sequence[Limited]:
        return [Limited(config.of(Acme).rate_limit, ("acme",))]

    def secrets(self, config: Config) -> Iterator[tuple[str, str]]:
        if token := config.of(Acme).token:
            yield "acme.token", token


ACME = _Acme()
DIALECTS = (*ALL, ACME)
ENVIRONMENT = {
    "PLAYSMART_AUTH__SECRET": SECRET,
    "PLAYSMART_ACME__TOKEN": TOKEN,
    "PLAYSMART_JOURNAL__ENABLED": "false",
}


def configured(**more: str) -> Config:
    return load_config(None, {**ENVIRONMENT, **more}, DIALECTS)


class Scene:
    def __init__(self, http: httpx.AsyncClient, sink: MemorySink, app: Any) -> None:
        self.http = http
        self.sink = sink
        self.gateway = app.state.gateway

    async def track(self, token: str = TOKEN, **event: Any) -> httpx.Response:
        content = {**EVENT, **event}
        return await self.http.post(PATH, json=content, headers={"x-acme-token": token})


@asynccontextmanager
async def playing(**more: Any) -> AsyncIterator[Scene]:
    sink = MemorySink()
    clock = FakeClock()
    app = create_app(configured(), sink=sink, clock=clock, steady=clock, dialects=DIALECTS, **more)
    async with in_process(app) as http:
        yield Scene(http, sink, app)


async def test_what_it_takes_is_stored_under_its_name() -> None:
    async with playing() as scene:
        told = await scene.track()
        assert (told.status_code, told.content) == (200, b'{"ok": true}')
        assert "x-request-id" in told.headers
        await scene.gateway.flusher.flush("test")
        (event,) = (await scene.sink.events(upto=2**62, limit=9)).events
        assert (event.source, event.game_id, event.user_id, event.type) == (
            "acme", "acme", "ada", "jump",
        )  # fmt: skip


async def test_it_is_limited_counted_and_refuses_in_its_own_words() -> None:
    async with playing() as scene:
        wrong = await scene.track(token="guess")
        assert (wrong.status_code, wrong.json()) == (401, {"ok": False, "why": "invalid_token"})
        for _ in range(2):
            assert (await scene.track()).status_code == 200
        too_often = await scene.track()
        assert (too_often.status_code, too_often.headers["retry-after"]) == (429, "1")
        other_method = await scene.http.get(PATH)
        assert (other_method.status_code, other_method.headers["allow"]) == (405, "POST")
        assert other_method.json() == {"ok": False, "why": "method_not_allowed"}
        metrics = (await scene.http.get("/metrics")).text
        assert f'request_duration_seconds_count{{route="{PATH}",status="200"}} 2.0' in metrics
        assert 'playsmart_requests_refused_total{reason="rate_limited"} 1.0' in metrics


async def test_the_inspector_shows_what_it_takes_and_why_it_refuses() -> None:
    async with playing() as scene:
        watcher = scene.gateway.inspector.watch()
        await scene.track()
        await scene.track(token="guess")
        taken, refused = watcher.take(), watcher.take()
        assert taken is not None
        assert taken.batch is not None
        assert refused is not None
        assert (taken.batch.source, taken.problems.message) == ("acme", "")
        assert refused.problems == Problems("acme", "invalid_token", ())


async def test_it_is_in_the_document_and_among_the_links() -> None:
    async with playing() as scene:
        document = (await scene.http.get("/openapi.json")).json()
        assert "post" in document["paths"][PATH]
        assert "Acme" in [tag["name"] for tag in document["tags"]]
        links = (await scene.http.get("/", headers={"accept": "application/json"})).json()["links"]
        assert links[PATH] == "track with Acme (POST)"


async def test_the_dashboard_knows_what_to_call_its_events() -> None:
    async with playing(development=True) as scene:
        data = (await scene.http.get("/dashboard/data")).json()
        assert data["sources"] == {
            "teak": "Teak actions", "lynes": "Lynes events", "acme": "Acme events"
        }  # fmt: skip


def test_its_table_is_part_of_the_configuration() -> None:
    assert configured(PLAYSMART_ACME__RATE_LIMIT="7").of(Acme).rate_limit == 7
    assert masked(configured())["acme"] == {"token": "********", "rate_limit": 2}
    assert list(masked(configured()))[-2:] == ["teak", "log"]
    with pytest.raises(ConfigError, match=r"acme.rate_limt: unknown key; did you mean acme"):
        configured(PLAYSMART_ACME__RATE_LIMT="7")


def test_workers_share_the_counts_of_its_limits() -> None:
    config = configured()
    assert limited_keys(config, DIALECTS) == limited_keys(config) + 1
