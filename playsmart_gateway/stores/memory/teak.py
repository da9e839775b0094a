"""The players of apps, in plain Python and one at a time: the other half of the memory twin."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from typing_extensions import override

from playsmart_gateway.events.sessions import Session
from playsmart_gateway.stores.contract import AppPlayers
from playsmart_gateway.stores.models import (
    AppPlayer,
    Channel,
    OptOutState,
    PropertyValue,
)
from playsmart_gateway.stores.readers import AppPlayerReader

_Key = tuple[str, str]


class MemoryApps(AppPlayers, AppPlayerReader):
    """What ``Store`` and ``Reader`` say about the players of apps."""

    def __init__(self) -> None:
        self.players: dict[_Key, AppPlayer] = {}
        self.emails: dict[_Key, str] = {}
        self.installed: set[_Key] = set()
        self.exclusions: dict[_Key, str | None] = {}
        self.properties: dict[_Key, dict[str, PropertyValue]] = {}

    def track(self, session: Session) -> bool:
        """Take note of a session; True if its ``Installed`` is the first of this player."""
        key = session.app_id, session.user_id
        player = self.players.get(key, AppPlayer())
        self.players[key] = msgspec.structs.replace(player, country_code=session.country_code)
        if session.email and not self._is_excluded(key):
            for other, email in list(self.emails.items()):
                if (other[0], email) == (session.app_id, session.email):
                    del self.emails[other]
            self.emails[key] = session.email
        first = session.installs and key not in self.installed
        if session.installs:
            self.installed.add(key)
        return first

    @override
    async def countries(self, app_id: str, user_ids: Collection[str]) -> dict[str, str]:
        return {
            user_id: player.country_code or ""
            for user_id in user_ids
            if (player := self.players.get((app_id, user_id))) is not None
        }

    @override
    async def app_player(self, app_id: str, user_id: str) -> AppPlayer:
        key = app_id, user_id
        player = self.players.get(key, AppPlayer())
        return msgspec.structs.replace(player, properties=dict(self.properties.get(key, {})))

    @override
    async def set_properties(
        self, app_id: str, user_id: str, values: Mapping[str, PropertyValue]
    ) -> dict[str, PropertyValue]:
        known = self.properties.setdefault((app_id, user_id), {})
        before = {name: known[name] for name in values if name in known}
        known.update(values)
        return before

    @override
    async def exclude(self, app_id: str, user_id: str, expire_at: str | None) -> None:
        self.exclusions[app_id, user_id] = expire_at
        self.emails.pop((app_id, user_id), None)

    @override
    async def include(self, app_id: str, user_id: str) -> bool:
        excluded = (app_id, user_id) in self.exclusions
        self.exclusions.pop((app_id, user_id), None)
        return excluded

    @override
    async def set_opt_out(
        self, app_id: str, user_id: str, channel: Channel, state: OptOutState
    ) -> bool:
        key = app_id, user_id
        if (player := self.players.get(key)) is None:
            return False
        states = {**player.opt_out_states, channel: state}
        self.players[key] = msgspec.structs.replace(player, opt_out_states=states)
        return True

    def forget(self, user_id: str) -> None:
        """Forget a player in every app."""
        tables: list[dict[_Key, Any]] = [
            self.players,
            self.emails,
            self.exclusions,
            self.properties,
        ]
        for each in tables:
            for key in [key for key in each if key[1] == user_id]:
                del each[key]
        self.installed = {key for key in self.installed if key[1] != user_id}

    def _is_excluded(self, key: _Key) -> bool:
        if key not in self.exclusions:
            return False
        until = self.exclusions[key]
        return until is None or until > f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
