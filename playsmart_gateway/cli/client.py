"""``client``: the clients to drop into a game."""

from pathlib import Path

import click

from playsmart_gateway.clients import CLIENTS, read_client


@click.command("client")
@click.argument("language", required=False, type=click.Choice(list(CLIENTS)))
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the file there instead; one that is there already stays as it is.",
)
def client_command(language: str | None, folder: Path | None) -> None:
    """Print the client for a LANGUAGE: python. It is one file that needs nothing else.

    The manual has a chapter on each, `client-python`, with a program that uses it. Without a
    LANGUAGE the clients are listed.

    \b
    playsmart-gateway client python > playsmart_client.py
    playsmart-gateway client python --out game/
    """  # noqa: D301 - Click looks for the character itself
    if language is None:
        width = max(map(len, CLIENTS))
        for each, client in CLIENTS.items():
            click.echo(f"{click.style(each.ljust(width), bold=True)}  {client.about}")
        return
    text = read_client(language)
    if folder is None:
        click.echo(text, nl=False)
        return
    target = folder / CLIENTS[language].name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.BadParameter(f"{target} is there already", param_hint="--out") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {target}: {error.strerror}") from error
    click.echo(target)
