"""The counters as Prometheus reads them; imported by who is asked for them first."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from playsmart_gateway.metrics import Histogram, Snapshot
from playsmart_gateway.output import dropped_records


def exposing(collector: Collector, *, of_process: bool) -> Callable[[], Response]:
    """Return what answers with the metrics of ``collector``, and those ``of_process``."""
    registry = CollectorRegistry()
    registry.register(collector)
    if of_process:
        ProcessCollector(registry=registry)
    headers = {"content-type": CONTENT_TYPE_LATEST}
    return lambda: Response(generate_latest(registry), headers=headers)


class StatsCollector(Collector):
    """Turns the counters into metric families when they are scraped.

    No label holds a player, a token or free text.
    """

    def __init__(self, report: Callable[[], Snapshot]) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        report = self._report()
        stats, gauges = report.stats, report.gauges
        yield _gauge("ready", "1 while /readyz answers 200.", not report.not_ready)
        yield _gauge("workers", "Processes that there should be.", report.workers)
        yield _gauge("workers_up", "Of those, the ones that are well.", report.workers_up)
        yield _counter("worker_restarts", "Workers that died and were replaced.", report.restarts)
        yield _counter("events_received", "Events that reached the intake.", stats.received)
        yield _counter("events_replayed", "Of those, read from the journal.", stats.replayed)
        yield _counter("events_accepted", "Events answered with a 2xx.", stats.accepted)
        yield _counter("events_stored", "Events committed to the store.", stats.stored)
        yield _counter("events_duplicate", "Events the store had already.", stats.duplicate)
        yield _counter(
            "run_conflicts", "Batches with used numbers for other events.", stats.run_conflicts
        )
        yield _counter(
            "customdata_misspelt_requests",
            "Requests whose customdata has another name, and is not read.",
            stats.customdata_misspelt,
        )
        yield _gauge("run_events", "Events that runs numbered lately.", stats.run_numbers)
        yield _gauge("run_lost_events", "Of those, events that never came.", stats.run_lost)
        # Who alerts on the first dead letter has to have seen none.
        rejected = {"buried": 0, "quarantined": 0, **stats.rejected}
        yield _labelled("events_rejected", "Of those, refused or buried.", "reason", rejected)
        yield _refused(stats.refused_requests)
        yield _labelled("auth_failures", "Wrong secrets and tokens.", "door", stats.auth_failures)
        states = GaugeMetricFamily(
            "playsmart_connections", "Connections, by what they do.", labels=["state"]
        )
        for state, count in gauges.connections.items():
            states.add_metric([state], count)
        yield states
        yield _gauge("max_connections", "Connections that may be.", gauges.max_connections)
        yield _labelled(
            "connections_refused", "Connections refused.", "reason", stats.connections_refused
        )
        yield _labelled(
            "connections_closed", "Closed for a reason.", "reason", stats.connections_closed
        )
        yield _gauge("body_bytes", "Bodies that are on their way or answered.", gauges.body_bytes)
        yield _gauge("buffered_events", "Events that wait for the store.", gauges.waiting)
        yield _gauge("lane_events", "Of those, events whose answer waits.", gauges.in_commit_queue)
        yield _gauge("buffered_bytes", "Memory of the events that wait.", gauges.buffered_bytes)
        yield _gauge("buffer_max_events", "Events that may wait.", gauges.max_events)
        yield _gauge("buffer_max_bytes", "Memory that may wait.", gauges.max_bytes)
        yield _gauge("oldest_event_age_seconds", "Age of the oldest waiting.", gauges.oldest_age)
        yield _gauge("requests_waiting", "Requests that wait for room.", gauges.requests_waiting)
        yield _gauge("journal_bytes", "Size of the journal on disk.", gauges.journal_bytes)
        yield _gauge("journal_up", "1 unless the journal's disk fails.", gauges.journal_up)
        yield _counter("journal_torn_tails", "Torn tails set aside.", stats.torn_tails)
        yield _counter("journal_corrupt_records", "Records set aside.", stats.corrupt_records)
        yield _gauge("store_up", "1 unless the store fails.", gauges.store_up)
        yield _gauge(
            "store_log_bytes",
            "Size of the database's write-ahead log; it grows while a reader holds it.",
            gauges.store_log_bytes,
        )
        yield _labelled("flushes", "Transactions, by trigger.", "trigger", stats.flushes)
        yield _labelled("flush_failures", "Failed flushes.", "reason", stats.flush_failures)
        yield _gauge("audit_lag_batches", "Batches that the audit has yet to see.", stats.audit_lag)
        yield _gauge("figures_lag_batches", "Batches that are not counted yet.", stats.figures_lag)
        yield _counter("figures_skipped_batches", "Batches left out.", stats.figures_skipped)
        yield _gauge("catalogue_lag_batches", "Batches not learned from yet.", stats.catalogue_lag)
        odd = GaugeMetricFamily(
            "playsmart_catalogue_findings", "What is odd about events of late.", labels=["kind"]
        )
        for kind, count in stats.catalogue_findings.items():
            odd.add_metric([kind], count)
        yield odd
        yield _gauge("lake_lag_batches", "Batches that are not in the lake.", stats.lake_lag)
        yield _gauge("lake_files", "Files in the lake.", stats.lake_files)
        yield _labelled(
            "side_task_failures", "Failures beside ingest.", "task", stats.side_failures
        )
        yield _labelled("audit_violations", "Coins that are not right.", "kind", stats.violations)
        yield _counter("log_records_dropped", "Records that nobody read.", dropped_records())
        yield _histogram("flush_duration_seconds", "Time of a flush.", {(): stats.flush_seconds})
        yield _histogram("flush_events", "Events in a flush.", {(): stats.flush_events})
        yield _histogram(
            "commit_duration_seconds",
            "Time of a commit of the commit queue.",
            {(): stats.commit_seconds},
        )
        yield _histogram(
            "commit_requests", "Requests that share a commit.", {(): stats.commit_batches}
        )
        yield _histogram(
            "request_duration_seconds",
            "Time from the head of a request to its answer.",
            {(route, str(status)): each for (route, status), each in stats.requests.items()},
            ("route", "status"),
        )


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"playsmart_{name}", text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"playsmart_{name}", text, value=value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"playsmart_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _refused(refused: Mapping[str, int]) -> Metric:
    """Return the refusals: the cause is a label of its own, so that one of the reason finds all."""
    name = "playsmart_requests_refused"
    family = CounterMetricFamily(name, "Requests refused.")
    for word, value in refused.items():
        reason, _, cause = word.partition(":")
        labels = {"reason": reason, "cause": cause} if cause else {"reason": reason}
        family.add_sample(f"{name}_total", labels, value)
    return family


def _histogram(
    name: str,
    text: str,
    histograms: Mapping[tuple[str, ...], Histogram],
    labels: tuple[str, ...] = (),
) -> Metric:
    family = HistogramMetricFamily(f"playsmart_{name}", text, labels=labels)
    for key, histogram in histograms.items():
        buckets, running = [], 0
        for bound, count in zip([*histogram.bounds, "+Inf"], histogram.counts, strict=True):
            running += count
            buckets.append((str(bound), float(running)))
        family.add_metric(key, buckets, histogram.total)
    return family
