"""What operators ask: is it well, and do the numbers add up."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from playsmart_gateway import __version__
from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import (
    mint,
    open_verifier,
)
from playsmart_gateway.config import Buffer, Config, Journal, Operator, Server
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.gateway import Gateway
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.doubles import FakeClock, TroubledSink
from tests.support.in_process import in_process
from tests.support.metrics import parse_metrics
from tests.support.polling import eventually
from tests.support.process import SECRET
from tests.support.uploads import make_event, make_upload

NOW = 1_700_000_000.0
TOKEN = "correct-horse-battery-staple"


class Client:
    """A client of one app that runs in this process."""

    def __init__(self, client: httpx.AsyncClient, app: Starlette) -> None:
        self.http = client
        self.gateway: Gateway = app.state.gateway

    async def post(self, count: int = 1, *, sub: str = "ada", user_id: str = "ada") -> int:
        token = mint(sub, secret=SECRET, ttl_seconds=3600, now=NOW)
        answer = await self.http.post(
            "/ingest/events",
            json=make_upload(user_id, *[make_event()] * count),
            headers={"authorization": f"Bearer {token}"},
        )
        return answer.status_code

    async def metrics(self) -> dict[str, float]:
        return parse_metrics((await self.http.get("/metrics")).text)

    async def reasons(self) -> dict[str, str]:
        """Why it is not ready, if it is not."""
        answer = await self.http.get("/readyz")
        if answer.status_code == 200:
            assert answer.json() == {"status": "ready"}
            return {}
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        error = answer.json()["error"]
        assert (error["code"], error["message"]) == ("UNAVAILABLE", "not_ready")
        return {each["path"]: each["message"] for each in error["details"]}


async def running(
    sink: Store, *, operator: Operator | None = None, **buffer: Any
) -> AsyncIterator[Client]:
    config = Config(
        operator=operator or Operator(),
        buffer=Buffer(**{"flush_interval_seconds": 0.001, "wait_for_room_ms": 0, **buffer}),
        server=Server(drain_timeout_seconds=0.01),
        journal=Journal(enabled=False),
    )
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOW))
    app = create_app(config, verifier=verifier, sink=sink)
    async with in_process(app) as client:
        yield Client(client, app)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async for each in running(MemorySink()):
        yield each


@pytest.fixture
async def patient_client() -> AsyncIterator[Client]:
    """One that has room for five events and flushes only in the end."""
    async for each in running(MemorySink(), flush_interval_seconds=3600.0, max_events=5):
        yield each


@pytest.fixture
def troubled_sink() -> TroubledSink:
    return TroubledSink()


@pytest.fixture
async def troubled_client(troubled_sink: TroubledSink) -> AsyncIterator[Client]:
    async for each in running(troubled_sink, max_events=2):
        yield each


# --- readiness -----------------------------------------------------------------------------------


async def test_a_store_that_fails_makes_it_unready_until_it_heals(
    troubled_sink: TroubledSink, troubled_client: Client
) -> None:
    assert await troubled_client.reasons() == {}
    troubled_sink.errors = [SinkUnavailable("disk full")] * 1_000
    assert await troubled_client.post() == 202
    await eventually(lambda: troubled_client.gateway.flusher.last_error)
    assert await troubled_client.reasons() == {"store": "disk full"}
    assert await troubled_client.post() == 202
    assert await troubled_client.reasons() == {"store": "disk full", "buffer": "full"}
    assert await troubled_client.post() == 503
    assert (await troubled_client.http.get("/healthz")).json() == {"status": "alive"}
    assert (await troubled_client.metrics())[
        "playsmart_flush_failures_total{reason=unavailable}"
    ] >= 1
    troubled_sink.errors = []
    await eventually(lambda: None if troubled_client.gateway.flusher.last_error else True)
    assert await troubled_client.reasons() == {}
    assert troubled_client.gateway.stats.stored == 2


async def test_a_full_buffer_makes_it_unready(patient_client: Client) -> None:
    assert await patient_client.post(4) == 202
    assert await patient_client.reasons() == {}
    assert await patient_client.post(1) == 202
    assert await patient_client.reasons() == {"buffer": "full"}


async def test_a_closed_door_makes_it_unready(client: Client) -> None:
    client.gateway.intake.close("shutting_down")
    assert await client.reasons() == {"intake": "shutting_down"}
    assert await client.post() == 503


# --- metrics -------------------------------------------------------------------------------------


async def test_the_counters_match_what_was_sent_and_the_law_holds(patient_client: Client) -> None:
    assert await patient_client.post(3) == 202
    assert await patient_client.post(3) == 503
    assert await patient_client.post(2) == 202
    assert await patient_client.post(201) == 503, "refused before it is decoded"
    metrics = await patient_client.metrics()
    assert metrics["playsmart_events_received_total"] == 8
    assert metrics["playsmart_events_accepted_total"] == 5
    assert metrics["playsmart_events_rejected_total{reason=buffer_full}"] == 3
    assert metrics["playsmart_buffered_events"] == metrics["playsmart_buffer_max_events"] == 5
    assert metrics["playsmart_events_stored_total"] == 0
    assert metrics["playsmart_requests_refused_total{reason=buffer_full}"] == 2
    stats, buffer = patient_client.gateway.stats, patient_client.gateway.buffer
    assert stats.unaccounted(buffer.events) == 0
    patient_client.gateway.flusher.stop()
    await eventually(lambda: None if buffer.events else True)
    metrics = await patient_client.metrics()
    assert metrics["playsmart_events_stored_total"] == 5
    assert metrics["playsmart_buffered_events"] == metrics["playsmart_buffered_bytes"] == 0
    assert metrics["playsmart_flushes_total{trigger=drain}"] == 1
    assert stats.unaccounted(0) == 0


async def test_every_refusal_is_counted_by_its_reason(client: Client) -> None:
    await client.post(sub="eve")
    await client.post(201)
    await client.http.post("/ingest/events", content=b"{}")
    token = mint("ada", secret=SECRET, ttl_seconds=3600, now=NOW)
    headers = {"authorization": f"Bearer {token}"}
    text = {**headers, "content-type": "text/plain"}
    await client.http.post("/ingest/events", content=b"{}", headers=text)
    await client.http.post("/ingest/events", content=b" " * 1_048_577, headers=headers)
    await client.http.get("/nowhere")
    await client.http.get("/ingest/events")
    metrics = await client.metrics()
    for labels in (
        "cause=user,reason=forbidden", "reason=malformed", "cause=missing,reason=unauthenticated",
        "reason=unsupported_media", "reason=too_large", "cause=path,reason=not_found",
        "reason=method_not_allowed",
    ):  # fmt: skip
        assert metrics[f"playsmart_requests_refused_total{{{labels}}}"] == 1
    assert metrics["playsmart_events_received_total"] == 0


async def test_requests_are_counted_by_route_and_status(client: Client) -> None:
    await client.post()
    await client.post(sub="eve")
    await client.http.get("/nowhere/ada")
    await client.http.get("/healthz?user=ada")
    metrics = await client.metrics()
    name = "playsmart_request_duration_seconds_count"
    counted = {key.removeprefix(name): v for key, v in metrics.items() if key.startswith(name)}
    assert counted == {
        "{route=/ingest/events,status=202}": 1,
        "{route=/ingest/events,status=403}": 1,
        "{route=unmatched,status=404}": 1,
        "{route=/healthz,status=200}": 1,
    }


async def test_histograms_are_cumulative_and_whole(client: Client) -> None:
    await client.post()
    await eventually(lambda: client.gateway.stats.stored or None)
    families = {
        family.name: family
        for family in text_string_to_metric_families((await client.http.get("/metrics")).text)
    }
    for name in ("request_duration_seconds", "flush_duration_seconds", "flush_events"):
        family = families[f"playsmart_{name}"]
        assert family.type == "histogram"
        buckets = [each.value for each in family.samples if each.name.endswith("_bucket")]
        counts = [each.value for each in family.samples if each.name.endswith("_count")]
        assert buckets == sorted(buckets)
        assert [buckets[-1]] == counts == [1.0]


async def test_no_label_holds_a_player_a_token_or_free_text(client: Client) -> None:
    await client.post(sub="zoe", user_id="ada")
    await client.http.get("/ada/zoe", headers={"x-request-id": "ada"})
    await client.http.request("ADA", "/healthz")
    families = text_string_to_metric_families((await client.http.get("/metrics")).text)
    labels = {pair for f in families for each in f.samples for pair in each.labels.items()}
    assert {name for name, _ in labels} <= {
        "reason",
        "cause",
        "trigger",
        "route",
        "status",
        "state",
        "le",
    }
    assert not [value for _, value in labels if "ada" in value.lower() or "zoe" in value.lower()]


async def test_metrics_are_in_the_format_of_prometheus(client: Client) -> None:
    answer = await client.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation
        assert family.name.startswith(("playsmart_", "process_"))


# --- home ----------------------------------------------------------------------------------------


async def test_home_tells_what_there_is(client: Client) -> None:
    home = (await client.http.get("/")).json()
    assert (home["name"], home["version"]) == ("playsmart_gateway", __version__)
    for path in home["links"]:
        assert (await client.http.get(path)).status_code in (200, 405)


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_home_names_the_pages_for_operators_where_there_are_any(token: str | None) -> None:
    async for client in running(MemorySink(), operator=Operator(token)):
        links = (await client.http.get("/")).json()["links"]
        assert ({"/dashboard", "/inspector"} <= links.keys()) == (token is not None)
        for page in ("/dashboard", "/inspector"):
            assert (await client.http.get(page)).status_code == (404 if token is None else 401)


async def test_home_is_a_page_for_a_browser(client: Client) -> None:
    page = await client.http.get("/", headers={"accept": "text/html,*/*;q=0.8"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for path in json.loads((await client.http.get("/")).text)["links"]:
        assert f'href=".{path}"' in page.text or f"<code>{path}</code>" in page.text
