"""``lake``: what is stored, written to the lake."""

import asyncio
import os
import signal
from pathlib import Path

import click

from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.printing import print_json, say
from playsmart_gateway.config import Config
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.lake.job import Job, job_for
from playsmart_gateway.logs import set_up_logging


def required_job(config: Config) -> Job:
    """Return what is to be written where.

    Raises:
        ConfigError: there is no lake, or there can be none.
    """
    if (job := job_for(config)) is None:
        raise ConfigError(["lake.url: is not set, so there is no lake"])
    return job


@click.command("lake")
@config_option
@click.option("--once", is_flag=True, help="Write what is stored now, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def lake_command(config_path: Path | None, once: bool, as_json: bool) -> None:
    """Write stored events to the lake, beside a gateway or without one, until SIGTERM or Ctrl-C.

    A gateway with lake.url does that by itself, in a process beside it, unless lake.with_gateway is
    false. Several of them are no mistake: they take turns. It may be killed at any moment.
    """
    config = read_config(config_path)
    job = required_job(config)
    from playsmart_gateway.lake.follower import write_all  # what it needs is there now

    if not once:
        set_up_logging(config.log.format, config.log.level)
        run_async(_follow(job))
        return
    done = run_async(write_all(job))
    if as_json:
        print_json({"written": done.events, "position": done.position, "files": done.files})
    else:
        say(f"written: {done.events:,} events, up to event {done.position:,}; {done.files:,} files")


async def _follow(job: Job) -> None:
    from playsmart_gateway.lake.follower import NICENESS, follow

    os.nice(NICENESS)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    await follow(job, lambda _: None, stop)
