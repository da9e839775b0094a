"""A short form of the campaign in every scene, and the evidence that it would notice."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from playsmart_gateway.clients import CLIENTS
from playsmart_gateway.clients.adapters import ToolMissing
from tests.campaigns.phones.lives import Campaign, Figures, Plan
from tests.campaigns.phones.mutants import MUTANTS, Mutant
from tests.campaigns.phones.old_gateway import BEFORE_RUNS, NoHistory, unpack
from tests.campaigns.phones.proxy import FATES
from tests.campaigns.phones.scene import SceneName, scene
from tests.support.engines.postgres import PostgresServer

WHOLE = Mutant()
SHORT = Plan(
    WHOLE.clients,
    phones=4,
    lives=10,
    kills=2,
    life_seconds=(0.2, 1.0),
    rest_seconds=0.2,
    gateway_seconds=(0.4, 1.2),
)
LIVES_OF_A_CLIENT = 8
IN_CI = ("phone: DeletesBeforeTheAnswer", "gateway: forgets at restart")
"""Of the mutants, each of which takes some seconds; ``--mutants`` plays all of them."""


async def play(
    name: SceneName,
    folder: Path,
    *,
    plan: Plan = SHORT,
    mutant: Mutant = WHOLE,
    postgres: PostgresServer | None = None,
) -> Figures:
    async with scene(name, folder, postgres=postgres, program=mutant.gateway) as system:
        return await Campaign(system, folder, plan).play()


async def played(
    name: SceneName, folder: Path, postgres: PostgresServer | None = None, plan: Plan = SHORT
) -> None:
    figures = await play(name, folder, postgres=postgres, plan=plan)
    assert figures.verdict.good, figures
    assert figures.verdict.stored_events
    assert figures.verdict.duplicate_events
    assert figures.verdict.coins
    assert figures.kills
    assert set(figures.fates) == set(FATES)


async def test_what_a_phone_keeps_is_stored_and_paid_once_whatever_its_language(
    tmp_path: Path,
) -> None:
    """A phone with each of our clients whose language is installed; Python is."""
    clients: dict[str, Sequence[str]] = {}
    with ExitStack() as stack:
        for name, client in CLIENTS.items():
            with suppress(ToolMissing):
                clients[name] = stack.enter_context(client.ready())
        phones = max(SHORT.phones, len(clients))
        lives = LIVES_OF_A_CLIENT * len(clients)
        plan = replace(SHORT, clients=clients, phones=phones, lives=lives)
        await played("sqlite", tmp_path, plan=plan)


async def test_with_a_gateway_from_before_there_were_runs_nothing_is_lost(tmp_path: Path) -> None:
    try:
        unpack(BEFORE_RUNS, tmp_path / "code")
    except NoHistory as why:
        pytest.skip(str(why))
    plan = replace(SHORT, phones=2, lives=4, kills=1)
    async with scene("sqlite", tmp_path / "scene", code=tmp_path / "code") as system:
        figures = await Campaign(system, tmp_path / "scene", plan).play()
    assert figures.verdict.good, figures
    assert figures.verdict.doubled_events


def test_a_revision_that_is_not_in_the_history_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoHistory, match="no-such-revision"):
        unpack("no-such-revision", tmp_path)


async def test_it_is_so_whichever_worker_a_repeat_comes_to(tmp_path: Path) -> None:
    await played("workers", tmp_path)


async def test_it_is_so_in_postgresql(tmp_path: Path, postgres_server: PostgresServer) -> None:
    await played("postgres", tmp_path, postgres_server)


async def test_it_is_so_by_way_of_a_stream(tmp_path: Path) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    await played("jetstream-sqlite", tmp_path)


async def test_it_is_so_by_way_of_a_stream_to_postgresql(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    await played("jetstream-postgres", tmp_path, postgres_server)


async def test_a_broken_phone_and_a_broken_gateway_are_noticed(tmp_path: Path) -> None:
    """At the same time: each of them mostly waits."""

    async def noticed(name: str) -> None:
        mutant = MUTANTS[name]
        plan = replace(SHORT, clients=mutant.clients)
        figures = await play(mutant.scene, tmp_path / name, plan=plan, mutant=mutant)
        assert not figures.verdict.good, name

    await asyncio.gather(*map(noticed, IN_CI))
