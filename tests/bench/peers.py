"""Other programs that take events by HTTP, started, measured and stopped as the gateway is.

What each asks for is its own: a peer is a command, a path and a template of the body.
"""

import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
from typing_extensions import override

from tests.bench.generators import BenchError
from tests.bench.processes import Process
from tests.bench.requests import Crowd, Request
from tests.support.ports import free_port

_STOP_SECONDS = 10.0


class Peer(msgspec.Struct, frozen=True):
    """In ``command`` ``{port}`` and ``{folder}`` stand for where it listens and may write.

    In ``body`` ``{events}`` stands for a JSON array of the events, ``{lines}`` for a line of each,
    ``{upload}`` for the whole body that the gateway is sent.
    """

    name: str
    command: str
    path: str = "/"
    body: str = "{events}"

    def requests(self, events: int, players: int) -> Sequence[Request]:
        """Return what it is sent: the requests to the gateway, put into its words."""
        crowd = Crowd(events, players)
        if self.body == "{upload}":
            return crowd
        first = crowd[0]
        array = msgspec.json.decode(first.body)["events"]
        lines = b"\n".join(map(msgspec.json.encode, array))
        filled = self.body.replace("{upload}", first.body.decode())
        filled = filled.replace("{events}", msgspec.json.encode(array).decode())
        return [
            Request(first.user, first.token, filled.replace("{lines}", lines.decode()).encode())
        ]


class PeerProcess(Process):
    """A peer that serves while entered; it is asked to stop, and ended if it does not."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        port = free_port()
        command = peer.command.replace("{port}", str(port)).replace("{folder}", str(folder))
        super().__init__(peer.name, shlex.split(command), folder, port, ())

    @override
    def __exit__(self, *_: object) -> None:
        self.stop()

    @override
    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)  # how it ends is its own affair
        except subprocess.TimeoutExpired:
            super().__exit__()


def read(commands: Sequence[str], paths: Sequence[str], bodies: Sequence[str]) -> list[Peer]:
    """Return the peers of ``NAME=COMMAND``, with the paths and bodies of ``NAME=...``.

    Raises:
        BenchError: one of them is something else, or nobody has that name.
    """
    peers = {name: Peer(name, command) for name, command in map(_named, commands)}
    for field, texts in (("path", paths), ("body", bodies)):
        for name, value in map(_named, texts):
            if name not in peers:
                raise BenchError(f"{name!r} is no peer; add --peer '{name}=COMMAND'")
            peers[name] = msgspec.structs.replace(peers[name], **{field: value})
    return list(peers.values())


def _named(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not (found and name.strip() and value.strip()):
        raise BenchError(f"{text!r} is not NAME=VALUE")
    return name.strip(), value
