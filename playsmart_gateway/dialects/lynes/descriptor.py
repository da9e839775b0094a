"""What Lynes' loyalty API is to the rest of the house."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from playsmart_gateway.config import Auth, Config, replaced
from playsmart_gateway.dialects.descriptor import Dialect, Doubt, Host, Limited, Opened
from playsmart_gateway.dialects.lynes.section import Lynes
from playsmart_gateway.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from playsmart_gateway.openapi.parts import Piece

_OPEN = Doubt(
    "the tokens of players open Lynes, for every user: give [lynes.auth] keys or an "
    "audience of its own, or write down lynes.strict_user",
    "the tokens of players open it, for every user",
    "Give [lynes.auth] keys or an audience of its own, or write down lynes.strict_user: true for "
    "tokens of users, false if players get no token.",
)


_OPEN_TO_ALL = (
    "lynes.strict_user: must be true, or [lynes.auth] have keys or an audience of its own, as "
    "accounts.enabled gives a token to everybody"
)


class _Lynes(Dialect):
    name = "lynes"
    section = Lynes
    shown_as = "Lynes events"
    links: ClassVar[Mapping[str, str]] = {
        "/event": "send an event and get its points (POST, bearer token)"
    }

    def open(self, host: Host) -> Opened:
        from playsmart_gateway.dialects.lynes import reads
        from playsmart_gateway.dialects.lynes.access import (
            lynes_auth,
            lynes_verifier_for,
            program_for,
        )
        from playsmart_gateway.dialects.lynes.endpoint import PATHS, Access, SendEvent
        from playsmart_gateway.http.endpoint import Tokens

        config, players = host.config, host.tokens.verifier
        section, program = config.of(Lynes), program_for(config)
        verifier = lynes_verifier_for(config) or players
        verifier.on_invalid = players.on_invalid
        if section.strict_user and verifier is not players:
            verifier.follow(players)  # its tokens are those of players
        tokens = Tokens(verifier, lynes_auth(config).trust_forwarded)
        access = Access(section.project, section.api_keys, bool(section.strict_user))
        (limited,) = self.limits(config)
        endpoint = SendEvent(host, tokens, program, access, rate_limit=limited.calls)
        routes = reads.routes(program, host.statistics.points, tokens, access, clock=host.clock)
        return Opened(dict.fromkeys(PATHS, endpoint), routes, trials={PATHS[0]: endpoint.trial})

    def pieces(self) -> Sequence[Piece]:
        from playsmart_gateway.dialects.lynes.openapi import PIECE

        return (PIECE,)

    def limits(self, config: Config) -> Sequence[Limited]:
        return [Limited(config.of(Lynes).rate_limit, (config.of(Lynes).project,))]

    def check(self, config: Config) -> None:
        from playsmart_gateway.dialects.lynes.access import lynes_verifier_for, players_open_lynes

        own = config.of(Lynes).auth
        if config.auth.has_keys or (own and own.has_keys):
            lynes_verifier_for(config)
        if config.accounts.enabled and players_open_lynes(config):
            raise ConfigError([_OPEN_TO_ALL])

    def auth(self, config: Config) -> Auth | None:
        return config.of(Lynes).auth

    def secrets(self, config: Config) -> Iterator[tuple[str, str]]:
        yield from (("lynes.api_key", key) for key in config.of(Lynes).api_keys)

    def doubts(self, config: Config) -> Iterator[Doubt]:
        from playsmart_gateway.dialects.lynes.access import players_open_lynes

        if config.of(Lynes).strict_user is None and players_open_lynes(config):
            yield _OPEN

    def with_examples(self, config: Config) -> Config:
        from playsmart_gateway.dialects.lynes.openapi_schemas import EVENTS, STREAKS

        section = config.of(Lynes)
        if section.events or section.streaks:
            return config
        strict = bool(section.strict_user)  # decided: the example's player is everybody here
        changed = msgspec.structs.replace(
            section, events=EVENTS, streaks=STREAKS, strict_user=strict
        )
        return replaced(config, changed)


LYNES = _Lynes()
