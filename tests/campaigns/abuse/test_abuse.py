"""The abuse campaign in a short form: every attack, small; what noise cannot do is judged strictly.

Memory, answers, probes, healing and the store are. Latencies are for ``make abuse``, on a machine
that is not busy with the rest of the suite.
"""

import asyncio
import dataclasses
from pathlib import Path

import pytest

from tests.campaigns.abuse.attacks import (
    ATTACKS,
    SHORT,
    Attack,
    parked,
)
from tests.campaigns.abuse.campaign import (
    MEGABYTE,
    Campaign,
    Limits,
    Round,
    target,
)

LIMITS = Limits(healthz_seconds=10.0, p99_ratio=None)


@pytest.mark.parametrize(
    ("workers", "names"),
    [
        (1, ("parked", "deaf", "pipelined", "endless")),
        (1, ("dripped", "heavy", "upgrades", "trailers", "deep_links", "logins")),
        (2, ("parked", "endless", "heavy", "upgrades", "deep_links", "logins")),
    ],
)
async def test_no_attack_is_felt_beyond_the_limits_and_none_costs_an_acknowledged_event(
    workers: int, names: tuple[str, ...], tmp_path: Path
) -> None:
    with target(tmp_path, workers=workers, max_connections=100) as server:
        await server.up()
        campaign = Campaign(server, SHORT)
        for name in names:
            found = await campaign.round(name)
            assert not found.problems(LIMITS), found
            assert found.probes
        verdict = await campaign.finish()
    assert verdict.exactly_once, verdict
    assert verdict.accepted_events
    assert verdict.buried == 0


def test_the_short_form_plays_every_attack() -> None:
    (mark,) = (
        each
        for each in test_no_attack_is_felt_beyond_the_limits_and_none_costs_an_acknowledged_event.pytestmark  # type: ignore[attr-defined] # noqa: E501
        if each.name == "parametrize"
    )
    assert {name for workers, names in mark.args[1] if workers == 1 for name in names} == {*ATTACKS}


def test_each_limit_is_told_when_it_is_broken() -> None:
    """The control: a round that is as bad as the gateway was."""
    bad = Round(
        "parked",
        wrong=["a token in a trailer: 202, not 401"],
        probes=10,
        failed_probes=9,
        slowest_healthz_seconds=100,
        p99_alone_seconds=0.01,
        p99_beside_seconds=0.06,
        rss_growth_bytes=151 * MEGABYTE,
        healed_after_seconds=31,
    )
    assert bad.problems(Limits()) == [
        "parked: a token in a trailer: 202, not 401",
        "parked: 9 of 10 probes had no 200",
        "parked: /healthz took 100.00 s",
        "parked: memory grew by 151 MB",
        "parked: the player's p99 was 6.0 times its own alone",
        "parked: it took 31.0 s to heal",
    ]
    fair = Round("parked", probes=10, p99_alone_seconds=0.01, p99_beside_seconds=0.05)
    assert fair.problems(Limits()) == []


async def test_an_attack_ends_in_time_though_nobody_answers() -> None:
    """A server that accepts and says nothing: the attackers leave all the same."""

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(0.5)
        finally:
            writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        attack = Attack(port, dataclasses.replace(SHORT, seconds=0.2, parked=3))
        attack.begin()
        await parked(attack)
    assert attack.answers == {"hung up": 3}
