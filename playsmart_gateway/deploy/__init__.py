"""Files to deploy with, as they are to be used; ``playsmart-gateway deploy`` prints them.

It owns the files and a line on each, and knows nothing of how the gateway works: that they fit is
held by ``tests/deploy`` against the configuration, ``/metrics`` and running gateways. What is to be
changed in a file is said at its head, why it is as it is in the manual's chapter. Start reading at
``FILES``.
"""

from pathlib import Path
from typing import NamedTuple


class DeployFile(NamedTuple):
    """A file of this folder, and what it is."""

    name: str
    about: str


FILES = {
    "container": DeployFile("Containerfile", "a container image of a checkout (Docker, Podman)"),
    "systemd": DeployFile("playsmart-gateway.service", "a service of systemd, well locked up"),
    "kubernetes": DeployFile("kubernetes.yaml", "StatefulSet, Services and ConfigMap"),
    "nginx": DeployFile("nginx.conf", "TLS and kept connections in front of it"),
    "alerts": DeployFile("alerts.yaml", "Prometheus rules: what an operator has to hear of"),
    "grafana": DeployFile("grafana.json", "a Grafana dashboard of /metrics, to import"),
    "grafana-players": DeployFile("grafana-players.json", "the same of players, from PostgreSQL"),
}
"""What there is, by the name that the command takes."""


def read_file(name: str) -> str:
    """Return a file of ``FILES`` as it is to be used.

    Raises:
        KeyError: there is none of that name.
    """
    return (Path(__file__).parent / FILES[name].name).read_text("utf-8")
