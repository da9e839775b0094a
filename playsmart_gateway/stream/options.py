"""What the configuration says of NATS, and what its URL means. Needs no driver.

A URL is ``nats://[USER[:PASSWORD]@]HOST[:PORT]`` with more of ``HOST[:PORT]`` behind commas, or
``tls://...``, which insists on TLS. Errors never quote it: it may hold a password.
"""

import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from playsmart_gateway.config import Nats
from playsmart_gateway.errors import ConfigError

SCHEMES = ("nats", "tls")
DEFAULT_PORT = 4222


class JetStreamOptions(Nats, frozen=True, kw_only=True):
    """How the stream is to be, how workers consume it, and how to prove who we are: ``[nats]``.

    ``max_age_seconds`` and ``max_bytes`` set no limit when they are 0. ``largest_batch_bytes`` is
    what may have to be published, 0 if that is unknown.
    """

    largest_batch_bytes: int = 0

    def problems(self) -> list[str]:
        """Return what could never work, each led by its key."""
        found = [
            f"nats.{key}: {path} cannot be read"
            for key in ("credentials_file", "tls_ca_file", "tls_cert_file", "tls_key_file")
            if (path := getattr(self, key)) is not None and not Path(path).is_file()
        ]
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            found.append("nats.tls_cert_file: needs nats.tls_key_file, and the other way round")
        if 0 < self.max_age_seconds < self.duplicate_window_seconds:
            found.append("nats.max_age_seconds: is less than nats.duplicate_window_seconds")
        return found


class Server(NamedTuple):
    """One node of the cluster; ``where`` may be shown."""

    where: str
    url: str
    user: str | None
    password: str | None

    @property
    def insists_on_tls(self) -> bool:
        """Whether nothing may be sent in plain text."""
        return self.url.startswith("tls:")


def read_servers(url: str) -> list[Server]:
    """Return the nodes that a URL names; who has no user of its own has that of the first.

    Raises:
        ConfigError: it is not a URL of NATS.
    """
    scheme, _, rest = url.partition("://")
    servers: list[Server] = []
    try:
        for part in rest.split(","):
            each = urlsplit(part if "://" in part else f"{scheme}://{part}")
            if each.scheme != scheme or not each.hostname or each.path.strip("/") or each.query:
                raise ValueError
            host = f"[{each.hostname}]" if ":" in each.hostname else each.hostname
            where = f"{host}:{each.port or DEFAULT_PORT}"
            user, password = each.username, each.password
            if user is None and servers:
                servers.append(servers[0]._replace(where=where, url=f"{scheme}://{where}"))
                continue
            user, password = (None if text is None else unquote(text) for text in (user, password))
            servers.append(Server(where, f"{scheme}://{where}", user, password))
    except ValueError:
        servers.clear()
    if scheme not in SCHEMES or not servers:
        raise ConfigError(["storage.url: must be nats://HOST:PORT[,HOST:PORT...] or tls://..."])
    return servers


def tls_context(options: JetStreamOptions) -> ssl.SSLContext | None:
    """Return what to check and show at a TLS handshake; None if the defaults will do.

    Raises:
        ConfigError: a file is not what it should be.
    """
    if options.tls_ca_file is None and options.tls_cert_file is None:
        return None
    try:
        context = ssl.create_default_context(cafile=options.tls_ca_file)
        if options.tls_cert_file is not None:
            context.load_cert_chain(options.tls_cert_file, options.tls_key_file)
    except OSError:  # SSLError, too
        raise ConfigError(["nats: the tls files hold no usable certificates and key"]) from None
    return context


def is_nats(url: str) -> bool:
    """Whether a URL names NATS."""
    return url.partition("://")[0] in SCHEMES
