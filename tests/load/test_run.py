import asyncio
import json
import socket
from collections import Counter, defaultdict
from time import perf_counter

import pytest

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import (
    Lane,
    LoadOptions,
    Outcome,
    Progress,
    Replay,
    Sessions,
    Unreachable,
    player_names,
    run_load,
)
from playsmart_gateway.load.feeder import Feeder, Line
from playsmart_gateway.load.figures import Figures
from playsmart_gateway.load.pool import Pool
from tests.load.bodies import body
from tests.load.fake_server import FakeServer, Request, accept, response
from tests.support.polling import PATIENCE_SECONDS

WORKLOAD = Sessions(player_names(1, 4), events=5, seed=1, run=1_767_225_600_000_000)


def token_for(user: str) -> str:
    return f"token-of-{user}"


async def test_every_request_is_sent_once_over_connections_that_are_kept() -> None:
    async with FakeServer() as server:
        options = LoadOptions(url=server.url, connections=3, requests=100)
        run = await run_load(options, WORKLOAD, token_for)
    report = run.report
    assert (report.requests_sent, report.responses_2xx, report.never_sent) == (100, 100, 0)
    assert (report.events_sent, report.events_acknowledged) == (500, 500)
    assert (report.refused, report.errors, report.unknown) == ({}, {}, 0)
    assert server.connections == 3
    assert sorted(r.body for r in server.requests) == sorted(WORKLOAD.body(i) for i in range(100))
    assert run.lanes[0].outcomes == bytes([Outcome.ACKNOWLEDGED] * 100)
    latency = report.latency_ms
    assert 0 < latency.p50 <= latency.p90 <= latency.p99 <= latency.p99_9 <= latency.max


async def test_a_request_is_what_the_contract_asks_for() -> None:
    async with FakeServer() as server:
        options = LoadOptions(url=f"{server.url}/gateway/", requests=1)
        await run_load(options, WORKLOAD, token_for)
    (request,) = server.requests
    assert request.head.startswith(b"POST /gateway/ingest/events HTTP/1.1\r\n")
    assert request.header("Host") == f"127.0.0.1:{server.port}"
    assert request.header("Authorization") == "Bearer token-of-load.playsmart-1-000000"
    assert request.header("Content-Type") == "application/json"


async def test_refusals_are_counted_by_code_and_not_retried() -> None:
    answers = [
        response(503, b'{"error": {"code": "UNAVAILABLE", "message": "x"}}', "Retry-After: 60"),
        response(401, b'{"error": {"code": "UNAUTHORIZED"}}'),
        response(502, b"<html>"),
        response(500, b"\xff"),
        response(),
    ]

    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answers[len(server.requests) % 5])

    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, connections=1, requests=50)
        run = await run_load(options, WORKLOAD, token_for)
    assert len(server.requests) == 50
    assert run.report.responses_2xx == 10
    refused = {"503 UNAVAILABLE": 10, "401 UNAUTHORIZED": 10, "502": 10, "500": 10}
    assert run.report.refused == refused
    assert run.lanes[0].outcomes.count(Outcome.REFUSED) == 40


async def test_a_server_that_invents_codes_does_not_fill_the_memory() -> None:
    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        code = str(len(server.requests)) * 30
        writer.write(response(500, b'{"error": {"code": "%b"}}' % code.encode()))

    async with FakeServer(answer) as server:
        run = await run_load(LoadOptions(url=server.url, requests=300), WORKLOAD, token_for)
    assert len(run.report.refused) <= 101
    assert sum(run.report.refused.values()) == 300


async def test_answers_in_chunks_and_in_pieces_are_answers() -> None:
    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n"
        for piece in (head[:20], head[20:], b"2\r\n{", b"}\r\n0", b"\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, connections=2, requests=20)
        run = await run_load(options, WORKLOAD, token_for)
    assert run.report.responses_2xx == 20
    assert server.connections == 2


async def test_a_server_that_closes_after_every_answer_is_connected_to_again() -> None:
    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(response(202, b"{}", "Connection: close"))
        writer.close()

    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, connections=2, requests=20)
        run = await run_load(options, WORKLOAD, token_for)
    assert (run.report.responses_2xx, run.report.unknown) == (20, 0)
    assert len(server.requests) == 20


async def test_an_answer_may_end_with_the_connection() -> None:
    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 202 Accepted\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, connections=1, requests=5)
        run = await run_load(options, WORKLOAD, token_for)
    assert run.report.responses_2xx == 5


