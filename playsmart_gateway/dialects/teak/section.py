"""``[teak]``: the apps that may call Teak's API, and how often."""

from typing import ClassVar

from playsmart_gateway.config import PerSecond
from playsmart_gateway.config.tables import DialectSection, Section


class TeakApp(Section, frozen=True):
    """One app that may call Teak's API; what its values mean is for the dialect to check."""

    id: str
    secret_key: str | tuple[str, ...]
    link_domains: tuple[str, ...] = ()
    links: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    properties: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secrets that are accepted now."""
        return (self.secret_key,) if isinstance(self.secret_key, str) else self.secret_key


class TeakLimits(Section, frozen=True):
    """Requests a second of one app to one path; 0 sets no limit."""

    analytics_events: PerSecond = 100
    batch: PerSecond = 100
    identify: PerSecond = 200
    player_properties: PerSecond = 1_000


class Teak(DialectSection, frozen=True):
    """Teak's API."""

    table: ClassVar[str] = "teak"
    store_client_ip: bool = False
    limits: TeakLimits = TeakLimits()
    apps: tuple[TeakApp, ...] = ()
