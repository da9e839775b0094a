"""What bounds a run and how fast it goes."""

import ssl
from math import inf
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load.schedule import Profile, Schedule, schedule

INGEST_PATH = "/ingest/events"

MAX_CONNECTIONS = 10_000
MAX_DURATION_SECONDS = 86_400.0
MAX_REQUESTS = 100_000_000
MAX_RATE = 1_000_000.0
MAX_TIMEOUT_SECONDS = 600.0
MAX_SCHEDULED = 10**12
"""Requests of a ramp that nobody ends: more than can be sent."""


class LoadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one run; ``check`` says what is wrong with them.

    At least one of ``duration_seconds`` and ``requests`` bounds the run. Without ``rate`` every
    connection sends its next request as soon as the last one is answered (closed loop). With it,
    request ``i`` is due ``i / rate`` seconds after the start, whether or not the gateway keeps up,
    and its latency counts from then (open loop). ``profile`` has the rate change (see
    ``schedule``); a ramp ends where the gateway breaks.

    For ``https://`` the server's certificate has to be signed by who is trusted here, or by one in
    the PEM file ``ca``; with ``insecure`` any is taken.
    """

    url: str = "http://127.0.0.1:8000"
    connections: int = 16
    duration_seconds: float | None = None
    requests: int | None = None
    rate: float | None = None
    timeout_seconds: float = 10.0
    profile: Profile | None = None
    ca: Path | None = None
    insecure: bool = False

    def check(self) -> None:
        """Raise ``ConfigError`` with every option that is out of its limits."""
        problems = list(_url_problems(self.url))
        if (self.ca or self.insecure) and not problems and not self.is_tls:
            problems.append("ca and insecure are for https://; this is plain http://")
        if self.ca and self.insecure:
            problems.append("ca and insecure exclude each other: trust the file, or anybody")
        if self.duration_seconds is None and self.requests is None:
            problems.append("a run must end: give a duration or a number of requests")
        for name, value, most in (
            ("connections", self.connections, MAX_CONNECTIONS),
            ("duration", self.duration_seconds, MAX_DURATION_SECONDS),
            ("requests", self.requests, MAX_REQUESTS),
            ("rate", self.rate, MAX_RATE),
            ("timeout", self.timeout_seconds, MAX_TIMEOUT_SECONDS),
        ):
            if value is not None and not 0 < value <= most:
                problems.append(f"{name}: {value:g} is not above 0 and at most {most:g}")
        if self.profile is not None and (self.rate is None or self.duration_seconds is None):
            problems.append(f"profile: {self.profile} needs a rate and a duration")
        if problems:
            raise ConfigError(problems)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to connect to."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (443 if self.is_tls else 80)

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted."""
        return urlsplit(self.url).scheme == "https"

    def tls(self) -> ssl.SSLContext | None:
        """Return what connections are encrypted with; None for plain HTTP.

        Raises:
            ConfigError: ``ca`` cannot be read as certificates.
        """
        if not self.is_tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:  # an SSLError is one
            problem = (
                "has no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            )
            raise ConfigError([f"ca: {self.ca}: {problem}"]) from error
        context.set_alpn_protocols(["http/1.1"])
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @property
    def scheduled(self) -> int | None:
        """How many requests the whole run has; None when only the clock ends it."""
        if self.rate is None or self.duration_seconds is None:
            return self.requests
        assert self.schedule is not None
        arrivals = max(1, int(min(self.schedule.arrivals(self.duration_seconds), MAX_SCHEDULED)))
        return arrivals if self.requests is None else min(arrivals, self.requests)

    @property
    def limit(self) -> float:
        """The same, or ``inf``."""
        return inf if self.scheduled is None else self.scheduled

    @property
    def schedule(self) -> Schedule | None:
        """When requests are due; None if each waits for an answer."""
        if self.rate is None:
            return None
        return schedule(self.profile, self.rate, self.duration_seconds)

    def head(self, token: str) -> bytes:
        """Return the head of a request as ``token``'s owner, up to the value of Content-Length."""
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/").removesuffix(INGEST_PATH) + INGEST_PATH
        return (
            f"POST {path} HTTP/1.1\r\n"
            f"Host: {parts.netloc}\r\n"
            f"Authorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\n"
            "Content-Length: "
        ).encode("ascii")


def _url_problems(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        _ = parts.port  # a property that raises on nonsense
    except ValueError as error:
        return [f"url: {url!r} cannot be read ({error}); for example http://127.0.0.1:8000"]
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.username is not None
        or parts.query
        or not url.isascii()
    ):
        return [f"url: {url!r} must be http://HOST[:PORT][/PREFIX], or https://"]
    return []