@pytest.mark.parametrize(
    ("half", "kind"), [(b"", "connection_lost"), (b"HTTP/1.1 202 Acc", "connection_lost"),
                       (response()[:-1], "connection_lost"), (b"what?\r\n\r\n", "bad_response")]
)  # fmt: skip
async def test_half_an_answer_leaves_the_outcome_unknown_and_the_run_goes_on(
    half: bytes, kind: str
) -> None:
    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) != 3:
            writer.write(response())
            return
        writer.write(half)
        await writer.drain()
        writer.close()

    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, connections=1, requests=10)
        run = await run_load(options, WORKLOAD, token_for)
    assert (run.report.responses_2xx, run.report.unknown) == (9, 1)
    assert run.report.errors == {kind: 1}
    assert list(run.lanes[0].outcomes).index(Outcome.UNKNOWN) == 2
    assert len(server.requests) == 10


async def test_a_request_that_gets_no_answer_is_given_up_after_the_timeout() -> None:
    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) != 2:
            writer.write(response())

    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, connections=1, requests=5, timeout_seconds=1.0)
        run = await run_load(options, WORKLOAD, token_for)
    assert (run.report.responses_2xx, run.report.errors) == (4, {"timeout": 1})
    assert run.report.latency_ms.max >= 1_000


async def test_an_open_loop_counts_latency_from_when_a_request_was_due() -> None:
    stalled = False

    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal stalled
        if not stalled and len(server.requests) > 20:
            stalled = True
            await asyncio.sleep(0.3)
        writer.write(response())

    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, connections=1, requests=100, rate=200)
        run = await run_load(options, WORKLOAD, token_for)
    # In a closed loop, one request in a hundred would have seen the stall. Some sixty fell due
    # during it and waited on average half of it.
    assert run.report.responses_2xx == 100
    assert run.report.latency_ms.p99 >= 250
    assert run.report.latency_ms.mean >= 20


async def test_an_open_loop_keeps_to_its_rate_and_ends_on_time() -> None:
    async with FakeServer() as server:
        options = LoadOptions(url=server.url, connections=4, duration_seconds=0.3, rate=100)
        run = await run_load(options, WORKLOAD, token_for)
    assert run.report.requests_sent + run.report.never_sent == 30
    assert run.report.duration_seconds >= 0.29


async def test_what_fell_due_and_found_no_connection_is_reported() -> None:
    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(response())

    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, connections=1, duration_seconds=0.3, rate=100)
        run = await run_load(options, WORKLOAD, token_for)
    assert run.report.requests_sent == run.report.responses_2xx == len(server.requests) <= 2
    assert run.report.never_sent == 30 - run.report.requests_sent


async def test_a_duration_ends_the_run() -> None:
    seen: list[Progress] = []
    async with FakeServer() as server:
        options = LoadOptions(url=server.url, connections=2, duration_seconds=0.6)
        run = await run_load(options, WORKLOAD, token_for, on_progress=seen.append)
    assert run.report.responses_2xx == len(server.requests) > 0
    assert 0.6 <= run.report.duration_seconds < PATIENCE_SECONDS
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert seen
    assert seen[0].requests_per_second > 0
    assert seen[0].p99_seconds > 0


async def test_stop_ends_a_run_early_with_the_figures_so_far() -> None:
    stop = asyncio.Event()

    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) == 10:
            stop.set()
        writer.write(response())

    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, connections=1, requests=1_000_000)
        run = await run_load(options, WORKLOAD, token_for, stop=stop)
    assert run.report.interrupted
    assert 10 <= run.report.responses_2xx == len(server.requests) < 1000
    assert run.report.never_sent == 1_000_000 - run.report.requests_sent


async def test_nobody_there_is_said_at_once() -> None:
    async with FakeServer() as server:
        url = server.url
    with pytest.raises(Unreachable, match="make run"):
        await run_load(LoadOptions(url=url, requests=1), WORKLOAD, token_for)


async def test_a_server_that_comes_back_is_used_again() -> None:
    async def hang_up(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.close()
        gone.set()

    gone = asyncio.Event()
    first = FakeServer(hang_up)
    options = LoadOptions(connections=2, requests=10)
    async with first:
        options = LoadOptions(url=first.url, connections=2, requests=10)
        running = asyncio.ensure_future(run_load(options, WORKLOAD, token_for))
        await gone.wait()
    async with FakeServer(accept, first.port) as second:
        run = await running
    assert run.report.requests_sent == 10
    assert run.report.responses_2xx == len(second.requests) > 0
    assert run.report.unknown == len(first.requests)
    assert run.report.errors["connection_lost"] == len(first.requests)


async def test_a_server_that_stays_away_ends_the_run() -> None:
    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(response())
        served.set()

    served = asyncio.Event()
    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, requests=100_000_000, timeout_seconds=0.2)
        running = asyncio.ensure_future(run_load(options, WORKLOAD, token_for))
        await served.wait()
    run = await running
    assert run.report.errors["connect_refused"] > 0
    assert run.report.never_sent == 100_000_000 - run.report.requests_sent


