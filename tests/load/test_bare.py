"""A bare route beside the gateway: what is usual is what the manual says, and what was measured."""

import json
import re

import msgspec
import pytest
from click.testing import CliRunner

from playsmart_gateway.cli import commands
from playsmart_gateway.load.bare import USUAL, beside, usual
from playsmart_gateway.load.report import Broke, Latency, Report
from playsmart_gateway.manual import read
from tests.support.process import SECRET, StartGateway

REPORT = Report(
    requests_sent=100, responses_2xx=100, refused={}, errors={}, unknown=0, events_sent=1_000,
    events_acknowledged=1_000, duration_seconds=1.0, requests_per_second=50.0,
    events_per_second=500.0, latency_ms=Latency(1, 1, 1, 1, 1, 1, 1), never_sent=0,
    interrupted=False,
)  # fmt: skip


def test_what_is_usual_is_what_the_manual_says() -> None:
    text = read("performance")
    (sizes,) = re.findall(r"^\| events a request \| (.*) \|$", text, re.M)[:1]
    (ratios,) = re.findall(r"^\| gateway, requests/s: of the bare route \| (.*) \|$", text, re.M)
    told = dict(zip(sizes.split(" | "), ratios.replace("*", "").split(" | "), strict=True))
    assert {int(size): float(ratio) for size, ratio in told.items()} == USUAL


def test_between_two_sizes_it_is_between_their_ratios() -> None:
    assert [usual(size) for size in (1, 10, 200)] == [USUAL[1], USUAL[10], USUAL[200]]
    assert USUAL[200] < usual(20) < USUAL[10]
    assert (usual(0), usual(1_000)) == (USUAL[1], USUAL[200])


def test_the_ratio_is_of_what_was_answered_or_held_of_a_ramp() -> None:
    bare = msgspec.structs.replace(REPORT, requests_per_second=200.0)
    found = beside(REPORT, bare).bare
    assert found is not None
    assert (found.ratio, found.usual) == (0.25, USUAL[10])
    broke = msgspec.structs.replace(REPORT, broke=Broke(9, 90.0, 80.0, "latency"))
    held = beside(broke, bare).bare
    assert held is not None
    assert held.ratio == 0.4


@pytest.mark.process
def test_the_same_requests_are_sent_to_a_bare_route_first(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway()
    sent = ("--url", running.url, "--requests", "50", "--events", "10", "--beside-bare", "--json")
    result = CliRunner().invoke(commands, ("load", *sent), env={"PLAYSMART_AUTH__SECRET": SECRET})
    assert result.exit_code == 0, result.output
    bare = json.loads(result.stdout)["bare"]
    assert bare["requests_per_second"] > 0
    assert bare["usual"] == USUAL[10]
    assert running.settle()["received"] == 500, "the gateway got only its own"


def test_it_is_about_what_can_be_answered_at_most() -> None:
    refused = CliRunner().invoke(commands, ("load", "--beside-bare", "--rate", "5"))
    assert (refused.exit_code, "goes without --rate" in refused.output) == (2, True)
