"""``manual``: the chapters, for a terminal or a pipe."""

import click

from playsmart_gateway.manual import CHAPTERS, NotInManual, read


@click.command("manual")
@click.argument("chapter", required=False)
def manual_command(chapter: str | None) -> None:
    """Print a CHAPTER of the manual, or a section of it: growing#workers.

    Without one the chapters are listed. Links between chapters can be given as they are printed.
    """
    if chapter is None:
        width = max(map(len, CHAPTERS))
        for name, about in CHAPTERS.items():
            click.echo(f"{click.style(name.ljust(width), bold=True)}  {about}")
        return
    try:
        text = read(chapter)
    except NotInManual as error:
        raise click.UsageError(str(error)) from None
    click.echo(text, nl=False)
