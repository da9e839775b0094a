"""A PgBouncer for tests, in front of the tests' PostgreSQL: Debian's, on a free port of 127.0.0.1.

It refuses to run as root; then it runs as ``nobody``.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.support.engines.postgres import PASSWORD
from tests.support.ports import free_port

START_SECONDS = 60.0
_CONFIG = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 20
{more}
"""


def find_binary() -> str | None:
    """Return the path of ``pgbouncer``; None if it is not here."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def pgbouncer(
    server: int, mode: str, more: str = "", files: Mapping[str, Path] = MappingProxyType({})
) -> Iterator[int]:
    """Run one in front of the port ``server``, in a pool mode; yields its port.

    ``files`` are copied to its folder, which ``more`` of the configuration may call ``{folder}``.
    """
    if (binary := find_binary()) is None:
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    folder = Path(tempfile.mkdtemp(prefix="playsmart-pgbouncer-"))
    port = free_port()
    more = more.format(folder=folder)
    text = _CONFIG.format(server=server, port=port, folder=folder, mode=mode, more=more)
    (folder / "config").write_text(text)
    (folder / "users").write_text(f'"gateway" "{PASSWORD}"\n')
    for name, source in files.items():
        (folder / name).write_bytes(source.read_bytes())
    owner = "nobody" if os.geteuid() == 0 else None
    if owner is not None:
        for path in (folder, *folder.iterdir()):
            os.chown(path, pwd.getpwnam(owner).pw_uid, -1)
    process = subprocess.Popen(
        [binary, str(folder / "config")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=owner,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            assert process.poll() is None, "PgBouncer ended"
            assert time.monotonic() < deadline, "PgBouncer does not listen"
            time.sleep(0.01)
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
