"""``[lynes]``: the project, its events and its streaks, and who may send."""

from typing import Annotated, ClassVar

import msgspec

from playsmart_gateway.config import Auth
from playsmart_gateway.config.tables import DialectSection
from playsmart_gateway.economy.points.definitions import EventDefinition, StreakDefinition

ApiKey = Annotated[str, msgspec.Meta(min_length=1)]


class Lynes(DialectSection, frozen=True):
    """The project that ``POST /event`` is for: its events, its streaks, who may send.

    ``auth`` and ``strict_user`` are None if nothing was written down, which is as if they were
    ``[auth]`` and false.
    """

    table: ClassVar[str] = "lynes"
    project: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "default"
    time_zone: str = "UTC"
    default_group: str = "default"
    api_key: ApiKey | tuple[ApiKey, ...] | None = None
    auth: Auth | None = None
    strict_user: bool | None = None
    rate_limit: Annotated[int, msgspec.Meta(ge=0)] = 2_000
    events: tuple[EventDefinition, ...] = ()
    streaks: tuple[StreakDefinition, ...] = ()

    @property
    def api_keys(self) -> tuple[str, ...]:
        """All keys that are accepted now."""
        keys = self.api_key or ()
        return (keys,) if isinstance(keys, str) else keys
