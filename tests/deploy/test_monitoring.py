"""Alerts and dashboard: every metric and label that they name is one that a gateway shows."""

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from playsmart_gateway.deploy import read_file
from playsmart_gateway.http.exposition import StatsCollector
from playsmart_gateway.manual import read
from playsmart_gateway.metrics import Gauges, Snapshot, Stats
from playsmart_gateway.serve.worker_ops import WorkerCollector
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stream.source import SourceState
from tests.stream.fake_source import FakeSource
from tests.stream.pipeline import make_worker
from tests.support.process import RunningGateway

PROMTOOL = shutil.which("promtool")
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(read_file("alerts"))["groups"] for rule in group["rules"]
]
BY_NAME = {rule["alert"]: rule for rule in RULES}
GRAFANA = json.loads(read_file("grafana"))
PANELS = [panel for panel in GRAFANA["panels"] if panel["type"] != "row"]
OF_PROMETHEUS = {"up"}
OF_STREAM_WORKERS = {
    "playsmart_worker_ready",
    "playsmart_worker_lag_messages",
    "playsmart_worker_events_buried_total",
}
TARGET = {"job", "instance"}
"""Labels that Prometheus gives to all that it reads."""


def in_grafana(text: str) -> str:
    """An expression with its variables filled in."""
    return text.replace("$__rate_interval", "1m").replace("$job", ".*").replace("$instance", ".*")


EXPRESSIONS = {
    **{f"alert {name}": rule["expr"] for name, rule in BY_NAME.items()},
    **{
        f"panel {panel['title']} {target['refId']}": in_grafana(target["expr"])
        for panel in PANELS
        for target in panel["targets"]
    },
}


def parts(node: Any) -> Iterator[Any]:
    """An expression and all that is in it."""
    yield node
    inner = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")]
    for each in [*inner, *getattr(node, "args", [])]:
        if each is not None:
            yield from parts(each)


