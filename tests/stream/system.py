"""A gateway that publishes and a worker of its stream in one process, asked over HTTP."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.build import jetstream_for, rules_for
from playsmart_gateway.config import (
    Accounts,
    Auth,
    Buffer,
    Config,
    Game,
    Journal,
    Nats,
    Storage,
)
from playsmart_gateway.dialects.lynes.access import program_for
from playsmart_gateway.dialects.lynes.section import Lynes
from playsmart_gateway.economy.points import EventDefinition
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stream.worker import StreamWorker
from tests.stream.pipeline import (
    new_stream,
    settled,
    working,
)
from tests.support.engines.nats import NatsServers
from tests.support.in_process import in_process
from tests.support.polling import until
from tests.support.process import SECRET


def make_config(servers: NatsServers, folder: Path) -> Config:
    return Config(
        auth=Auth(secret=SECRET),
        buffer=Buffer(flush_interval_seconds=0.01),
        journal=Journal(path=str(folder / "journal")),
        storage=Storage(url=servers.url, reads_url=f"sqlite:///{folder}/events.db"),
        nats=Nats(stream=new_stream().stream),
        accounts=Accounts(enabled=True),
        games=(Game(id="com.example.game", coins_enabled=True, reward_fixed_amount=10),),
        dialects={"lynes": Lynes(events=(EventDefinition(id="login", kind="fix", points=7),))},
    )


@asynccontextmanager
async def system(config: Config) -> AsyncIterator[tuple[httpx.AsyncClient, StreamWorker]]:
    """Run both; yields a client of the gateway, and the worker."""
    assert config.storage.reads_url is not None
    sink = open_store(config.storage.reads_url, rules_for(config), program_for(config))
    async with (
        in_process(create_app(config)) as client,
        working(config.storage.url, jetstream_for(config), sink) as worker,
    ):
        yield client, worker


LOGGED_IN = {"eventId": "login", "userId": "ada"}


def bearer(user: str) -> dict[str, str]:
    token = mint(user, secret=SECRET, ttl_seconds=60, now=time.time())
    return {"authorization": f"Bearer {token}"}


async def drained(client: httpx.AsyncClient, config: Config) -> None:
    """Wait until the gateway has published all, and the workers have stored it."""

    async def is_empty() -> bool:
        return "playsmart_buffered_events 0.0" in (await client.get("/metrics")).text

    await until(is_empty, "the buffer is empty")
    await settled(config.storage.url, jetstream_for(config))
