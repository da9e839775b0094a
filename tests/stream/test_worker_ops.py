"""What a worker tells those who watch it."""

import httpx

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.serve.worker_ops import create_worker_app
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stream.source import SourceState
from playsmart_gateway.stream.worker import StreamWorker
from tests.stream.fake_source import FakeSource
from tests.stream.pipeline import make_worker
from tests.support.metrics import parse_metrics


async def ask(worker: StreamWorker, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(create_worker_app(worker))
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        return await client.get(path)


async def test_it_is_alive_and_ready_unless_something_is_wrong() -> None:
    worker = make_worker(FakeSource(), MemorySink())
    assert (await ask(worker, "/healthz")).json() == {"status": "alive"}
    starting = (await ask(worker, "/readyz")).json()["error"]["details"]
    assert starting == [{"path": "worker", "message": "starting"}]
    worker._state = "running"
    assert (await ask(worker, "/readyz")).json() == {"status": "ready"}
    worker.source_error = SinkUnavailable("nobody there")
    answer = await ask(worker, "/readyz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["details"] == [{"path": "nats", "message": "nobody there"}]


async def test_its_counters_and_the_state_of_the_stream_are_metrics() -> None:
    worker = make_worker(FakeSource(), MemorySink())
    unknown = parse_metrics((await ask(worker, "/metrics")).text)
    assert "playsmart_worker_lag_messages" not in unknown
    worker.fetched, worker.fetched_again = 9, 2
    worker.stats.received, worker.stats.stored, worker.stats.duplicate = 80, 60, 15
    worker.stats.rejected["buried"] = 5
    worker.stats.run_conflicts = 3
    worker.state = SourceState(lag=7, ack_pending=3, redelivered=1)
    metrics = parse_metrics((await ask(worker, "/metrics")).text)
    ours = {name: value for name, value in metrics.items() if name.startswith("playsmart_worker_")}
    assert ours.pop("playsmart_worker_log_records_dropped_total") >= 0  # of the whole process
    assert {name.removeprefix("playsmart_worker_"): value for name, value in ours.items()} == {
        "messages_fetched_total": 9,
        "messages_redelivered_total": 2,
        "events_received_total": 80,
        "events_stored_total": 60,
        "events_duplicate_total": 15,
        "run_conflicts_total": 3,
        "events_buried_total": 5,
        "flushes_total": 0,
        "flush_failures_total": 0,
        "buffered_events": 0,
        "ready": 0,
        "nats_up": 1,
        "store_up": 1,
        "lag_messages": 7,
        "ack_pending_messages": 3,
        "redelivered_messages": 1,
    }