def selectors(text: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics of an expression, and the labels that they are chosen by."""
    for node in parts(promql_parser.parse(text)):
        if isinstance(node, promql_parser.VectorSelector):
            yield str(node.name), {matcher.name for matcher in node.matchers.matchers}


def grouped(text: str) -> set[str]:
    """The labels that an expression adds up by, or over."""
    return {
        label
        for node in parts(promql_parser.parse(text))
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None
        for label in node.modifier.labels
    }


def labels_by_name(text: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


class Seen:
    """A gateway that has seen everything once, so that every label is there."""

    async def refresh(self) -> None:
        """There is only one."""

    def report(self) -> Snapshot:
        counted: dict[str, Any] = {each: Counter(once=1) for each in Stats.rules() if counts(each)}
        stats = Stats(**counted)
        stats.observe_request("/event", 500, 0.1)
        gauges: dict[str, Any] = dict.fromkeys(Gauges.rules(), 1)
        return Snapshot(stats, Gauges(**gauges | {"connections": Counter(once=1)}), [])


def counts(field: str) -> bool:
    return isinstance(getattr(Stats(), field), Counter)


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """Every metric of gateways and workers, and its labels."""
    registry = CollectorRegistry()
    registry.register(StatsCollector(Seen().report))
    worker = make_worker(FakeSource(), MemorySink())
    worker.state = SourceState(1, 1, 1)
    registry.register(WorkerCollector(worker))
    return labels_by_name(generate_latest(registry).decode())


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_names_metrics_and_labels_that_there_are(
    known: Mapping[str, set[str]], name: str
) -> None:
    found = list(selectors(EXPRESSIONS[name]))
    assert found
    labels = set(TARGET)
    for metric, chosen in found:
        if metric in OF_PROMETHEUS or metric.startswith("process_"):
            assert chosen <= TARGET
            continue
        assert metric in known
        assert chosen <= known[metric] | TARGET, metric
        labels |= known[metric]
    assert grouped(EXPRESSIONS[name]) <= labels


def test_a_real_gateway_shows_every_metric_that_is_named(gateway: RunningGateway) -> None:
    text = gateway.exposition()
    for name, expression in EXPRESSIONS.items():
        for metric, _ in selectors(expression):
            if metric in OF_PROMETHEUS or metric in OF_STREAM_WORKERS:
                continue
            family = re.sub("_(bucket|count|sum)$", "", metric)
            assert re.search(rf"^# TYPE {family} ", text, re.MULTILINE), f"{name}: {metric}"


def test_the_first_dead_letter_is_an_increase(gateway: RunningGateway) -> None:
    assert gateway.metrics()["playsmart_events_rejected_total{reason=buried}"] == 0


# --- alerts --------------------------------------------------------------------------------------


def test_every_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on() -> None:
    assert len(BY_NAME) == len(RULES)
    for rule in RULES:
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert rule["alert"].startswith("Playsmart")
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description", "manual"}
        assert read(rule["annotations"]["manual"])


def test_a_limit_that_the_manual_names_is_that_of_the_alert() -> None:
    operations = read("operations")
    assert "age of the oldest that waits; alert at 60" in operations
    assert BY_NAME["PlaysmartEventsWait"]["expr"].endswith("> 60")
    assert "how many may; alert at half" in operations
    assert "> 0.5" in BY_NAME["PlaysmartBufferHalfFull"]["expr"]


COUNT = "playsmart_request_duration_seconds_count"
ROUTE = 'route="/event",status='
FIRES: dict[str, dict[str, str]] = {
    "PlaysmartDown": {"up": "0+0x60"},
    "PlaysmartNotReady": {"playsmart_ready": "0+0x60"},
    "PlaysmartStoreDown": {"playsmart_store_up": "0+0x60"},
    "PlaysmartJournalFails": {"playsmart_journal_up": "0+0x60"},
    "PlaysmartEventsWait": {"playsmart_oldest_event_age_seconds": "60+60x60"},
    "PlaysmartBufferHalfFull": {
        "playsmart_buffered_bytes": "60+0x60",
        "playsmart_buffer_max_bytes": "100+0x60",
    },
    "PlaysmartBufferFull": {
        "playsmart_buffered_events": "95+0x60",
        "playsmart_buffer_max_events": "100+0x60",
    },
    "PlaysmartAnswersWith5xx": {
        f'{COUNT}{{{ROUTE}"503"}}': "0+10x60",
        f'{COUNT}{{{ROUTE}"200"}}': "0+90x60",
    },
    "PlaysmartDeadLetters": {'playsmart_events_rejected_total{reason="buried"}': "0+0x58 7"},
    "PlaysmartEventsNeverArrive": {
        "playsmart_run_lost_events": "300+0x60",
        "playsmart_run_events": "10000+0x60",
    },
    "PlaysmartFiguresBehind": {"playsmart_figures_lag_batches": "20000+0x60"},
    "PlaysmartFiguresLeftOut": {"playsmart_figures_skipped_batches_total": "0+0x58 1"},
    "PlaysmartAuditBehind": {"playsmart_audit_lag_batches": "20000+0x60"},
    "PlaysmartCoinsWrong": {'playsmart_audit_violations_total{kind="sum"}': "1+0x60"},
    "PlaysmartTasksFail": {'playsmart_side_task_failures_total{task="audit"}': "0+1x60"},
    "PlaysmartWorkerDied": {"playsmart_worker_restarts_total": "0+0x58 1"},
    "PlaysmartWorkersMissing": {"playsmart_workers": "2+0x60", "playsmart_workers_up": "1+0x60"},
    "PlaysmartConnectionsNearLimit": {
        'playsmart_connections{state="idle"}': "500+0x60",
        'playsmart_connections{state="body"}': "400+0x60",
        "playsmart_max_connections": "1000+0x60",
    },
    "PlaysmartStoreLogGrows": {"playsmart_store_log_bytes": "2000000000+0x60"},
    "PlaysmartJournalDamaged": {"playsmart_journal_corrupt_records_total": "1+0x60"},
    "PlaysmartStreamWorkerNotReady": {"playsmart_worker_ready": "0+0x60"},
    "PlaysmartStreamBehind": {"playsmart_worker_lag_messages": "20000+0x60"},
    "PlaysmartStreamDeadLetters": {"playsmart_worker_events_buried_total": "0+0x58 1"},
}
"""What each alert is for, minute by minute for an hour; nothing else may fire."""

AT_ONCE = {"PlaysmartBufferFull": ["PlaysmartBufferHalfFull"]}
WELL = {
    "up": "1+0x60",
    "playsmart_ready": "1+0x60",
    "playsmart_store_up": "1+0x60",
    "playsmart_journal_up": "1+0x60",
    "playsmart_oldest_event_age_seconds": "2+0x60",
    "playsmart_buffered_events": "10000+0x60",
    "playsmart_buffer_max_events": "1000000+0x60",
    "playsmart_buffered_bytes": "1000+0x60",
    "playsmart_buffer_max_bytes": "1000000+0x60",
    f'{COUNT}{{{ROUTE}"202"}}': "0+6000x60",
    f'{COUNT}{{{ROUTE}"503"}}': "0+6x60",
    f'{COUNT}{{route="/readyz",status="503"}}': "0+6000x60",
    'playsmart_events_rejected_total{reason="buried"}': "7+0x60",
    'playsmart_events_rejected_total{reason="buffer_full"}': "0+1x60",
    "playsmart_run_lost_events": "400+0x60",
    "playsmart_run_events": "100000+0x60",
    "playsmart_figures_lag_batches": "300+0x60",
    "playsmart_figures_skipped_batches_total": "1+0x60",
    "playsmart_audit_lag_batches": "300+0x60",
    'playsmart_side_task_failures_total{task="audit"}': "0+0x30 1+0x30",
    "playsmart_worker_restarts_total": "3+0x60",
    "playsmart_workers": "2+0x60",
    "playsmart_workers_up": "2+0x60",
    'playsmart_connections{state="idle"}': "300+0x60",
    "playsmart_max_connections": "1000+0x60",
    "playsmart_store_log_bytes": "16777216+0x60",
    "playsmart_journal_corrupt_records_total": "0+0x60",
    "playsmart_worker_ready": "1+0x60",
    "playsmart_worker_lag_messages": "100+0x60",
    "playsmart_worker_events_buried_total": "1+0x60",
}


def test_every_alert_is_tried() -> None:
    assert set(FIRES) == set(BY_NAME)


def of_a_gateway(series: Mapping[str, str]) -> list[dict[str, str]]:
    target = 'job="playsmart-gateway",instance="a:8000"'
    return [
        {"series": f"{name.rstrip('}')}{',' if '{' in name else '{'}{target}}}", "values": values}
        for name, values in series.items()
    ]


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool")
def test_each_alert_fires_when_it_should_and_none_when_all_is_well(tmp_path: Path) -> None:
    assert PROMTOOL
    (tmp_path / "alerts.yaml").write_text(read_file("alerts"))
    cases = [
        *((series, [name, *AT_ONCE.get(name, [])]) for name, series in FIRES.items()),
        (WELL, []),
    ]
    tests = [
        {
            "interval": "1m",
            "name": firing[0] if firing else "all is well",
            "input_series": of_a_gateway(series),
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": "59m",
                    "exp_samples": [
                        {"labels": f'{{alertname="{each}"}}', "value": 1} for each in firing
                    ],
                }
            ],
        }
        for series, firing in cases
    ]
    (tmp_path / "tests.yaml").write_text(
        yaml.safe_dump({"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": tests})
    )
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "tests.yaml"]):
        ended = subprocess.run(
            [PROMTOOL, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


# --- the dashboard -------------------------------------------------------------------------------


def test_the_dashboard_can_be_imported_anywhere() -> None:
    assert (GRAFANA["uid"], GRAFANA["schemaVersion"]) == ("playsmart-gateway", 39)
    assert "id" not in GRAFANA
    variables = {each["name"]: each for each in GRAFANA["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance"]
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in PANELS:
        assert panel["datasource"] == source
        assert all(target["datasource"] == source for target in panel["targets"])
    for name in ("job", "instance"):
        asked = re.fullmatch(
            r"label_values\((\w+)(\{[^}]*\})?, (\w+)\)", variables[name]["definition"]
        )
        assert asked
        assert (asked[1], asked[3]) == ("playsmart_ready", name)


def test_the_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in GRAFANA["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in GRAFANA["panels"]}) == len(GRAFANA["panels"])
    assert all(panel["title"] and panel["description"] for panel in PANELS)


def test_the_dashboard_shows_every_metric_but_those_of_stream_workers(
    known: Mapping[str, set[str]],
) -> None:
    shown = {
        metric for name, text in EXPRESSIONS.items() if name.startswith("panel")
        for metric, _ in selectors(text)
    }  # fmt: skip
    families = {re.sub("_(bucket|count|sum)$", "", each) for each in shown}
    every = {re.sub("_(bucket|count|sum)$", "", each) for each in known}
    left_out = {each for each in every - families if not each.startswith("playsmart_worker_")}
    assert left_out == {"playsmart_events_accepted_total"}
