"""``retention``: old events go."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from playsmart_gateway.cli.common import config_option, read_config
from playsmart_gateway.cli.keys import Duration
from playsmart_gateway.cli.printing import progress_bar
from playsmart_gateway.sinks import open_sink

EVENTS_PER_STEP = 2_000
"""Of one transaction: a few milliseconds, for which the gateway's flush may have to wait."""


@click.command("retention")
@config_option
@click.option("--older-than", type=Duration(), required=True, help="Age, such as 90d or 36h.")
@click.option("--game", help="Only events of this game (or app).")
@click.option("--type", "event_type", help="Only events of this type.")
@click.option("--dry-run", is_flag=True, help="Only count them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def retention_command(
    config_path: Path | None,
    older_than: int,
    game: str | None,
    event_type: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Delete events that were received long ago; beside a running gateway, too.

    Coins, ledger, players and the headers of batches stay, and the audit stays clean. It goes in
    small transactions with pauses as long as they took, oldest events first, and stops at the first
    batch that is young enough; Ctrl-C is safe. The database does not shrink, its free pages are
    used again.
    """
    try:
        before = datetime.now(UTC) - timedelta(seconds=older_than)
    except OverflowError:
        raise click.BadParameter("is longer than time itself", param_hint="--older-than") from None
    text = f"{before.isoformat(timespec='microseconds')[:26]}Z"
    url = read_config(config_path).storage.database_url
    events = asyncio.run(_expire(url, text, game, event_type, dry_run=dry_run))
    if as_json:
        click.echo(json.dumps({"received_before": text, "dry_run": dry_run, "events": events}))
    else:
        what = "would be deleted" if dry_run else "deleted"
        click.echo(f"{what}: {events:,} events received before {text}")


async def _expire(
    url: str, before: str, game: str | None, event_type: str | None, *, dry_run: bool
) -> int:
    async with open_sink(url).reader() as reader:
        await reader.newest_event_id()  # a store that is not there must not be made by this
    events, position = 0, 0
    with progress_bar() as bar:
        task = bar.add_task("retention", total=None)
        async with open_sink(url) as store:
            while True:
                started = time.monotonic()
                step = await store.expire(
                    before,
                    game_id=game,
                    type_=event_type,
                    after_batch=position,
                    max_events=EVENTS_PER_STEP,
                    dry_run=dry_run,
                )
                events += step.events
                position = step.position
                bar.update(task, completed=position, total=step.end)
                if step.done:
                    return events
                await asyncio.sleep(time.monotonic() - started)
