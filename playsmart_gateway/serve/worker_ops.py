"""What operators ask a worker: ``/healthz``, ``/readyz``, ``/metrics``. It decides nothing."""

import json
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playsmart_gateway.http.error_body import error_body
from playsmart_gateway.output import dropped_records
from playsmart_gateway.stream.worker import StreamWorker


def create_worker_app(worker: StreamWorker) -> Starlette:
    """Return an application that reports on ``worker``."""
    registry = CollectorRegistry()
    registry.register(WorkerCollector(worker))
    ProcessCollector(registry=registry)

    async def healthz(_: Request) -> Response:
        return _json({"status": "alive"})

    async def readyz(_: Request) -> Response:
        if reasons := worker.not_ready_because():
            body = error_body(503, "not_ready", reasons)
            return Response(body, 503, {"retry-after": "1"}, "application/json")
        return _json({"status": "ready"})

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ]
    )


class WorkerCollector(Collector):
    """Turns the counters into metric families when they are scraped."""

    def __init__(self, worker: StreamWorker) -> None:
        self._worker = worker

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        worker, stats = self._worker, self._worker.stats
        counters = {
            "messages_fetched": ("Messages that were delivered here.", worker.fetched),
            "messages_redelivered": ("Of those, not for the first time.", worker.fetched_again),
            "events_received": ("Events of those messages.", stats.received),
            "events_stored": ("Events committed to the store.", stats.stored),
            "events_duplicate": ("Events the store had already.", stats.duplicate),
            "run_conflicts": ("Batches with used numbers for other events.", stats.run_conflicts),
            "events_buried": ("Events among the dead letters.", stats.rejected["buried"]),
            "flushes": ("Transactions.", stats.flushes.total()),
            "log_records_dropped": ("Records that nobody read.", dropped_records()),
            "flush_failures": ("Failed transactions.", stats.flush_failures.total()),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(f"playsmart_worker_{name}", text, value=value)
        gauges = {
            "ready": ("1 while /readyz answers 200.", not worker.not_ready_because()),
            "buffered_events": ("Events that wait for the store.", worker.buffer.events),
            "nats_up": ("1 unless the stream cannot be read.", worker.source_error is None),
            "store_up": ("1 unless the store fails.", worker.store_trouble is None),
        }
        if (state := worker.state) is not None:  # of all workers together
            gauges |= {
                "lag_messages": ("Messages that nobody has got yet.", state.lag),
                "ack_pending_messages": ("Delivered, not acknowledged.", state.ack_pending),
                "redelivered_messages": ("Of those, again.", state.redelivered),
            }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"playsmart_worker_{name}", text, value=value)


def _json(content: object) -> Response:
    return Response(json.dumps(content), media_type="application/json")
