"""``manual``: the chapters, for a terminal or a pipe."""

import click

from playsmart_gateway.cli.grouping import near
from playsmart_gateway.cli.tables import print_terms
from playsmart_gateway.manual import CHAPTERS, NotInManual, read


@click.command("manual")
@click.argument("chapter", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the list of chapters as JSON.")
def manual_command(chapter: str | None, as_json: bool) -> None:
    """Print a CHAPTER of the manual, or a section of it: growing#workers.

    Without one the chapters are listed. Links between chapters can be given as they are printed.
    """
    if chapter is None:
        print_terms(CHAPTERS, as_json=as_json)
        return
    try:
        text = read(chapter)
    except NotInManual as error:
        name = chapter.partition("#")[0].removesuffix(".md")
        meant = "" if name in CHAPTERS else near(name, CHAPTERS, listed=False)
        raise click.UsageError(f"{error}.{meant}" if meant else str(error)) from None
    click.echo(text, nl=False)
