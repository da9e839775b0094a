"""Clients to drop into a game, a file each; ``playsmart-gateway client`` prints them.

It owns the files and a line on each. A client imports nothing of the gateway, as it is copied out
of here, and knows of it what the manual's chapter ``clients`` says. That it does so is held by
``tests/clients``. Start reading at ``CLIENTS``.
"""

from pathlib import Path
from typing import NamedTuple


class ClientFile(NamedTuple):
    """A file below this folder, and what it is."""

    path: str
    about: str

    @property
    def name(self) -> str:
        """What it is called where it is copied to."""
        return Path(self.path).name


CLIENTS = {
    "python": ClientFile(
        "python/playsmart_client.py",
        "Python >= 3.11, the standard library: games and their servers",
    ),
}
"""What there is, by the name that the command takes."""


def read_client(name: str) -> str:
    """Return a file of ``CLIENTS`` as it is to be used.

    Raises:
        KeyError: there is none of that name.
    """
    return (Path(__file__).parent / CLIENTS[name].path).read_text("utf-8")
