"""``client``: the clients to drop into a game."""

from pathlib import Path

import click

from playsmart_gateway.cli.tables import print_terms
from playsmart_gateway.clients import CLIENTS


@click.command("client")
@click.argument("language", required=False, type=click.Choice(list(CLIENTS)))
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write its files there; if one is there already nothing is written.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the list of clients as JSON.")
def client_command(language: str | None, folder: Path | None, as_json: bool) -> None:
    """Print the client for a LANGUAGE, if it is one file, or write its files to a folder.

    The manual has a chapter on each, `client-python` say, with a program that uses it. Without a
    LANGUAGE the clients are listed.
    """
    if language is None:
        print_terms({name: each.about for name, each in CLIENTS.items()}, as_json=as_json)
        return
    client = CLIENTS[language]
    if folder is None:
        if len(client.files) > 1:
            names = ", ".join(client.files)
            raise click.UsageError(f"{language} is {len(client.files)} files, {names}: use --out")
        click.echo(client.read(client.files[0]), nl=False)
        return
    try:
        written = client.write(folder)
    except FileExistsError as error:
        text = f"{error.filename} is there already"
        raise click.BadParameter(text, param_hint="--out") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {error.filename}: {error.strerror}") from error
    for path in written:
        click.echo(path)
