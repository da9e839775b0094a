"""Free ports."""

import socket

_ports: set[int] = set()


def free_port() -> int:
    """Return a port that nobody listens on now, another one each time."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port: int = listener.getsockname()[1]
        if port not in _ports:
            _ports.add(port)
            return port
