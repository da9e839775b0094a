"""``deploy``: files for what runs, watches and fronts a gateway."""

import click

from playsmart_gateway.cli.tables import print_terms
from playsmart_gateway.deploy import FILES, read_file


@click.command("deploy")
@click.argument("name", required=False, type=click.Choice(list(FILES)))
@click.option("--json", "as_json", is_flag=True, help="Print the list of files as JSON.")
def deploy_command(name: str | None, as_json: bool) -> None:
    """Print a file by NAME: container, systemd, nginx, kubernetes, alerts, grafana(-players).

    Its head says what to change; the manual's chapter `deploy` says why it is as it is. Without a
    NAME the files are listed.
    """
    if name is not None:
        click.echo(read_file(name), nl=False)
        return
    print_terms({name: each.about for name, each in FILES.items()}, as_json=as_json)
