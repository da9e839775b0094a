"""``retention``: old events go."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec

from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.lake import required_job
from playsmart_gateway.cli.printing import print_json, progress_bar, say
from playsmart_gateway.cli.times import Duration
from playsmart_gateway.lake.job import Job, job_for
from playsmart_gateway.stores.models import (
    MAX_NAMED,
    latest_sane,
)
from playsmart_gateway.stores.open import open_store

EVENTS_PER_STEP = 2_000
"""Of one transaction: a few milliseconds, for which the gateway's flush may have to wait."""


@click.command("retention")
@config_option
@click.option("--older-than", type=Duration(), required=True, help="Age, such as 90d or 36h.")
@click.option("--game", help="Only events of this game (or app).")
@click.option("--type", "event_type", help="Only events of this type.")
@click.option("--lake", "of_lake", is_flag=True, help="Delete them from the lake, not the store.")
@click.option("--dry-run", is_flag=True, help="Only count them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def retention_command(
    config_path: Path | None,
    older_than: int,
    game: str | None,
    event_type: str | None,
    of_lake: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Delete events that were received long ago; beside a running gateway, too.

    Coins, ledger, players and the headers of batches stay, and the audit stays clean. It goes in
    small transactions with pauses as long as they took, oldest events first, and stops at the first
    batch that is young enough, or that the sums of the dashboard have not counted yet, and says so;
    Ctrl-C is safe. Batches whose time is yet to come, as the clock was wrong, are named, and go
    with those behind them. The database does not shrink, its free pages are used again.

    Where there is a lake, events stay in the store until they are in it, and stay in the lake: with
    --lake they are deleted there, for which files are written anew.
    """
    try:
        before = datetime.now(UTC) - timedelta(seconds=older_than)
    except OverflowError:
        raise click.BadParameter("is longer than time itself", param_hint="--older-than") from None
    text = f"{before.isoformat(timespec='microseconds')[:26]}Z"
    config = read_config(config_path)
    job = required_job(config) if of_lake else job_for(config)
    if of_lake:
        assert job is not None
        from playsmart_gateway.lake import errands

        deleting = errands.expire(job, before, game, event_type, dry_run=dry_run)
        whole = _Whole(run_async(deleting))
    else:
        url, last = config.storage.database_url, _last_in_lake(job)
        whole = run_async(_expire(url, text, game, event_type, last, dry_run=dry_run))
    if as_json:
        report = {"received_before": text, "dry_run": dry_run, "events": whole.events}
        told = {"uncounted_from_batch": whole.uncounted_from, "batches_ahead": whole.ahead}
        print_json({**report, **told})
        return
    what = "would be deleted" if dry_run else "deleted"
    say(f"{what}: {whole.events:,} events received before {text}")
    if whole.ahead:
        names = ", ".join(map(str, whole.ahead[:MAX_NAMED]))
        more = " and more" if len(whole.ahead) > MAX_NAMED else ""
        text = f"received by a clock that was ahead: batches {names}{more}"
        say(f"note: {text}; their age is that of the batches behind them", err=True)
    if whole.uncounted_from is not None:
        who = "the dashboard has not counted it"
        who += "" if job is None else ", or it is not in the lake"
        text = f"stopped before batch {whole.uncounted_from}, as {who}"
        say(f"note: {text}; a running gateway counts, run this again later", err=True)


class _Whole(msgspec.Struct):
    """What all steps did together."""

    events: int = 0
    ahead: list[int] = []
    uncounted_from: int | None = None


def _last_in_lake(job: Job | None) -> int | None:
    """Return the last batch that the store need not keep for the lake; None if it keeps none."""
    if job is None:
        return None
    from playsmart_gateway.lake import errands

    return errands.last_whole_batch(job)


async def _expire(
    url: str,
    before: str,
    game: str | None,
    event_type: str | None,
    last: int | None,
    *,
    dry_run: bool,
) -> _Whole:
    async with open_store(url).reader() as reader:
        await reader.newest_event_id()  # a store that is not there must not be made by this
    whole, position, latest = _Whole(), 0, latest_sane()
    with progress_bar() as bar:
        task = bar.add_task("retention", total=None)
        async with open_store(url, migrates=False) as store:
            while True:
                started = time.monotonic()
                step = await store.expire(
                    before,
                    latest=latest,
                    game_id=game,
                    type_=event_type,
                    after_batch=position,
                    upto_batch=last,
                    max_events=EVENTS_PER_STEP,
                    dry_run=dry_run,
                )
                whole.events += step.events
                whole.ahead += step.ahead if len(whole.ahead) <= MAX_NAMED else ()
                position = step.position
                bar.update(task, completed=position, total=step.end)
                if step.uncounted:
                    whole.uncounted_from = position + 1
                if step.done:
                    return whole
                await asyncio.sleep(time.monotonic() - started)
