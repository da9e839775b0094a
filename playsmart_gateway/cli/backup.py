"""``backup``: a copy of the database, beside a running gateway or without one."""

import json
from pathlib import Path

import click

from playsmart_gateway.cli.common import config_option, database_file, read_config
from playsmart_gateway.cli.printing import progress_bar
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stores.sqlite.backup import back_up


@click.command("backup")
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def backup_command(target: Path, config_path: Path | None, as_json: bool) -> None:
    """Copy the SQLite database to FILE: as it is at one moment, whole and looked at.

    It works beside a running gateway and ends under any traffic. FILE must not exist, appears when
    it is complete and checked (integrity, rows of every table), and is its owner's alone. The
    manual tells how to restore it. Exit code 1: there is no copy; why is printed.
    """
    config = read_config(config_path)
    source = database_file(config)
    if source is None:
        what = "memory cannot be copied"
        if config.storage.database_url != "memory:":
            what = "this is a SQLite command; copy PostgreSQL with pg_dump, restore with pg_restore"
        raise ConfigError([f"storage.url: {what}"])
    if target.exists():
        raise click.BadParameter(f"{target} is there already", param_hint="FILE")
    try:
        with progress_bar() as bar:
            task = bar.add_task("backup", total=None)
            copied = back_up(
                source, target, lambda pages, of: bar.update(task, completed=pages, total=of)
            )
    except FileExistsError:
        raise click.BadParameter(f"{target} is there already", param_hint="FILE") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {target}: {error.strerror}") from error
    if as_json:
        click.echo(json.dumps({"file": str(target), **copied._asdict()}))
        return
    events = copied.rows.get("event_rows", 0)
    click.echo(
        f"copied {events:,} events, {copied.bytes / 2**20:,.1f} MiB, to {target}: it is whole"
    )
