"""``deploy``: files for what runs, watches and fronts a gateway."""

import click

from playsmart_gateway.deploy import FILES, read_file


@click.command("deploy")
@click.argument("name", required=False, type=click.Choice(list(FILES)))
def deploy_command(name: str | None) -> None:
    """Print a file by NAME: container, systemd, nginx, kubernetes, alerts, grafana(-players).

    Its head says what to change; the manual's chapter `deploy` says why it is as it is. Without a
    NAME the files are listed.

    \b
    playsmart-gateway deploy container | docker build --tag playsmart-gateway:0.1.0 --file - .
    playsmart-gateway deploy systemd | sudo tee /etc/systemd/system/playsmart-gateway.service
    playsmart-gateway deploy alerts > /etc/prometheus/playsmart.yaml
    """  # noqa: D301 - Click looks for the character itself
    if name is not None:
        click.echo(read_file(name), nl=False)
        return
    width = max(map(len, FILES))
    for each, file in FILES.items():
        click.echo(f"{click.style(each.ljust(width), bold=True)}  {file.about}")