async def test_bodies_of_one_user_never_overtake_each_other() -> None:
    bodies = [body(user, events) for events in (1, 2, 3) for user in "abcdefg"]

    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.001 * (len(server.requests) % 3))
        writer.write(response())

    replay = Replay(bodies)
    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, connections=4, requests=2 * len(bodies))
        run = await run_load(options, replay, token_for)
    assert run.report.responses_2xx == 42
    seen: dict[str, list[int]] = defaultdict(list)
    connections: dict[str, set[int]] = defaultdict(set)
    for request in server.requests:
        sent = json.loads(request.body)
        user = sent["user_id"]
        assert request.header("Authorization") == f"Bearer token-of-{user}"
        seen[user].append(len(sent["events"]))
        connections[user].add(request.connection)
    assert all(sizes == [1, 2, 3, 1, 2, 3] for sizes in seen.values())
    assert all(len(used) == 1 for used in connections.values())


async def test_more_connections_than_requests_do_no_harm() -> None:
    async with FakeServer() as server:
        options = LoadOptions(url=server.url, connections=20, requests=2)
        run = await run_load(options, Replay([body("a"), body("b"), body("c")]), token_for)
    assert run.report.responses_2xx == 2


@pytest.mark.parametrize(
    "options",
    [
        LoadOptions(),
        LoadOptions(requests=0),
        LoadOptions(requests=1, connections=10_001),
        LoadOptions(requests=1, rate=-1),
        LoadOptions(requests=1, rate=float("nan")),
        LoadOptions(duration_seconds=float("inf")),
        LoadOptions(requests=1, url="ftp://example.com"),
        LoadOptions(requests=1, url="example.com:80"),
        LoadOptions(requests=1, url="http://"),
        LoadOptions(requests=1, url="http://a:b@host"),
        LoadOptions(requests=1, url="http://host:port"),
    ],
)
async def test_a_run_without_bounds_or_with_impossible_ones_is_refused(
    options: LoadOptions,
) -> None:
    with pytest.raises(ConfigError):
        await run_load(options, WORKLOAD, token_for)


async def test_an_interrupted_run_does_not_wait_long_for_a_stalled_server() -> None:
    stop = asyncio.Event()

    async def stall(_: Request, __: asyncio.StreamWriter) -> None:
        stop.set()

    async with FakeServer(stall) as server:
        options = LoadOptions(url=server.url, connections=1, requests=5, timeout_seconds=0.4)
        began = perf_counter()
        run = await run_load(options, WORKLOAD, token_for, stop=stop)
    assert run.report.unknown == 1
    assert perf_counter() - began < PATIENCE_SECONDS


@pytest.mark.parametrize("goodbye", [response(408, b"", "Connection: close"), b"bye\r\n\r\n"])
async def test_a_server_that_says_goodbye_to_an_idle_connection_loses_nothing(
    goodbye: bytes,
) -> None:
    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(response())
        await asyncio.sleep(0.02)
        writer.write(goodbye)
        writer.close()

    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, connections=1, requests=3, rate=1)
        run = await run_load(options, WORKLOAD, token_for)
    assert (run.report.responses_2xx, run.report.unknown, run.report.refused) == (3, 0, {})
    assert server.connections == 3


async def test_a_server_that_only_hangs_up_is_not_hammered() -> None:
    async def hang_up(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with FakeServer(hang_up) as server:
        options = LoadOptions(url=server.url, connections=1, duration_seconds=0.3)
        run = await run_load(options, WORKLOAD, token_for)
    assert run.report.errors == {"connection_lost": run.report.unknown}
    assert 1 <= len(server.requests) <= 7


async def test_stopping_between_two_arrivals_ends_the_run_at_once() -> None:
    stop = asyncio.Event()

    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(response())
        stop.set()

    async with FakeServer(answer) as server:
        options = LoadOptions(url=server.url, connections=1, requests=2, rate=0.01)
        run = await run_load(options, WORKLOAD, token_for, stop=stop)
    assert (run.report.responses_2xx, run.report.never_sent) == (1, 0)


async def test_connections_that_cannot_be_opened_at_first_are_counted_and_tried_again() -> None:
    with socket.socket() as server:  # takes what fits into its backlog, and never answers
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        options = LoadOptions(url=url, connections=6, requests=1, timeout_seconds=0.2)
        run = await run_load(options, WORKLOAD, token_for)
    assert run.report.requests_sent == run.report.unknown == run.report.errors["timeout"] == 1
    assert run.report.errors["connect_failed"] >= 1


async def test_nothing_is_written_to_a_connection_that_is_closing() -> None:
    class Closing(asyncio.Transport):
        def is_closing(self) -> bool:
            return True

    options, figures = LoadOptions(), Figures()
    line = Line(WORKLOAD, {}, limit=1, schedule=None, changed=lambda: None)
    feeder = Feeder(Lane((0,), cycle=1, connections=1), line, figures, Pool(options, Counter()))
    feeder.connections[0].connection_made(Closing())
    line.sending = True
    feeder.pump()
    assert figures.sent == 0
